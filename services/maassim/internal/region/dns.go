package region

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

func (r *Region) dnsResources() []rest.Resource {
	return []rest.Resource{
		{Path: "dnsresources", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "dnsresources.list", Handle: r.listRecords},
			{Method: http.MethodPost, Name: "dnsresources.create", Admin: true, Handle: r.createRecord},
		}},
		{Path: "dnsresources/{id}", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "dnsresources.read", Handle: r.readRecord},
			{Method: http.MethodPut, Name: "dnsresources.update", Admin: true, Handle: r.updateRecord},
			{Method: http.MethodDelete, Name: "dnsresources.delete", Admin: true, Handle: r.deleteRecord},
		}},
		{Path: "domains", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "domains.list", Handle: r.listDomains},
			{Method: http.MethodPost, Name: "domains.create", Admin: true, Handle: r.createDomain},
		}},
		{Path: "domains/{id}", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "domains.read", Handle: r.readDomain},
		}},
	}
}

// listRecords filters by fqdn, or by name and domain. An unknown domain is a 404, an unknown name an empty list (recordings 227-233).
func (r *Region) listRecords(q *rest.Request) (any, error) {
	defer r.begin()()
	name, spec := q.Query.Get("name"), q.Query.Get("domain")
	if fqdn := q.Query.Get("fqdn"); fqdn != "" {
		var ok bool
		if name, spec, ok = strings.Cut(fqdn, "."); !ok {
			return nil, rest.Text(http.StatusInternalServerError, "cannot unpack non-iterable NoneType object")
		}
	}
	var in *domain
	if spec != "" {
		if in = r.domainOf(spec); in == nil {
			return nil, rest.NotFound("Domain")
		}
	}
	all := []object{}
	found := r.records.All()
	if in != nil && name != "" {
		found = slices.Values(r.records.byName.Rows(recordKey{in, name}))
	} else if in != nil {
		found = slices.Values(r.records.byDomain.Rows(in))
	}
	for rec := range found {
		if name == "" || rec.name == name {
			all = append(all, r.recordJSON(rec))
		}
	}
	return all, nil
}

func (r *Region) readRecord(q *rest.Request) (any, error) {
	defer r.begin()()
	rec := r.recordOf(q)
	if rec == nil {
		return nil, rest.NotFound("DNSResource")
	}
	return r.recordJSON(rec), nil
}

func (r *Region) recordOf(q *rest.Request) *record {
	id, err := strconv.Atoi(q.Path["id"])
	if err != nil {
		return nil
	}
	rec, ok := r.records.ByID(id)
	return found(r.records.Table, rec, ok)
}

func (r *Region) createRecord(q *rest.Request) (any, error) {
	defer r.begin()()
	name, spec := q.Form.Get("name"), q.Form.Get("domain")
	if fqdn := q.Form.Get("fqdn"); fqdn != "" {
		name, spec, _ = strings.Cut(fqdn, ".")
	}
	if spec == "" {
		return nil, rest.Invalid("domain", "This field is required.")
	}
	in := r.domainOf(spec)
	if in == nil {
		return nil, rest.NotFound("Domain")
	}
	if name == "" || badHostname(name) != "" {
		return nil, rest.Invalid("__all__", "Invalid dnsresource name: %s.", name)
	}
	if r.recordNamed(in, name) != nil {
		return nil, rest.Invalid("__all__", "Labels must be unique within their zone.")
	}
	rec := &record{name: name, domain: in}
	if err := r.fillRecord(rec, q); err != nil {
		return nil, err
	}
	r.ids.record++
	rec.id = r.ids.record
	r.records.Add(rec)
	return r.recordJSON(rec), nil
}

// updateRecord replaces the addresses as a whole. Without ip_addresses only the last of the old ones stays: MAAS merges the old values into
// the form and reads one of them.
func (r *Region) updateRecord(q *rest.Request) (any, error) {
	defer r.begin()()
	rec := r.recordOf(q)
	if rec == nil {
		return nil, rest.NotFound("DNSResource")
	}
	changed := *rec
	if name := q.Form.Get("name"); name != "" && name != rec.name {
		if badHostname(name) != "" {
			return nil, rest.Invalid("__all__", "Invalid dnsresource name: %s.", name)
		}
		changed.name = name
	}
	if !q.Form.Has("ip_addresses") && len(rec.addresses) > 1 {
		changed.addresses = rec.addresses[len(rec.addresses)-1:]
	}
	if err := r.fillRecord(&changed, q); err != nil {
		return nil, err
	}
	*rec = changed
	return r.recordJSON(rec), nil
}

// deleteRecord leaves the reservations behind that the record made, until MAAS 3.6 removes them too.
func (r *Region) deleteRecord(q *rest.Request) (any, error) {
	defer r.begin()()
	rec := r.recordOf(q)
	if rec == nil {
		return nil, rest.NotFound("DNSResource")
	}
	r.records.Remove(rec)
	if r.minor >= 6 {
		for _, a := range rec.addresses {
			if a.link == nil && !r.inRecords(a) {
				r.removeAddress(a)
			}
		}
	}
	return rest.NoContent, nil
}

func (r *Region) inRecords(a *address) bool { return len(r.records.holding.View(a)) > 0 }

// fillRecord sets TTL and addresses. An address that nothing holds becomes a reservation of the user (recordings 213, 476).
func (r *Region) fillRecord(rec *record, q *rest.Request) error {
	if q.Form.Has("address_ttl") {
		rec.ttl = nil
		if text := q.Form.Get("address_ttl"); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil {
				return rest.Invalid("address_ttl", "Enter a whole number.")
			}
			rec.ttl = &n
		}
	}
	if !q.Form.Has("ip_addresses") {
		return nil
	}
	var ips []netip.Addr
	for text := range strings.FieldsSeq(q.Form.Get("ip_addresses")) {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return rest.Text(http.StatusInternalServerError, "failed to detect a valid IP address from '%s'", text)
		}
		ips = append(ips, ip)
	}
	rec.addresses = nil
	for _, ip := range ips {
		a := r.addressAt(ip)
		if a == nil {
			a = r.newAddress(ip, r.subnetFor(ip), allocReserved, q.User)
		}
		if !slices.Contains(rec.addresses, a) {
			rec.addresses = append(rec.addresses, a)
		}
	}
	return nil
}

// dropFromRecords takes an address that vanishes out of DNS. A record vanishes with its last address (recording 599).
func (r *Region) dropFromRecords(a *address) {
	for _, rec := range r.records.holding.Rows(a) {
		r.records.Touch(rec)
		rec.addresses = slices.DeleteFunc(rec.addresses, func(other *address) bool { return other == a })
		if len(rec.addresses) == 0 {
			r.records.Remove(rec)
		}
	}
}

func (r *Region) recordJSON(rec *record) object {
	addresses := []object{}
	for _, a := range rec.addresses {
		addresses = append(addresses, r.addressJSON(a))
	}
	return object{
		"id": rec.id, "fqdn": rec.name + "." + rec.domain.name, "address_ttl": rec.ttl, "ip_addresses": addresses,
		"resource_records": []object{}, "resource_uri": uri("dnsresources/%d/", rec.id),
	}
}

func (r *Region) listDomains(*rest.Request) (any, error) {
	defer r.begin()()
	all := []object{}
	for _, d := range r.domains {
		all = append(all, r.domainJSON(d))
	}
	return all, nil
}

func (r *Region) readDomain(q *rest.Request) (any, error) {
	defer r.begin()()
	d := r.domainOf(strings.TrimPrefix(q.Path["id"], "name:"))
	if d == nil {
		return nil, rest.NotFound("Domain")
	}
	return r.domainJSON(d), nil
}

func (r *Region) createDomain(q *rest.Request) (any, error) {
	defer r.begin()()
	name := q.Form.Get("name")
	if name == "" {
		return nil, rest.Invalid("name", "This field is required.")
	}
	if r.domainNamed(name) != nil {
		return nil, rest.Invalid("name", "Domain with this Name already exists.")
	}
	d := &domain{id: len(r.domains), name: name}
	r.domains = append(r.domains, d)
	return r.domainJSON(d), nil
}
