package region

import (
	"math/big"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/capmaas/capmaas/services/maassim/internal/network"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

func (r *Region) networkResources() []rest.Resource {
	return []rest.Resource{
		{Path: "subnets", Actions: []rest.Action{{Method: http.MethodGet, Name: "subnets.list", Handle: r.listSubnets}}},
		{Path: "subnets/{id...}", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "subnets.read", Handle: r.readSubnet},
			{Method: http.MethodGet, Op: "ip_addresses", Name: "subnets.ip_addresses", Handle: r.subnetAddresses},
			{Method: http.MethodGet, Op: "reserved_ip_ranges", Name: "subnets.reserved_ip_ranges", Handle: r.reservedRanges},
			{Method: http.MethodGet, Op: "unreserved_ip_ranges", Name: "subnets.unreserved_ip_ranges", Handle: r.unreservedRanges},
			{Method: http.MethodGet, Op: "statistics", Name: "subnets.statistics", Handle: r.subnetStatistics},
		}},
		{Path: "fabrics", Actions: []rest.Action{{Method: http.MethodGet, Name: "fabrics.list", Handle: r.listFabrics}}},
		{Path: "fabrics/{id}/vlans", Actions: []rest.Action{{Method: http.MethodGet, Name: "vlans.list", Handle: r.listVLANs}}},
		{Path: "spaces", Actions: []rest.Action{{Method: http.MethodGet, Name: "spaces.list", Handle: r.listSpaces}}},
		{Path: "ipranges", Actions: []rest.Action{{Method: http.MethodGet, Name: "ipranges.list", Handle: r.listRanges}}},
	}
}

func (r *Region) listSubnets(*rest.Request) (any, error) {
	defer r.begin()()
	all := []object{}
	for _, s := range r.subnets {
		all = append(all, subnetJSON(s))
	}
	return all, nil
}

func (r *Region) readSubnet(q *rest.Request) (any, error) {
	defer r.begin()()
	s, err := r.subnetOf(q)
	if err != nil {
		return nil, err
	}
	return subnetJSON(s), nil
}

// usedSpans are empty for a subnet that MAAS does not manage (recording 407).
func (r *Region) usedSpans(s *network.Subnet) []network.Span {
	if !s.Managed {
		return []network.Span{}
	}
	var assigned []netip.Addr
	for _, a := range r.addresses.inSubnet.Rows(s) {
		assigned = append(assigned, a.ip)
	}
	return s.Used(assigned)
}

func (r *Region) reservedRanges(q *rest.Request) (any, error) {
	defer r.begin()()
	s, err := r.subnetOf(q)
	if err != nil {
		return nil, err
	}
	return r.usedSpans(s), nil
}

func (r *Region) unreservedRanges(q *rest.Request) (any, error) {
	defer r.begin()()
	s, err := r.subnetOf(q)
	if err != nil {
		return nil, err
	}
	return s.Unused(r.usedSpans(s)), nil
}

// subnetStatistics counts free addresses (recording 399).
func (r *Region) subnetStatistics(q *rest.Request) (any, error) {
	defer r.begin()()
	s, err := r.subnetOf(q)
	if err != nil {
		return nil, err
	}
	available, largest, unavailable := new(big.Int), new(big.Int), new(big.Int)
	used := r.usedSpans(s)
	for _, span := range s.Unused(used) {
		available.Add(available, span.Count)
		if span.Count.Cmp(largest) > 0 {
			largest = span.Count
		}
	}
	for _, span := range used {
		unavailable.Add(unavailable, span.Count)
	}
	total := new(big.Int).Add(available, unavailable)
	usage, _ := new(big.Rat).SetFrac(unavailable, total).Float64()
	version := 4
	if s.CIDR.Addr().Is6() {
		version = 6
	}
	return object{
		"num_available": available, "largest_available": largest, "num_unavailable": unavailable, "total_addresses": total,
		"usage": usage, "usage_string": percent(usage), "available_string": percent(1 - usage),
		"first_address": s.First().String(), "last_address": s.Last().String(), "ip_version": version,
	}, nil
}

func percent(f float64) string { return strconv.FormatFloat(f*100, 'f', 0, 64) + "%" }

func (r *Region) listFabrics(*rest.Request) (any, error) {
	defer r.begin()()
	all := []object{}
	seen := map[int]bool{}
	for _, v := range r.vlans {
		if seen[v.FabricID] {
			continue
		}
		seen[v.FabricID] = true
		all = append(all, object{
			"id": v.FabricID, "name": v.FabricName, "class_type": nil, "vlans": r.vlansJSON(func(o *network.VLAN) bool { return o.FabricID == v.FabricID }),
			"resource_uri": uri("fabrics/%d/", v.FabricID),
		})
	}
	return all, nil
}

func (r *Region) vlansJSON(wanted func(*network.VLAN) bool) []any {
	all := []any{}
	for _, v := range r.vlans {
		if wanted(v) {
			all = append(all, vlanJSON(v))
		}
	}
	return all
}

func (r *Region) listVLANs(q *rest.Request) (any, error) {
	defer r.begin()()
	all := r.vlansJSON(func(v *network.VLAN) bool { return matchSpec(q.Path["id"], v.FabricID, v.FabricName) })
	if len(all) == 0 {
		return nil, rest.NotFound("Fabric")
	}
	return all, nil
}

// listSpaces leaves out "undefined", which is no space.
func (r *Region) listSpaces(*rest.Request) (any, error) {
	defer r.begin()()
	all := []object{}
	seen := map[string]bool{"undefined": true}
	for _, v := range r.vlans {
		if seen[v.Space] {
			continue
		}
		seen[v.Space] = true
		subnets := []object{}
		for _, s := range r.subnets {
			if s.VLAN.Space == v.Space {
				subnets = append(subnets, subnetJSON(s))
			}
		}
		all = append(all, object{
			"id": len(all) + 1, "name": v.Space, "description": "", "subnets": subnets,
			"vlans": r.vlansJSON(func(o *network.VLAN) bool { return o.Space == v.Space }), "resource_uri": uri("spaces/%d/", len(all)+1),
		})
	}
	return all, nil
}

func (r *Region) listRanges(*rest.Request) (any, error) {
	defer r.begin()()
	all := []object{}
	for _, s := range r.subnets {
		for _, x := range s.Ranges {
			all = append(all, object{
				"id": x.ID, "type": x.Kind, "start_ip": x.Start.String(), "end_ip": x.End.String(), "subnet": subnetJSON(s), "comment": "",
				"user": userJSON(r.users[0]), "resource_uri": uri("ipranges/%d/", x.ID),
			})
		}
	}
	return all, nil
}
