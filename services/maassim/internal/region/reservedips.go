package region

import (
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/network"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// reservedIP keeps an address for whoever has a MAC address (MAAS 3.6 and later).
type reservedIP struct {
	id           int
	ip           netip.Addr
	subnet       *network.Subnet
	mac, comment string
}

// reservedIPResources are there from MAAS 3.6 on.
func (r *Region) reservedIPResources() []rest.Resource {
	if r.minor < 6 {
		return nil
	}
	return []rest.Resource{
		{Path: "reservedips", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "reservedips.list", Handle: r.listReserved},
			{Method: http.MethodPost, Name: "reservedips.create", Admin: true, Handle: r.createReserved},
		}},
		{Path: "reservedips/{id}", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "reservedips.read", Handle: r.readReserved},
			{Method: http.MethodPut, Name: "reservedips.update", Admin: true, Handle: leftOut},
			{Method: http.MethodDelete, Name: "reservedips.delete", Admin: true, Handle: r.deleteReserved},
		}},
	}
}

// reservedFor returns what is reserved for a MAC address, or nil.
func (r *Region) reservedFor(mac string) *reservedIP {
	for _, x := range r.reserved {
		if x.mac == mac {
			return x
		}
	}
	return nil
}

// reservedIn returns the reserved addresses of a subnet, which AUTO links of others do not get.
func (r *Region) reservedIn(s *network.Subnet) []netip.Addr {
	var all []netip.Addr
	for _, x := range r.reserved {
		if x.subnet == s {
			all = append(all, x.ip)
		}
	}
	return all
}

// checkReserved refuses a STATIC address that contradicts what is reserved.
func (r *Region) checkReserved(mac string, ip netip.Addr) error {
	var found []*reservedIP
	for _, x := range r.reserved {
		if x.mac == mac || x.ip == ip {
			found = append(found, x)
		}
	}
	switch {
	case len(found) == 0:
		return nil
	case len(found) > 1:
		return rest.Text(http.StatusConflict, "The MAC address %s or the static IP %s are associated with a reserved IP and cannot be used.", mac, ip)
	case found[0].ip != ip:
		return rest.Text(http.StatusConflict, "The static IP %s does not match the reserved IP %s for the MAC address %s.", ip, found[0].ip, mac)
	case found[0].mac != mac:
		return rest.Text(http.StatusConflict, "The static IP %s is already reserved for the MAC address %s.", ip, found[0].mac)
	default:
		return nil
	}
}

func reservedJSON(x *reservedIP) object {
	return object{
		"id": x.id, "ip": x.ip.String(), "subnet": subnetJSON(x.subnet), "mac_address": x.mac, "comment": x.comment,
		"resource_uri": uri("reservedips/%d/", x.id),
	}
}

func (r *Region) listReserved(*rest.Request) (any, error) {
	defer r.begin()()
	all := []object{}
	for _, x := range r.reserved {
		all = append(all, reservedJSON(x))
	}
	return all, nil
}

func (r *Region) reservedOf(q *rest.Request) (*reservedIP, error) {
	for _, x := range r.reserved {
		if strconv.Itoa(x.id) == q.Path["id"] {
			return x, nil
		}
	}
	return nil, rest.NotFound("ReservedIP")
}

func (r *Region) readReserved(q *rest.Request) (any, error) {
	defer r.begin()()
	x, err := r.reservedOf(q)
	if err != nil {
		return nil, err
	}
	return reservedJSON(x), nil
}

func (r *Region) deleteReserved(q *rest.Request) (any, error) {
	defer r.begin()()
	x, err := r.reservedOf(q)
	if err != nil {
		return nil, err
	}
	r.reserved = slices.DeleteFunc(r.reserved, func(other *reservedIP) bool { return other == x })
	return rest.NoContent, nil
}

func (r *Region) createReserved(q *rest.Request) (any, error) {
	defer r.begin()()
	var form rest.Form
	x := &reservedIP{mac: macField(&form, "mac_address", q.Form.Get("mac_address"), true), comment: q.Form.Get("comment")}
	if x.ip = addressField(&form, "ip", q); x.ip.IsValid() {
		r.reservedSubnetField(&form, x, q.Form.Get("subnet"))
		r.checkReservedFree(&form, x)
	}
	if err := form.Err(); err != nil {
		return nil, err
	}
	x.id = r.serials.next("reservedip", 0)
	r.reserved = append(r.reserved, x)
	return reservedJSON(x), nil
}

func (r *Region) reservedSubnetField(form *rest.Form, x *reservedIP, spec string) {
	if spec == "" {
		if x.subnet = r.subnetFor(x.ip); x.subnet == nil {
			form.Addf("subnet", "There is no subnet for %s. Create the subnet and try again.", x.ip)
		}
	} else if x.subnet = r.subnetBySpec(spec); x.subnet == nil {
		form.Addf("subnet", "None found with id=%s.", spec)
	}
	if x.subnet == nil {
		return
	}
	broadcast, has := x.subnet.Broadcast()
	switch {
	case !x.subnet.CIDR.Contains(x.ip):
		form.Addf("ip", "%s is not part of the subnet.", x.ip)
	case x.ip == x.subnet.CIDR.Addr():
		form.Addf("ip", "The network address cannot be a reserved IP.")
	case has && x.ip == broadcast:
		form.Addf("ip", "The broadcast address cannot be a reserved IP.")
	}
	if dynamic, inside := x.subnet.InRange(network.Dynamic, x.ip); inside {
		form.Addf("ip", "The reserved IP %s must be outside the dynamic range %s - %s.", x.ip, dynamic.Start, dynamic.End)
	}
}

func (r *Region) checkReservedFree(form *rest.Form, x *reservedIP) {
	if a := r.addressAt(x.ip); a != nil && (a.link == nil || a.link.iface.mac != x.mac) {
		form.Addf("ip", "The ip %s is already in use by another machine.", x.ip)
	}
	for _, other := range r.reserved {
		if other.ip == x.ip {
			form.Addf("ip", "Reserved IP with this IP address already exists.")
		}
		if other.mac == x.mac && other.subnet == x.subnet {
			form.Addf("__all__", "Reserved IP with this Mac address and Subnet already exists.")
		}
	}
}

var macAddress = regexp.MustCompile(`^([0-9a-fA-F]{1,2}[:-]){5}[0-9a-fA-F]{1,2}$`)

// macField reads a MAC address in the form in which MAAS keeps it.
func macField(form *rest.Form, field, text string, required bool) string {
	switch {
	case text == "" && required:
		form.Addf(field, "This field is required.")
	case text != "" && !macAddress.MatchString(text):
		form.Addf(field, "'%s' is not a valid MAC address.", text)
	}
	return strings.ToLower(strings.ReplaceAll(text, "-", ":"))
}
