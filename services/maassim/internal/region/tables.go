package region

import (
	"fmt"
	"net/netip"

	"github.com/capmaas/capmaas/services/maassim/internal/index"
	"github.com/capmaas/capmaas/services/maassim/internal/network"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// tables hold what there may be thousands of. What there are tens of (zones, pools, domains, subnets, VLANs, tags, images, users) lies in plain
// slices.
//
// Rows are looked up by the methods below, which touch what they return, except lookUp: the caller may change it. Rows that were found in another way are touched
// by who changes them. The indexes are put right before they are next looked into, and Check says when somebody forgot to touch.
type tables struct {
	machines  machineRows
	hosts     hostRows
	addresses addressRows
	records   recordRows
	events    eventRows
	counts    domainCounts
}

type machineRows struct {
	*index.Table[*machine]
	bySystemID, byHostname, byAgent, byTag, byMAC *index.Index[*machine, string]

	byOwner  *index.Index[*machine, *rest.User] // nil: nobody's
	byZone   *index.Index[*machine, *zone]
	byPool   *index.Index[*machine, *pool]
	byStatus *index.Index[*machine, status]
	onHost   *index.Index[*machine, *vmHost]
	instance *index.Index[*machine, instanceKey]
}

// instanceKey is a VM as LXD knows it.
type instanceKey struct {
	host *vmHost
	name string
}

type hostRows struct {
	*index.Table[*vmHost]
	byName *index.Index[*vmHost, string]
}

type addressRows struct {
	*index.Table[*address]
	byIP     *index.Index[*address, netip.Addr]
	inSubnet *index.Index[*address, *network.Subnet]
	reserved *index.Index[*address, *rest.User] // who reserved it
}

type recordRows struct {
	*index.Table[*record]
	byName   *index.Index[*record, recordKey]
	byDomain *index.Index[*record, *domain]
	holding  *index.Index[*record, *address]
}

type recordKey struct {
	domain *domain
	name   string
}

type eventRows struct {
	*index.Table[*event]
	of *index.Index[*event, string] // a system id
}

func newTables() tables {
	return tables{
		machines: newMachineRows(), hosts: newHostRows(), addresses: newAddressRows(), records: newRecordRows(), events: newEventRows(),
	}
}

func newMachineRows() machineRows {
	t := index.New(func(m *machine) int { return m.id })
	return machineRows{
		Table:      t,
		bySystemID: index.On(t, func(m *machine, keys []string) []string { return append(keys, m.systemID) }),
		byHostname: index.On(t, func(m *machine, keys []string) []string { return append(keys, m.hostname) }),
		byAgent:    index.On(t, func(m *machine, keys []string) []string { return append(keys, m.agent) }),
		byTag:      index.On(t, func(m *machine, keys []string) []string { return append(keys, m.tags...) }),
		byMAC: index.On(t, func(m *machine, keys []string) []string {
			for _, i := range m.interfaces {
				keys = append(keys, i.mac)
			}
			return keys
		}),
		byOwner:  index.On(t, func(m *machine, keys []*rest.User) []*rest.User { return append(keys, m.owner) }),
		byZone:   index.On(t, func(m *machine, keys []*zone) []*zone { return append(keys, m.zone) }),
		byPool:   index.On(t, func(m *machine, keys []*pool) []*pool { return append(keys, m.pool) }),
		byStatus: index.On(t, func(m *machine, keys []status) []status { return append(keys, m.status) }),
		onHost:   index.On(t, func(m *machine, keys []*vmHost) []*vmHost { return appendSome(keys, m.host) }),
		instance: index.On(t, func(m *machine, keys []instanceKey) []instanceKey {
			if m.host == nil {
				return keys
			}
			return append(keys, instanceKey{m.host, m.instance})
		}),
	}
}

func newHostRows() hostRows {
	t := index.New(func(h *vmHost) int { return h.id })
	return hostRows{
		Table:  t,
		byName: index.On(t, func(h *vmHost, keys []string) []string { return append(keys, h.name) }),
	}
}

func newAddressRows() addressRows {
	t := index.New(func(a *address) int { return a.id })
	return addressRows{
		Table:    t,
		byIP:     index.On(t, func(a *address, keys []netip.Addr) []netip.Addr { return append(keys, a.ip) }),
		inSubnet: index.On(t, func(a *address, keys []*network.Subnet) []*network.Subnet { return appendSome(keys, a.subnet) }),
		reserved: index.On(t, func(a *address, keys []*rest.User) []*rest.User {
			if a.alloc != allocReserved {
				return keys
			}
			return append(keys, a.owner)
		}),
	}
}

func newRecordRows() recordRows {
	t := index.New(func(rec *record) int { return rec.id })
	return recordRows{
		Table:    t,
		byName:   index.On(t, func(rec *record, keys []recordKey) []recordKey { return append(keys, recordKey{rec.domain, rec.name}) }),
		byDomain: index.On(t, func(rec *record, keys []*domain) []*domain { return append(keys, rec.domain) }),
		holding:  index.On(t, func(rec *record, keys []*address) []*address { return append(keys, rec.addresses...) }),
	}
}

func newEventRows() eventRows {
	t := index.New(func(e *event) int { return e.id })
	return eventRows{Table: t, of: index.On(t, func(e *event, keys []string) []string { return append(keys, e.systemID) })}
}

func appendSome[T any](keys []*T, key *T) []*T {
	if key == nil {
		return keys
	}
	return append(keys, key)
}

// found touches a row that a caller may change.
func found[R any](t *index.Table[*R], row *R, ok bool) *R {
	if !ok {
		return nil
	}
	t.Touch(row)
	return row
}

// lookUp returns the machine of a system id for reading, or nil. Who looks up many machines in one call uses it: each that machine touches is indexed
// anew before the next look-up.
func (r *Region) lookUp(systemID string) *machine {
	m, ok := r.machines.bySystemID.First(systemID)
	if !ok {
		return nil
	}
	return m
}

// machine returns the machine of a system id, or nil.
func (r *Region) machine(systemID string) *machine {
	m, ok := r.machines.bySystemID.First(systemID)
	return found(r.machines.Table, m, ok)
}

// machineNamed returns the machine of a hostname, or nil.
func (r *Region) machineNamed(hostname string) *machine {
	m, ok := r.machines.byHostname.First(hostname)
	return found(r.machines.Table, m, ok)
}

// machineOfInstance returns the machine of a VM on a host, or nil.
func (r *Region) machineOfInstance(h *vmHost, name string) *machine {
	m, ok := r.machines.instance.First(instanceKey{h, name})
	return found(r.machines.Table, m, ok)
}

// host returns the VM host of an id, or nil.
func (r *Region) host(id int) *vmHost {
	h, ok := r.hosts.ByID(id)
	return found(r.hosts.Table, h, ok)
}

func (r *Region) hostNamed(name string) *vmHost {
	h, ok := r.hosts.byName.First(name)
	return found(r.hosts.Table, h, ok)
}

// addressAt returns what holds an address, or nil.
func (r *Region) addressAt(ip netip.Addr) *address {
	a, ok := r.addresses.byIP.First(ip)
	return found(r.addresses.Table, a, ok)
}

// recordNamed returns the record of a name in a domain, or nil.
func (r *Region) recordNamed(in *domain, name string) *record {
	rec, ok := r.records.byName.First(recordKey{in, name})
	return found(r.records.Table, rec, ok)
}

// domainCounts are the numbers of the domains' DNS data, which every machine shows, as of a state of the records.
type domainCounts struct {
	changes int
	of      map[*domain]int
}

func (r *Region) recordCount(d *domain) int {
	if now := r.records.Changes(); r.counts.of == nil || r.counts.changes != now {
		r.counts = domainCounts{changes: now, of: make(map[*domain]int)}
	}
	count, known := r.counts.of[d]
	if !known {
		for _, rec := range r.records.byDomain.View(d) {
			count += len(rec.addresses) + len(rec.data)
		}
		r.counts.of[d] = count
	}
	return count
}

// settleTables ends a call's right to change the rows that it touched.
func (r *Region) settleTables() {
	r.machines.Settle()
	r.hosts.Settle()
	r.addresses.Settle()
	r.records.Settle()
	r.events.Settle()
}

// Visited returns how many rows of every kind calls have looked at so far; a list that is found by an index looks at few.
func (r *Region) Visited() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.machines.Visited() + r.hosts.Visited() + r.addresses.Visited() + r.records.Visited() + r.events.Visited()
}

// Check says where an index disagrees with its rows.
func (r *Region) Check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range []struct {
		name  string
		check func() error
	}{
		{"machines", r.machines.Check},
		{"VM hosts", r.hosts.Check},
		{"addresses", r.addresses.Check},
		{"records", r.records.Check},
		{"events", r.events.Check},
	} {
		if err := t.check(); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}
