package provision_test

import (
	"maps"
	"net/http"
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

func TestTakeOver_X3_2_of_a_VM_of_ours_whose_MaasMachine_was_made_anew(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req, _ := w.deployed("cp-0", "lxd-1")
	request := madeAnew(req)
	written := w.sim.Requests()["machines.set_workload_annotations"]
	for range 2 {
		taken, err := w.region.TakeOver(w.ctx(), request)
		require.NoError(t, err)
		require.NotNil(t, taken.VM)
		assert.Equal(t, req.Attempt.Name, taken.VM.Hostname)
		assert.Equal(t, req.Attempt.HostID, taken.VM.HostID)
		assert.True(t, *taken.VM.Claimed)
		assert.Equal(t, request.Owner, *taken.VM.Owner, "the mark has the UID of today")
	}
	assert.Equal(t, written+1, w.sim.Requests()["machines.set_workload_annotations"], "a repeat writes nothing")
	assert.Len(t, w.sim.LXD(), 1)

	_, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(request.Owner, req.Attempt))
	require.NoError(t, err)
	assert.Empty(t, w.sim.LXD(), "R5.4")
}

// madeAnew asks for a VM as a MaasMachine does of which all but its spec was lost: by none of the names that the VM has.
func madeAnew(req provision.ComposeRequest) provision.TakeOverRequest {
	lost := req.Owner
	lost.MachineUID = "made-anew"
	return provision.TakeOverRequest{SystemID: req.Attempt.SystemID, AgentName: worker.AgentName, Owner: lost, Names: []string{"vm-" + lost.Machine}}
}

// notOurs gives requests for VMs that bear or bore a mark like the owner's and are not proved to be the owner's by it.
func (w *world) notOurs() map[string]provision.TakeOverRequest {
	w.t.Helper()
	vm := func(machine string) (request provision.TakeOverRequest, path string) {
		req, _ := w.deployed(machine, "lxd-1")
		return madeAnew(req), "machines/" + req.Attempt.SystemID + "/"
	}
	annotate := func(path, key, value string) { w.post(path+"?op=set_workload_annotations", url.Values{key: {value}}) }

	another, _ := vm("cp-1")
	another.Owner = owner("cp-0")
	elsewhere, _ := vm("cp-2")
	elsewhere.Owner.ClusterID = "c-2"
	renamed, path := vm("cp-3")
	w.send(http.MethodPut, path, url.Values{"hostname": {"called-otherwise"}})
	unmarked, path := vm("cp-4")
	annotate(path, "capmaas.machine", "")
	doomed, path := vm("cp-5")
	annotate(path, "capmaas-delete", "2026-01-02T03:04:05Z")
	released, path := vm("cp-6")
	w.post(path+"?op=release", url.Values{})

	hers := w.composeRequest("cp-7", "lxd-1")
	hers.Attempt.SystemID = w.made(hers.Attempt)
	alice := w.as(w.sim.UserAPIKey())
	_, err := alice.Claim(w.ctx(), hers.Attempt.SystemID, "capmaas/"+hers.Attempt.Name)
	require.NoError(w.t, err)
	_, err = alice.Annotate(w.ctx(), hers.Attempt.SystemID, map[string]string{
		"capmaas.cluster-id": hers.Owner.ClusterID, "capmaas.namespace": hers.Owner.Namespace, "capmaas.machine": hers.Owner.Machine,
	})
	require.NoError(w.t, err)

	host := w.host("lxd-1")
	w.made(provision.Attempt{Name: "vm-cp-8", HostID: host.ID, HostName: host.Name})
	foreign := takeOver(w.theirs("vm-cp-8", true), "cp-8")
	_, err = w.region.TakeOver(w.ctx(), foreign)
	require.NoError(w.t, err)
	foreign.Names = []string{"elsewhere"}
	return map[string]provision.TakeOverRequest{
		"a VM of another MaasMachine":                             another,
		"a VM of the same MaasMachine of another cluster":         elsewhere,
		"a marked VM that somebody renamed":                       renamed,
		"a VM of our agent name without a mark":                   unmarked,
		"a marked VM that is to be deleted":                       doomed,
		"a VM that was released":                                  released,
		"a VM that another user marked and claims as we do":       madeAnew(hers),
		"a marked VM of another provider, which has no such name": foreign,
	}
}

func TestTakeOver_leaves_alone_what_is_not_proved(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 4)
	requests := w.notOurs()
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
	maps.Copy(requests, map[string]provision.TakeOverRequest{
		"one of another user":        takeOver(hers, "worker-0"),
		"one that is only allocated": takeOver(allocated, "worker-0"),
		"one of another MaasMachine": takeOver(other, "worker-0"),
		"one of another name":        renamed,
	})
	for name, request := range requests {
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
