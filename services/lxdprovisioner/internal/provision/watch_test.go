package provision_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

// watch opens a stream and gives its events; stop ends it and waits for its end.
func (w *world) watch(vms ...provision.WatchedVM) (events chan provision.VMEvent, stop func()) {
	return w.watchWhile(w.ctx(), vms...)
}

func (w *world) watchWhile(ctx context.Context, vms ...provision.WatchedVM) (events chan provision.VMEvent, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	events = make(chan provision.VMEvent, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.lxd.WatchVMs(ctx, vms, func(e provision.VMEvent) error { events <- e; return nil })
	}()
	return events, func() { cancel(); <-done }
}

// untilSynced passes over the events of what a stream found when it was opened.
func untilSynced(events <-chan provision.VMEvent) {
	for e := range events {
		if !e.Synced.IsZero() {
			return
		}
	}
}

func watched(a provision.Attempt, known ...inventory.Status) provision.WatchedVM {
	return provision.WatchedVM{Attempt: a, Known: known}
}

func TestWatchVMs_tells_each_VM_then_synced_then_changes_then_gone(t *testing.T) {
	t.Parallel()
	w := start(t, 3, 0, func(c *maassim.Config) { c.Durations.Deploy = 50 * time.Millisecond })
	a, b := w.composed("cp-0", "lxd-1"), w.composed("cp-1", "lxd-2")
	absent := w.attempt("cp-9", "lxd-3")
	absent.SystemID = "abc123"
	events, stop := w.watch(watched(a.Attempt, inventory.StatusAllocated), watched(b.Attempt), watched(absent))
	defer stop()
	seen := map[string]bool{}
	for range 3 {
		e := <-events
		if e.VM != nil {
			seen[e.VM.Hostname] = true
		}
		if e.Gone != "" {
			seen[e.Gone] = true
		}
	}
	assert.Len(t, seen, 3)
	assert.False(t, (<-events).Synced.IsZero())

	_, err := w.lxd.DeployVM(w.ctx(), deployRequest(a))
	require.NoError(t, err)
	for e := range events {
		if e.VM != nil && e.VM.Hostname == a.Attempt.Name && e.VM.Status == inventory.StatusDeployed {
			break
		}
	}
	_, err = w.lxd.DeleteVM(w.ctx(), deleteRequest(b.Owner, b.Attempt))
	require.NoError(t, err)
	for e := range events {
		if e.Gone != "" {
			assert.Equal(t, b.Attempt.Name, e.Gone)
			break
		}
	}
}

func TestWatchVMs_does_not_believe_an_absence_without_the_host(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	a := w.attempt("cp-9", "lxd-1")
	a.SystemID, a.HostID = "abc123", "vmhost/99"
	events, stop := w.watch(watched(a))
	defer stop()
	e := <-events
	assert.Empty(t, e.Gone, "X4.5")
	assert.False(t, e.Synced.IsZero())
}

func TestWatchVMs_costs_the_same_for_one_and_for_many_that_do_not_move(t *testing.T) {
	t.Parallel()
	w := start(t, 3, 0)
	w.cfg.Timing.WatchFullRead = time.Hour
	counting := &countedMAAS{MAAS: w.cfg.MAAS}
	w.cfg.MAAS = counting
	w.restart()
	var vms []provision.WatchedVM
	for i := range 9 {
		req := w.composed(fmt.Sprintf("cp-%d", i), fmt.Sprintf("lxd-%d", i%3+1))
		vms = append(vms, watched(req.Attempt, inventory.StatusAllocated))
	}
	events, stop := w.watch(vms...)
	defer stop()
	for range len(vms) + 1 {
		<-events
	}
	counting.rounds.Store(0)
	counting.returned.Store(0)
	require.Eventually(t, func() bool { return counting.rounds.Load() >= 5 }, 10*time.Second, time.Millisecond)
	assert.Zero(t, counting.returned.Load(), "X7.1 only what moved is returned")
	assert.Equal(t, int64(9), counting.ids.Load(), "X7.1 one call asks for all of them")
}

func TestGetVM_of_a_watched_VM_asks_MAAS_nothing(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	w.cfg.Timing.WatchFullRead, w.cfg.Timing.IdleInterval, w.cfg.Timing.WatchInterval = time.Hour, time.Hour, time.Hour
	w.restart()
	req, _ := w.deployed("cp-0", "lxd-1")
	events, stop := w.watch(watched(req.Attempt))
	first := <-events
	require.NotNil(t, first.VM)
	<-events
	w.sim.ResetRequests()
	got, err := w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: req.Attempt, Owner: &req.Owner})
	require.NoError(t, err)
	assert.Equal(t, first.VM.Addresses, got.Addresses)
	assert.Equal(t, first.VM.ReadAt, got.ReadAt, "X7.3 with the age of what it says")
	assert.True(t, *got.Claimed)
	assert.Empty(t, w.sim.Requests(), "X7.3")

	w.clock.advance(3 * time.Hour)
	_, err = w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: req.Attempt})
	require.NoError(t, err)
	assert.NotEmpty(t, w.sim.Requests(), "what is too old is read again")
	stop()
}

func TestListVMs(t *testing.T) {
	t.Parallel()
	w := start(t, 3, 1)
	marked := w.composed("cp-0", "lxd-1")
	orphan := w.attempt("cp-1", "lxd-2")
	w.made(orphan)
	stranger := orphan
	stranger.Name = "builder"
	w.made(stranger)
	all, _, err := w.lxd.ListVMs(w.ctx(), provision.ListRequest{})
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{marked.Attempt.Name, orphan.Name}, hostnames(all), "X5.1 an orphan of a crash has no owner")
	ours, _, err := w.lxd.ListVMs(w.ctx(), provision.ListRequest{ClusterID: "c-1"})
	require.NoError(t, err)
	assert.Equal(t, []string{marked.Attempt.Name}, hostnames(ours))
	zone, _, err := w.lxd.ListVMs(w.ctx(), provision.ListRequest{Zone: "az2"})
	require.NoError(t, err)
	assert.Equal(t, []string{orphan.Name}, hostnames(zone))

	var paged []provision.VM
	token := ""
	for {
		page, next, err := w.lxd.ListVMs(w.ctx(), provision.ListRequest{PageSize: 1, PageToken: token})
		require.NoError(t, err)
		require.Len(t, page, 1)
		paged = append(paged, page...)
		if token = next; token == "" {
			break
		}
	}
	assert.Equal(t, hostnames(all), hostnames(paged))
}

// hostsAsked notes how many hosts were named in each list of our VMs.
type hostsAsked struct {
	provision.MAAS

	mu    sync.Mutex
	hosts []int
}

func (h *hostsAsked) Machines(ctx context.Context, f provision.MachineFilter) ([]inventory.Machine, error) {
	if len(f.Owners) > 0 {
		h.mu.Lock()
		h.hosts = append(h.hosts, len(f.VMHosts))
		h.mu.Unlock()
	}
	return h.MAAS.Machines(ctx, f)
}

func TestListVMs_X7_4_asks_for_a_bounded_number_of_hosts_at_a_time(t *testing.T) {
	t.Parallel()
	w := start(t, 45, 0)
	first, last := w.composed("cp-0", "lxd-1"), w.composed("cp-1", "lxd-45")
	asked := &hostsAsked{MAAS: w.cfg.MAAS}
	w.cfg.MAAS = asked
	w.restart()
	all, _, err := w.lxd.ListVMs(w.ctx(), provision.ListRequest{ClusterID: "c-1"})
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{first.Attempt.Name, last.Attempt.Name}, hostnames(all))
	assert.Equal(t, []int{20, 20, 5}, asked.hosts)
}

// notKnown notes which VMs a list of ours brought, and which it left out.
type notKnown struct {
	provision.MAAS

	mu             sync.Mutex
	brought, apart []string
}

func (n *notKnown) Machines(ctx context.Context, f provision.MachineFilter) ([]inventory.Machine, error) {
	found, err := n.MAAS.Machines(ctx, f)
	if len(f.VMHosts) > 0 {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.apart = append(n.apart, f.NotSystemIDs...)
		for _, m := range found {
			n.brought = append(n.brought, m.Hostname)
		}
	}
	return found, err
}

func TestListVMs_X7_2_reads_no_VM_again_that_is_watched(t *testing.T) {
	t.Parallel()
	w := start(t, 3, 0)
	asked := &notKnown{MAAS: w.cfg.MAAS}
	w.cfg.MAAS = asked
	w.cfg.Timing.WatchInterval, w.cfg.Timing.IdleInterval, w.cfg.Timing.WatchFullRead = time.Hour, time.Hour, time.Hour
	w.restart()
	seen, apart, alone := w.composed("cp-0", "lxd-1"), w.composed("cp-1", "lxd-2"), w.composed("cp-2", "lxd-1")
	events, stop := w.watch(watched(seen.Attempt), watched(apart.Attempt))
	untilSynced(events)
	all := []string{seen.Attempt.Name, apart.Attempt.Name, alone.Attempt.Name}
	list := func(req provision.ListRequest) []string {
		vms, _, err := w.lxd.ListVMs(w.ctx(), req)
		require.NoError(t, err)
		return hostnames(vms)
	}
	assert.ElementsMatch(t, all, list(provision.ListRequest{}))
	assert.Equal(t, []string{alone.Attempt.Name}, asked.brought, "what is watched is known")
	assert.ElementsMatch(t, []string{seen.Attempt.SystemID, apart.Attempt.SystemID, seen.Attempt.SystemID, apart.Attempt.SystemID}, asked.apart)
	assert.Equal(t, []string{apart.Attempt.Name}, list(provision.ListRequest{Zone: "az2"}))
	assert.Empty(t, list(provision.ListRequest{ClusterID: "another"}))

	stop()
	asked.brought = nil
	assert.ElementsMatch(t, all, list(provision.ListRequest{}))
	assert.ElementsMatch(t, all, asked.brought, "nobody watches any more")
}

func hostnames(vms []provision.VM) []string {
	var names []string
	for _, vm := range vms {
		names = append(names, vm.Hostname)
	}
	return names
}

// countedMAAS counts what the polling loop asks and gets.
type countedMAAS struct {
	provision.MAAS

	rounds, returned, ids atomic.Int64
}

func (c *countedMAAS) Machines(ctx context.Context, f provision.MachineFilter) ([]inventory.Machine, error) {
	found, err := c.MAAS.Machines(ctx, f)
	if len(f.NotStatuses) > 0 {
		c.rounds.Add(1)
		c.returned.Add(int64(len(found)))
		c.ids.Store(int64(len(f.SystemIDs)))
	}
	return found, err
}

// vanishing loses the record between its read and its write, as MAAS does with its last machine.
type vanishing struct{ provision.MAAS }

func (v *vanishing) ReplaceAddresses(ctx context.Context, id int, ttl *int, addresses []netip.Addr) (inventory.DNSRecord, error) {
	if err := v.DeleteRecord(ctx, id); err != nil && !fault.Is(err, fault.NotFound) {
		return inventory.DNSRecord{}, err
	}
	return v.MAAS.ReplaceAddresses(ctx, id, ttl, addresses)
}

func TestWatchVMs_X7_1_a_second_stream_takes_no_change_away_from_the_first(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	w.cfg.Timing.WatchInterval, w.cfg.Timing.WatchFullRead = time.Hour, time.Hour
	w.restart()
	req := w.composed("cp-0", "lxd-1")
	first, stopFirst := w.watch(watched(req.Attempt))
	defer stopFirst()
	untilSynced(first)
	w.brought(req.Attempt.Name, inventory.StatusBroken, false)
	w.clock.advance(time.Second)
	second, stopSecond := w.watch(watched(req.Attempt))
	defer stopSecond()
	untilSynced(second)
	select {
	case e := <-first:
		require.NotNil(t, e.VM)
		assert.Equal(t, inventory.StatusBroken, e.VM.Status)
	case <-time.After(10 * time.Second):
		assert.Fail(t, "the first stream hears nothing of it: rounds ask only for what differs from what the second has read")
	}
}

// slowMAAS takes a minute and a half for one question of the watch, and answers it or not.
type slowMAAS struct {
	provision.MAAS

	fails  bool
	slow   atomic.Bool
	rounds atomic.Int64
}

func (m *slowMAAS) Machines(ctx context.Context, f provision.MachineFilter) ([]inventory.Machine, error) {
	if len(f.NotStatuses) == 0 {
		return m.MAAS.Machines(ctx, f)
	}
	m.rounds.Add(1)
	if m.slow.CompareAndSwap(true, false) {
		<-time.After(90 * time.Second)
		if m.fails {
			return nil, fault.New(fault.Unavailable, fault.ReasonMAASUnavailable, "MAAS gave no answer")
		}
	}
	return m.MAAS.Machines(ctx, f)
}

func TestWatchVMs_X7_1_looks_again_after_a_question_that_took_long(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		fails  bool
		within time.Duration
		rounds int64
	}{
		"as_before_where_it_failed":      {true, time.Minute, 3},
		"in_two_minutes_where_it_worked": {false, 3 * time.Minute, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubbleWithMAAS(t, maassim.DefaultConfig(1, 3, 0), func(w *world) {
				maas := &slowMAAS{MAAS: w.cfg.MAAS, fails: row.fails}
				w.cfg.MAAS = maas
				w.restart()
				req := w.composed("cp-0", "lxd-1")
				events, stop := w.watchWhile(w.t.Context(), watched(req.Attempt, inventory.StatusAllocated))
				defer stop()
				untilSynced(events)
				maas.slow.Store(true)
				<-time.After(105 * time.Second) // the question is over, and the next is not due
				require.False(w.t, maas.slow.Load())
				before := maas.rounds.Load()
				<-time.After(row.within)
				assert.GreaterOrEqual(w.t, maas.rounds.Load()-before, row.rounds)
			})
		})
	}
}
