package placement_test

import (
	"fmt"
	"testing"

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

func BenchmarkPlace(b *testing.B) {
	requests := map[string]placement.Request{"plain": plainRequest(), "busy": busyRequest()}
	for _, hosts := range []int{100, 1000, 10000} {
		for _, kind := range []string{"plain", "busy"} {
			b.Run(fmt.Sprintf("%s/hosts=%d", kind, hosts), func(b *testing.B) {
				snap := fleet(hosts)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := placement.Place(requests[kind], snap); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkDistribute(b *testing.B) {
	for _, hosts := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprintf("n=100/hosts=%d", hosts), func(b *testing.B) {
			snap := fleet(hosts)
			req := placement.PlanRequest{Request: busyRequest(), Count: 100}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := placement.Distribute(req, snap); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
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
