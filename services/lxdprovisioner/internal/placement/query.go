package placement

import (
	"cmp"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// query is a request made ready to be asked of the hosts of an index.
type query struct {
	index    *Index
	want     Constraints
	need     inventory.Resources
	disks    []poolBytes
	apart    AntiAffinity
	keep     inventory.HostID
	ownShare func(inventory.HostID) bool
	// bySharesAlone says that within a zone, the group apart, only the share that is left free decides.
	bySharesAlone bool
	// checks are the rules that the request asks of every host, uncounted those of them that
	// host.roomy does not answer.
	checks, uncounted []check
	// kinds are the answers of the rules that are asked once a kind.
	kinds []kindAnswer
	// loads are what hosts carry besides what MAAS shows of them, by position; loaded are those
	// positions in order.
	loads  map[int]*load
	loaded []int
	// group is how many VMs of the group are in a zone, by the zone's position; nil where there are
	// none.
	group []int
	// seed is the hash of the VM's name, the beginning of every tie's hash.
	seed uint64
}

// kindAnswer is what a request means to the hosts of a kind.
type kindAnswer struct {
	verdict verdict
	// needs are the storage pools to which disks go, in the host's order; empty where a disk has none.
	needs []poolNeed
}

// poolNeed is how many bytes go to the storage pool in that position of the host's.
type poolNeed struct {
	pool  int
	bytes int64
}

func newQuery(x *Index, r Request) *query {
	q := &query{
		index:    x,
		want:     r.Constraints,
		need:     r.Size.Resources(),
		disks:    addDisks(nil, r.Size.Disks),
		apart:    r.Group.AntiAffinity,
		keep:     r.Keep,
		ownShare: r.OwnShare,
		seed:     hashName(r.VM),
	}
	q.bySharesAlone = q.want.Policy == Balanced && q.keep == "" && len(q.want.PreferredHosts) == 0
	q.checks = checksOf(q, func(r *rule) bool { return r.rejects != nil })
	q.uncounted = checksOf(q, func(r *rule) bool { return r.rejects != nil && !r.counted })
	q.askKinds()
	q.weigh(r)
	return q
}

// askKinds judges every kind and finds the storage pools to which its disks go, also of kinds that are
// out: whether a VM is too large for every host is asked of those too.
func (q *query) askKinds() {
	alike := checksOf(q, func(r *rule) bool { return r.alike != nil })
	q.kinds = make([]kindAnswer, len(q.index.kinds))
	needs := make([]poolNeed, 0, len(q.disks)*len(q.index.kinds))
	for i := range q.index.kinds {
		k := &q.index.kinds[i]
		begin := len(needs)
		needs = q.addNeeds(needs, k)
		q.kinds[i] = kindAnswer{verdict: judgeAlike(alike, q, k), needs: needs[begin:]}
	}
}

// addNeeds adds what the disks need of the storage pools of a kind, nothing where one has no storage pool.
func (q *query) addNeeds(needs []poolNeed, k *kind) []poolNeed {
	begin := len(needs)
	for _, d := range q.disks {
		pool := k.storagePool(d.pool)
		if pool < 0 {
			return needs[:begin]
		}
		if i := slices.IndexFunc(needs[begin:], func(n poolNeed) bool { return n.pool == pool }); i >= 0 {
			needs[begin+i].bytes += d.bytes
			continue
		}
		needs = append(needs, poolNeed{pool, d.bytes})
	}
	slices.SortFunc(needs[begin:], func(a, b poolNeed) int { return cmp.Compare(a.pool, b.pool) })
	return needs
}

// storagePool gives the position of the storage pool to which a disk of that pool goes, the default
// pool for the empty name; -1 where there is none.
func (k *kind) storagePool(name string) int {
	return slices.IndexFunc(k.StoragePools, func(p kindPool) bool { return p.Name == name || name == "" && p.Default })
}

// stay is a VM on a host.
type stay struct {
	vm   string
	host inventory.HostID
}

// weigh sums what is pending and counts the group. A VM counts once, however often it is named, and
// the request's own VM never.
func (q *query) weigh(r Request) {
	if len(r.Pending) == 0 && len(r.Group.Peers) == 0 {
		return
	}
	grouped := r.Group.Key != ""
	q.loads = make(map[int]*load, len(r.Pending)+len(r.Group.Peers))
	counted := make(map[stay]bool, len(r.Group.Peers))
	if grouped {
		for _, p := range r.Group.Peers {
			if p.Name == r.VM || counted[stay{p.Name, p.Host}] {
				continue
			}
			counted[stay{p.Name, p.Host}] = true
			q.addToGroup(p.Host, p.Zone)
		}
	}
	for i := range r.Pending {
		p := &r.Pending[i]
		if p.VM == r.VM {
			continue
		}
		if position, ok := q.index.positions[p.Host]; ok {
			loadOf(q.loads, position).add(p.Size)
		}
		if grouped && p.Group == r.Group.Key && !counted[stay{p.VM, p.Host}] {
			counted[stay{p.VM, p.Host}] = true
			q.addToGroup(p.Host, p.Zone)
		}
	}
	q.loaded = slices.AppendSeq(make([]int, 0, len(q.loads)), maps.Keys(q.loads))
	slices.Sort(q.loaded)
}

// addToGroup counts one more VM of the group on the host and in its zone. Where the host is gone from
// the index, or not known, the VM counts in the zone that is named.
func (q *query) addToGroup(id inventory.HostID, named string) {
	zone := -1
	if position, ok := q.index.positions[id]; ok {
		loadOf(q.loads, position).group++
		zone = q.index.kinds[q.index.rows[position].kind].zone
	} else if named != "" {
		zone = slices.Index(q.index.zones, named)
	}
	if zone < 0 {
		return
	}
	if q.group == nil {
		q.group = make([]int, len(q.index.zones))
	}
	q.group[zone]++
}

// load gives what the host in that position carries besides what MAAS shows of it.
func (q *query) load(i int) *load {
	if l, ok := q.loads[i]; ok {
		return l
	}
	return noLoad
}

// inZone gives how many VMs of the group are in the zone of that position.
func (q *query) inZone(zone int) int {
	if q.group == nil {
		return 0
	}
	return q.group[zone]
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
