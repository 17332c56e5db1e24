package provision_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory/inventorytest"
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
		s.hosts = inventorytest.WithVM(s.hosts, spec.Host.ID, spec.Size)
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
	h := inventorytest.Host(fmt.Sprintf("lxd-%d", index), index)
	h.SystemID, h.Machine, h.Bridges = "", nil, nil
	h.StoragePools = []inventory.StoragePool{inventorytest.Pool("ssd", 500, 500, true)}
	return h
}

// hostOn gives the host of the id.
func hostOn(hosts []inventory.Host, id inventory.HostID) inventory.Host {
	h, _ := inventory.Snapshot{Hosts: hosts}.Host(id)
	return h
}
