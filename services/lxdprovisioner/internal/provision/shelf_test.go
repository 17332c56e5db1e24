package provision_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// shelf is a back end and a MAAS in memory: hosts, and VMs that count on their host from the moment they
// are made. It arbitrates nothing. What the tests here don't ask for is nil.
type shelf struct {
	provision.Backend

	now func() time.Time

	mu    sync.Mutex
	hosts []inventory.Host
	made  map[string]inventory.Machine
	next  outcomeOfMake
	// lasts is called while a composition runs.
	lasts func()
}

// outcomeOfMake is what the next composition does.
type outcomeOfMake int

const (
	makes outcomeOfMake = iota
	refuses
	makesAndBreaks
	breaks
)

func (s *shelf) Capabilities() provision.Capabilities { return provision.Capabilities{} }

func (s *shelf) Hosts(context.Context) (inventory.Snapshot, error) {
	began := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	return inventory.Snapshot{Hosts: slices.Clone(s.hosts), Began: began, ReadAt: s.now()}, nil
}

func (s *shelf) Host(_ context.Context, id inventory.HostID) (inventory.Host, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.hosts {
		if h.ID == id {
			return h, nil
		}
	}
	return inventory.Host{}, fault.New(fault.NotFound, fault.ReasonLXDHostUnavailable, "no host %s", id)
}

func (s *shelf) Make(_ context.Context, spec provision.VMSpec) (string, error) {
	if s.lasts != nil {
		s.lasts()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	outcome := s.next
	if outcome == makes || outcome == makesAndBreaks {
		s.hosts = withVM(s.hosts, spec.Host.ID, spec.Size)
		s.made[spec.Name] = inventory.Machine{
			SystemID: "sys-" + spec.Name, Hostname: spec.Name, Status: inventory.StatusCommissioning,
			HostID: spec.Host.ID, HostName: spec.Host.Name, VirtualMachineID: int64(len(s.made) + 1),
		}
	}
	switch outcome {
	case refuses:
		return "", fault.New(fault.Refused, fault.ReasonLXDHostUnavailable, "host %s is off", spec.Host.Name)
	case breaks, makesAndBreaks:
		return "", fault.New(fault.Unavailable, fault.ReasonOutcomeUnknown, "the connection broke")
	default:
		return "sys-" + spec.Name, nil
	}
}

func (s *shelf) Find(_ context.Context, names []string) ([]inventory.Machine, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []inventory.Machine
	for _, name := range names {
		if m, ok := s.made[name]; ok {
			found = append(found, m)
		}
	}
	return found, nil
}

// shelfMAAS is the part of MAAS beside the back end.
type shelfMAAS struct {
	provision.MAAS

	shelf *shelf
}

func (m shelfMAAS) Machine(_ context.Context, systemID string) (inventory.Machine, error) {
	m.shelf.mu.Lock()
	defer m.shelf.mu.Unlock()
	for _, vm := range m.shelf.made {
		if vm.SystemID == systemID {
			return vm, nil
		}
	}
	return inventory.Machine{}, fault.New(fault.NotFound, fault.ReasonMachineNotFound, "no machine %s", systemID)
}

// stepClock moves on by a millisecond whenever it is looked at, so that nothing happens at the same time.
type stepClock struct {
	mu   sync.Mutex
	time time.Time
}

func newStepClock() *stepClock { return &stepClock{time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *stepClock) now() time.Time {
	c.advance(time.Millisecond)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.time
}

func (c *stepClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.time = c.time.Add(d)
}

// onShelf gives the use cases over a shelf with these hosts.
func onShelf(hosts []inventory.Host, clock func() time.Time) (*provision.LXD, *shelf) {
	s := &shelf{now: clock, hosts: slices.Clone(hosts), made: map[string]inventory.Machine{}}
	timing := provision.DefaultTiming()
	timing.LookupWindow = time.Nanosecond
	return provision.NewLXD(provision.Config{Backend: s, MAAS: shelfMAAS{shelf: s}, Clock: clock, Timing: timing}), s
}

// shelfHost gives a host that can take VMs, of which MAAS knows no machine.
func shelfHost(index int) inventory.Host {
	return inventory.Host{
		ID: inventory.HostID(fmt.Sprintf("vmhost/%d", index+1)), Name: fmt.Sprintf("lxd-%d", index), Type: "lxd",
		Zone: inventory.Ref{ID: 1, Name: "a"}, Pool: inventory.Ref{Name: "default"},
		Capabilities:  []string{"composable", "dynamic_local_storage", "over_commit", "storage_pools"},
		Architectures: []string{"amd64/generic"}, LXDVersion: "5.21.4", Project: "maas",
		Total:    inventory.Resources{Cores: 32, MemoryMiB: 64 * 1024, DiskBytes: 500 * inventory.BytesPerGB},
		CPURatio: 1, MemoryRatio: 1, StoragePools: []inventory.StoragePool{shelfPool("ssd", 500, 500)},
	}
}

// shelfPool gives a storage pool; the one called ssd is the default.
func shelfPool(name string, freeGB, totalGB int64) inventory.StoragePool {
	return inventory.StoragePool{
		Name: name, Driver: "zfs", Default: name == "ssd", TotalBytes: totalGB * inventory.BytesPerGB,
		UsedBytes: (totalGB - freeGB) * inventory.BytesPerGB, AvailableBytes: freeGB * inventory.BytesPerGB,
	}
}

// poolOf gives the position of the storage pool to which the disk goes, -1 for none.
func poolOf(h inventory.Host, d inventory.Disk) int {
	return slices.IndexFunc(h.StoragePools, func(p inventory.StoragePool) bool {
		return p.Name == d.StoragePool || d.StoragePool == "" && p.Default
	})
}

// withVM gives the hosts as MAAS shows them with the VM on one of them.
func withVM(hosts []inventory.Host, id inventory.HostID, size inventory.VMSize) []inventory.Host {
	hosts = slices.Clone(hosts)
	h := &hosts[slices.IndexFunc(hosts, func(h inventory.Host) bool { return h.ID == id })]
	h.Used.Cores += int64(size.Cores)
	h.Used.MemoryMiB += size.MemoryMiB
	h.StoragePools = slices.Clone(h.StoragePools)
	for _, d := range size.Disks {
		p := &h.StoragePools[poolOf(*h, d)]
		p.AvailableBytes -= d.SizeGB * inventory.BytesPerGB
		p.UsedBytes += d.SizeGB * inventory.BytesPerGB
	}
	return hosts
}

// takes says by MAAS's rules, apart from the code under test, whether the host has room for the VM: at most
// the physical total for one, total times ratio for all, and room in every storage pool.
func takes(h inventory.Host, size inventory.VMSize) bool {
	cores, memory := int64(size.Cores), size.MemoryMiB
	left := make([]int64, len(h.StoragePools))
	for i, p := range h.StoragePools {
		left[i] = p.AvailableBytes
	}
	for _, d := range size.Disks {
		i := poolOf(h, d)
		if i < 0 {
			return false
		}
		if left[i] -= d.SizeGB * inventory.BytesPerGB; left[i] < 0 {
			return false
		}
	}
	return cores <= h.Total.Cores && memory <= h.Total.MemoryMiB &&
		float64(h.Used.Cores+cores) <= float64(h.Total.Cores)*h.CPURatio &&
		float64(h.Used.MemoryMiB+memory) <= float64(h.Total.MemoryMiB)*h.MemoryRatio
}

// hostOn gives the host of the id.
func hostOn(hosts []inventory.Host, id inventory.HostID) inventory.Host {
	h, _ := inventory.Snapshot{Hosts: hosts}.Host(id)
	return h
}
