package region

import (
	"net/http"

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

func (r *Region) reservedRanges(q *rest.Request) (any, error) {
	defer r.begin()()
	s, err := r.subnetOf(q)
	if err != nil {
		return nil, err
	}
	return s.Used(), nil
}

func (r *Region) unreservedRanges(q *rest.Request) (any, error) {
	defer r.begin()()
	s, err := r.subnetOf(q)
	if err != nil {
		return nil, err
	}
	return s.Unused(), nil
}

// subnetStatistics counts free addresses (recordings 399, 400).
func (r *Region) subnetStatistics(q *rest.Request) (any, error) {
	defer r.begin()()
	s, err := r.subnetOf(q)
	if err != nil {
		return nil, err
	}
	st := s.Statistics()
	version := 4
	if s.CIDR.Addr().Is6() {
		version = 6
	}
	o := object{
		"num_available": st.Available, "largest_available": st.Largest, "num_unavailable": st.Unavailable, "total_addresses": st.Total,
		"usage": st.Usage, "usage_string": network.Percent(st.Usage), "available_string": network.Percent(1 - st.Usage),
		"first_address": st.First.String(), "last_address": st.Last.String(), "ip_version": version,
	}
	if q.Query.Bool("include_ranges") {
		o["ranges"] = st.Ranges
	}
	if q.Query.Bool("include_suggestions") {
		o["suggested_gateway"], o["suggested_dynamic_range"] = nil, nil
		if st.Gateway.IsValid() {
			o["suggested_gateway"] = st.Gateway.String()
		}
		if st.Dynamic != nil {
			o["suggested_dynamic_range"] = st.Dynamic
		}
	}
	return o, nil
}

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
