package region

import (
	"net/http"
	"net/netip"
	"slices"

	"github.com/capmaas/capmaas/services/maassim/internal/network"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

func (r *Region) addressResources() []rest.Resource {
	return []rest.Resource{{Path: "ipaddresses", Actions: []rest.Action{
		{Method: http.MethodGet, Name: "ipaddresses.list", Handle: r.listAddresses},
		{Method: http.MethodPost, Op: "reserve", Name: "ipaddresses.reserve", Handle: r.reserve},
		{Method: http.MethodPost, Op: "release", Name: "ipaddresses.release", Handle: r.releaseAddress},
	}}}
}

// listAddresses shows the user's own reservations; an administrator may ask for all addresses.
func (r *Region) listAddresses(q *rest.Request) (any, error) {
	defer r.begin()()
	everything := q.Query.Bool("all")
	if everything && !q.User.Admin {
		return nil, rest.Text(http.StatusForbidden, "Listing all IP addresses requires admin privileges.")
	}
	all := []object{}
	found := r.addresses.All()
	if !everything {
		found = slices.Values(r.addresses.reserved.Rows(q.User))
	}
	for a := range found {
		if !q.Query.Has("ip") || q.Query.Get("ip") == a.ip.String() {
			all = append(all, r.addressJSON(a))
		}
	}
	return all, nil
}

func (r *Region) reserve(q *rest.Request) (any, error) {
	defer r.begin()()
	ip, sub, err := r.reserveForm(q)
	if err != nil {
		return nil, err
	}
	if _, inside := sub.InRange(network.Dynamic, ip); inside {
		return nil, rest.Text(http.StatusForbidden,
			"IP address %s belongs to an existing dynamic range. To reserve this IP address, a MAC address is required. (Create a device instead.)", ip)
	}
	if r.taken(ip) {
		return nil, rest.Text(http.StatusNotFound, "The IP address %s is already in use.", ip)
	}
	a := r.newAddress(ip, sub, allocReserved, q.User)
	return r.addressJSON(a), nil
}

// reserveForm finds the address: the one asked for, or the first free one of a subnet.
func (r *Region) reserveForm(q *rest.Request) (netip.Addr, *network.Subnet, error) {
	text, spec := q.Form.Get("ip"), q.Form.Get("subnet")
	if text == "" && spec == "" {
		return netip.Addr{}, nil, rest.Text(http.StatusBadRequest, "Must supply either the 'subnet' or the 'ip' parameter.")
	}
	if text != "" {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return ip, nil, rest.Text(http.StatusBadRequest, "Invalid IP address: %s", text)
		}
		sub := r.subnetFor(ip)
		if sub == nil {
			return ip, nil, rest.Text(http.StatusBadRequest, "No known subnet for IP address: %s.", ip)
		}
		return ip, sub, nil
	}
	at := slices.IndexFunc(r.subnets, func(s *network.Subnet) bool { return subnetMatches(s, spec) })
	if at < 0 {
		return netip.Addr{}, nil, rest.Text(http.StatusBadRequest, "Unable to identify subnet: %s.", spec)
	}
	ip, ok := r.subnets[at].Next()
	if !ok {
		return ip, nil, rest.Text(http.StatusServiceUnavailable, "No more IPs available in subnet: %s.", r.subnets[at].CIDR)
	}
	return ip, r.subnets[at], nil
}

// releaseAddress frees a reservation of the user; an administrator may force it for others (recordings 483, 602).
func (r *Region) releaseAddress(q *rest.Request) (any, error) {
	defer r.begin()()
	ip, err := netip.ParseAddr(q.Form.Get("ip"))
	if err != nil {
		return nil, rest.Text(http.StatusBadRequest, "Invalid IP address: %s", q.Form.Get("ip"))
	}
	a := r.addressAt(ip)
	forced := q.User.Admin && q.Form.Bool("force")
	if a == nil || a.alloc != allocReserved && !forced || a.owner != q.User && !forced {
		return nil, rest.Text(http.StatusBadRequest, "IP address %s does not exist, is not the correct type of address, or does not belong to the requesting user.\n"+
			"If you are sure you want to release this address, use force=true as a MAAS administrator.", ip)
	}
	if a.link != nil {
		r.removeLink(a.link)
		return rest.NoContent, nil
	}
	r.removeAddress(a)
	return rest.NoContent, nil
}

// allocNames are the names of allocation types.
var allocNames = map[int]string{allocAuto: "Automatic", allocSticky: "Static", allocReserved: "User reserved"}

func (r *Region) addressJSON(a *address) object {
	o := object{
		"ip": a.ip.String(), "alloc_type": a.alloc, "alloc_type_name": allocNames[a.alloc], "created": isoTime(a), "subnet": nil, "owner": nil,
		"interface_set": []object{}, "resource_uri": uri("ipaddresses/"),
	}
	if a.subnet != nil {
		o["subnet"] = subnetJSON(a.subnet)
	}
	if a.owner != nil {
		o["owner"] = userJSON(a.owner)
	}
	if a.link != nil {
		o["interface_set"] = []object{r.ifaceJSON(a.link.iface)}
	}
	return o
}

func isoTime(a *address) string { return a.created.UTC().Format("2006-01-02T15:04:05.000") }
