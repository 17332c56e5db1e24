package provision_test

import (
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

// list gives the names of all VMs that the filter lists.
func (w *world) list(req provision.ListRequest) []string {
	w.t.Helper()
	vms, _, err := w.lxd.ListVMs(w.ctx(), req)
	require.NoError(w.t, err)
	return hostnames(vms)
}

func TestListVMs_finds_ours_in_every_state_of_MAAS(t *testing.T) {
	t.Parallel()
	for _, p := range promises(t) {
		t.Run("X5.1_"+p.status.FilterWord(), func(t *testing.T) {
			t.Parallel()
			w := start(t, 2, 0)
			owned := w.composed("cp-0", "lxd-1")
			orphan := w.attempt("cp-1", "lxd-2")
			w.made(orphan)
			w.brought(owned.Attempt.Name, p.status, false)
			w.brought(orphan.Name, p.status, true)
			assert.Contains(t, w.list(provision.ListRequest{}), owned.Attempt.Name)
			assert.Contains(t, w.list(provision.ListRequest{ClusterID: "c-1"}), owned.Attempt.Name)
			if mayBeOwnerless(p.status) {
				assert.Contains(t, w.list(provision.ListRequest{}), orphan.Name)
				assert.NotContains(t, w.list(provision.ListRequest{ClusterID: "c-1"}), orphan.Name, "nothing says whose it is")
			}
		})
	}
}

// mayBeOwnerless says whether MAAS has machines without an owner in the state: not where somebody uses
// the machine or gives it back.
func mayBeOwnerless(s inventory.Status) bool {
	switch s {
	case inventory.StatusReserved, inventory.StatusAllocated, inventory.StatusDeploying, inventory.StatusDeployed,
		inventory.StatusFailedDeployment, inventory.StatusReleasing, inventory.StatusFailedReleasing,
		inventory.StatusDiskErasing, inventory.StatusFailedDiskErasing:
		return false
	default:
		return true
	}
}

func TestListVMs_finds_what_a_death_at_each_step_leaves(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]maassim.Fault{
		"X5.1_after_composing":           {Operation: "machines.allocate", Status: http.StatusServiceUnavailable},
		"X5.1_after_the_claim":           {Operation: "machines.set_workload_annotations", Status: http.StatusServiceUnavailable},
		"X5.1_with_the_claims_answer":    {Operation: "machines.allocate", Reset: true, After: true},
		"X5.1_with_the_marks_answer":     {Operation: "machines.set_workload_annotations", Reset: true, After: true},
		"X5.1_with_the_composing_answer": {Operation: "vm-hosts.compose", Reset: true, After: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, 1, 0)
			req := w.composeRequest("cp-0", "lxd-1")
			w.fault(lost)
			_, _ = w.lxd.ComposeVM(w.ctx(), req)
			require.NoError(t, w.lxd.Drain(w.ctx()))
			require.True(t, w.inLXD(req.Attempt.Name))
			w.restart()
			assert.Equal(t, []string{req.Attempt.Name}, w.list(provision.ListRequest{}))
		})
	}
}

func TestListVMs_tells_whose_each_VM_is(t *testing.T) {
	t.Parallel()
	w := start(t, 2, 0)
	mine := w.composed("cp-0", "lxd-1")
	other := w.composeRequest("cp-1", "lxd-2")
	other.Owner.ClusterID, other.Owner.Cluster = "c-2", "dev"
	_, err := w.lxd.ComposeVM(w.ctx(), other)
	require.NoError(t, err)
	vms, _, err := w.lxd.ListVMs(w.ctx(), provision.ListRequest{})
	require.NoError(t, err)
	owners := map[string]provision.Owner{}
	for _, vm := range vms {
		require.NotNil(t, vm.Owner, "X5.1 only annotation or attempt is believed")
		owners[vm.Hostname] = *vm.Owner
	}
	assert.Equal(t, map[string]provision.Owner{mine.Attempt.Name: mine.Owner, other.Attempt.Name: other.Owner}, owners)
	assert.Equal(t, []string{other.Attempt.Name}, w.list(provision.ListRequest{ClusterID: "c-2"}))
	assert.Empty(t, w.list(provision.ListRequest{ClusterID: "c-3"}))
}

func TestListVMs_leaves_out_what_is_not_ours(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 2)
	taken := w.attempt("cp-0", "lxd-1")
	_, err := w.as(w.sim.UserAPIKey()).Claim(w.ctx(), w.made(taken), "alice/build")
	require.NoError(t, err)
	_, err = w.metal.AllocateMachine(w.ctx(), allocateRequest())
	require.NoError(t, err)
	assert.Empty(t, w.list(provision.ListRequest{}), "X5.1 neither somebody else's VM nor bare metal is an orphan")
}

func TestVM_that_an_operator_marks_broken(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composed("cp-0", "lxd-1")
	w.post("machines/"+req.Attempt.SystemID+"/?op=mark_broken", url.Values{"comment": {"bad disk"}})
	w.restart()
	row, ok := w.sim.Machine(req.Attempt.Name)
	require.True(t, ok)
	require.Empty(t, row.Owner)
	assert.Equal(t, []string{req.Attempt.Name}, w.list(provision.ListRequest{ClusterID: "c-1"}), "X5.1 its mark is still there")
	got, err := w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: req.Attempt, Owner: &req.Owner})
	require.NoError(t, err)
	assert.Equal(t, inventory.StatusBroken, got.Status)
	assert.False(t, *got.Claimed, "X3.1 what nobody owns is not claimed")
	_, err = w.lxd.DeployVM(w.ctx(), deployRequest(req))
	requireFault(t, err, fault.Conflict, fault.ReasonNameTaken)
	assert.Zero(t, w.sim.Requests()["machines.deploy"])
	w.deleteAs("deleted", req)
}
