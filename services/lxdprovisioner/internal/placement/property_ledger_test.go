package placement_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
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

// service gives the use cases over a shelf with these hosts, which MAAS knows no machines of.
func service(hosts []inventory.Host, clock func() time.Time) (*provision.LXD, *shelf) {
	s := &shelf{now: clock, hosts: slices.Clone(hosts), made: map[string]inventory.Machine{}}
	for i := range s.hosts {
		s.hosts[i].SystemID, s.hosts[i].Machine, s.hosts[i].Bridges = "", nil, nil
	}
	timing := provision.DefaultTiming()
	timing.LookupWindow = time.Nanosecond
	return provision.NewLXD(provision.Config{Backend: s, MAAS: shelfMAAS{shelf: s}, Clock: clock, Timing: timing}), s
}

// promise is an entry of the ledger in the model: a VM counts on a host until a time.
type promise struct {
	host  inventory.HostID
	size  inventory.VMSize
	until time.Time
}

// ledgerModel says by the rule alone (protocol rule X6.1) what is promised: an entry begins with SelectHost and
// lasts 180 s; with an answered composition its host is read again, which ends it; one whose outcome is
// not known lasts 180 s more, and DeleteVM ends every one.
type ledgerModel struct {
	lxd      *provision.LXD
	shelf    *shelf
	clock    *stepClock
	promises map[string]promise
	composed map[string]bool
}

const hold = 180 * time.Second

func TestProperty_X6_1_the_ledger_holds_what_the_rule_says(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		clock := newStepClock()
		roomy := newHost("roomy", 20)
		roomy.StoragePools = []inventory.StoragePool{newPool("ssd", 900, 900, true), newPool("hdd", 900, 900, false)}
		lxd, s := service(append(drawHosts(t), roomy), clock.now)
		m := &ledgerModel{lxd: lxd, shelf: s, clock: clock, promises: map[string]promise{}, composed: map[string]bool{}}
		t.Repeat(map[string]func(*rapid.T){
			"select":  m.choose,
			"dry run": m.dryRun,
			"compose": m.compose,
			"delete":  m.remove,
			"wait":    m.wait,
			"":        m.check,
		})
	})
}

// name draws one of a few names that was not composed, since a name is never composed twice.
func (m *ledgerModel) name(t *rapid.T) string {
	names := make([]string, 0, 6)
	for i := 0; len(names) < cap(names); i++ {
		if name := fmt.Sprintf("vm-%d", i); !m.composed[name] {
			names = append(names, name)
		}
	}
	return rapid.SampledFrom(names).Draw(t, "name")
}

func (m *ledgerModel) choose(t *rapid.T) {
	name, size := m.name(t), drawSize(t)
	kept, had := m.promises[name]
	others := m.pending(name)
	selection, err := m.lxd.SelectHost(t.Context(), provision.SelectRequest{Request: placement.Request{VM: name, Size: size}})
	b := open(m.inMAAS(), placement.Request{Pending: others})
	fits := func(id inventory.HostID) bool { return b.breach(id, placement.Request{Size: size}) == "" }
	if err != nil {
		require.False(t, slices.ContainsFunc(m.inMAAS(), func(h inventory.Host) bool { return fits(h.ID) }), "%v", err)
		return
	}
	require.True(t, fits(selection.Chosen.HostID), "%s has no room besides what is promised", selection.Chosen.HostName)
	if had && fits(kept.host) {
		require.Equal(t, kept.host, selection.Chosen.HostID, "the choice is kept while it fits")
	}
	m.promises[name] = promise{host: selection.Chosen.HostID, size: size, until: m.clock.now().Add(hold)}
}

func (m *ledgerModel) dryRun(t *rapid.T) {
	_, _ = m.lxd.SelectHost(t.Context(), provision.SelectRequest{
		Request: placement.Request{VM: m.name(t), Size: drawSize(t)}, DryRun: true,
	})
}

func (m *ledgerModel) compose(t *rapid.T) {
	m.settle()
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(m.promises)), func(name string) bool { return m.composed[name] })
	if len(names) == 0 {
		t.Skip("nothing was chosen")
	}
	name := rapid.SampledFrom(names).Draw(t, "name")
	p := m.promises[name]
	if b := open(m.inMAAS(), placement.Request{Pending: m.pending(name)}); b.breach(p.host, placement.Request{Size: p.size}) != "" {
		t.Skip("a VM whose outcome is not known counts twice there")
	}
	m.shelf.next = rapid.SampledFrom([]outcomeOfMake{makes, makes, refuses, makesAndBreaks, breaks}).Draw(t, "outcome")
	duration := rapid.SampledFrom([]time.Duration{time.Second, 2 * time.Minute}).Draw(t, "duration")
	m.shelf.lasts = func() { m.clock.advance(duration) }
	_, err := m.lxd.ComposeVM(t.Context(), provision.ComposeRequest{
		Attempt: provision.Attempt{Number: 1, Name: name, HostID: p.host, HostName: m.hostName(p.host)}, Size: p.size,
	})
	m.composed[name] = true
	switch m.shelf.next {
	case makes:
		require.NoError(t, err)
		delete(m.promises, name)
	case refuses:
		require.Equal(t, fault.Refused, fault.KindOf(err), "%v", err)
		delete(m.promises, name)
	case makesAndBreaks:
		require.NoError(t, err, "the VM is found")
		p.until = m.clock.now().Add(hold)
		m.promises[name] = p
	case breaks:
		require.Equal(t, fault.Busy, fault.KindOf(err), "%v", err)
		p.until = m.clock.now().Add(hold)
		m.promises[name] = p
	}
}

func (m *ledgerModel) remove(t *rapid.T) {
	name := m.name(t)
	_, err := m.lxd.DeleteVM(t.Context(), provision.DeleteRequest{Attempts: []provision.Attempt{{Number: 1, Name: name}}})
	require.NoError(t, err)
	delete(m.promises, name)
}

func (m *ledgerModel) wait(t *rapid.T) {
	m.clock.advance(rapid.SampledFrom([]time.Duration{time.Second, 6 * time.Second, time.Minute, hold}).Draw(t, "time"))
}

// settle drops what is over, and moves on where an end is too near to tell.
func (m *ledgerModel) settle() {
	for _, p := range m.promises {
		if left := p.until.Sub(m.clock.now()); left.Abs() < time.Second {
			m.clock.advance(2 * time.Second)
		}
	}
	now := m.clock.now()
	maps.DeleteFunc(m.promises, func(_ string, p promise) bool { return p.until.Before(now) })
}

// check holds what ListHosts tells of every host against MAAS less the promises.
func (m *ledgerModel) check(t *rapid.T) {
	m.settle()
	list, err := m.lxd.ListHosts(t.Context(), provision.HostFilter{})
	require.NoError(t, err)
	b := open(m.inMAAS(), placement.Request{Pending: m.pending("")})
	for _, h := range list.Hosts {
		require.Equal(t, h.Allowed().Cores-b.cores[h.ID], h.Available.Cores, "cores of %s with %v promised", h.Name, m.promises)
		require.Equal(t, h.Allowed().MemoryMiB-b.mem[h.ID], h.Available.MemoryMiB, "memory of %s with %v promised", h.Name, m.promises)
		for _, p := range h.StoragePools {
			require.Equal(t, p.TotalBytes-b.disk[h.ID][p.Name], h.PoolsAvailable[p.Name], "storage pool %s of %s", p.Name, h.Name)
		}
	}
}

func (m *ledgerModel) inMAAS() []inventory.Host {
	m.shelf.mu.Lock()
	defer m.shelf.mu.Unlock()
	return slices.Clone(m.shelf.hosts)
}

// pending gives the promises to all other VMs.
func (m *ledgerModel) pending(name string) []placement.Reservation {
	m.settle()
	var all []placement.Reservation
	for vm, p := range m.promises {
		if vm != name {
			all = append(all, placement.Reservation{VM: vm, Host: p.host, Size: p.size})
		}
	}
	return all
}

func (m *ledgerModel) hostName(id inventory.HostID) string {
	h, _ := inventory.Snapshot{Hosts: m.inMAAS()}.Host(id)
	return h.Name
}
