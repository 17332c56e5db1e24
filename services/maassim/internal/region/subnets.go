package region

import (
	"net/http"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/network"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// subnetResources are the subnets. They come from the configuration: to change them is not simulated.
func (r *Region) subnetResources() []rest.Resource {
	return []rest.Resource{
		{Path: "subnets", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "subnets.list", Handle: r.listSubnets},
			{Method: http.MethodPost, Name: "subnets.create", Admin: true, Handle: leftOut},
		}},
		{Path: "subnets/{id...}", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "subnets.read", Handle: r.readSubnet},
			{Method: http.MethodPut, Name: "subnets.update", Admin: true, Handle: leftOut},
			{Method: http.MethodDelete, Name: "subnets.delete", Admin: true, Handle: leftOut},
			{Method: http.MethodGet, Op: "ip_addresses", Name: "subnets.ip_addresses", Handle: r.subnetAddresses},
			{Method: http.MethodGet, Op: "reserved_ip_ranges", Name: "subnets.reserved_ip_ranges", Handle: r.reservedRanges},
			{Method: http.MethodGet, Op: "unreserved_ip_ranges", Name: "subnets.unreserved_ip_ranges", Handle: r.unreservedRanges},
			{Method: http.MethodGet, Op: "statistics", Name: "subnets.statistics", Handle: r.subnetStatistics},
		}},
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

// subnetOf finds the subnet of a path: an id, a CIDR, a name, or a specifier (recordings 401-406).
func (r *Region) subnetOf(q *rest.Request) (*network.Subnet, error) {
	spec := strings.TrimSuffix(q.Path["id"], "/")
	for _, s := range r.subnets {
		if subnetMatches(s, spec) {
			return s, nil
		}
	}
	return nil, rest.NotFound("Subnet")
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

// eventTime is the format of times in events and in the addresses of a subnet.
const eventTime = "Mon, 02 Jan. 2006 15:04:05"

// subnetAddresses lists what holds the addresses of a subnet, in their order (recording 394).
func (r *Region) subnetAddresses(q *rest.Request) (any, error) {
	defer r.begin()()
	s, err := r.subnetOf(q)
	if err != nil {
		return nil, err
	}
	names := !q.Query.Has("with_username") || q.Query.Bool("with_username")
	summary := !q.Query.Has("with_summary") || q.Query.Bool("with_summary")
	held := r.addresses.inSubnet.Rows(s)
	slices.SortFunc(held, func(a, b *address) int { return a.ip.Compare(b.ip) })
	all := []object{}
	for _, a := range held {
		o := object{
			"ip": a.ip.String(), "alloc_type": a.alloc,
			"created": a.created.UTC().Format(eventTime), "updated": a.updated.UTC().Format(eventTime),
		}
		if names && a.owner != nil {
			o["user"] = a.owner.Name
		}
		if summary {
			r.addSummary(o, a, names)
		}
		all = append(all, o)
	}
	return all, nil
}

// addSummary says what holds an address. The owner of a machine stands for the user, if users were asked for.
func (r *Region) addSummary(o object, a *address, names bool) {
	if a.link != nil {
		m := a.link.iface.machine
		o["node_summary"] = object{
			"system_id": m.systemID, "node_type": 0, "fqdn": m.fqdn(), "hostname": m.hostname, "is_container": m.host != nil,
			"via": a.link.iface.name,
		}
		if names && m.owner != nil {
			o["user"] = m.owner.Name
		}
	}
	var records []object
	for _, rec := range r.records.holding.Rows(a) {
		records = append(records, object{"id": rec.id, "name": rec.name, "domain": rec.domain.name})
	}
	if records != nil {
		o["dns_records"] = records
	}
}

// subnetBySpec finds the subnet that a parameter names, or nil.
func (r *Region) subnetBySpec(spec string) *network.Subnet {
	for _, s := range r.subnets {
		if subnetMatches(s, spec) {
			return s
		}
	}
	return nil
}
