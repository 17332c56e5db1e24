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

func (r *Region) interfaceResources() []rest.Resource {
	return []rest.Resource{
		{Path: "nodes/{system_id}/interfaces", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "interfaces.list", Handle: r.listInterfaces},
		}},
		{Path: "nodes/{system_id}/interfaces/{id}", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "interfaces.read", Handle: r.readInterface},
			{Method: http.MethodPost, Op: "link_subnet", Name: "interfaces.link_subnet", Handle: r.linkSubnet},
			{Method: http.MethodPost, Op: "unlink_subnet", Name: "interfaces.unlink_subnet", Handle: r.unlinkSubnet},
		}},
	}
}

func (r *Region) listInterfaces(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	all := []object{}
	for _, i := range m.interfaces {
		all = append(all, r.ifaceJSON(i))
	}
	return all, nil
}

func (r *Region) readInterface(q *rest.Request) (any, error) {
	defer r.begin()()
	i, err := r.interfaceOf(q)
	if err != nil {
		return nil, err
	}
	return r.ifaceJSON(i), nil
}

// interfaceOf finds the interface of a path, by id or name.
func (r *Region) interfaceOf(q *rest.Request) (*iface, error) {
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	for _, i := range m.interfaces {
		if strconv.Itoa(i.id) == q.Path["id"] || i.name == q.Path["id"] {
			return i, nil
		}
	}
	return nil, rest.NotFound("Interface")
}

func (r *Region) checkLinkable(q *rest.Request, verb string) (*iface, error) {
	i, err := r.interfaceOf(q)
	if err != nil {
		return nil, err
	}
	m := i.machine
	if !q.User.Admin || m.locked {
		return nil, rest.Forbidden()
	}
	if !m.status.in(linkable...) {
		return nil, rest.Text(http.StatusConflict, "Cannot %s subnet interface because the machine is not New, Ready, Allocated, or Broken.", verb)
	}
	return i, nil
}

// linkSubnet adds a link, or with force replaces all links of the interface and its VLAN (recordings 355-392). Nothing changes when it is
// refused.
func (r *Region) linkSubnet(q *rest.Request) (any, error) {
	defer r.begin()()
	i, err := r.checkLinkable(q, "link")
	if err != nil {
		return nil, err
	}
	wish, err := r.linkForm(i, q)
	if err != nil {
		return nil, err
	}
	if wish.mode == "static" && !wish.ip.IsValid() {
		free, ok := wish.subnet.Next()
		if !ok {
			return nil, rest.Text(http.StatusServiceUnavailable, "No more IPs available in subnet: %s.", wish.subnet.CIDR)
		}
		wish.ip = free
	}
	held := r.addressAt(wish.ip)
	replaced := wish.force && held != nil && held.link != nil && held.link.iface == i
	if held != nil && !replaced {
		return nil, rest.Text(http.StatusNotFound, "IP address is already in use.")
	}
	if wish.force {
		for _, l := range slices.Clone(i.links) {
			r.removeLink(l)
		}
		if wish.subnet != nil {
			i.vlan = wish.subnet.VLAN
		}
	}
	l := r.newLink(i, wish.subnet, wish.mode)
	if wish.ip.IsValid() {
		r.hold(l, wish.ip, allocSticky)
	}
	if wish.gateway {
		r.makeDefault(l)
	}
	return r.ifaceJSON(i), nil
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
	if !slices.Contains([]string{"auto", "dhcp", "static", "link_up"}, wish.mode) {
		form.Addf("mode", "'%s' is not a valid mode.  It should be one of: 'AUTO', 'DHCP', 'STATIC', 'LINK_UP'.", q.Form.Get("mode"))
		return wish, form.Err()
	}
	r.linkSubnetField(&form, i, q, &wish)
	if text := q.Form.Get("ip_address"); text != "" && wish.mode == "static" {
		r.linkAddressField(&form, text, &wish)
	}
	if wish.gateway && wish.subnet != nil && !wish.subnet.Gateway.IsValid() {
		form.Addf("default_gateway", "Cannot set as default gateway because subnet %s doesn't provide a gateway IP address.", wish.subnet)
	}
	return wish, form.Err()
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
	if spec != "" || wish.mode == "auto" || wish.mode == "static" {
		form.Addf("subnet", "This field is required.")
	}
}

// linkAddressField checks a STATIC address. MAAS accepts the gateway's, a DNS server's, the network's and the broadcast address, and
// addresses in reserved ranges (recordings 364-374).
func (r *Region) linkAddressField(form *rest.Form, text string, wish *linkWish) {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		form.Addf("ip_address", "Enter a valid IPv4 or IPv6 address.")
		return
	}
	if wish.subnet == nil {
		return
	}
	if !wish.subnet.CIDR.Contains(ip) {
		form.Addf("ip_address", "IP address is not in the given subnet '%s'.", wish.subnet)
	} else if dynamic, inside := wish.subnet.InRange(network.Dynamic, ip); inside {
		form.Addf("ip_address", "IP address is inside a dynamic range %s to %s.", dynamic.Start, dynamic.End)
	}
	wish.ip = ip
}

func (r *Region) unlinkSubnet(q *rest.Request) (any, error) {
	defer r.begin()()
	i, err := r.checkLinkable(q, "unlink")
	if err != nil {
		return nil, err
	}
	id := q.Form.Get("id")
	var ids []string
	for _, l := range i.links {
		if strconv.Itoa(l.id) == id {
			r.removeLink(l)
			return r.ifaceJSON(i), nil
		}
		ids = append(ids, "'"+strconv.Itoa(l.id)+"'")
	}
	return nil, rest.Invalid("id", "'%s' is not a valid id.  It should be one of: %s.", id, strings.Join(ids, ", "))
}

// subnetOfNIC is the subnet on which commissioning makes an AUTO link.
func (r *Region) subnetOfNIC(i *iface) *network.Subnet {
	if i.vlan == nil {
		return nil
	}
	return r.firstSubnet(i.vlan)
}
