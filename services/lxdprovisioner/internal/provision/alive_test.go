package provision_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// silent is a back end whose hosts don't even refuse a connection: MAAS waits a minute for them, and
// says then that they did not answer, to whoever has waited so long.
type silent struct{ provision.Backend }

func (silent) Alive(ctx context.Context, vm inventory.Machine) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < 65*time.Second {
		return fault.New(fault.Unavailable, fault.ReasonMAASUnavailable, "MAAS gave no answer")
	}
	return fault.New(fault.Unavailable, fault.ReasonHostUnreachable, "LXD on %s did not answer MAAS in time", vm.HostName)
}

func TestDeleteVM_X4_2_waits_for_MAAS_to_say_that_a_silent_host_does_not_answer(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composed("cp-0", "lxd-1")
	w.cfg.Backend = silent{w.cfg.Backend}
	w.restart()
	_, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
	requireFault(t, err, fault.Unavailable, fault.ReasonHostUnreachable)
	assert.True(t, w.inLXD(req.Attempt.Name))
	assert.Zero(t, w.sim.Requests()["machines.delete"])
}
