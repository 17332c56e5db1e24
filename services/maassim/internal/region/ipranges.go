package region

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"

	"github.com/capmaas/capmaas/services/maassim/internal/network"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

func (r *Region) rangeResources() []rest.Resource {
	return []rest.Resource{
		{Path: "ipranges", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "ipranges.list", Handle: r.listRanges},
			{Method: http.MethodPost, Name: "ipranges.create", Handle: r.createRange},
		}},
		{Path: "ipranges/{id}", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "ipranges.read", Handle: r.readRange},
			{Method: http.MethodPut, Name: "ipranges.update", Handle: leftOut},
			{Method: http.MethodDelete, Name: "ipranges.delete", Handle: r.deleteRange},
		}},
	}
}

func (r *Region) rangeJSON(s *network.Subnet, x network.Range) object {
	return object{
		"id": x.ID, "type": x.Kind, "start_ip": x.Start.String(), "end_ip": x.End.String(), "subnet": subnetJSON(s), "comment": x.Comment,
		"user": userJSON(r.rangeOwner(x)), "resource_uri": uri("ipranges/%d/", x.ID),
	}
}

func (r *Region) rangeOwner(x network.Range) *rest.User {
	if u := r.userNamed(x.Owner); u != nil {
		return u
	}
	return r.users[0]
}

// listRanges lists by id (recording 408).
func (r *Region) listRanges(*rest.Request) (any, error) {
	defer r.begin()()
	all := []object{}
	for _, s := range r.subnets {
		for _, x := range s.Ranges {
			all = append(all, r.rangeJSON(s, x))
		}
	}
	slices.SortFunc(all, func(a, b object) int { return a["id"].(int) - b["id"].(int) }) //nolint:forcetypeassert // made above
	return all, nil
}

func (r *Region) rangeOf(q *rest.Request) (*network.Subnet, int, error) {
	for _, s := range r.subnets {
		for at, x := range s.Ranges {
			if strconv.Itoa(x.ID) == q.Path["id"] {
				return s, at, nil
			}
		}
	}
	return nil, 0, rest.NotFound("IPRange")
}

func (r *Region) readRange(q *rest.Request) (any, error) {
	defer r.begin()()
	s, at, err := r.rangeOf(q)
	if err != nil {
		return nil, err
	}
	return r.rangeJSON(s, s.Ranges[at]), nil
}

func (r *Region) deleteRange(q *rest.Request) (any, error) {
	defer r.begin()()
	s, at, err := r.rangeOf(q)
	if err != nil {
		return nil, err
	}
	if !q.User.Admin && r.rangeOwner(s.Ranges[at]) != q.User {
		return nil, rest.Text(http.StatusForbidden, "Unable to modify IP range. You don't own the IP range.")
	}
	s.Ranges = slices.Delete(slices.Clone(s.Ranges), at, at+1)
	return rest.NoContent, nil
}

// createRange lets plain users reserve ranges, and only administrators make dynamic ones.
func (r *Region) createRange(q *rest.Request) (any, error) {
	defer r.begin()()
	kind := network.Kind(q.Form.Get("type"))
	if kind == network.Dynamic && !q.User.Admin {
		return nil, rest.Text(http.StatusForbidden, "Unable to create dynamic IP range. You don't have sufficient privileges.")
	}
	s, x, err := r.rangeForm(q, kind)
	if err != nil {
		return nil, err
	}
	r.ids.ranges++
	x.ID, x.Comment, x.Owner = r.ids.ranges, q.Form.Get("comment"), q.User.Name
	s.Ranges = append(slices.Clone(s.Ranges), x)
	return r.rangeJSON(s, x), nil
}

func (r *Region) rangeForm(q *rest.Request, kind network.Kind) (*network.Subnet, network.Range, error) {
	var form rest.Form
	x := network.Range{Kind: kind}
	switch {
	case kind == "":
		form.Addf("type", "This field is required.")
	case kind != network.Dynamic && kind != network.Reserved:
		form.Addf("type", "Value %q is not a valid choice.", kind)
	}
	x.Start, x.End = addressField(&form, "start_ip", q), addressField(&form, "end_ip", q)
	var s *network.Subnet
	if spec := q.Form.Get("subnet"); spec != "" {
		if s = r.subnetBySpec(spec); s == nil {
			form.Addf("subnet", "None found with id=%s.", spec)
		}
	} else if x.Start.IsValid() {
		s = r.subnetFor(x.Start)
	}
	if s == nil && !form.Has("subnet") {
		form.Addf("subnet", "This field is required.")
	}
	if form.Err() == nil {
		checkRange(&form, s, x)
	}
	return s, x, form.Err()
}

func addressField(form *rest.Form, field string, q *rest.Request) netip.Addr {
	text := q.Form.Get(field)
	if text == "" {
		form.Addf(field, "This field is required.")
		return netip.Addr{}
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		form.Addf(field, "Enter a valid IPv4 or IPv6 address.")
	}
	return ip
}

// checkRange follows MAAS's order of checks; only the first one that fails is told.
func checkRange(form *rest.Form, s *network.Subnet, x network.Range) {
	broadcast, has := s.Broadcast()
	startIn, endIn := s.CIDR.Contains(x.Start), s.CIDR.Contains(x.End)
	switch {
	case x.Start.Is4() != x.End.Is4():
		form.Addf("__all__", "Start IP address and end IP address must be in the same address family.")
	case x.End.Less(x.Start):
		form.Addf("end_ip", "End IP address must not be less than Start IP address.")
	case !startIn && !endIn:
		form.Addf("__all__", "IP addresses must be within subnet: %s.", s.CIDR)
	case !startIn:
		form.Addf("start_ip", "Start IP address must be within subnet: %s.", s.CIDR)
	case !endIn:
		form.Addf("end_ip", "End IP address must be within subnet: %s.", s.CIDR)
	case x.Start == s.CIDR.Addr():
		form.Addf("start_ip", "Reserved network address cannot be included in IP range.")
	case has && x.End == broadcast:
		form.Addf("end_ip", "Broadcast address cannot be included in IP range.")
	case x.Start.Is6() && x.Kind == network.Dynamic && !(network.Span{Start: x.Start, End: x.End}).AtLeast(256):
		form.Addf("__all__", "IPv6 dynamic range must be at least 256 addresses in size.")
	default:
		checkOverlap(form, s, x)
	}
}

// checkOverlap: a reserved range may hold addresses in use, but no other range; a dynamic one neither.
func checkOverlap(form *rest.Form, s *network.Subnet, x network.Range) {
	room, conflicts := s.RoomForRange(x)
	switch {
	case !room:
		form.Addf("__all__", "There is no room for any %s ranges on this subnet.", x.Kind)
	case conflicts && x.Kind == network.Reserved:
		form.Addf("__all__", "Requested reserved range conflicts with an existing range.")
	case conflicts:
		form.Addf("__all__", "Requested dynamic range conflicts with an existing IP address or range.")
	}
}
