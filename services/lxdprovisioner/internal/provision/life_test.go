package provision_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

func TestLXD_takes_a_VM_through_its_whole_life(t *testing.T) {
	t.Parallel()
	w := start(t, 3, 0)
	selection, err := w.lxd.SelectHost(w.ctx(), selectRequest("cp-0-a1b2c"))
	require.NoError(t, err)

	req := w.composeRequest("cp-0", selection.Chosen.HostName)
	vm, err := w.lxd.ComposeVM(w.ctx(), req)
	require.NoError(t, err)
	assert.Equal(t, inventory.StatusAllocated, vm.Status)
	assert.Equal(t, selection.Chosen.Zone, vm.Zone.Name, "R3.1 the VM is in its host's zone")
	require.NotNil(t, vm.Claimed)
	assert.True(t, *vm.Claimed)
	assert.Equal(t, req.Owner, *vm.Owner)
	require.True(t, w.inLXD("cp-0-a1b2c"))

	deployed, err := w.lxd.DeployVM(w.ctx(), deployRequest(req))
	require.NoError(t, err)
	assert.Contains(t, []inventory.Status{inventory.StatusDeploying, inventory.StatusDeployed}, deployed.Status)
	again, err := w.lxd.DeployVM(w.ctx(), deployRequest(req))
	require.NoError(t, err, "a repeat finds what the first call did")
	assert.Equal(t, deployed.SystemID, again.SystemID)

	req.Attempt = w.sent(req.Attempt)
	req.Attempt.SystemID, req.Attempt.Settled = vm.SystemID, true
	got, err := w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: req.Attempt, Owner: &req.Owner})
	require.NoError(t, err)
	assert.Equal(t, inventory.StatusDeployed, got.Status)
	assert.NotEmpty(t, got.Addresses)
	assert.True(t, *got.Claimed)
	list, next, err := w.lxd.ListVMs(w.ctx(), provision.ListRequest{ClusterID: "c-1"})
	require.NoError(t, err)
	assert.Empty(t, next)
	require.Len(t, list, 1)
	assert.Equal(t, vm.SystemID, list[0].SystemID)

	absences, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
	require.NoError(t, err)
	assert.Equal(t, []provision.Absence{{Name: "cp-0-a1b2c", Proof: provision.Refreshed}}, absences)
	assert.Empty(t, w.sim.LXD(), "R5.4 nothing is left in LXD")
	assert.Empty(t, w.vms(), "R5.4 nothing is left in MAAS")
	again2, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
	require.NoError(t, err)
	assert.Equal(t, absences, again2)

	assert.True(t, w.logged("Composed VM", "vm=cp-0-a1b2c", "host="+selection.Chosen.HostName, "size.cores=4"), "R7.3")
	assert.True(t, w.logged("Deleted VM", "vm=cp-0-a1b2c"), "R7.4")
	assert.True(t, w.logged("Verified that VM is gone", "vm=cp-0-a1b2c"), "R7.4")
}

func TestLXD_keeps_to_the_request_budget_of_one_life(t *testing.T) {
	t.Parallel()
	w := start(t, 3, 0)
	req := w.composeRequest("cp-0", "lxd-1")
	w.sim.ResetRequests()
	_, err := w.lxd.ComposeVM(w.ctx(), req)
	require.NoError(t, err)
	_, err = w.lxd.DeployVM(w.ctx(), deployRequest(req))
	require.NoError(t, err)
	made := total(w.sim.Requests())
	assert.LessOrEqual(t, made, 5, "%v", w.sim.Requests())

	req.Attempt = w.sent(req.Attempt)
	req.Attempt.Settled = true
	w.sim.ResetRequests()
	_, err = w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
	require.NoError(t, err)
	// The look-ups, the host read and the refresh are shared by all who wait for them at that moment.
	assert.LessOrEqual(t, w.sim.Requests()["machines.delete"]+w.sim.Requests()["machines.query_power_state"], 2)
	assert.LessOrEqual(t, total(w.sim.Requests()), 6, "%v", w.sim.Requests())
}

func total(requests map[string]int) int {
	sum := 0
	for _, n := range requests {
		sum += n
	}
	return sum
}
