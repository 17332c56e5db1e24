package provision_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

// theirs lets another provider allocate a machine with our key, and deploy it, without an agent name.
func (w *world) theirs(name string, deploy bool) maassim.Machine {
	w.t.Helper()
	w.post("machines/?op=allocate", url.Values{"name": {name}})
	m, ok := w.sim.Machine(name)
	require.True(w.t, ok)
	if deploy {
		w.post("machines/"+m.SystemID+"/?op=deploy", url.Values{"distro_series": {"jammy"}})
	}
	return m
}

func takeOver(m maassim.Machine, who string) provision.TakeOverRequest {
	return provision.TakeOverRequest{SystemID: m.SystemID, AgentName: worker.AgentName, Owner: owner(who), Names: []string{m.Hostname + ".maas"}}
}

func TestTakeOver_of_a_deployed_machine(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 2)
	m := w.theirs("metal-1", true)
	ref := provision.MachineRef{AgentName: worker.AgentName, SystemID: m.SystemID}
	_, err := w.metal.GetMachine(w.ctx(), ref)
	requireFault(t, err, fault.NotFound, fault.ReasonMachineNotFound)

	for range 2 {
		taken, err := w.region.TakeOver(w.ctx(), takeOver(m, "worker-0"))
		require.NoError(t, err)
		require.NotNil(t, taken.Machine)
		assert.Equal(t, owner("worker-0"), *taken.Machine.Owner)
	}
	assert.Equal(t, 1, w.sim.Requests()["machines.set_workload_annotations"], "a repeat writes nothing")
	got, err := w.metal.GetMachine(w.ctx(), ref)
	require.NoError(t, err)
	assert.Equal(t, inventory.StatusDeployed, got.Status)

	t.Run("R5.4_is_released_with_it", func(t *testing.T) {
		moved := owner("worker-0")
		moved.MachineUID = "another-after-a-move"
		release := provision.ReleaseRequest{Machine: ref, Owner: moved}
		require.NoError(t, w.metal.ReleaseMachine(w.ctx(), release))
		require.NoError(t, w.metal.ReleaseMachine(w.ctx(), release))
		freed, ok := w.sim.Machine(m.SystemID)
		require.True(t, ok)
		assert.Empty(t, freed.Owner)
	})
}

func TestTakeOver_R5_4_of_a_VM_lets_it_be_deleted_with_proof(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	host := w.host("lxd-1")
	w.made(provision.Attempt{Name: "vm-cp-0", HostID: host.ID, HostName: host.Name})
	m := w.theirs("vm-cp-0", true)
	attempt := provision.Attempt{Number: 1, Name: "vm-cp-0", HostID: host.ID, HostName: host.Name, SystemID: m.SystemID, SentAt: w.clock.now(), Settled: true}
	request := deleteRequest(owner("cp-0"), attempt)

	taken, err := w.region.TakeOver(w.ctx(), takeOver(m, "cp-0"))
	require.NoError(t, err)
	require.NotNil(t, taken.VM)
	assert.Equal(t, host.ID, taken.VM.HostID)
	vm, err := w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: attempt, Owner: &request.Owner})
	require.NoError(t, err)
	assert.True(t, *vm.Claimed)
	_, err = w.lxd.DeleteVM(w.ctx(), request)
	require.NoError(t, err)
	assert.Empty(t, w.sim.LXD())
}

func TestTakeOver_leaves_alone_what_is_not_proved(t *testing.T) {
	t.Parallel()
	w := start(t, 0, 4)
	allocated, other := w.theirs("metal-2", false), w.theirs("metal-3", true)
	_, err := w.region.TakeOver(w.ctx(), takeOver(other, "worker-1"))
	require.NoError(t, err)
	hers, _ := w.sim.Machine("metal-1")
	_, err = w.as(w.sim.UserAPIKey()).Claim(w.ctx(), hers.SystemID, "alice/build")
	require.NoError(t, err)
	free, _ := w.sim.Machine("metal-4")
	renamed := takeOver(other, "worker-1")
	renamed.Names = []string{"elsewhere"}
	written := w.sim.Requests()["machines.set_workload_annotations"]
	for name, request := range map[string]provision.TakeOverRequest{
		"one of another user":        takeOver(hers, "worker-0"),
		"one that is only allocated": takeOver(allocated, "worker-0"),
		"one of another MaasMachine": takeOver(other, "worker-0"),
		"one of another name":        renamed,
	} {
		_, err := w.region.TakeOver(w.ctx(), request)
		assert.Equal(t, fault.Conflict, fault.KindOf(err), "%s: %v", name, err)
		assert.Equal(t, fault.ReasonNameTaken, fault.ReasonOf(err), name)
	}
	assert.Equal(t, written, w.sim.Requests()["machines.set_workload_annotations"])
	_, err = w.region.TakeOver(w.ctx(), takeOver(free, "worker-0"))
	requireFault(t, err, fault.NotFound, fault.ReasonMachineNotFound)
	_, err = w.region.TakeOver(w.ctx(), provision.TakeOverRequest{SystemID: "nosuch", Owner: owner("worker-0")})
	requireFault(t, err, fault.NotFound, fault.ReasonMachineNotFound)
}
