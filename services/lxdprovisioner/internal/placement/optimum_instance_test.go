package placement_test

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory/inventorytest"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

// order is a VM that is asked for. VMs of one group should stay apart.
type order struct {
	name  string
	group string
	size  inventory.VMSize
}

// instance is an inventory and the VMs that are asked of it one after the other.
type instance struct {
	hosts  []inventory.Host
	orders []order
}

// kind is a kind of instances, by what their hosts are like.
type kind struct {
	name string
	// mixed gives some hosts an over-commit ratio other than 1, and a second storage pool, larger than
	// the default one.
	mixed bool
}

var kinds = []kind{{name: "plain"}, {name: "mixed", mixed: true}}

// catalogue are the sizes that are asked for.
var catalogue = []inventory.VMSize{
	sized(2, 4, 40), sized(4, 8, 60), sized(4, 16, 60), sized(8, 16, 100), sized(8, 32, 200), sized(2, 16, 40),
}

func sized(cores int, gib, diskGB int64) inventory.VMSize {
	return inventory.VMSize{Cores: cores, MemoryMiB: gib * 1024, Disks: []inventory.Disk{{SizeGB: diskGB}}}
}

// seeded gives the random numbers of one instance. They depend on the number of the instance alone.
func seeded(number int) *rand.Rand { return rand.New(rand.NewPCG(20260101, uint64(number))) }

// pick gives one of the values.
func pick[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// smallInstance has 2 to 6 hosts in 1 to 4 zones, of which many are nearly full, and 3 to 9 VMs of one
// group in up to three sizes: few enough for the exact solver.
func smallInstance(number int, k kind) instance {
	r := seeded(number)
	zones, sizes := 1+r.IntN(4), 1+r.IntN(3)
	var in instance
	for i := range 2 + r.IntN(5) {
		in.hosts = append(in.hosts, drawnHost(r, i, fmt.Sprintf("zone-%d", r.IntN(zones)), k, 0.3+0.7*r.Float64()))
	}
	for i := range 3 + r.IntN(7) {
		in.orders = append(in.orders, order{name: fmt.Sprintf("cp-%d", i), group: "prod", size: catalogue[r.IntN(sizes)+r.IntN(4)]})
	}
	return limitKinds(in, sizes)
}

// limitKinds replaces sizes beyond the first few by the first, since the solver's work grows with them.
func limitKinds(in instance, most int) instance {
	var seen []inventory.VMSize
	for i, o := range in.orders {
		same := func(s inventory.VMSize) bool { return sameSize(s, o.size) }
		switch {
		case slices.ContainsFunc(seen, same):
		case len(seen) < most:
			seen = append(seen, o.size)
		default:
			in.orders[i].size = seen[0]
		}
	}
	return in
}

func sameSize(a, b inventory.VMSize) bool {
	return a.Cores == b.Cores && a.MemoryMiB == b.MemoryMiB && slices.Equal(a.Disks, b.Disks)
}

// fleetInstance has 12 to 60 hosts in three zones and control planes of three or five VMs, one after the
// other, that ask for three quarters of the free cores.
func fleetInstance(number int, k kind) instance {
	r := seeded(number)
	var in instance
	free := 0
	for i := range 12 + r.IntN(49) {
		h := drawnHost(r, i, pick(r, "zone-0", "zone-1", "zone-2"), k, 0.6*r.Float64())
		free += max(0, int(h.Available().Cores))
		in.hosts = append(in.hosts, h)
	}
	for c, asked := 0, 0; asked < free*3/4; c++ {
		size, n := pick(r, catalogue...), pick(r, 3, 3, 5)
		for i := range n {
			in.orders = append(in.orders, order{name: fmt.Sprintf("c%d-cp-%d", c, i), group: fmt.Sprintf("c%d", c), size: size})
		}
		asked += n * size.Cores
	}
	return in
}

// drawnHost draws a host that can take VMs and is about as full as load says, 0 to 1.
func drawnHost(r *rand.Rand, index int, zone string, k kind, load float64) inventory.Host {
	h := inventorytest.Host(fmt.Sprintf("lxd-%d", index), index)
	h.Zone.Name, h.Pool = zone, inventory.Ref{ID: 1, Name: "cp"}
	h.Total.Cores = pick[int64](r, 16, 24, 32, 48, 64)
	h.Total.MemoryMiB = h.Total.Cores * 1024 * pick[int64](r, 2, 4, 8)
	pools := []inventory.StoragePool{inventorytest.Pool("default", 0, pick[int64](r, 500, 1000, 2000), true)}
	if k.mixed {
		h.CPURatio = pick(r, 0.9, 1, 1, 1, 1, 1, 1.5, 2)
		h.MemoryRatio = pick(r, 0.9, 1, 1, 1, 1, 1, 1, 1.25)
		if r.IntN(3) == 0 {
			pools = append(pools, inventorytest.Pool("bulk", 0, 4000, false))
		}
	}
	part := func(total int64) int64 {
		return int64(float64(total) * min(max(load+0.2*(r.Float64()-0.5), 0), 1))
	}
	allowed := h.Allowed()
	h.Used = inventory.Resources{Cores: part(allowed.Cores), MemoryMiB: part(allowed.MemoryMiB)}
	h.VMs = int(h.Used.Cores / 4)
	for i := range pools {
		pools[i].UsedBytes = part(pools[i].TotalBytes)
		pools[i].AvailableBytes = pools[i].TotalBytes - pools[i].UsedBytes
	}
	h.StoragePools = pools
	return h
}

// region keeps MAAS's account of the hosts: what MAAS takes, and what was put where. It shares no code
// with placement.
type region struct {
	hosts  []inventory.Host
	placed []placedOrder
}

type placedOrder struct {
	order

	host int
}

func newRegion(hosts []inventory.Host) *region {
	r := &region{hosts: slices.Clone(hosts)}
	for i := range r.hosts {
		r.hosts[i].StoragePools = slices.Clone(r.hosts[i].StoragePools)
	}
	return r
}

// takes says whether MAAS would compose the VM on the host: at most the physical total for one VM, total
// times ratio for all of them (MAAS: models/bmc.py check_over_commit_ratios), and room in the default
// storage pool where the disk names none (MAAS: drivers/pod/lxd.py).
func (r *region) takes(i int, size inventory.VMSize) bool {
	h := &r.hosts[i]
	cores, memory := int64(size.Cores), size.MemoryMiB
	return cores <= h.Total.Cores && memory <= h.Total.MemoryMiB &&
		float64(h.Used.Cores+cores) <= float64(h.Total.Cores)*h.CPURatio &&
		float64(h.Used.MemoryMiB+memory) <= float64(h.Total.MemoryMiB)*h.MemoryRatio &&
		bytesOf(size) <= r.defaultPool(i).AvailableBytes
}

func (r *region) defaultPool(i int) *inventory.StoragePool {
	pools := r.hosts[i].StoragePools
	return &pools[slices.IndexFunc(pools, func(p inventory.StoragePool) bool { return p.Default })]
}

func bytesOf(size inventory.VMSize) int64 {
	var sum int64
	for _, d := range size.Disks {
		sum += d.SizeGB * inventory.BytesPerGB
	}
	return sum
}

// put composes the VM on the host.
func (r *region) put(i int, o order) {
	h, pool := &r.hosts[i], r.defaultPool(i)
	h.Used.Cores += int64(o.size.Cores)
	h.Used.MemoryMiB += o.size.MemoryMiB
	h.VMs++
	pool.UsedBytes += bytesOf(o.size)
	pool.AvailableBytes -= bytesOf(o.size)
	r.placed = append(r.placed, placedOrder{order: o, host: i})
}

// anyTakes says whether some host would take the VM.
func (r *region) anyTakes(size inventory.VMSize) bool {
	for i := range r.hosts {
		if r.takes(i, size) {
			return true
		}
	}
	return false
}

// share is how much of the host's scarcest resource is used, 0 to 1, of what MAAS allows.
func (r *region) share(i int) float64 {
	h, pool := &r.hosts[i], r.defaultPool(i)
	return min(1, max(
		float64(h.Used.Cores)/float64(int64(float64(h.Total.Cores)*h.CPURatio)),
		float64(h.Used.MemoryMiB)/float64(int64(float64(h.Total.MemoryMiB)*h.MemoryRatio)),
		float64(pool.UsedBytes)/float64(pool.TotalBytes),
	))
}

// byZone counts the group's VMs in every zone that has a host.
func (r *region) byZone(group string) map[string]int {
	zones := map[string]int{}
	for i := range r.hosts {
		zones[r.hosts[i].Zone.Name] += 0
	}
	for _, p := range r.placed {
		if p.group == group {
			zones[r.hosts[p.host].Zone.Name]++
		}
	}
	return zones
}

// byHost counts the group's VMs on every host.
func (r *region) byHost(group string) []int {
	hosts := make([]int, len(r.hosts))
	for _, p := range r.placed {
		if p.group == group {
			hosts[p.host]++
		}
	}
	return hosts
}

// peers are the group's VMs as a controller tells of them.
func (r *region) peers(group string) []placement.Peer {
	var peers []placement.Peer
	for _, p := range r.placed {
		if p.group == group {
			h := &r.hosts[p.host]
			peers = append(peers, placement.Peer{Name: p.name, Host: h.ID, Zone: h.Zone.Name})
		}
	}
	return peers
}

func (r *region) index(id inventory.HostID) int {
	return slices.IndexFunc(r.hosts, func(h inventory.Host) bool { return h.ID == id })
}
