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
)

// outOfTime makes what it is told, and loses the answer when all the time of the call is used up.
type outOfTime struct {
	provision.Backend
	provision.MAAS
}

func (b *outOfTime) lose(ctx context.Context) error {
	<-ctx.Done()
	return fault.Wrap(ctx.Err(), fault.Unavailable, fault.ReasonOutcomeUnknown, "no answer")
}

func (b *outOfTime) Make(ctx context.Context, spec provision.VMSpec) (string, error) {
	if _, err := b.Backend.Make(ctx, spec); err != nil {
		return "", err
	}
	return "", b.lose(ctx)
}

func (b *outOfTime) Deploy(ctx context.Context, systemID string, d provision.Deployment) (inventory.Machine, error) {
	if _, err := b.MAAS.Deploy(ctx, systemID, d); err != nil {
		return inventory.Machine{}, err
	}
	return inventory.Machine{}, b.lose(ctx)
}

func TestLXD_looks_for_what_was_made_when_a_call_has_used_up_its_time(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composeRequest("cp-0", "lxd-1")
	late := &outOfTime{Backend: w.cfg.Backend, MAAS: w.cfg.MAAS}
	w.cfg.Backend, w.cfg.MAAS = late, late
	w.cfg.Timing.DetachedLimit, w.cfg.Timing.QueueLimit = 2*time.Second, 0
	w.restart()
	vm, err := w.lxd.ComposeVM(w.ctx(), req)
	require.NoError(t, err, "X2.4 the look after an unknown outcome has its own time")
	assert.True(t, *vm.Claimed)
	vm, err = w.lxd.DeployVM(w.ctx(), deployRequest(req))
	require.NoError(t, err, "X3.6 so has the read after a deployment without an answer")
	assert.Contains(t, []inventory.Status{inventory.StatusDeploying, inventory.StatusDeployed}, vm.Status)
}
