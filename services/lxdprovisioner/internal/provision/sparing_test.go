package provision_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

func TestComposeVM_gives_the_call_that_comes_back_the_answer_that_its_caller_missed_once(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.outlived("cp-0", "lxd-1", maassim.Fault{Latency: 200 * time.Millisecond})
	require.NoError(t, w.lxd.Drain(w.ctx()))
	w.sim.ResetRequests()
	vm, err := w.lxd.ComposeVM(w.ctx(), req)
	require.NoError(t, err)
	assert.Equal(t, inventory.StatusAllocated, vm.Status)
	assert.Empty(t, w.sim.Requests(), "X2.5 what the detached call was told is seconds old")
	_, err = w.lxd.ComposeVM(w.ctx(), req)
	require.NoError(t, err)
	assert.Equal(t, 1, w.sim.Requests()["machines.list"], "who has had the answer is told of today")
}

func TestDeployVM_gives_the_call_that_comes_back_the_answer_that_its_caller_missed(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	w.cfg.Timing.ReplyMargin = 10 * time.Second
	w.restart()
	req := w.composeRequest("cp-0", "lxd-1")
	_, err := w.lxd.ComposeVM(w.ctx(), req)
	require.NoError(t, err)
	w.fault(maassim.Fault{Operation: "machines.deploy", Latency: 200 * time.Millisecond})
	short, cancel := context.WithTimeout(w.ctx(), 10*time.Second+30*time.Millisecond)
	defer cancel()
	_, err = w.lxd.DeployVM(short, deployRequest(req))
	requireFault(t, err, fault.Busy, fault.ReasonNotReady)
	require.NoError(t, w.lxd.Drain(w.ctx()))
	w.sim.ResetRequests()
	vm, err := w.lxd.DeployVM(w.ctx(), deployRequest(req))
	require.NoError(t, err)
	assert.Contains(t, []inventory.Status{inventory.StatusDeploying, inventory.StatusDeployed}, vm.Status)
	assert.Empty(t, w.sim.Requests(), "X2.5")
}

func TestDeleteVM_X4_4_asks_nothing_before_the_refresh_that_it_waits_for(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	first, second := w.composed("cp-0", "lxd-1"), w.composed("cp-1", "lxd-1")
	_, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(first.Owner, first.Attempt))
	require.NoError(t, err)
	_, err = w.lxd.DeleteVM(w.ctx(), deleteRequest(second.Owner, second.Attempt))
	requireFault(t, err, fault.Busy, fault.ReasonDeletionInProgress)
	w.sim.ResetRequests()
	_, err = w.lxd.DeleteVM(w.ctx(), deleteRequest(second.Owner, second.Attempt))
	requireFault(t, err, fault.Busy, fault.ReasonDeletionInProgress)
	assert.Empty(t, w.sim.Requests(), "nothing that MAAS could say would change the answer")
	w.clock.advance(61 * time.Second)
	absences, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(second.Owner, second.Attempt))
	require.NoError(t, err)
	assert.Equal(t, provision.Refreshed, absences[0].Proof)
}

func TestDeleteVM_X4_2_believes_for_seconds_that_a_host_answers(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	for i, name := range []string{"cp-0", "cp-1", "cp-2"} {
		req := w.composed(name, "lxd-1")
		if i == 2 {
			w.clock.advance(provision.DefaultTiming().InventoryMaxAge)
		}
		_, _ = w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
		assert.False(t, w.inLXD(req.Attempt.Name), name)
		assert.Equal(t, []int{1, 1, 2}[i], w.sim.Requests()["machines.query_power_state"], name)
	}
}

func TestDeleteVM_X4_3_deletions_of_one_host_wait_for_each_other_and_share_the_proof(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	var reqs []provision.ComposeRequest
	for _, name := range []string{"cp-0", "cp-1", "cp-2", "cp-3"} {
		reqs = append(reqs, w.composed(name, "lxd-1"))
	}
	w.sim.ResetRequests()
	w.fault(maassim.Fault{Operation: "machines.delete", Latency: 50 * time.Millisecond})
	each(len(reqs), func(i int) {
		_, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(reqs[i].Owner, reqs[i].Attempt))
		assert.NoError(t, err, "nobody has to wait for another refresh")
	})
	assert.Equal(t, 1, w.sim.Requests()["vm-hosts.refresh"])
	assert.LessOrEqual(t, w.sim.Requests()["vm-hosts.read"], 2)
}
