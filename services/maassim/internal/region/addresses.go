package region

import (
	"net/http"
	"net/netip"
	"slices"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

func (r *Region) addressResources() []rest.Resource {
	return []rest.Resource{{Path: "ipaddresses", Actions: []rest.Action{
		{Method: http.MethodGet, Name: "ipaddresses.list", Handle: r.listAddresses},
		{Method: http.MethodPost, Op: "reserve", Name: "ipaddresses.reserve", Handle: r.reserve},
		{Method: http.MethodPost, Op: "release", Name: "ipaddresses.release", Handle: r.releaseAddress},
	}}}
}

// listAddresses shows the user's own reservations. An administrator may ask for all addresses, or for what somebody else reserved.
func (r *Region) listAddresses(q *rest.Request) (any, error) {
	defer r.begin()()
	everything, user := q.Query.Bool("all"), q.User
	var ip netip.Addr
	if q.Query.Has("ip") {
		var err error
		if ip, err = netip.ParseAddr(q.Query.Get("ip")); err != nil {
			return nil, rest.Text(http.StatusBadRequest, "Parameter 'ip' must contain an IP address.")
		}
	}
	switch {
	case everything && !q.User.Admin:
		return nil, rest.Text(http.StatusForbidden, "Listing all IP addresses requires admin privileges.")
	case q.Query.Has("owner") && !q.User.Admin:
		return nil, rest.Text(http.StatusForbidden, "Listing another user's IP addresses requires admin privileges.")
	case q.Query.Has("owner"):
		user = r.userNamed(q.Query.Get("owner"))
		everything = false // the owner's, of which there are only reservations
	}
	found := r.addresses.All()
	switch {
	case everything:
	case user == nil:
		return []object{}, nil
	default:
		found = slices.Values(r.addresses.reserved.Rows(user))
	}
	all := []object{}
	for a := range found {
		if !ip.IsValid() || a.ip == ip {
			all = append(all, r.addressJSON(a))
		}
	}
	return all, nil
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
	switch {
	case a.link != nil:
		o["interface_set"] = []object{r.ifaceJSON(a.link.iface)}
	case a.stray != nil:
		o["interface_set"] = []object{r.strayJSON(a.stray)}
	}
	return o
}

func isoTime(a *address) string { return a.created.UTC().Format("2006-01-02T15:04:05.000") }
