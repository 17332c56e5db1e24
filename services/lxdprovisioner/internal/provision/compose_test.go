package provision_test

import (
	"context"
	"net/http"
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

// lost asks for a VM that LXD makes and MAAS has no row of, as after a time-out of its driver, and gives the
// request as it is stored then.
func (w *world) lost(machine, host string) provision.ComposeRequest {
	w.t.Helper()
	w.fault(maassim.Fault{Operation: "vm-hosts.compose", Effect: maassim.EffectComposeLost})
	return w.unanswered(w.ctx(), w.composeRequest(machine, host))
}

// outlived asks for a VM with less patience than MAAS, which is slow, takes; it gives the request as it is
// stored then, once the composition has ended without its caller.
func (w *world) outlived(machine, host string, slow maassim.Fault) provision.ComposeRequest {
	w.t.Helper()
	req := w.composeRequest(machine, host)
	slow.Operation = "vm-hosts.compose"
	w.fault(slow)
	short, cancel := context.WithTimeout(w.ctx(), 20*time.Millisecond)
	defer cancel()
	req = w.unanswered(short, req)
	require.NoError(w.t, w.lxd.Drain(w.ctx()))
	return req
}

// unanswered sends a composition whose outcome its caller does not get.
func (w *world) unanswered(ctx context.Context, req provision.ComposeRequest) provision.ComposeRequest {
	w.t.Helper()
	_, err := w.lxd.ComposeVM(ctx, req)
	requireFault(w.t, err, fault.Busy, fault.ReasonCompositionInProgress)
	req.Attempt = w.sent(req.Attempt)
	return req
}

func TestComposeVM_refused_by_its_host(t *testing.T) {
	t.Parallel()
	t.Run("R4.4_a_host_that_MAAS_cannot_reach_is_a_refusal_and_leaves_nothing", func(t *testing.T) {
		t.Parallel()
		w := start(t, 3, 0)
		req := w.composeRequest("cp-0", "lxd-1")
		require.NoError(t, w.sim.SetHostOffline("lxd-1", true))
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Refused, fault.ReasonLXDHostUnavailable)
		assert.Empty(t, w.sim.LXD())
		assert.Empty(t, w.vms())
		assert.True(t, w.logged("Composing VM refused", "host=lxd-1"), "R7.1")

		other := w.composeRequest("cp-0", "lxd-2")
		other.Attempt.Number, other.Attempt.Name = 2, "cp-0-d3e4f"
		_, err = w.lxd.ComposeVM(w.ctx(), other)
		require.NoError(t, err)
	})
	t.Run("R4.4_a_host_without_room_is_a_refusal_and_leaves_nothing", func(t *testing.T) {
		t.Parallel()
		w := start(t, 3, 0)
		first := w.composeRequest("big", "lxd-1")
		first.Size.Cores = 30
		_, err := w.lxd.ComposeVM(w.ctx(), first)
		require.NoError(t, err)
		_, err = w.lxd.ComposeVM(w.ctx(), w.composeRequest("cp-0", "lxd-1"))
		requireFault(t, err, fault.Refused, fault.ReasonHostOvercommitted)
		assert.Len(t, w.sim.LXD(), 1)
	})
	t.Run("X4.5_a_host_of_another_name_is_another_host", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composeRequest("cp-0", "lxd-1")
		req.Attempt.HostName = "lxd-old"
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Refused, fault.ReasonLXDHostUnavailable)
		req.Attempt.HostID, req.Attempt.HostName = "vmhost/99", "lxd-99"
		_, err = w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Refused, fault.ReasonLXDHostUnavailable)
		assert.Empty(t, w.sim.LXD())
	})
	t.Run("X2.2_an_unknown_storage_pool_does_not_fall_to_another", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composeRequest("cp-0", "lxd-1")
		req.Size.Disks[0].StoragePool = "fast"
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Refused, fault.ReasonStorageExhausted)
		assert.Empty(t, w.sim.LXD())
	})
	t.Run("X2.2_a_storage_pool_without_room_is_a_refusal_although_MAAS_would_not_look", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composeRequest("cp-0", "lxd-1")
		req.Size.Disks = []inventory.Disk{{SizeGB: 1200}, {SizeGB: 1200}}
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Refused, fault.ReasonStorageExhausted)
		assert.Empty(t, w.sim.LXD())
	})
	t.Run("an_architecture_that_the_host_lacks", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composeRequest("cp-0", "lxd-1")
		req.Architecture = "arm64"
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Refused, fault.ReasonVMCompositionFailed)
	})
}

func TestComposeVM_runs_on_when_its_caller_is_gone(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0, func(c *maassim.Config) { c.Durations.Compose = 300 * time.Millisecond })
	w.cfg.Timing.ReplyMargin = 10 * time.Second
	w.restart()
	req := w.composeRequest("cp-0", "lxd-1")
	short, cancel := context.WithTimeout(w.ctx(), 10*time.Second+30*time.Millisecond)
	defer cancel()
	_, err := w.lxd.ComposeVM(short, req)
	requireFault(t, err, fault.Busy, fault.ReasonCompositionInProgress)
	require.NoError(t, short.Err(), "X2.5 the answer comes before the deadline, so that the caller gets it")

	req.Attempt = w.sent(req.Attempt)
	vm, err := w.lxd.ComposeVM(w.ctx(), req)
	require.NoError(t, err, "X2.5 a repeat joins what runs")
	assert.True(t, *vm.Claimed)
	assert.Equal(t, 1, w.sim.Requests()["vm-hosts.compose"])
	assert.Len(t, w.sim.LXD(), 1)
}

func TestComposeVM_tells_a_refusal_to_the_call_that_comes_back_for_it(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.outlived("cp-0", "lxd-1", maassim.Fault{
		Latency: 200 * time.Millisecond, Status: 503, Body: "Unable to compose machine because: Pod 1: Failed to connect to the LXD REST API: refused",
	})
	_, err := w.lxd.ComposeVM(w.ctx(), req)
	requireFault(t, err, fault.Refused, fault.ReasonLXDHostUnavailable)
}

func TestComposeVM_after_an_unknown_outcome(t *testing.T) {
	t.Parallel()
	t.Run("X2.4_finds_what_was_made_although_the_connection_broke", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		w.fault(maassim.Fault{Operation: "vm-hosts.compose", Reset: true, After: true})
		vm, err := w.lxd.ComposeVM(w.ctx(), w.composeRequest("cp-0", "lxd-1"))
		require.NoError(t, err)
		assert.True(t, *vm.Claimed)
		assert.Len(t, w.sim.LXD(), 1)
	})
	t.Run("X2.4_is_busy_while_the_VM_may_still_appear_and_never_sends_again", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.lost("cp-0", "lxd-1")
		w.restart()
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Busy, fault.ReasonCompositionInProgress)
		w.clock.advance(151 * time.Second)
		_, err = w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.NotFound, fault.ReasonVMNotFound)
		assert.Equal(t, 1, w.sim.Requests()["vm-hosts.compose"])
		assert.Zero(t, w.sim.Requests()["vm-hosts.refresh"], "X2.5 a compose never refreshes")
	})
	t.Run("X2.4_what_MAAS_was_too_busy_to_take_may_be_sent_again_at_once", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		w.cfg.Backend = &busyBackend{Backend: w.cfg.Backend}
		w.restart()
		req := w.composeRequest("cp-0", "lxd-1")
		sent := req
		sent.Attempt = w.sent(req.Attempt)
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Busy, fault.ReasonTooManyInFlight)
		_, err = w.lxd.ComposeVM(w.ctx(), sent)
		requireFault(t, err, fault.NotFound, fault.ReasonVMNotFound)
		_, err = w.lxd.ComposeVM(w.ctx(), req)
		require.NoError(t, err)
	})
	t.Run("X2.4_what_was_not_sent_for_want_of_the_host_may_be_sent_at_once", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composeRequest("cp-0", "lxd-1")
		sent := req
		sent.Attempt = w.sent(req.Attempt)
		w.restart()
		w.fault(maassim.Fault{Operation: "vm-hosts.list", Status: http.StatusBadGateway})
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		require.Equal(t, fault.Unavailable, fault.KindOf(err), "%v", err)
		w.sim.ClearFaults()
		_, err = w.lxd.ComposeVM(w.ctx(), sent)
		requireFault(t, err, fault.NotFound, fault.ReasonVMNotFound)
		assert.Zero(t, w.sim.Requests()["vm-hosts.compose"])
	})
	t.Run("X2.5_what_another_replica_has_sent_since_may_still_appear", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		w.cfg.Backend = &busyBackend{Backend: w.cfg.Backend}
		w.restart()
		req := w.composeRequest("cp-0", "lxd-1")
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Busy, fault.ReasonTooManyInFlight)
		w.clock.advance(time.Second)
		req.Attempt = w.sent(req.Attempt)
		_, err = w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Busy, fault.ReasonCompositionInProgress)
		w.clock.advance(w.cfg.Timing.DetachedLimit / 2)
		_, later := w.lxd.ComposeVM(w.ctx(), req)
		require.EqualError(t, later, err.Error(), "what is told does not change while nothing does: the caller keeps it in a condition")
	})
	t.Run("X4.5_absence_is_not_believed_when_the_host_is_gone", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composeRequest("cp-0", "lxd-1")
		req.Attempt.SentAt = w.clock.now().Add(-time.Hour)
		req.Attempt.HostID = "vmhost/99"
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Unavailable, fault.ReasonHostUnreachable)
		_, err = w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: req.Attempt})
		requireFault(t, err, fault.Unavailable, fault.ReasonHostUnreachable)
	})
	t.Run("X2.1_a_sent_attempt_is_looked_for_by_any_replica", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composeRequest("cp-0", "lxd-1")
		w.made(req.Attempt)
		w.restart()
		req.Attempt = w.sent(req.Attempt)
		vm, err := w.lxd.ComposeVM(w.ctx(), req)
		require.NoError(t, err)
		assert.True(t, *vm.Claimed)
		assert.Equal(t, 1, w.sim.Requests()["vm-hosts.compose"])
	})
	t.Run("X2.7_an_imported_VM_is_deleted_and_never_adopted", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0, func(c *maassim.Config) { c.Durations.Commission = time.Hour })
		req := w.lost("cp-0", "lxd-1")
		_, err := w.cfg.Backend.Verify(w.ctx(), req.Attempt.HostID)
		require.NoError(t, err)
		require.Contains(t, w.vms(), req.Attempt.Name)
		_, err = w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Refused, fault.ReasonVMCompositionFailed)
		assert.Empty(t, w.sim.LXD())
	})
	t.Run("X2.7_a_VM_in_another_zone_than_its_host_is_deleted_and_never_adopted", func(t *testing.T) {
		t.Parallel()
		w := start(t, 3, 0)
		req := w.composeRequest("cp-0", "lxd-1")
		elsewhere := w.hostOf(req.Attempt)
		elsewhere.Zone = w.host("lxd-2").Zone
		_, err := w.cfg.Backend.Make(w.ctx(), provision.VMSpec{
			Name: req.Attempt.Name, Host: elsewhere, Size: small(), Architecture: "amd64/generic", SkipCommissioning: true,
		})
		require.NoError(t, err)
		w.clock.advance(6 * time.Second)
		require.Equal(t, int64(4), w.host("lxd-1").Used.Cores)
		req.Attempt = w.sent(req.Attempt)
		_, err = w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Refused, fault.ReasonVMCompositionFailed)
		assert.Empty(t, w.sim.LXD())
		assert.Zero(t, w.host("lxd-1").Used.Cores, "a write to the host drops what was read of it")
	})
	t.Run("X2.7_a_name_that_is_on_another_host_is_never_adopted", func(t *testing.T) {
		t.Parallel()
		w := start(t, 3, 0)
		req := w.composeRequest("cp-0", "lxd-1")
		w.made(w.attempt("cp-0", "lxd-2"))
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Conflict, fault.ReasonNameTaken)
		req.Attempt = w.sent(req.Attempt)
		_, err = w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: req.Attempt})
		requireFault(t, err, fault.Conflict, fault.ReasonNameTaken)
		req.Attempt.Settled = true
		_, err = w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
		require.NoError(t, err)
		assert.Len(t, w.sim.LXD(), 1, "X4.1")
	})
	t.Run("X2.1_names_that_are_looked_for_together_share_one_list_call", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		w.cfg.Timing.LookupWindow = 100 * time.Millisecond
		w.restart()
		reqs := []provision.ComposeRequest{w.composeRequest("cp-0", "lxd-1"), w.composeRequest("cp-1", "lxd-1"), w.composeRequest("cp-2", "lxd-1")}
		w.sim.ResetRequests()
		var wg sync.WaitGroup
		for _, r := range reqs {
			wg.Go(func() {
				_, err := w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: r.Attempt})
				assert.True(t, fault.Is(err, fault.NotFound), "%v", err)
			})
		}
		wg.Wait()
		assert.Equal(t, 1, w.sim.Requests()["machines.list"], "%v", w.sim.Requests())
	})
}

func TestHostRead_begins_after_it_was_asked_for(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	slow := &slowBackend{Backend: w.cfg.Backend, entered: make(chan struct{}, 2), leave: make(chan struct{})}
	w.cfg.Backend = slow
	w.restart()
	a, b := w.attempt("cp-0", "lxd-1"), w.attempt("cp-1", "lxd-1")
	var wg sync.WaitGroup
	get := func(a provision.Attempt) {
		wg.Go(func() {
			_, err := w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: a})
			assert.Equal(t, fault.ReasonVMNotFound, fault.ReasonOf(err))
		})
	}
	get(a)
	<-slow.entered
	looks := slow.looks.Load()
	get(b)
	require.Eventually(t, func() bool { return slow.looks.Load() > looks }, 10*time.Second, time.Millisecond)
	close(slow.leave)
	wg.Wait()
	assert.Len(t, slow.entered, 1, "X2.6 X4.5 what began before proves nothing")
}

// slowBackend holds the reads of a host until they may leave.
type slowBackend struct {
	provision.Backend

	looks   atomic.Int64
	entered chan struct{}
	leave   chan struct{}
}

func (b *slowBackend) Find(ctx context.Context, names []string) ([]inventory.Machine, error) {
	defer b.looks.Add(1)
	return b.Backend.Find(ctx, names)
}

func (b *slowBackend) Host(ctx context.Context, id inventory.HostID) (inventory.Host, error) {
	b.entered <- struct{}{}
	<-b.leave
	return b.Backend.Host(ctx, id)
}

// busyBackend is full for the first composition.
type busyBackend struct {
	provision.Backend

	once sync.Once
}

func (b *busyBackend) Make(ctx context.Context, spec provision.VMSpec) (id string, err error) {
	b.once.Do(func() { err = fault.New(fault.Busy, fault.ReasonTooManyInFlight, "compose was not sent") })
	if err != nil {
		return "", err
	}
	return b.Backend.Make(ctx, spec)
}

func TestComposeVM_checks_its_host_before_the_claim(t *testing.T) {
	t.Parallel()
	// Both compositions pass MAAS's check while neither has a VM yet.
	w := start(t, 1, 0, func(c *maassim.Config) {
		c.Durations.Compose = 100 * time.Millisecond
		c.Hosts[0].Cores = 6
	})
	names := []string{"cp-0", "cp-1", "cp-2"}
	errs := make([]error, len(names))
	reqs := make([]provision.ComposeRequest, len(names))
	for i, name := range names {
		reqs[i] = w.composeRequest(name, "lxd-1")
	}
	var wg sync.WaitGroup
	for i := range names {
		wg.Go(func() { _, errs[i] = w.lxd.ComposeVM(w.ctx(), reqs[i]) })
	}
	wg.Wait()
	claimed := 0
	for _, err := range errs {
		if err == nil {
			claimed++
			continue
		}
		requireFault(t, err, fault.Refused, fault.ReasonHostOvercommitted)
	}
	assert.Equal(t, 1, claimed, "X2.6 the VMs that are too many yield, the first one stays")
	assert.Len(t, w.sim.LXD(), 1)
	assert.False(t, w.host("lxd-1").OverLimit())
}

// fleeting loses each VM as soon as it is made.
type fleeting struct {
	provision.Backend

	remove func(systemID string) error
}

func (b *fleeting) Make(ctx context.Context, spec provision.VMSpec) (string, error) {
	id, err := b.Backend.Make(ctx, spec)
	if err == nil {
		err = b.remove(id)
	}
	return id, err
}

func TestComposeVM_X4_5_of_a_VM_that_somebody_deletes_before_its_claim(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composeRequest("cp-0", "lxd-1")
	operator := w.as(w.sim.APIKey())
	w.cfg.Backend = &fleeting{Backend: w.cfg.Backend, remove: func(id string) error { return operator.DeleteMachine(w.ctx(), "", id) }}
	w.restart()
	_, err := w.lxd.ComposeVM(w.ctx(), req)
	requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)
	req.Attempt = w.sent(req.Attempt)
	w.clock.advance(151 * time.Second)
	_, err = w.lxd.ComposeVM(w.ctx(), req)
	requireFault(t, err, fault.NotFound, fault.ReasonVMNotFound)
}
