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
// says then that they did not answer.
type silent struct {
	provision.Backend

	waits time.Duration
}

func (b *silent) Alive(ctx context.Context, vm inventory.Machine) error {
	select {
	case <-time.After(b.waits):
		return fault.New(fault.Unavailable, fault.ReasonHostUnreachable, "LXD on %s did not answer MAAS in time", vm.HostName)
	case <-ctx.Done():
		return fault.Wrap(ctx.Err(), fault.Unavailable, fault.ReasonMAASUnavailable, "MAAS gave no answer")
	}
}

func TestDeleteVM_X4_2_waits_for_MAAS_to_say_that_a_silent_host_does_not_answer(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composed("cp-0", "lxd-1")
	w.cfg.Timing.ReadLimit = 50 * time.Millisecond
	w.cfg.Backend = &silent{Backend: w.cfg.Backend, waits: 100 * time.Millisecond}
	w.restart()
	_, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
	requireFault(t, err, fault.Unavailable, fault.ReasonHostUnreachable)
	assert.True(t, w.inLXD(req.Attempt.Name))
	assert.Zero(t, w.sim.Requests()["machines.delete"])
}
