package provision_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

func TestClaim_lost_to_somebody_else(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composeRequest("cp-0", "lxd-1")
	id := w.made(req.Attempt)
	_, err := w.as(w.sim.UserAPIKey()).Claim(w.ctx(), id, "alice/build")
	require.NoError(t, err)
	req.Attempt = w.sent(req.Attempt)

	_, err = w.lxd.ComposeVM(w.ctx(), req)
	requireFault(t, err, fault.Conflict, fault.ReasonNameTaken)
	_, err = w.lxd.DeployVM(w.ctx(), deployRequest(req))
	requireFault(t, err, fault.Conflict, fault.ReasonNameTaken)
	assert.Zero(t, w.sim.Requests()["machines.deploy"], "X3.1 deploy would take the machine from alice")
	got, err := w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: req.Attempt, Owner: &req.Owner})
	require.NoError(t, err)
	assert.False(t, *got.Claimed)

	req.Attempt.Settled = true
	_, err = w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
	require.NoError(t, err)
	assert.True(t, w.inLXD(req.Attempt.Name), "X3.2 what is somebody else's is left alone")
	m, ok := w.sim.Machine(id)
	require.True(t, ok)
	assert.Equal(t, "alice", m.Owner)
	assert.Empty(t, m.Annotations)
}

func TestClaim_is_found_again_by_its_agent_name(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composeRequest("cp-0", "lxd-1")
	// The claim takes effect, its answer and the mark are lost.
	w.fault(maassim.Fault{Operation: "machines.allocate", Reset: true, After: true, Count: 1})
	_, err := w.lxd.ComposeVM(w.ctx(), req)
	requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)
	w.restart()
	req.Attempt = w.sent(req.Attempt)
	vm, err := w.lxd.ComposeVM(w.ctx(), req)
	require.NoError(t, err, "X3.1 a repeated allocate is a 409 that tells nothing; the agent name does")
	assert.True(t, *vm.Claimed)
	assert.Equal(t, req.Owner, *vm.Owner, "X3.3")
	assert.Len(t, w.sim.LXD(), 1)
}

func TestDeployVM_claims_first(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composeRequest("cp-0", "lxd-1")
	w.made(req.Attempt)
	req.Attempt = w.sent(req.Attempt)
	vm, err := w.lxd.DeployVM(w.ctx(), deployRequest(req))
	require.NoError(t, err)
	m, ok := w.sim.Machine(vm.SystemID)
	require.True(t, ok)
	assert.Equal(t, "capmaas/cp-0-a1b2c", m.AgentName, "X3.1")
	assert.Equal(t, "uid-cp-0", m.Annotations["capmaas.machine-uid"], "X3.3")
}

func TestDeployVM_leaves_the_VM_of_another_MaasMachine_alone(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]bool{"X3.2_right_after_its_claim": false, "X3.2_after_a_restart": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, 1, 0)
			req := w.composed("cp-0", "lxd-1")
			if again {
				w.restart()
			}
			stranger := deployRequest(req)
			stranger.Owner = owner("somebody")
			_, err := w.lxd.DeployVM(w.ctx(), stranger)
			requireFault(t, err, fault.Conflict, fault.ReasonNameTaken)
			assert.Zero(t, w.sim.Requests()["machines.deploy"])
			m, ok := w.sim.Machine(req.Attempt.SystemID)
			require.True(t, ok)
			assert.Equal(t, "uid-cp-0", m.Annotations["capmaas.machine-uid"], "the mark is not overwritten either")
		})
	}
}

func TestDeployVM_believes_the_present_owner_more_than_its_memory(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composed("cp-0", "lxd-1")
	// An operator releases the VM, which MAAS has never commissioned, makes it Ready, and alice takes it.
	w.post("machines/"+req.Attempt.SystemID+"/?op=release", url.Values{})
	w.post("machines/"+req.Attempt.SystemID+"/?op=commission", url.Values{})
	w.clock.advance(time.Minute)
	alice := w.as(w.sim.UserAPIKey())
	require.Eventually(t, func() bool {
		_, err := alice.Claim(w.ctx(), req.Attempt.SystemID, "alice/build")
		return err == nil
	}, 10*time.Second, 5*time.Millisecond)
	_, err := w.lxd.DeployVM(w.ctx(), deployRequest(req))
	requireFault(t, err, fault.Conflict, fault.ReasonNameTaken)
	assert.Zero(t, w.sim.Requests()["machines.deploy"], "X3.1 deploy would take the machine from alice")
	got, err := w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: req.Attempt, Owner: &req.Owner})
	require.NoError(t, err)
	assert.False(t, *got.Claimed, "X3.1 a remembered claim is not one that MAAS denies")
}

func TestDeployVM_refuses_bad_user_data(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := deployRequest(w.composeRequest("cp-0", "lxd-1"))
	req.UserData = nil
	_, err := w.lxd.DeployVM(w.ctx(), req)
	requireFault(t, err, fault.Invalid, fault.ReasonBadUserData)
	req.UserData = []byte(strings.Repeat("x", 2<<20+1))
	_, err = w.lxd.DeployVM(w.ctx(), req)
	requireFault(t, err, fault.Invalid, fault.ReasonBadUserData)
	assert.Contains(t, err.Error(), "2097152", "the refusal names the figure")
}

func TestDeployVM_reads_what_an_unclear_answer_left(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composeRequest("cp-0", "lxd-1")
	_, err := w.lxd.ComposeVM(w.ctx(), req)
	require.NoError(t, err)
	w.fault(maassim.Fault{Operation: "machines.deploy", Status: 500, Body: "power driver", After: true, Count: 1})
	vm, err := w.lxd.DeployVM(w.ctx(), deployRequest(req))
	require.NoError(t, err, "X3.6 a 500 may be done")
	assert.Contains(t, []inventory.Status{inventory.StatusDeploying, inventory.StatusDeployed}, vm.Status)
}

func TestDeployVM_refuses_an_image_that_MAAS_does_not_have(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composeRequest("cp-0", "lxd-1")
	_, err := w.lxd.ComposeVM(w.ctx(), req)
	require.NoError(t, err)
	deploy := deployRequest(req)
	deploy.Image.Series = "zesty"
	_, err = w.lxd.DeployVM(w.ctx(), deploy)
	requireFault(t, err, fault.Invalid, fault.ReasonImageNotFound)
	_, err = w.lxd.DeployVM(w.ctx(), deployRequest(req))
	require.NoError(t, err, "X9.2 nothing is terminal")
}

func TestDeployVM_of_a_VM_that_is_gone(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composed("cp-0", "lxd-1")
	require.NoError(t, w.as(w.sim.APIKey()).DeleteMachine(w.ctx(), "", req.Attempt.SystemID))
	_, err := w.lxd.DeployVM(w.ctx(), deployRequest(req))
	requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)
	_, err = w.lxd.DeployVM(w.ctx(), deployRequest(req))
	requireFault(t, err, fault.NotFound, fault.ReasonVMNotFound)
}

func TestDeployVM_deletes_a_VM_that_failed_before_it_was_deployed(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composeRequest("cp-0", "lxd-1")
	_, err := w.lxd.ComposeVM(w.ctx(), req)
	require.NoError(t, err)
	w.fault(maassim.Fault{Operation: "machines.deploy", Effect: maassim.EffectFail})
	_, err = w.lxd.DeployVM(w.ctx(), deployRequest(req))
	require.NoError(t, err)
	_, err = w.lxd.DeployVM(w.ctx(), deployRequest(req))
	requireFault(t, err, fault.Refused, fault.ReasonVMDeploymentFailed)
	assert.Empty(t, w.sim.LXD())
	assert.True(t, w.logged("Deleted VM", "reason=VM_DEPLOYMENT_FAILED"))
}

func TestClaim_rewrites_the_mark_after_a_move(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composeRequest("cp-0", "lxd-1")
	vm, err := w.lxd.ComposeVM(w.ctx(), req)
	require.NoError(t, err)
	req.Attempt = w.sent(req.Attempt)
	req.Owner.MachineUID = "uid-after-the-move"
	w.restart()
	moved, err := w.lxd.ComposeVM(w.ctx(), req)
	require.NoError(t, err)
	assert.Equal(t, vm.SystemID, moved.SystemID)
	assert.Equal(t, "uid-after-the-move", moved.Owner.MachineUID, "X5.1")
}

func TestDeleteVM_leaves_a_locked_VM_to_the_operator(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composeRequest("cp-0", "lxd-1")
	vm, err := w.lxd.ComposeVM(w.ctx(), req)
	require.NoError(t, err)
	_, err = w.lxd.DeployVM(w.ctx(), deployRequest(req))
	require.NoError(t, err)
	w.post("machines/"+vm.SystemID+"/?op=lock", url.Values{})
	req.Attempt = w.sent(req.Attempt)
	req.Attempt.Settled = true
	_, err = w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
	requireFault(t, err, fault.Busy, fault.ReasonMachineLocked)
	assert.True(t, w.inLXD(req.Attempt.Name), "X4.2")
	assert.Zero(t, w.sim.Requests()["vm-hosts.refresh"], "X4.4 nothing is verified before it is deleted")
}
