package provision_test

import (
	"context"
	"net/url"
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

// composed makes a VM and gives its request with the attempt as it is stored afterwards.
func (w *world) composed(machine, host string) provision.ComposeRequest {
	w.t.Helper()
	req := w.composeRequest(machine, host)
	vm, err := w.lxd.ComposeVM(w.ctx(), req)
	require.NoError(w.t, err)
	req.Attempt = w.sent(req.Attempt)
	req.Attempt.SystemID, req.Attempt.Settled = vm.SystemID, true
	return req
}

func TestDeleteVM_of_attempts_that_made_nothing(t *testing.T) {
	t.Parallel()
	t.Run("X1.5_one_that_was_never_sent_needs_no_proof", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		a := w.attempt("cp-0", "lxd-1")
		w.sim.ResetRequests()
		absences, err := w.lxd.DeleteVM(w.ctx(), provision.DeleteRequest{Attempts: []provision.Attempt{a}, Owner: owner("cp-0")})
		require.NoError(t, err)
		assert.Equal(t, []provision.Absence{{Name: a.Name, Proof: provision.NeverSent}}, absences)
		assert.Empty(t, w.sim.Requests())
	})
	t.Run("X1.5_one_that_never_showed_needs_two_refreshes_late_enough", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		a := w.sent(w.attempt("cp-0", "lxd-1"))
		req := deleteRequest(owner("cp-0"), a)
		_, err := w.lxd.DeleteVM(w.ctx(), req)
		requireFault(t, err, fault.Busy, fault.ReasonDeletionInProgress)
		assert.Zero(t, w.sim.Requests()["vm-hosts.refresh"], "X4.4 a refresh would import a VM in the making")
		w.clock.advance(time.Second)
		_, later := w.lxd.DeleteVM(w.ctx(), req)
		require.EqualError(t, later, err.Error(), "what is told does not change while nothing does: the caller keeps it in a condition")
		w.clock.advance(300 * time.Second)
		_, err = w.lxd.DeleteVM(w.ctx(), req)
		requireFault(t, err, fault.Busy, fault.ReasonDeletionInProgress)
		assert.Equal(t, 1, w.sim.Requests()["vm-hosts.refresh"])
		w.clock.advance(119 * time.Second)
		_, err = w.lxd.DeleteVM(w.ctx(), req)
		requireFault(t, err, fault.Busy, fault.ReasonDeletionInProgress)
		assert.Equal(t, 1, w.sim.Requests()["vm-hosts.refresh"])
		w.clock.advance(2 * time.Second)
		absences, err := w.lxd.DeleteVM(w.ctx(), req)
		require.NoError(t, err)
		assert.Equal(t, provision.Refreshed, absences[0].Proof)
		assert.Equal(t, 2, w.sim.Requests()["vm-hosts.refresh"])
	})
	t.Run("X1.5_a_VM_that_appears_late_is_deleted", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		w.fault(maassim.Fault{Operation: "vm-hosts.compose", Effect: maassim.EffectComposeLost})
		compose := w.composeRequest("cp-0", "lxd-1")
		_, err := w.lxd.ComposeVM(w.ctx(), compose)
		requireFault(t, err, fault.Busy, fault.ReasonCompositionInProgress)
		require.True(t, w.inLXD(compose.Attempt.Name))
		req := deleteRequest(compose.Owner, w.sent(compose.Attempt))
		for range 4 {
			w.clock.advance(301 * time.Second)
			if _, err = w.lxd.DeleteVM(w.ctx(), req); err == nil {
				break
			}
			requireFault(t, err, fault.Busy, fault.ReasonDeletionInProgress)
		}
		require.NoError(t, err)
		assert.Empty(t, w.sim.LXD())
		assert.Empty(t, w.vms())
	})
}

func TestDeleteVM_proves_what_it_did(t *testing.T) {
	t.Parallel()
	t.Run("X4.3_a_204_proves_nothing", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composed("cp-0", "lxd-1")
		w.fault(maassim.Fault{Operation: "machines.delete", Effect: maassim.EffectVMLeft, Count: 1})
		_, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
		requireFault(t, err, fault.Busy, fault.ReasonDeletionInProgress)
		assert.True(t, w.inLXD(req.Attempt.Name))
		assert.True(t, w.logged("Deleted VM is there again", "vm=cp-0-a1b2c"))
		w.clock.advance(61 * time.Second)
		absences, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
		require.NoError(t, err)
		assert.Equal(t, provision.Refreshed, absences[0].Proof)
		assert.Empty(t, w.sim.LXD())
	})
	t.Run("X4.2_nothing_is_deleted_while_the_host_does_not_answer", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composed("cp-0", "lxd-1")
		require.NoError(t, w.sim.SetHostOffline("lxd-1", true))
		_, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
		requireFault(t, err, fault.Unavailable, fault.ReasonHostUnreachable)
		assert.Zero(t, w.sim.Requests()["machines.delete"], "with the host off MAAS answers 204 and the VM lives on")
		row, _ := w.sim.Machine(req.Attempt.Name)
		since := row.Annotations["capmaas-delete"]
		assert.NotEmpty(t, since, "X4.6 the row says that it is to be deleted")
		w.clock.advance(time.Minute)
		_, err = w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
		requireFault(t, err, fault.Unavailable, fault.ReasonHostUnreachable)
		row, _ = w.sim.Machine(req.Attempt.Name)
		assert.Equal(t, since, row.Annotations["capmaas-delete"], "since the first try")
		require.NoError(t, w.sim.SetHostOffline("lxd-1", false))
		_, err = w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
		require.NoError(t, err)
		assert.Empty(t, w.sim.LXD())
	})
	t.Run("X4.5_absence_is_not_believed_when_the_host_is_gone_from_MAAS", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		a := w.sent(w.attempt("cp-0", "lxd-1"))
		a.HostID, a.Settled = "vmhost/99", true
		_, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(owner("cp-0"), a))
		requireFault(t, err, fault.Unavailable, fault.ReasonHostUnreachable)
	})
	t.Run("X4.3_deletions_of_one_host_share_a_refresh_and_X4.4_wait_a_minute_for_the_next", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		first, second := w.composed("cp-0", "lxd-1"), w.composed("cp-1", "lxd-1")
		_, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(first.Owner, first.Attempt))
		require.NoError(t, err)
		_, err = w.lxd.DeleteVM(w.ctx(), deleteRequest(second.Owner, second.Attempt))
		requireFault(t, err, fault.Busy, fault.ReasonDeletionInProgress)
		assert.False(t, w.inLXD(second.Attempt.Name), "the deletion itself does not wait")
		w.clock.advance(61 * time.Second)
		_, err = w.lxd.DeleteVM(w.ctx(), deleteRequest(second.Owner, second.Attempt))
		require.NoError(t, err)
		assert.Equal(t, 2, w.sim.Requests()["vm-hosts.refresh"])
	})
	t.Run("X4.4_a_host_that_must_not_be_refreshed_is_not", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composed("cp-0", "lxd-1")
		w.post("vm-hosts/1/?op=add_tag", url.Values{"tag": {provision.NoRefreshTag}})
		absences, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
		require.NoError(t, err)
		assert.Equal(t, provision.Unverified, absences[0].Proof)
		assert.Zero(t, w.sim.Requests()["vm-hosts.refresh"])
		assert.Empty(t, w.sim.LXD())
	})
}

// knowing is the deletion of a VM by who knows of another that is deployed on its host.
func knowing(req provision.ComposeRequest, deployed string) provision.DeleteRequest {
	del := deleteRequest(req.Owner, req.Attempt)
	del.Hosts[0].Deployed = []string{deployed}
	return del
}

func TestDeleteVM_holds_a_refresh_back(t *testing.T) {
	t.Parallel()
	t.Run("X4.4_when_a_deployed_VM_is_missing_in_MAAS", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composed("cp-0", "lxd-1")
		del := knowing(req, "cp-1-z9y8x")
		_, err := w.lxd.DeleteVM(w.ctx(), del)
		requireFault(t, err, fault.Busy, fault.ReasonDeletionInProgress)
		_, err = w.lxd.DeleteVM(w.ctx(), del)
		requireFault(t, err, fault.Busy, fault.ReasonMAASLostMachines)
		assert.Zero(t, w.sim.Requests()["vm-hosts.refresh"])
	})
	t.Run("X4.4_until_the_caller_knows_that_a_missing_VM_was_deleted", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composed("cp-0", "lxd-1")
		del := knowing(req, "cp-1-z9y8x")
		_, err := w.lxd.DeleteVM(w.ctx(), del)
		requireFault(t, err, fault.Busy, fault.ReasonDeletionInProgress)
		assert.Zero(t, w.sim.Requests()["vm-hosts.refresh"])
		_, err = w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
		require.NoError(t, err, "it was never lost")
	})
	t.Run("X4.4_by_what_the_last_caller_knows", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composed("cp-0", "lxd-1")
		del := knowing(req, "cp-1-z9y8x")
		w.fault(maassim.Fault{Operation: "machines.delete", Latency: 500 * time.Millisecond})
		short, cancel := context.WithTimeout(w.ctx(), 30*time.Millisecond)
		defer cancel()
		_, err := w.lxd.DeleteVM(short, del)
		requireFault(t, err, fault.Busy, fault.ReasonDeletionInProgress)
		absences, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
		require.NoError(t, err, "it joins the deletion of the first, who knew of a VM that is gone by now")
		assert.Equal(t, provision.Refreshed, absences[0].Proof)
		assert.Equal(t, 1, w.sim.Requests()["machines.delete"])
	})
	t.Run("X4.4_when_a_deployed_VM_has_no_address", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req, other := w.composed("cp-0", "lxd-1"), w.composed("cp-1", "lxd-1")
		del := knowing(req, other.Attempt.Name)
		_, err := w.lxd.DeleteVM(w.ctx(), del)
		requireFault(t, err, fault.Busy, fault.ReasonMAASLostMachines)
		_, err = w.lxd.DeployVM(w.ctx(), deployRequest(other))
		require.NoError(t, err)
		_, err = w.lxd.DeleteVM(w.ctx(), del)
		require.NoError(t, err)
	})
	t.Run("X4.4_while_another_attempt_there_is_young", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composed("cp-0", "lxd-1")
		del := deleteRequest(req.Owner, req.Attempt)
		young := w.sent(w.attempt("cp-7", "lxd-1"))
		del.Hosts[0].Unsettled = []provision.Attempt{young}
		_, err := w.lxd.DeleteVM(w.ctx(), del)
		requireFault(t, err, fault.Busy, fault.ReasonDeletionInProgress)
		w.clock.advance(301 * time.Second)
		_, err = w.lxd.DeleteVM(w.ctx(), del)
		require.NoError(t, err)
	})
	t.Run("X4.4_while_a_VM_is_being_composed_there", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composed("cp-0", "lxd-1")
		other := w.composeRequest("cp-1", "lxd-1")
		w.fault(maassim.Fault{Operation: "vm-hosts.compose", Latency: 500 * time.Millisecond})
		short, cancel := context.WithTimeout(w.ctx(), 50*time.Millisecond)
		defer cancel()
		_, err := w.lxd.ComposeVM(short, other)
		requireFault(t, err, fault.Busy, fault.ReasonCompositionInProgress)
		_, err = w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
		requireFault(t, err, fault.Busy, fault.ReasonDeletionInProgress)
		assert.Zero(t, w.sim.Requests()["vm-hosts.refresh"])
		require.NoError(t, w.lxd.Drain(w.ctx()))
		_, err = w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
		require.NoError(t, err)
	})
	t.Run("X4.4_when_the_request_does_not_say_what_is_deployed_there", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composed("cp-0", "lxd-1")
		del := deleteRequest(req.Owner, req.Attempt)
		del.Hosts = nil
		_, err := w.lxd.DeleteVM(w.ctx(), del)
		requireFault(t, err, fault.Invalid, fault.ReasonBadRequest)
		assert.True(t, w.inLXD(req.Attempt.Name), "what can't be proved is not begun")
	})
}

func TestDeleteVM_leaves_the_VM_of_another_MaasMachine_alone(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composed("cp-0", "lxd-1")
	_, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(owner("somebody"), req.Attempt))
	require.NoError(t, err)
	assert.True(t, w.inLXD(req.Attempt.Name), "X4.1 ours by name, host and mark")
	assert.True(t, w.logged("Leaving machine alone", "vm=cp-0-a1b2c"))
}

func TestDeleteVM_runs_on_when_its_caller_is_gone(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composed("cp-0", "lxd-1")
	w.fault(maassim.Fault{Operation: "machines.delete", Latency: 150 * time.Millisecond})
	short, cancel := context.WithTimeout(w.ctx(), 30*time.Millisecond)
	defer cancel()
	_, err := w.lxd.DeleteVM(short, deleteRequest(req.Owner, req.Attempt))
	requireFault(t, err, fault.Busy, fault.ReasonDeletionInProgress)
	require.NoError(t, w.lxd.Drain(w.ctx()))
	assert.Empty(t, w.sim.LXD(), "X2.5")

	before := w.sim.Requests()
	absences, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
	require.NoError(t, err)
	assert.Equal(t, []provision.Absence{{Name: req.Attempt.Name, Proof: provision.Refreshed}}, absences)
	after := w.sim.Requests()
	assert.Equal(t, before["machines.list"]+1, after["machines.list"], "X4.3 what is proved is looked at once")
	assert.Equal(t, before["vm-hosts.read"], after["vm-hosts.read"], "and not proved again, which may take longer than the next caller waits")
}

func TestDeleteVM_does_not_take_the_answer_of_a_call_that_names_fewer_attempts(t *testing.T) {
	t.Parallel()
	w := start(t, 2, 0)
	first := w.composed("cp-0", "lxd-1")
	second := w.composeRequest("cp-0", "lxd-2")
	second.Attempt.Number, second.Attempt.Name = 2, "cp-0-d3e4f"
	_, err := w.lxd.ComposeVM(w.ctx(), second)
	require.NoError(t, err)
	second.Attempt = w.sent(second.Attempt)
	second.Attempt.Settled = true
	removing := &heldRemoval{Backend: w.cfg.Backend, vm: first.Attempt.Name, entered: make(chan struct{}), leave: make(chan struct{})}
	w.cfg.Backend = removing
	w.restart()
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(first.Owner, first.Attempt))
		assert.NoError(t, err)
	})
	<-removing.entered
	wg.Go(func() {
		// The two calls may meet at the host of the first attempt, whose refreshes have a distance.
		absences, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(first.Owner, first.Attempt, second.Attempt))
		if err == nil {
			assert.Len(t, absences, 2, "X1.5 every attempt is answered for")
		}
		assert.False(t, w.inLXD(second.Attempt.Name), "X1.5 a deletion ends with all its attempts cleaned")
	})
	require.Eventually(t, func() bool { return removing.removals.Load() > 1 }, 10*time.Second, time.Millisecond)
	close(removing.leave)
	wg.Wait()
}

// heldRemoval holds the removals of one VM until they may leave.
type heldRemoval struct {
	provision.Backend

	vm       string
	once     sync.Once
	removals atomic.Int64
	entered  chan struct{}
	leave    chan struct{}
}

func (b *heldRemoval) Remove(ctx context.Context, vm inventory.Machine) error {
	b.removals.Add(1)
	if vm.Hostname == b.vm {
		b.once.Do(func() { close(b.entered) })
		<-b.leave
	}
	return b.Backend.Remove(ctx, vm)
}
