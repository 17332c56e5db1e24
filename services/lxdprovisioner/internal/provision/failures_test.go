package provision_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/backend/maasvmhost"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

// commissioning is a back end that can't make a VM Ready at once.
type commissioning struct{ provision.Backend }

func (b *commissioning) Capabilities() provision.Capabilities {
	c := b.Backend.Capabilities()
	c.SkipCommissioning = false
	return c
}

// startCommissioning begins a world in which VMs are commissioned until somebody ends it.
func startCommissioning(t *testing.T) *world {
	t.Helper()
	w := start(t, 1, 0, func(c *maassim.Config) { c.Durations.Commission = time.Hour })
	w.cfg.Backend = &commissioning{Backend: w.cfg.Backend}
	w.restart()
	return w
}

func TestComposeVM_with_commissioning(t *testing.T) {
	t.Parallel()
	t.Run("X2.3_where_it_can_not_be_skipped", func(t *testing.T) {
		t.Parallel()
		w := startCommissioning(t)
		req := w.composeRequest("cp-0", "lxd-1")
		vm, err := w.lxd.ComposeVM(w.ctx(), req)
		require.NoError(t, err)
		assert.Equal(t, inventory.StatusCommissioning, vm.Status)
		req.Attempt = w.sent(req.Attempt)
		w.restart()
		_, err = w.lxd.DeployVM(w.ctx(), deployRequest(req))
		requireFault(t, err, fault.Busy, fault.ReasonNotReady)
		require.NoError(t, w.sim.Finish(req.Attempt.Name, maassim.Ending{}))
		vm, err = w.lxd.ComposeVM(w.ctx(), req)
		require.NoError(t, err)
		assert.Equal(t, inventory.StatusAllocated, vm.Status, "X3.0 a VM that is Ready is claimed in the same call")
		assert.Len(t, w.sim.LXD(), 1)
	})
	t.Run("X2.3_is_skipped_where_MAAS_knows_the_machine_of_the_host_and_its_bridge", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0, func(c *maassim.Config) { c.Durations.Commission = time.Hour })
		vm, err := w.lxd.ComposeVM(w.ctx(), w.composeRequest("cp-0", "lxd-1"))
		require.NoError(t, err)
		assert.Equal(t, inventory.StatusAllocated, vm.Status)
	})
	t.Run("X2.3_is_asked_for_where_MAAS_knows_no_VLAN_of_the_bridge", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		making := &made{Backend: w.cfg.Backend}
		w.cfg.Backend = making
		w.restart()
		req := w.composeRequest("cp-0", "lxd-1")
		req.Network.Interfaces = []provision.NIC{{Bridge: "lxdbr7"}}
		_, _ = w.lxd.ComposeVM(w.ctx(), req)
		require.Len(t, making.specs, 1)
		assert.False(t, making.specs[0].SkipCommissioning)
	})
	t.Run("X3.7_a_VM_that_fails_it_is_deleted_and_refused", func(t *testing.T) {
		t.Parallel()
		w := startCommissioning(t)
		req := w.composeRequest("cp-0", "lxd-1")
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		require.NoError(t, err)
		require.NoError(t, w.sim.Finish(req.Attempt.Name, maassim.Ending{Failed: true}))
		req.Attempt = w.sent(req.Attempt)
		got, err := w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: req.Attempt, Owner: &req.Owner})
		require.NoError(t, err)
		assert.Equal(t, inventory.StatusFailedCommissioning, got.Status)
		_, err = w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Refused, fault.ReasonVMDeploymentFailed)
		assert.Contains(t, err.Error(), "timed out", "R8.2 MAAS's own words are told")
		assert.Empty(t, w.sim.LXD())
		assert.Empty(t, w.vms())
	})
}

// made keeps what is composed.
type made struct {
	provision.Backend

	specs []provision.VMSpec
}

func (b *made) Make(ctx context.Context, spec provision.VMSpec) (string, error) {
	b.specs = append(b.specs, spec)
	return b.Backend.Make(ctx, spec)
}

func TestDeployment_that_fails(t *testing.T) {
	t.Parallel()
	t.Run("X3.7_while_its_host_does_not_answer_keeps_its_VM_until_that_can_be_deleted", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composed("cp-0", "lxd-1")
		w.brought(req.Attempt.Name, inventory.StatusFailedDeployment, false)
		w.restart()
		require.NoError(t, w.sim.SetHostOffline("lxd-1", true))
		_, err := w.lxd.DeployVM(w.ctx(), deployRequest(req))
		requireFault(t, err, fault.Unavailable, fault.ReasonHostUnreachable)
		_, err = w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Unavailable, fault.ReasonHostUnreachable)
		assert.Zero(t, w.sim.Requests()["machines.delete"], "X4.2 with the host off MAAS answers 204 and the VM lives on")
		require.NoError(t, w.sim.SetHostOffline("lxd-1", false))
		_, err = w.lxd.DeployVM(w.ctx(), deployRequest(req))
		requireFault(t, err, fault.Refused, fault.ReasonVMDeploymentFailed)
		assert.Empty(t, w.sim.LXD())
	})
	t.Run("X4.2_in_a_locked_VM_waits_for_the_operator", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req, _ := w.deployed("cp-0", "lxd-1")
		w.post("machines/"+req.Attempt.SystemID+"/?op=lock", url.Values{})
		w.brought(req.Attempt.Name, inventory.StatusFailedDeployment, false)
		w.restart()
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Busy, fault.ReasonMachineLocked)
		assert.True(t, w.inLXD(req.Attempt.Name))
	})
}

func TestVM_that_somebody_switches_off(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req, _ := w.deployed("cp-0", "lxd-1")
	w.post("machines/"+req.Attempt.SystemID+"/?op=power_off", url.Values{})
	w.restart()
	got, err := w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: req.Attempt, Owner: &req.Owner})
	require.NoError(t, err)
	assert.Equal(t, inventory.PowerOff, got.Power)
	assert.Equal(t, inventory.StatusDeployed, got.Status)
	assert.True(t, *got.Claimed)
	for range 2 {
		again, err := w.lxd.DeployVM(w.ctx(), deployRequest(req))
		require.NoError(t, err)
		assert.Equal(t, inventory.PowerOff, again.Power)
	}
	assert.Zero(t, w.sim.Requests()["machines.power_on"], "X3.8 reading and deploying switch nothing on")
	assert.Equal(t, 1, w.sim.Requests()["machines.deploy"], "X3.7 a deployed VM is not deployed again")
	req.Attempt.Settled = true
	w.deleteAs("deleted", req)
}

func TestVM_that_is_released_behind_our_back(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req, _ := w.deployed("cp-0", "lxd-1")
	w.post("machines/"+req.Attempt.SystemID+"/?op=release", url.Values{})
	w.restart()
	require.Eventually(t, func() bool {
		got, err := w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: req.Attempt, Owner: &req.Owner})
		return err == nil && got.Status == inventory.StatusNew && got.Claimed != nil && !*got.Claimed && got.Owner == nil
	}, 10*time.Second, time.Millisecond, "X3.1 GetVM tells that it is nobody's")
	assert.Equal(t, []string{req.Attempt.Name}, w.list(provision.ListRequest{}), "X5.1 it has our shape of name")
	w.deleteAs("deleted", req)
}

func TestDeleteVM_of_an_unmarked_VM_that_is_being_given_back(t *testing.T) {
	t.Parallel()
	for status, effect := range map[string]maassim.Effect{"failed_releasing": maassim.EffectFail, "releasing": maassim.EffectStuck} {
		t.Run("X3.2_"+status, func(t *testing.T) {
			t.Parallel()
			w := start(t, 1, 0)
			req := w.composeRequest("cp-0", "lxd-1")
			id := w.made(req.Attempt)
			_, err := w.cfg.MAAS.Claim(w.ctx(), id, "capmaas/"+req.Attempt.Name)
			require.NoError(t, err)
			w.brought(req.Attempt.Name, inventory.StatusDeployed, false)
			w.fault(maassim.Fault{Operation: "machines.release", Effect: effect})
			w.post("machines/"+id+"/?op=release", url.Values{})
			require.Eventually(t, func() bool {
				row, _ := w.sim.Machine(id)
				return row.Status == status && row.AgentName == ""
			}, 10*time.Second, time.Millisecond, "MAAS has taken the agent name away")
			req.Attempt = w.sent(req.Attempt)
			w.deleteAs("deleted", req)
		})
	}
}

func TestVM_that_vanishes(t *testing.T) {
	t.Parallel()
	t.Run("X5.2_is_told_as_absent_and_never_made_anew", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req, _ := w.deployed("cp-0", "lxd-1")
		require.NoError(t, w.as(w.sim.APIKey()).DeleteMachine(w.ctx(), "", req.Attempt.SystemID))
		w.restart()
		w.clock.advance(151 * time.Second)
		_, err := w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: req.Attempt, Owner: &req.Owner})
		requireFault(t, err, fault.NotFound, fault.ReasonVMNotFound)
		_, err = w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.NotFound, fault.ReasonVMNotFound)
		_, err = w.lxd.DeployVM(w.ctx(), deployRequest(req))
		requireFault(t, err, fault.NotFound, fault.ReasonVMNotFound)
		assert.Equal(t, 1, w.sim.Requests()["vm-hosts.compose"])
		assert.Empty(t, w.sim.LXD())
	})
	t.Run("X4.5_with_its_host_is_not_believed", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composed("cp-0", "lxd-1")
		req.Attempt.HostID, req.Attempt.Name = "vmhost/99", "cp-0-z9y8x"
		w.clock.advance(151 * time.Second)
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Unavailable, fault.ReasonHostUnreachable)
		_, err = w.lxd.DeployVM(w.ctx(), deployRequest(req))
		requireFault(t, err, fault.Unavailable, fault.ReasonHostUnreachable)
		_, err = w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: req.Attempt, Owner: &req.Owner})
		requireFault(t, err, fault.Unavailable, fault.ReasonHostUnreachable)
	})
}

func TestHost_that_is_lost_while_a_VM_is_made(t *testing.T) {
	t.Parallel()
	t.Run("R4.4_before_LXD_was_asked_is_a_refusal", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composeRequest("cp-0", "lxd-1")
		w.fault(maassim.Fault{Operation: "vm-hosts.compose", Effect: maassim.EffectHostOffline})
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Refused, fault.ReasonLXDHostUnavailable)
		assert.Empty(t, w.sim.LXD())
	})
	t.Run("X2.4_once_LXD_has_the_VM_is_an_unknown_outcome", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.lost("cp-0", "lxd-1")
		require.NoError(t, w.sim.SetHostOffline("lxd-1", true))
		_, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
		requireFault(t, err, fault.Busy, fault.ReasonDeletionInProgress)
		w.clock.advance(301 * time.Second)
		_, err = w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
		require.Error(t, err, "X1.5 a host that can't be refreshed settles nothing")
		assert.True(t, w.inLXD(req.Attempt.Name))
		require.NoError(t, w.sim.SetHostOffline("lxd-1", false))
		require.Eventually(t, func() bool {
			w.clock.advance(121 * time.Second)
			_, err = w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
			return err == nil
		}, 10*time.Second, time.Millisecond)
		assert.Empty(t, w.sim.LXD())
	})
	t.Run("X3.0_between_the_composition_and_the_claim_leaves_a_VM_that_is_claimed_and_not_lost", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composeRequest("cp-0", "lxd-1")
		w.made(req.Attempt)
		require.NoError(t, w.sim.SetHostOffline("lxd-1", true))
		req.Attempt = w.sent(req.Attempt)
		vm, err := w.lxd.ComposeVM(w.ctx(), req)
		require.NoError(t, err, "a claim needs MAAS alone")
		assert.True(t, *vm.Claimed)
		_, err = w.lxd.DeployVM(w.ctx(), deployRequest(req))
		if err != nil {
			assert.NotContains(t, []fault.Kind{fault.Refused, fault.NotFound, fault.Conflict, fault.Invalid}, fault.KindOf(err),
				"nothing allows another attempt while the VM may live: %v", err)
		}
		assert.True(t, w.inLXD(req.Attempt.Name))
		require.NoError(t, w.sim.SetHostOffline("lxd-1", false))
		require.Eventually(t, func() bool {
			_, err := w.lxd.DeployVM(w.ctx(), deployRequest(req))
			return err == nil || fault.Is(err, fault.Refused)
		}, 10*time.Second, time.Millisecond)
	})
	t.Run("X3.0_the_claim_belongs_to_the_same_detached_call", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.outlived("cp-0", "lxd-1", maassim.Fault{Latency: 100 * time.Millisecond})
		m, ok := w.sim.Machine(req.Attempt.Name)
		require.True(t, ok)
		assert.Equal(t, "allocated", m.Status, "a READY VM is anybody's")
		assert.Equal(t, "uid-cp-0", m.Annotations["capmaas.machine-uid"])
	})
}

func TestComposeVM_of_a_VM_that_its_new_owner_tests(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composeRequest("cp-0", "lxd-1")
	_, err := w.as(w.sim.UserAPIKey()).Claim(w.ctx(), w.made(req.Attempt), "alice/build")
	require.NoError(t, err)
	w.brought(req.Attempt.Name, inventory.StatusTesting, false)
	req.Attempt = w.sent(req.Attempt)
	_, err = w.lxd.ComposeVM(w.ctx(), req)
	requireFault(t, err, fault.Conflict, fault.ReasonNameTaken)
	assert.True(t, w.inLXD(req.Attempt.Name), "X3.2 what is somebody else's is never deleted")
	assert.Zero(t, w.sim.Requests()["machines.delete"])
}

func TestDeleteVM_of_a_VM_that_somebody_elses_refresh_imported(t *testing.T) {
	t.Parallel()
	const bobsKey = "consumer-b:token-b:secret-b"
	w := start(t, 1, 0, func(c *maassim.Config) {
		c.Durations.Commission = time.Hour
		c.Users = append(c.Users, maassim.UserConfig{Name: "bob", Admin: true, APIKey: bobsKey})
	})
	req := w.composed("cp-0", "lxd-1")
	w.fault(maassim.Fault{Operation: "machines.delete", Effect: maassim.EffectVMLeft, Count: 1})
	// Another manager, with a user of its own, refreshes before we do.
	require.NoError(t, w.as(w.sim.APIKey()).DeleteMachine(w.ctx(), "", req.Attempt.SystemID))
	_, err := maasvmhost.New(w.as(bobsKey), w.clock.now, slog.New(slog.DiscardHandler)).Verify(w.ctx(), req.Attempt.HostID)
	require.NoError(t, err)
	row, ok := w.sim.Machine(req.Attempt.Name)
	require.True(t, ok)
	require.Equal(t, "bob", row.Owner, "X5.1 a refresh makes its sender the owner while MAAS commissions")
	w.deleteAs("deleted", req)
}

func TestComposeVM_X4_3_names_the_VM_that_it_deleted_without_proof(t *testing.T) {
	t.Parallel()
	w := startCommissioning(t)
	req := w.composeRequest("cp-0", "lxd-1")
	vm, err := w.lxd.ComposeVM(w.ctx(), req)
	require.NoError(t, err)
	require.NoError(t, w.sim.Finish(req.Attempt.Name, maassim.Ending{Failed: true}))
	w.fault(maassim.Fault{Operation: "machines.delete", Effect: maassim.EffectVMLeft, Count: 1})
	req.Attempt = w.sent(req.Attempt)
	for _, call := range []string{"the_one_that_deletes", "the_one_that_comes_back_for_the_answer"} {
		_, err = w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Refused, fault.ReasonVMDeploymentFailed)
		refused, ok := errors.AsType[*fault.Error](err)
		require.True(t, ok)
		assert.Equal(t, vm.SystemID, refused.Left(), call)
	}
	require.Empty(t, w.vms())
	require.True(t, w.inLXD(req.Attempt.Name), "MAAS has answered 204")

	req.Attempt.SystemID = vm.SystemID
	for range 4 {
		if _, err = w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt)); err == nil {
			break
		}
		requireFault(t, err, fault.Busy, fault.ReasonDeletionInProgress)
		w.clock.advance(61 * time.Second)
	}
	require.NoError(t, err, "X1.5 a VM that was seen is proved gone by one refresh: there is nothing late to wait for")
	assert.False(t, w.inLXD(req.Attempt.Name))
}
