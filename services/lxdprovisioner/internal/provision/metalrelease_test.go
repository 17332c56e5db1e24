package provision_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

// deployedMetal allocates and deploys a machine and gives the request that releases it.
func (w *world) deployedMetal() provision.ReleaseRequest {
	w.t.Helper()
	m, err := w.metal.AllocateMachine(w.ctx(), allocateRequest())
	require.NoError(w.t, err)
	ref := provision.MachineRef{AgentName: worker.AgentName, SystemID: m.SystemID}
	_, err = w.metal.DeployMachine(w.ctx(), provision.DeployMachineRequest{
		Machine: ref, Owner: owner("worker-0"), Image: provision.Image{OS: "ubuntu", Series: "jammy"}, UserData: []byte(userData),
	})
	require.NoError(w.t, err)
	return provision.ReleaseRequest{Machine: ref, Owner: owner("worker-0")}
}

func TestReleaseMachine_whose_power_driver_does_not_answer(t *testing.T) {
	t.Parallel()
	w := start(t, 0, 1)
	release := w.deployedMetal()
	w.fault(maassim.Fault{Operation: "machines.release", Effect: maassim.EffectPostCommit, Count: 2})
	require.Error(t, w.metal.ReleaseMachine(w.ctx(), release))
	m, ok := w.sim.Machine(release.Machine.SystemID)
	require.True(t, ok)
	require.Equal(t, "deployed", m.Status, "MAAS puts the state back")
	require.Empty(t, m.AgentName, "and keeps the agent name from nobody")
	w.restart()
	require.Error(t, w.metal.ReleaseMachine(w.ctx(), release), "X3.9 a machine that MAAS still holds is not given back")
	require.Eventually(t, func() bool { return w.metal.ReleaseMachine(w.ctx(), release) == nil }, 10*time.Second, time.Millisecond)
	m, ok = w.sim.Machine(release.Machine.SystemID)
	require.True(t, ok)
	assert.Empty(t, m.Owner)
	assert.Equal(t, "ready", m.Status)
}

func TestReleaseMachine_reads_a_machine_once_in_each_look_while_MAAS_releases_it(t *testing.T) {
	t.Parallel()
	w := start(t, 0, 1)
	release := w.deployedMetal()
	w.fault(maassim.Fault{Operation: "machines.release", Effect: maassim.EffectSlow, Latency: time.Hour})
	requireFault(t, w.metal.ReleaseMachine(w.ctx(), release), fault.Busy, fault.ReasonDeletionInProgress)
	w.sim.ResetRequests()
	requireFault(t, w.metal.ReleaseMachine(w.ctx(), release), fault.Busy, fault.ReasonDeletionInProgress)
	assert.Equal(t, map[string]int{"machines.list": 1, "machines.read": 1}, w.sim.Requests())
}

func TestReleaseMachine_looks_once_a_minute_while_MAAS_erases_disks(t *testing.T) {
	t.Parallel()
	w := start(t, 0, 1)
	release := w.deployedMetal()
	w.brought(release.Machine.SystemID, inventory.StatusDiskErasing, false)
	err := w.metal.ReleaseMachine(w.ctx(), release)
	requireFault(t, err, fault.Busy, fault.ReasonDeletionInProgress)
	var erasing *fault.Error
	require.ErrorAs(t, err, &erasing)
	assert.Equal(t, time.Minute, erasing.RetryAfter(), "it takes up to hours")
}

func TestReleaseMachine_X3_9_finds_what_it_let_go_of_without_a_system_id(t *testing.T) {
	t.Parallel()
	w := start(t, 0, 1)
	m, err := w.metal.AllocateMachine(w.ctx(), allocateRequest())
	require.NoError(t, err)
	release := provision.ReleaseRequest{
		Machine: provision.MachineRef{AgentName: worker.AgentName}, Owner: owner("worker-0"), SentAt: w.clock.now().Add(-time.Hour),
	}
	w.fault(maassim.Fault{Operation: "machines.release", Effect: maassim.EffectPostCommit, Count: 1})
	require.Error(t, w.metal.ReleaseMachine(w.ctx(), release))
	held, ok := w.sim.Machine(m.SystemID)
	require.True(t, ok)
	require.Empty(t, held.AgentName, "MAAS holds the machine and has forgotten for whom")
	w.restart()
	require.Eventually(t, func() bool { return w.metal.ReleaseMachine(w.ctx(), release) == nil }, 10*time.Second, time.Millisecond)
	free, ok := w.sim.Machine(m.SystemID)
	require.True(t, ok)
	assert.Empty(t, free.Owner, "nobody else would ever find it")
	assert.Equal(t, "ready", free.Status)
}

func TestReleaseMachine_marks_what_a_crash_left_unmarked(t *testing.T) {
	t.Parallel()
	w := start(t, 0, 1)
	w.fault(maassim.Fault{Operation: "machines.set_workload_annotations", Status: http.StatusServiceUnavailable, Count: 1})
	_, err := w.metal.AllocateMachine(w.ctx(), allocateRequest())
	require.Error(t, err)
	id := w.sim.Machines()[0].SystemID
	release := provision.ReleaseRequest{Machine: provision.MachineRef{AgentName: worker.AgentName, SystemID: id}, Owner: owner("worker-0")}
	w.fault(maassim.Fault{Operation: "machines.release", Effect: maassim.EffectFail, Count: 1})
	requireFault(t, w.metal.ReleaseMachine(w.ctx(), release), fault.Busy, fault.ReasonDeletionInProgress)
	require.Eventually(t, func() bool { return w.metal.ReleaseMachine(w.ctx(), release) == nil }, 10*time.Second, time.Millisecond)
	m, ok := w.sim.Machine(id)
	require.True(t, ok)
	assert.Empty(t, m.Owner, "X3.9 a release that fails takes the agent name away, the mark says whose the machine is")
}

func TestReleaseMachine_leaves_the_machine_to_whoever_got_it_next(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]provision.Owner{
		"X3.9_another_MaasMachine":            owner("worker-7"),
		"X3.9_a_MaasMachine_of_the_same_name": {ClusterID: "c-1", Namespace: "prod", Cluster: "prod", Machine: "worker-0", MachineUID: "uid-later"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, 0, 1)
			release := w.deployedMetal()
			require.NoError(t, w.metal.ReleaseMachine(w.ctx(), release))
			again := allocateRequest()
			again.Machine.AgentName, again.Owner = "capmaas/later-0-q9w8e", next
			m, err := w.metal.AllocateMachine(w.ctx(), again)
			require.NoError(t, err)
			require.Equal(t, release.Machine.SystemID, m.SystemID)
			require.NoError(t, w.metal.ReleaseMachine(w.ctx(), release))
			kept, ok := w.sim.Machine(m.SystemID)
			require.True(t, ok)
			assert.Equal(t, "allocated", kept.Status)
			assert.Equal(t, again.Machine.AgentName, kept.AgentName)
		})
	}
}

func TestBareMetal_that_was_released_behind_our_back(t *testing.T) {
	t.Parallel()
	w := start(t, 0, 1)
	release := w.deployedMetal()
	w.post("machines/"+release.Machine.SystemID+"/?op=release", url.Values{})
	_, err := w.metal.GetMachine(w.ctx(), release.Machine)
	requireFault(t, err, fault.NotFound, fault.ReasonMachineNotFound)
	_, err = w.metal.DeployMachine(w.ctx(), provision.DeployMachineRequest{
		Machine: release.Machine, Owner: release.Owner, Image: provision.Image{OS: "ubuntu", Series: "jammy"}, UserData: []byte(userData),
	})
	requireFault(t, err, fault.Conflict, fault.ReasonNameTaken)
	assert.Equal(t, 1, w.sim.Requests()["machines.deploy"], "X3.1 deploy would take a Ready machine from whoever is next")
	require.NoError(t, w.metal.ReleaseMachine(w.ctx(), release))
}

func TestBareMetal_that_left_its_owner_with_its_agent_name_is_not_held(t *testing.T) {
	t.Parallel()
	w := start(t, 0, 1)
	release := w.deployedMetal()
	w.brought(release.Machine.SystemID, inventory.StatusFailedCommissioning, true)
	_, err := w.metal.GetMachine(w.ctx(), release.Machine)
	requireFault(t, err, fault.NotFound, fault.ReasonMachineNotFound)
	again := allocateRequest()
	again.SentAt = w.clock.now().Add(-w.cfg.Timing.DetachedLimit)
	_, err = w.metal.AllocateMachine(w.ctx(), again)
	requireFault(t, err, fault.NotFound, fault.ReasonMachineNotFound)
	require.NoError(t, w.metal.ReleaseMachine(w.ctx(), release), "X3.9 nobody holds it, so nothing is to be released")
	assert.Zero(t, w.sim.Requests()["machines.release"])
}

func TestBareMetal_that_fails_under_us(t *testing.T) {
	t.Parallel()
	for status, want := range map[inventory.Status]string{
		inventory.StatusFailedDeployment: "Refused VM_DEPLOYMENT_FAILED",
		inventory.StatusBroken:           "Busy NOT_READY",
		inventory.StatusMissing:          "Busy NOT_READY",
		inventory.StatusRescueMode:       "Busy NOT_READY",
		inventory.StatusTesting:          "Busy NOT_READY",
		inventory.StatusFailedTesting:    "Busy NOT_READY",
		inventory.StatusReleasing:        "Busy NOT_READY",
	} {
		t.Run("X3.7_"+status.FilterWord(), func(t *testing.T) {
			t.Parallel()
			w := start(t, 0, 1)
			release := w.deployedMetal()
			w.brought(release.Machine.SystemID, status, false)
			w.restart()
			got, err := w.metal.GetMachine(w.ctx(), release.Machine)
			require.NoError(t, err)
			assert.Equal(t, status, got.Status)
			_, err = w.metal.DeployMachine(w.ctx(), provision.DeployMachineRequest{
				Machine: release.Machine, Owner: release.Owner, Image: provision.Image{OS: "ubuntu", Series: "jammy"}, UserData: []byte(userData),
			})
			assert.Equal(t, want, outcome(err))
			assert.Equal(t, 1, w.sim.Requests()["machines.deploy"], "it is not deployed again behind anybody's back")
		})
	}
}
