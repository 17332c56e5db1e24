package provision_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// uprooted is a back end out of which an operator takes the VM hosts: MAAS forgets their machines with
// them, and LXD goes on running these.
type uprooted struct {
	provision.Backend

	gone atomic.Bool
}

func (b *uprooted) Find(ctx context.Context, names []string) ([]inventory.Machine, error) {
	if b.gone.Load() {
		return nil, nil
	}
	return b.Backend.Find(ctx, names)
}

func (b *uprooted) Host(ctx context.Context, id inventory.HostID) (inventory.Host, error) {
	if b.gone.Load() {
		return inventory.Host{}, fault.New(fault.NotFound, fault.ReasonMachineNotFound, "MAAS has no such VM host")
	}
	return b.Backend.Host(ctx, id)
}

func TestVM_X4_5_of_a_host_that_was_there_a_moment_ago_is_not_absent(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	b := &uprooted{Backend: w.cfg.Backend}
	w.cfg.Backend = b
	w.restart()
	req := w.composed("cp-0", "lxd-1")
	w.restart()
	w.host("lxd-1") // the inventory is fresh
	b.gone.Store(true)
	_, err := w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: req.Attempt})
	requireFault(t, err, fault.Unavailable, fault.ReasonHostUnreachable)
	_, err = w.lxd.DeployVM(w.ctx(), deployRequest(req))
	requireFault(t, err, fault.Unavailable, fault.ReasonHostUnreachable)
}
