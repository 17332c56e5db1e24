package placement_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/figures"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

// fleet is n hosts in six zones and two pools, all unlike each other, of which most fit.
func fleet(n int) inventory.Snapshot {
	hosts := make([]inventory.Host, n)
	for i := range hosts {
		h := newHost(fmt.Sprintf("lxd-%d", i), i)
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

// placeKinds are the requests that are measured.
var placeKinds = []struct {
	name    string
	request func() placement.Request
}{{"plain", plainRequest}, {"busy", busyRequest}}

// BenchmarkPlace chooses from an index, as the service does, which makes one index a reading of the hosts.
// x/100-hosts is the time compared with that for 100 hosts, measured in the same run.
func BenchmarkPlace(b *testing.B) {
	for _, kind := range placeKinds {
		for _, hosts := range fleetSizes {
			b.Run(fmt.Sprintf("%s/hosts=%d", kind.name, hosts), func(b *testing.B) {
				call := placing(hosts, kind.request())
				b.ReportAllocs()
				for b.Loop() {
					call()
				}
				reportRatio(b, call, placing(fleetSizes[0], kind.request()), "x/100-hosts")
			})
		}
	}
}

// placing gives a call that chooses one of so many hosts.
func placing(hosts int, req placement.Request) func() {
	x := placement.NewIndex(fleet(hosts))
	return func() {
		if _, err := x.Place(req); err != nil {
			panic(err)
		}
	}
}

// BenchmarkNewIndex makes the index of a reading. x/Place is the time compared with one choice from it.
func BenchmarkNewIndex(b *testing.B) {
	for _, hosts := range fleetSizes {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			snap := fleet(hosts)
			call := func() { placement.NewIndex(snap) }
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
			reportRatio(b, call, placing(hosts, plainRequest()), "x/Place")
		})
	}
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

// TestPlace_allocates_nothing_per_host compares a small with a large inventory; what a decision
// allocates are a few slices.
func TestPlace_allocates_nothing_per_host(t *testing.T) {
	small, large := fleet(100), fleet(5000)
	allocations := func(snap inventory.Snapshot) float64 {
		return testing.AllocsPerRun(5, func() {
			if _, err := placement.Place(plainRequest(), snap); err != nil {
				t.Fatal(err)
			}
		})
	}
	few, many := allocations(small), allocations(large)
	// Under -race fmt's buffers are not always used again, hence the margin of one for a hundred hosts.
	if many > few+49 {
		t.Errorf("%v allocations for 100 hosts, %v for 5000", few, many)
	}
}
