package placement_test

import (
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/figures"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory/inventorytest"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

// fleet is n hosts in six zones and two pools, each with a load of its own, of which most fit.
func fleet(n int) inventory.Snapshot {
	hosts := make([]inventory.Host, n)
	for i := range hosts {
		h := inventorytest.Host(fmt.Sprintf("lxd-%d", i), i)
		h.Zone.Name = fmt.Sprintf("zone-%d", i%6)
		h.Pool.Name = []string{"cp", "batch"}[i%2]
		h.Tags = []string{"ssd", "rack-7"}
		h.Total = inventory.Resources{Cores: 64, MemoryMiB: 256 * 1024, DiskBytes: 500 * inventory.BytesPerGB}
		h.Used = inventory.Resources{Cores: int64(i % 61), MemoryMiB: int64(i%229) * 1024}
		h.CPURatio = 1.5
		hosts[i] = h
	}
	return inventory.Snapshot{Hosts: hosts}
}

// unlikeFleet is such a fleet in which no two hosts have the same tags, bridges and storage pools, so that
// nothing that is asked of a kind of hosts is asked of two at once.
func unlikeFleet(n int) inventory.Snapshot {
	snap := fleet(n)
	for i := range snap.Hosts {
		h := &snap.Hosts[i]
		h.Tags = []string{"ssd", fmt.Sprintf("serial-%d", i)}
		h.Bridges = []string{fmt.Sprintf("br-%d", i+1), "br0"}
		h.StoragePools = append(h.StoragePools, inventorytest.Pool(fmt.Sprintf("scratch-%d", i), 100, 100, false))
	}
	return snap
}

// busyRequest has constraints, two peers and 30 VMs under way.
func busyRequest() placement.Request {
	size := inventory.VMSize{Cores: 4, MemoryMiB: 8192, Disks: []inventory.Disk{{SizeGB: 60}}}
	req := placement.Request{
		VM:          "cp-2",
		Size:        size,
		Constraints: placement.Constraints{Pools: []string{"cp", "batch"}, Tags: []string{"ssd"}, Bridges: []string{"br0"}},
		Group: placement.Group{Key: "prod", Peers: []placement.Peer{
			{Name: "cp-0", Host: "vmhost/3"}, {Name: "cp-1", Host: "vmhost/8"},
		}},
	}
	for i := range 30 {
		req.Pending = append(req.Pending, placement.Reservation{
			VM: fmt.Sprintf("vm-%d", i), Host: inventory.HostID(fmt.Sprintf("vmhost/%d", i*3+1)), Size: size,
		})
	}
	return req
}

func plainRequest() placement.Request {
	req := busyRequest()
	req.Pending, req.Group = nil, placement.Group{}
	return req
}

// fleetSizes are the numbers of hosts that are measured. The first is the baseline of the others.
var fleetSizes = []int{100, 1000, 10000}

// placeKind is a request and the hosts that it is asked of.
type placeKind struct {
	name    string
	fleet   func(n int) inventory.Snapshot
	request func() placement.Request
	// bytes is how many of them a choice may allocate for one more host.
	bytes float64
}

// placeKinds are what is measured.
var placeKinds = []placeKind{
	{"plain", fleet, plainRequest, 2}, {"busy", fleet, busyRequest, 2}, {"no two hosts alike", unlikeFleet, busyRequest, 64},
}

// BenchmarkPlace chooses from an index, as the service does, which makes one index a reading of the hosts.
// x/100-hosts is the time compared with that for 100 hosts, measured in the same run.
func BenchmarkPlace(b *testing.B) {
	for _, kind := range placeKinds {
		for _, hosts := range fleetSizes {
			b.Run(fmt.Sprintf("%s/hosts=%d", kind.name, hosts), func(b *testing.B) {
				call := kind.placing(hosts)
				b.ReportAllocs()
				for b.Loop() {
					call()
				}
				reportRatio(b, call, kind.placing(fleetSizes[0]), "x/100-hosts")
			})
		}
	}
}

// placing gives a call that chooses one of so many hosts.
func (k placeKind) placing(hosts int) func() {
	x, req := placement.NewIndex(k.fleet(hosts)), k.request()
	return func() {
		if _, err := x.Place(req); err != nil {
			panic(err)
		}
	}
}

// BenchmarkNewIndex makes the index of a reading. x/Place is the time compared with one choice from it.
func BenchmarkNewIndex(b *testing.B) {
	for _, kind := range placeKinds {
		for _, hosts := range fleetSizes {
			b.Run(fmt.Sprintf("%s/hosts=%d", kind.name, hosts), func(b *testing.B) {
				call := kind.indexing(hosts)
				b.ReportAllocs()
				for b.Loop() {
					call()
				}
				reportRatio(b, call, kind.placing(hosts), "x/Place")
			})
		}
	}
}

// indexing gives a call that makes the index of so many hosts.
func (k placeKind) indexing(hosts int) func() {
	snap := k.fleet(hosts)
	return func() { placement.NewIndex(snap) }
}

// planSizes are the numbers of VMs that are planned at once. The first is the baseline of the others.
var planSizes = []int{1, 10, 100, 1000}

// BenchmarkDistribute plans VMs over 1,000 hosts. x/1-VM is the time compared with that of a plan for one.
func BenchmarkDistribute(b *testing.B) {
	for _, n := range planSizes {
		b.Run(fmt.Sprintf("n=%d/hosts=1000", n), func(b *testing.B) {
			call := planning(n)
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
			reportRatio(b, call, planning(planSizes[0]), "x/1-VM")
		})
	}
}

// planning gives a call that plans so many VMs.
func planning(n int) func() {
	x := placement.NewIndex(fleet(1000))
	req := placement.PlanRequest{Request: busyRequest(), Count: n}
	return func() {
		if _, err := x.Distribute(req); err != nil {
			panic(err)
		}
	}
}

// patient is the stopwatch of what is published.
var patient = figures.Patient(time.Now)

// reportRatio reports how long a call takes compared with a baseline, both measured here and now.
func reportRatio(b *testing.B, call, baseline func(), unit string) {
	b.Helper()
	b.ReportMetric(float64(patient.PerCall(call))/float64(patient.PerCall(baseline)), unit)
}

// TestPlace_P3_allocates_nothing_per_host compares small with large inventories; what a decision allocates
// are a few slices.
func TestPlace_P3_allocates_nothing_per_host(t *testing.T) {
	for _, kind := range placeKinds {
		few, many := testing.AllocsPerRun(5, kind.placing(100)), testing.AllocsPerRun(5, kind.placing(10000))
		// Under -race fmt's buffers are not always used again, hence the margin of one for a thousand hosts.
		if many > few+10 {
			t.Errorf("%s: %v allocations for 100 hosts, %v for 10000", kind.name, few, many)
		}
	}
}

// TestPlace_P3_takes_bytes_in_proportion holds what a decision allocates to what doc.go says.
func TestPlace_P3_takes_bytes_in_proportion_to_the_hosts(t *testing.T) {
	for _, kind := range placeKinds {
		few, many := allocatedBytes(kind.placing(1000)), allocatedBytes(kind.placing(10000))
		if perHost := float64(many-few) / 9000; perHost > kind.bytes {
			t.Errorf("%s: %.1f bytes a host, at most %.0f", kind.name, perHost, kind.bytes)
		}
	}
}

// allocatedBytes gives the bytes that a call allocates: the least of some, since the runtime allocates too.
func allocatedBytes(call func()) uint64 {
	least := uint64(math.MaxUint64)
	var before, after runtime.MemStats
	for range 5 {
		runtime.ReadMemStats(&before)
		call()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}
