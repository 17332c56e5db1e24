package provision_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// petnames shows every machine under a name that MAAS drew for it.
type petnames struct{ provision.MAAS }

func (p petnames) Claim(ctx context.Context, systemID, agent string) (inventory.Machine, error) {
	m, err := p.MAAS.Claim(ctx, systemID, agent)
	m.Hostname = "busy-goose"
	return m, err
}

func (p petnames) Machine(ctx context.Context, systemID string) (inventory.Machine, error) {
	m, err := p.MAAS.Machine(ctx, systemID)
	m.Hostname = "busy-goose"
	return m, err
}

func TestComposeVM_X2_7_deletes_a_VM_that_MAAS_gave_another_name(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(*testing.T) *world{
		"ready":         func(t *testing.T) *world { t.Helper(); return start(t, 1, 0) },
		"commissioning": startCommissioning,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := begin(t)
			w.cfg.MAAS = petnames{w.cfg.MAAS}
			w.restart()
			_, err := w.lxd.ComposeVM(w.ctx(), w.composeRequest("cp-0", "lxd-1"))
			requireFault(t, err, fault.Refused, fault.ReasonVMCompositionFailed)
			assert.Contains(t, err.Error(), "busy-goose")
			assert.Empty(t, w.sim.LXD(), "nobody would find it by its attempt")
		})
	}
}

func TestLXD_with_a_VM_host_that_was_renamed(t *testing.T) {
	t.Parallel()
	t.Run("X3.2_its_VMs_stay_ours", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composed("cp-0", "lxd-1")
		req.Attempt.HostName = "lxd-before"
		w.restart()
		got, err := w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: req.Attempt, Owner: &req.Owner})
		require.NoError(t, err)
		assert.True(t, *got.Claimed)
		vm, err := w.lxd.DeployVM(w.ctx(), deployRequest(req))
		require.NoError(t, err)
		assert.Contains(t, []inventory.Status{inventory.StatusDeploying, inventory.StatusDeployed}, vm.Status)
	})
	t.Run("X3.2_one_that_is_still_Ready_is_claimed", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composeRequest("cp-0", "lxd-1")
		w.made(req.Attempt)
		req.Attempt = w.sent(req.Attempt)
		req.Attempt.HostName = "lxd-before"
		vm, err := w.lxd.ComposeVM(w.ctx(), req)
		require.NoError(t, err)
		assert.True(t, *vm.Claimed)
	})
	t.Run("X4.1_its_VMs_are_deleted_and_X4.5_their_absence_is_not_believed", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composed("cp-0", "lxd-1")
		req.Attempt.HostName = "lxd-before"
		_, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
		requireFault(t, err, fault.Unavailable, fault.ReasonHostUnreachable)
		assert.False(t, w.inLXD(req.Attempt.Name))
		assert.Zero(t, w.sim.Requests()["vm-hosts.refresh"])
	})
}

// zoneless leaves the zone out of what it finds.
type zoneless struct{ provision.Backend }

func (b zoneless) Find(ctx context.Context, names []string) ([]inventory.Machine, error) {
	found, err := b.Backend.Find(ctx, names)
	for i := range found {
		found[i].Zone = inventory.Ref{}
	}
	return found, err
}

func TestComposeVM_X2_7_deletes_nothing_for_a_zone_that_is_not_told(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composeRequest("cp-0", "lxd-1")
	w.made(req.Attempt)
	req.Attempt = w.sent(req.Attempt)
	w.cfg.Backend = zoneless{w.cfg.Backend}
	w.restart()
	_, err := w.lxd.ComposeVM(w.ctx(), req)
	requireFault(t, err, fault.Unavailable, fault.ReasonMAASUnavailable)
	assert.True(t, w.inLXD(req.Attempt.Name))
}
