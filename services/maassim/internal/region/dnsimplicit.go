package region

import (
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// implicitFilter chooses among the names that MAAS publishes by itself.
type implicitFilter struct {
	in     *domain
	name   *string
	rrtype string
	user   *rest.User
}

// implicitName is a name that MAAS publishes: of a record, a machine, one of its interfaces, or a reserved address.
type implicitName struct {
	hostname string
	machine  *machine
	user     *rest.User
	record   *record
	ttl      *int
	ips      []*address
}

// implicitNames collects the names of one domain in the order in which they come up.
type implicitNames struct {
	order []*implicitName
	by    map[string]*implicitName
}

func (n *implicitNames) of(hostname string) *implicitName {
	if n.by[hostname] == nil {
		n.by[hostname] = &implicitName{hostname: hostname}
		n.order = append(n.order, n.by[hostname])
	}
	return n.by[hostname]
}

// withImplicit puts the implicit names of each domain before its records; domains without records come last.
func (r *Region) withImplicit(chosen []*record, f implicitFilter) []object {
	all := []object{}
	domains := slices.Clone(r.domains)
	if f.in != nil {
		domains = []*domain{f.in}
	}
	var visited []*domain
	for _, rec := range chosen {
		if !slices.Contains(visited, rec.domain) {
			visited = append(visited, rec.domain)
			all = append(all, r.implicitIn(rec.domain, f)...)
		}
		all = append(all, r.recordJSON(rec))
	}
	for _, d := range domains {
		if !slices.Contains(visited, d) {
			all = append(all, r.implicitIn(d, f)...)
		}
	}
	return all
}

// implicitIn renders the names of a domain as records with the id -1 (recording 233). A plain user does not see what others reserved.
func (r *Region) implicitIn(d *domain, f implicitFilter) []object {
	all := []object{}
	for _, n := range r.published(d) {
		name, _, _ := strings.Cut(n.hostname, ".")
		if f.name != nil && name != *f.name || n.user != nil && !f.user.Admin && n.user != f.user {
			continue
		}
		data := r.implicitData(n, f.rrtype)
		if len(data) == 0 {
			continue
		}
		rec := record{name: name, domain: d}
		all = append(all, object{
			"id": -1, "fqdn": rec.fqdn(), "address_ttl": nil, "ip_addresses": nil, "resource_records": data,
			"resource_uri": uri("dnsresources/-1/"),
		})
	}
	return all
}

func (r *Region) implicitData(n *implicitName, rrtype string) []object {
	data := []object{}
	for _, a := range n.ips {
		kind := "A"
		if a.ip.Is6() {
			kind = "AAAA"
		}
		if rrtype != "" && kind != rrtype {
			continue
		}
		o := object{
			"system_id": nil, "node_type": nil, "user_id": nil, "dnsresource_id": nil, "ttl": n.ttl, "rrtype": kind, "rrdata": a.ip.String(),
			"dnsdata_id": nil,
		}
		if n.machine != nil {
			o["system_id"], o["node_type"] = n.machine.systemID, 0
		}
		if n.user != nil {
			o["user_id"] = slices.Index(r.users, n.user) + 1
		}
		if n.record != nil {
			o["dnsresource_id"] = n.record.id
		}
		data = append(data, o)
	}
	return data
}

// published returns the names of a domain. A record of another domain shows as well when one of its addresses is that of a machine of this one.
func (r *Region) published(d *domain) []*implicitName {
	names := &implicitNames{by: make(map[string]*implicitName)}
	for a := range r.addresses.All() {
		for _, rec := range r.records.holding.View(a) {
			if rec.domain == d || a.link != nil && a.link.iface.machine.domain == d {
				r.publishRecord(names.of(rec.name), rec, a)
			}
		}
		if d == r.domains[0] && a.alloc == allocReserved && a.link == nil && len(r.records.holding.View(a)) == 0 {
			n := names.of(strings.NewReplacer(".", "-", ":", "-").Replace(a.ip.String()))
			n.user, n.ips = a.owner, append(n.ips, a)
		}
	}
	byName := func(a, b *machine) int { return strings.Compare(a.hostname, b.hostname) }
	for _, m := range slices.SortedFunc(r.machines.All(), byName) {
		if m.domain == d {
			publishMachine(names, m)
		}
	}
	return names.order
}

func (r *Region) publishRecord(n *implicitName, rec *record, a *address) {
	if a.link != nil {
		n.machine = a.link.iface.machine
	}
	if a.owner != nil {
		n.user = a.owner
	}
	n.record, n.ttl, n.ips = rec, rec.ttl, append(n.ips, a)
}

// publishMachine gives a machine's name the first address of each family, of the boot interface if that has any, and every other address the
// name of its interface.
func publishMachine(names *implicitNames, m *machine) {
	held := m.addresses()
	first := held
	if len(m.interfaces) > 0 {
		boot := slices.DeleteFunc(slices.Clone(held), func(a *address) bool { return a.link.iface != m.interfaces[0] })
		if len(boot) > 0 {
			first = boot
		}
	}
	var named []*address
	for _, a := range first {
		if !slices.ContainsFunc(named, func(other *address) bool { return other.ip.Is4() == a.ip.Is4() }) {
			named = append(named, a)
		}
	}
	for _, a := range held {
		hostname := m.hostname
		if !slices.Contains(named, a) {
			hostname = a.link.iface.name + "." + m.hostname
		}
		n := names.of(hostname)
		n.machine = m
		if hostname != m.hostname {
			n.user = m.owner
		}
		if !slices.Contains(n.ips, a) {
			n.ips = append(n.ips, a)
		}
	}
}

// addresses returns what the machine's links hold.
func (m *machine) addresses() []*address {
	var all []*address
	for _, l := range m.links() {
		if l.address != nil {
			all = append(all, l.address)
		}
	}
	return all
}
