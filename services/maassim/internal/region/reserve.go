package region

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/network"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// stray is an interface that MAAS knows only because an address is reserved for its MAC address.
type stray struct {
	id   int
	mac  string
	vlan *network.VLAN
	held []*address
}

// reserveWish is what a user wants to reserve.
type reserveWish struct {
	ip     netip.Addr // invalid: any of the subnet
	subnet *network.Subnet
	mac    string
	host   string
	domain *domain
}

// reserve keeps an address for the user, under a name and for a MAC address if that is asked for (recordings 248-252).
func (r *Region) reserve(q *rest.Request) (any, error) {
	defer r.begin()()
	wish, err := r.reserveForm(q)
	if err != nil {
		return nil, err
	}
	nic, err := r.strayFor(wish)
	if err != nil {
		return nil, err
	}
	if err := r.chooseReserved(&wish); err != nil {
		return nil, err
	}
	a := r.newAddress(wish.ip, wish.subnet, allocReserved, q.User)
	if nic != nil {
		a.stray, nic.held = nic, append(nic.held, a)
		r.strays[nic.mac] = nic
	}
	r.nameReserved(wish, a)
	return r.addressJSON(a), nil
}

func (r *Region) reserveForm(q *rest.Request) (reserveWish, error) {
	var form rest.Form
	var wish reserveWish
	text := q.Form.Get("ip")
	if text == "" {
		text = q.Form.Get("ip_address")
	}
	if text != "" {
		var err error
		if wish.ip, err = netip.ParseAddr(text); err != nil {
			form.Addf("ip_address", "Enter a valid IPv4 or IPv6 address.")
		}
	}
	wish.mac = macField(&form, "mac_address", q.Form.Get("mac"), false)
	if err := form.Err(); err != nil {
		return wish, err
	}
	spec := q.Form.Get("subnet")
	switch {
	case wish.ip.IsValid():
		if wish.subnet = r.subnetFor(wish.ip); wish.subnet == nil {
			return wish, rest.Text(http.StatusBadRequest, "No known subnet for IP address: %s.", wish.ip)
		}
	case spec == "":
		return wish, rest.Text(http.StatusBadRequest, "Must supply either the 'subnet' or the 'ip' parameter.")
	default:
		if wish.subnet = r.subnetBySpec(spec); wish.subnet == nil {
			return wish, rest.Text(http.StatusBadRequest, "Unable to identify subnet: %s.", spec)
		}
	}
	if _, inside := wish.subnet.InRange(network.Dynamic, wish.ip); inside {
		return wish, rest.Text(http.StatusForbidden,
			"IP address %s belongs to an existing dynamic range. To reserve this IP address, a MAC address is required. (Create a device instead.)", wish.ip)
	}
	wish.host, wish.domain = q.Form.Get("hostname"), r.domains[0]
	if host, name, ok := strings.Cut(wish.host, "."); ok && host != "" {
		if wish.host, wish.domain = host, r.domainNamed(name); wish.domain == nil {
			return wish, rest.NotFound("Domain")
		}
	}
	return wish, nil
}

// strayFor returns the interface of a MAC address, which must not be that of a machine; nil without a MAC address.
func (r *Region) strayFor(wish reserveWish) (*stray, error) {
	if wish.mac == "" {
		return nil, nil //nolint:nilnil // no interface was asked for
	}
	for _, m := range r.machines.byMAC.Rows(wish.mac) {
		return nil, rest.Text(http.StatusBadRequest,
			"MAC address %s already belongs to %s. Use of the interface API is required, for an interface that belongs to a node.", wish.mac, m.hostname)
	}
	if nic := r.strays[wish.mac]; nic != nil {
		return nic, nil
	}
	r.ids.iface++
	return &stray{id: r.ids.iface, mac: wish.mac, vlan: wish.subnet.VLAN}, nil
}

// chooseReserved finds the address, or sees that the one asked for is free and outside the ranges. With a MAC address MAAS makes a link, which
// may lie in a reserved range and is refused in other words.
func (r *Region) chooseReserved(wish *reserveWish) error {
	if !wish.ip.IsValid() {
		free, ok := wish.subnet.Next()
		if !ok {
			return rest.Text(http.StatusServiceUnavailable, "No more IPs available in subnet: %s.", wish.subnet.CIDR)
		}
		wish.ip = free
		return nil
	}
	if wish.mac != "" {
		if err := r.checkReserved(wish.mac, wish.ip); err != nil {
			return err
		}
		if r.taken(wish.ip) {
			return rest.Text(http.StatusNotFound, "IP address is already in use.")
		}
		return nil
	}
	if r.taken(wish.ip) {
		return rest.Text(http.StatusNotFound, "The IP address %s is already in use.", wish.ip)
	}
	if x, inside := wish.subnet.InRange(network.Reserved, wish.ip); inside {
		return rest.Text(http.StatusNotFound, "%s is within the reserved range from %s to %s", wish.ip, x.Start, x.End)
	}
	return nil
}

// nameReserved writes a reservation into DNS, into the record of the name if there is one.
func (r *Region) nameReserved(wish reserveWish, a *address) {
	if wish.host == "" {
		return
	}
	rec := r.recordNamed(wish.domain, wish.host)
	if rec == nil {
		r.ids.record++
		rec = &record{id: r.ids.record, name: wish.host, domain: wish.domain}
		r.records.Add(rec)
	}
	rec.addresses = append(rec.addresses, a)
}

// releaseAddress frees a reservation of the user; an administrator may force it for any address (recordings 483, 602, 603).
func (r *Region) releaseAddress(q *rest.Request) (any, error) {
	defer r.begin()()
	if !q.Form.Has("ip") {
		return nil, rest.Text(http.StatusBadRequest, "No provided ip!")
	}
	force := q.Form.Bool("force")
	if force && !q.User.Admin {
		return nil, rest.Text(http.StatusForbidden, "Force-releasing an IP address requires admin privileges.")
	}
	text := q.Form.Get("ip")
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return nil, rest.Invalid("ip", "Enter a valid IPv4 or IPv6 address.")
	}
	a := r.addressAt(ip)
	switch {
	case force && (a == nil || q.Form.Bool("discovered")): // addresses that MAAS discovered are not simulated
		return nil, rest.Text(http.StatusBadRequest, "IP address %s does not exist.", text)
	case !force && (a == nil || a.alloc != allocReserved || a.owner != q.User):
		return nil, rest.Text(http.StatusBadRequest, "IP address %s does not exist, is not the correct type of address, or does not belong to the requesting user.\n"+
			"If you are sure you want to release this address, use force=true as a MAAS administrator.", text)
	}
	if l := a.link; l != nil {
		r.removeLink(l)
		r.ensureLinkUp(l.iface)
		return rest.NoContent, nil
	}
	r.removeAddress(a)
	return rest.NoContent, nil
}

// forgetStray removes an address from the interface that it was reserved for, and the interface with its last one.
func (r *Region) forgetStray(a *address) {
	if a.stray == nil {
		return
	}
	held := a.stray.held[:0:0]
	for _, other := range a.stray.held {
		if other != a {
			held = append(held, other)
		}
	}
	if a.stray.held = held; len(held) == 0 {
		delete(r.strays, a.stray.mac)
	}
}

// strayJSON renders an interface that belongs to no machine.
func (r *Region) strayJSON(nic *stray) object {
	links := []object{}
	for _, a := range nic.held {
		links = append(links, object{"id": a.id, "mode": modeStatic, "ip_address": a.ip.String(), "subnet": subnetJSON(a.subnet)})
	}
	return object{
		"id": nic.id, "name": "eth0", "type": "unknown", "mac_address": nic.mac, "system_id": nil, "enabled": true, "link_connected": true,
		"link_speed": 0, "interface_speed": 0, "vlan": vlanJSON(nic.vlan), "links": links, "discovered": nil, "parents": []string{},
		"children": []string{}, "tags": []string{}, "params": "", "effective_mtu": 1500, "numa_node": nil, "vendor": nil, "product": nil,
		"firmware_version": nil, "sriov_max_vf": 0, "resource_uri": nil,
	}
}
