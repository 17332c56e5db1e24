package region

import (
	"cmp"
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
			{Method: http.MethodPut, Name: "dnsresources.update", Handle: r.updateRecord},
			{Method: http.MethodDelete, Name: "dnsresources.delete", Handle: r.deleteRecord},
		}},
	}
}

// listRecords filters by fqdn, or by name and domain, and by the type of records other than addresses. An unknown domain is a 404, an unknown
// name an empty list (recordings 227-233). With all it adds what MAAS publishes by itself.
func (r *Region) listRecords(q *rest.Request) (any, error) {
	defer r.begin()()
	rrtype := strings.ToUpper(q.Query.Get("rrtype"))
	n, err := r.dnsNameOf(&q.Query, rrtype)
	if err != nil {
		return nil, err
	}
	in, err := r.in(n)
	if err != nil {
		return nil, err
	}
	chosen := r.recordsOf(in, n.name, rrtype)
	all := []object{}
	if !q.Query.Bool("all") {
		for _, rec := range chosen {
			all = append(all, r.recordJSON(rec))
		}
		return all, nil
	}
	return r.withImplicit(chosen, implicitFilter{in: in, name: n.name, rrtype: rrtype, user: q.User}), nil
}

// recordsOf returns records by domain and name.
func (r *Region) recordsOf(in *domain, name *string, rrtype string) []*record {
	found := r.records.All()
	switch {
	case in != nil && name != nil:
		found = slices.Values(r.records.byName.Rows(recordKey{in, *name}))
	case in != nil:
		found = slices.Values(r.records.byDomain.Rows(in))
	}
	var chosen []*record
	for rec := range found {
		if (name == nil || rec.name == *name) && (rrtype == "" || rec.has(rrtype)) {
			chosen = append(chosen, rec)
		}
	}
	slices.SortStableFunc(chosen, func(a, b *record) int {
		return cmp.Or(cmp.Compare(a.domain.id, b.domain.id), cmp.Compare(a.name, b.name))
	})
	return chosen
}

func (r *Region) readRecord(q *rest.Request) (any, error) {
	defer r.begin()()
	rec := r.recordOf(q)
	if rec == nil {
		return nil, rest.NotFound("DNSResource")
	}
	return r.recordJSON(rec), nil
}

// recordOf finds the record of a path by its id or name.
func (r *Region) recordOf(q *rest.Request) *record {
	spec := q.Path["id"]
	if id, err := strconv.Atoi(spec); err == nil {
		rec, ok := r.records.ByID(id)
		return found(r.records.Table, rec, ok)
	}
	for rec := range r.records.All() {
		if matchSpec(spec, rec.id, rec.name) {
			return found(r.records.Table, rec, true)
		}
	}
	return nil
}

func (r *Region) createRecord(q *rest.Request) (any, error) {
	defer r.begin()()
	n, err := r.dnsNameOf(&q.Form, "A")
	if err != nil {
		return nil, err
	}
	rec, err := r.newRecord(n, q)
	if err != nil {
		return nil, err
	}
	return r.recordJSON(rec), nil
}

// newRecord makes the record of a form. Only a record with addresses needs a proper name.
func (r *Region) newRecord(n dnsName, q *rest.Request) (*record, error) {
	in, err := r.in(n)
	if err != nil {
		return nil, err
	}
	var form rest.Form
	if n.name == nil || *n.name == "" {
		form.Addf("name", "This field is required.")
	}
	if in == nil {
		form.Addf("domain", "This field is required.")
	}
	if err := form.Err(); err != nil {
		return nil, err
	}
	rec := &record{name: *n.name, domain: in}
	if q.Form.Has("ip_addresses") && badRecordName(rec.name, "A") {
		return nil, rest.Invalid("__all__", "Invalid dnsresource name: %s.", rec.name)
	}
	if r.recordNamed(in, rec.name) != nil {
		return nil, rest.Invalid("__all__", "Labels must be unique within their zone.")
	}
	if err := r.fillRecord(rec, q); err != nil {
		return nil, err
	}
	r.ids.record++
	rec.id = r.ids.record
	r.records.Add(rec)
	return rec, nil
}

// updateRecord replaces the addresses as a whole. Without ip_addresses only the last of the old ones stays: MAAS merges the old values into
// the form and reads one of them. MAAS checks the record as it was for a CNAME beside addresses, so that it notices one call late.
func (r *Region) updateRecord(q *rest.Request) (any, error) {
	defer r.begin()()
	rec := r.recordOf(q)
	if rec == nil {
		return nil, rest.NotFound("DNSResource")
	}
	if !q.User.Admin {
		return nil, rest.Forbidden()
	}
	n, err := r.dnsNameOf(&q.Form, "A")
	if err != nil {
		return nil, err
	}
	changed := *rec
	if err := r.rename(&changed, n); err != nil {
		return nil, err
	}
	addressed := len(rec.addresses) > 0
	other := r.recordNamed(changed.domain, changed.name)
	switch {
	case other != nil && other != rec:
		return nil, rest.Invalid("__all__", "Labels must be unique within their zone.")
	case (addressed || q.Form.Has("ip_addresses")) && badRecordName(changed.name, "A"):
		return nil, rest.Invalid("__all__", "Invalid dnsresource name: %s.", changed.name)
	case addressed && rec.has("CNAME"):
		return nil, rest.Invalid("__all__", "Cannot add address: CNAME present.")
	}
	if !q.Form.Has("ip_addresses") && len(rec.addresses) > 1 {
		changed.addresses = slices.Clone(rec.addresses[len(rec.addresses)-1:])
	}
	if err := r.fillRecord(&changed, q); err != nil {
		return nil, err
	}
	*rec = changed
	return r.recordJSON(rec), nil
}

func (r *Region) rename(rec *record, n dnsName) error {
	in, err := r.in(n)
	if err != nil {
		return err
	}
	if in != nil {
		rec.domain = in
	}
	if n.name == nil {
		return nil
	}
	if *n.name == "" {
		return rest.Invalid("name", "This field is required.")
	}
	rec.name = *n.name
	return nil
}

// deleteRecord leaves the reservations behind that the record made; MAAS 3.6 and later remove them, unless another record or the
// interface of a MAC address holds them.
func (r *Region) deleteRecord(q *rest.Request) (any, error) {
	defer r.begin()()
	rec := r.recordOf(q)
	if rec == nil {
		return nil, rest.NotFound("DNSResource")
	}
	if !q.User.Admin {
		return nil, rest.Forbidden()
	}
	r.records.Remove(rec)
	if r.minor < 6 {
		return rest.NoContent, nil
	}
	for _, a := range rec.addresses {
		if a.alloc == allocReserved && a.link == nil && a.stray == nil && len(r.records.holding.View(a)) == 0 {
			r.removeAddress(a)
		}
	}
	return rest.NoContent, nil
}

// fillRecord sets TTL and addresses, which stand in one string with blanks between them. Of a parameter that was sent twice the last counts.
func (r *Region) fillRecord(rec *record, q *rest.Request) error {
	if q.Form.Has("address_ttl") {
		var form rest.Form
		rec.ttl = ttlField(&form, "address_ttl", q.Form.Get("address_ttl"), 0, 1<<31-1)
		if err := form.Err(); err != nil {
			return err
		}
	}
	if !q.Form.Has("ip_addresses") {
		return nil
	}
	wishes, err := r.addressWishes(q.Form.Get("ip_addresses"))
	if err != nil {
		return err
	}
	rec.addresses = nil
	for _, wish := range wishes {
		a := wish.held
		if a == nil {
			a = r.recordAddress(wish.ip, q.User)
		}
		if !slices.Contains(rec.addresses, a) {
			rec.addresses = append(rec.addresses, a)
		}
	}
	return nil
}

// addressWish is an address as a record names it: one that something holds, or one that nothing does.
type addressWish struct {
	held *address
	ip   netip.Addr
}

// addressWishes reads addresses and ids of addresses.
func (r *Region) addressWishes(list string) ([]addressWish, error) {
	var wishes []addressWish
	for text := range strings.FieldsSeq(list) {
		if id, err := strconv.Atoi(text); err == nil {
			a, ok := r.addresses.ByID(id)
			if !ok {
				return nil, unsimulated("a record with the id of an address that is not there")
			}
			wishes = append(wishes, addressWish{held: a})
			continue
		}
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return nil, rest.Text(http.StatusInternalServerError, "failed to detect a valid IP address from '%s'", text)
		}
		wishes = append(wishes, addressWish{ip: ip})
	}
	return wishes, nil
}

// recordAddress returns what holds an address; one that nothing holds becomes a reservation of the user (recordings 213, 476).
func (r *Region) recordAddress(ip netip.Addr, user *rest.User) *address {
	if a := r.addressAt(ip); a != nil {
		return a
	}
	return r.newAddress(ip, r.subnetFor(ip), allocReserved, user)
}

// dropFromRecords takes an address that vanishes out of DNS. A record vanishes with its last address (recording 599), whatever else it holds.
func (r *Region) dropFromRecords(a *address) {
	for _, rec := range r.records.holding.Rows(a) {
		r.records.Touch(rec)
		rec.addresses = slices.DeleteFunc(slices.Clone(rec.addresses), func(other *address) bool { return other == a })
		if len(rec.addresses) == 0 {
			r.records.Remove(rec)
		}
	}
}

func (rec *record) fqdn() string {
	if rec.name == "@" {
		return rec.domain.name
	}
	return rec.name + "." + rec.domain.name
}

func (rec *record) has(rrtype string) bool {
	return slices.ContainsFunc(rec.data, func(d *recordData) bool { return d.rrtype == rrtype })
}

func (r *Region) recordJSON(rec *record) object {
	addresses := []object{}
	for _, a := range rec.addresses {
		addresses = append(addresses, r.addressJSON(a))
	}
	data := []object{}
	for _, d := range slices.SortedStableFunc(slices.Values(rec.data), func(a, b *recordData) int { return cmp.Compare(a.rrtype, b.rrtype) }) {
		data = append(data, dataJSON(rec, d))
	}
	return object{
		"id": rec.id, "fqdn": rec.fqdn(), "address_ttl": rec.ttl, "ip_addresses": addresses, "resource_records": data,
		"resource_uri": uri("dnsresources/%d/", rec.id),
	}
}
