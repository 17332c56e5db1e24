package region

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/network"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// Modes of a link (MAAS: INTERFACE_LINK_TYPE).
const (
	modeAuto   = "auto"
	modeDHCP   = "dhcp"
	modeStatic = "static"
	modeLinkUp = "link_up"
)

// linkSubnet adds a link, or with force replaces all links of the interface and its VLAN (recordings 355-392). Nothing changes when it is
// refused.
func (r *Region) linkSubnet(q *rest.Request) (any, error) {
	defer r.begin()()
	i, err := r.changeable(q, "link subnet")
	if err != nil {
		return nil, err
	}
	wish, err := r.linkForm(i, q)
	if err != nil {
		return nil, err
	}
	clears := wish.force || wish.mode == modeLinkUp
	if wish.mode == modeStatic {
		if err := r.staticAddress(i, &wish); err != nil {
			return nil, err
		}
	}
	if clears {
		r.removeLinks(i)
	}
	if wish.subnet != nil && (wish.force || i.vlan == nil) {
		i.vlan = wish.subnet.VLAN
	}
	r.makeWay(i, wish)
	l := r.newLink(i, wish.subnet, wish.mode)
	if wish.ip.IsValid() {
		r.hold(l, wish.ip, allocSticky)
	}
	if wish.gateway {
		r.makeDefault(l)
	}
	return r.ifaceJSON(i), nil
}

// staticAddress finds the address of a STATIC link, or sees that the one asked for is free. Those of links that force will replace are.
func (r *Region) staticAddress(i *iface, wish *linkWish) error {
	if !wish.ip.IsValid() {
		free, ok := wish.subnet.Next(r.reservedIn(wish.subnet)...)
		if !ok {
			return rest.Text(http.StatusServiceUnavailable, "No more IPs available in subnet: %s.", wish.subnet.CIDR)
		}
		wish.ip = free
		return nil
	}
	if err := r.checkReserved(i.mac, wish.ip); err != nil {
		return err
	}
	held := r.addressAt(wish.ip)
	replaced := wish.force && held != nil && held.link != nil && held.link.iface == i
	if held != nil && !replaced {
		return rest.Text(http.StatusNotFound, "IP address is already in use.")
	}
	return nil
}

// makeWay removes what cannot stand beside a new link: a DHCP link of its family, and a LINK_UP.
func (r *Region) makeWay(i *iface, wish linkWish) {
	for _, l := range slices.Clone(i.links) {
		if l.mode == modeLinkUp || l.mode == modeDHCP && sameFamily(l.subnet, wish.subnet) {
			r.removeLink(l)
		}
	}
}

// sameFamily: a link without a subnet is of every family.
func sameFamily(a, b *network.Subnet) bool {
	return a == nil || b == nil || a.CIDR.Addr().Is4() == b.CIDR.Addr().Is4()
}

// makeDefault makes a link's gateway the machine's for its family.
func (r *Region) makeDefault(l *link) {
	for _, other := range l.iface.machine.links() {
		if other.subnet != nil && other.subnet.CIDR.Addr().Is4() == l.subnet.CIDR.Addr().Is4() {
			other.gateway = other == l
		}
	}
}

type linkWish struct {
	mode           string
	subnet         *network.Subnet
	ip             netip.Addr
	force, gateway bool
}

func (r *Region) linkForm(i *iface, q *rest.Request) (linkWish, error) {
	var form rest.Form
	wish := linkWish{
		mode: strings.ToLower(q.Form.Get("mode")), force: q.Form.Bool("force"), gateway: q.Form.Bool("default_gateway"),
	}
	r.linkSubnetField(&form, i, q, &wish)
	text := q.Form.Get("ip_address")
	if text != "" {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			form.Addf("ip_address", "Enter a valid IPv4 or IPv6 address.")
		} else if wish.mode == modeStatic {
			wish.ip = ip
		}
	}
	switch wish.mode {
	case modeAuto, modeStatic:
		if wish.subnet == nil {
			form.Addf("subnet", "This field is required.")
		} else if wish.ip.IsValid() {
			checkLinkAddress(&form, wish)
		}
	case modeDHCP:
		checkDHCP(&form, i)
	case modeLinkUp:
		if !wish.force && slices.ContainsFunc(i.links, func(l *link) bool { return l.mode != modeLinkUp }) {
			form.Addf("mode", "Cannot configure interface to link up (with no IP address) while other links are already configured. "+
				"Specify force=True to override this behavior and delete all links.")
		}
	case "":
		form.Addf("mode", "This field is required.")
		return wish, form.Err()
	default:
		form.Addf("mode", "'%s' is not a valid mode.  It should be one of: 'auto', 'dhcp', 'static', 'link_up'.", wish.mode)
		return wish, form.Err()
	}
	checkGateway(&form, wish)
	return wish, form.Err()
}

// checkDHCP: an interface has one DHCP link at most; force does not help, since the form looks at the links as they are.
func checkDHCP(form *rest.Form, i *iface) {
	for _, l := range i.links {
		switch {
		case l.mode != modeDHCP:
		case l.subnet != nil:
			form.Addf("mode", "Interface is already set to DHCP from '%s'.", l.subnet)
		default:
			form.Addf("mode", "Interface is already set to DHCP.")
		}
	}
}

func checkGateway(form *rest.Form, wish linkWish) {
	switch {
	case !wish.gateway:
	case wish.mode != modeAuto && wish.mode != modeStatic:
		form.Addf("default_gateway", "Cannot use in mode '%s'.", wish.mode)
	case wish.subnet == nil:
		form.Addf("default_gateway", "Subnet is required when default_gateway is True.")
	case !wish.subnet.Gateway.IsValid():
		form.Addf("default_gateway", "Cannot set as default gateway because subnet %s doesn't provide a gateway IP address.", wish.subnet)
	}
}

// linkSubnetField finds the subnet: without force only among those of the interface's VLAN.
func (r *Region) linkSubnetField(form *rest.Form, i *iface, q *rest.Request, wish *linkWish) {
	spec := q.Form.Get("subnet")
	for _, s := range r.subnets {
		if subnetMatches(s, spec) && (wish.force || i.vlan == nil || s.VLAN == i.vlan) {
			wish.subnet = s
			return
		}
	}
	if spec != "" {
		form.Addf("subnet", "None found with id=%s.", spec)
	}
}

// checkLinkAddress checks a STATIC address. MAAS accepts the gateway's, a DNS server's, the network's and the broadcast address, and addresses
// in reserved ranges (recordings 364-374).
func checkLinkAddress(form *rest.Form, wish linkWish) {
	if !wish.subnet.CIDR.Contains(wish.ip) {
		form.Addf("ip_address", "IP address is not in the given subnet '%s'.", wish.subnet)
	}
	if dynamic, inside := wish.subnet.InRange(network.Dynamic, wish.ip); inside {
		form.Addf("ip_address", "IP address is inside a dynamic range %s to %s.", dynamic.Start, dynamic.End)
	}
}

// unlinkSubnet removes a link. An interface whose last link goes is linked up without an address.
func (r *Region) unlinkSubnet(q *rest.Request) (any, error) {
	defer r.begin()()
	i, err := r.changeable(q, "unlink subnet")
	if err != nil {
		return nil, err
	}
	id := q.Form.Get("id")
	if id == "" {
		return nil, rest.Invalid("id", "This field is required.")
	}
	var ids []string
	for _, l := range i.links {
		if strconv.Itoa(l.id) == id {
			r.removeLink(l)
			r.ensureLinkUp(i)
			return r.ifaceJSON(i), nil
		}
		ids = append(ids, "'"+strconv.Itoa(l.id)+"'")
	}
	return nil, rest.Invalid("id", "'%s' is not a valid id.  It should be one of: %s.", id, strings.Join(ids, ", "))
}

func (r *Region) ensureLinkUp(i *iface) {
	if len(i.links) == 0 && i.vlan != nil {
		r.newLink(i, nil, modeLinkUp)
	}
}
