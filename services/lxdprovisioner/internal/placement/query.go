package placement

import (
	"hash/fnv"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// query is a request made ready to be asked of many hosts.
type query struct {
	want     Constraints
	need     inventory.Resources
	disks    []poolBytes
	usage    Usage
	apart    AntiAffinity
	keep     inventory.HostID
	ownShare func(inventory.HostID) bool
	// checks are the rules that the request asks for.
	checks []check
	// seed is the hash of the VM's name, the beginning of every tie's hash.
	seed uint64
}

func newQuery(r Request) *query {
	q := &query{
		want:     r.Constraints,
		need:     r.Size.Resources(),
		disks:    addDisks(nil, r.Size.Disks),
		usage:    totalLoad(r),
		apart:    r.Group.AntiAffinity,
		keep:     r.Keep,
		ownShare: r.OwnShare,
		seed:     hashName(r.VM),
	}
	q.checks = checks(q)
	return q
}

// stay is a VM on a host.
type stay struct {
	vm   string
	host inventory.HostID
}

// totalLoad sums what is pending and counts the group. A VM counts once, however often it is named, and
// the request's own VM never.
func totalLoad(r Request) Usage {
	if len(r.Pending) == 0 && len(r.Group.Peers) == 0 {
		return Usage{}
	}
	grouped := r.Group.Key != ""
	u := Usage{hosts: make(map[inventory.HostID]*load, len(r.Pending)+len(r.Group.Peers))}
	counted := make(map[stay]bool, len(r.Group.Peers))
	if grouped {
		for _, p := range r.Group.Peers {
			if p.Name == r.VM || counted[stay{p.Name, p.Host}] {
				continue
			}
			counted[stay{p.Name, p.Host}] = true
			u.at(p.Host).addToGroup(p.Zone)
		}
	}
	for i := range r.Pending {
		p := &r.Pending[i]
		if p.VM == r.VM {
			continue
		}
		u.at(p.Host).add(p.Size)
		if grouped && p.Group == r.Group.Key && !counted[stay{p.VM, p.Host}] {
			counted[stay{p.VM, p.Host}] = true
			u.at(p.Host).addToGroup(p.Zone)
		}
	}
	return u
}

func (l *load) addToGroup(zone string) {
	l.group++
	if zone != "" {
		l.zone = zone
	}
}

// neededIn gives the bytes that go to the storage pool, by its name or because it is the default.
func (q *query) neededIn(pool *inventory.StoragePool) int64 {
	var sum int64
	for _, d := range q.disks {
		if d.pool == pool.Name || d.pool == "" && pool.Default {
			sum += d.bytes
		}
	}
	return sum
}

// groupByZone counts the group's VMs by zone: the snapshot's zone of the host, or the peer's where
// the host is gone. Nil where there are none.
func (q *query) groupByZone(hosts []inventory.Host) map[string]int {
	missing := make(map[inventory.HostID]*load)
	for id, l := range q.usage.hosts {
		if l.group > 0 {
			missing[id] = l
		}
	}
	if len(missing) == 0 {
		return nil
	}
	zones := make(map[string]int)
	for i := 0; i < len(hosts) && len(missing) > 0; i++ {
		if l, ok := missing[hosts[i].ID]; ok {
			zones[hosts[i].Zone.Name] += l.group
			delete(missing, hosts[i].ID)
		}
	}
	for _, l := range missing {
		if l.zone != "" {
			zones[l.zone] += l.group
		}
	}
	return zones
}

func hashName(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return h.Sum64()
}

// fnvPrime is the multiplier of 64-bit FNV-1a.
const fnvPrime = 1099511628211

// mixer spreads the last byte's difference over all bits, which FNV alone does not.
const mixer = 0xff51afd7ed558ccd

// tie gives the number by which hosts that are as good are told apart: the hash of VM name and host.
func (q *query) tie(id inventory.HostID) uint64 {
	h := q.seed
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * fnvPrime
	}
	h ^= h >> 33
	h *= mixer
	return h ^ h>>33
}
