package provision_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// stepped lets a test act at the steps of a deletion and of a composition.
type stepped struct {
	provision.Backend

	onFind           func(names []string)
	onMake, onVerify func()
	makes, verifies  atomic.Int64
}

func step(f func()) {
	if f != nil {
		f()
	}
}

func (b *stepped) Find(ctx context.Context, names []string) ([]inventory.Machine, error) {
	if b.onFind != nil {
		b.onFind(names)
	}
	return b.Backend.Find(ctx, names)
}

func (b *stepped) Make(ctx context.Context, spec provision.VMSpec) (string, error) {
	b.makes.Add(1)
	step(b.onMake)
	return b.Backend.Make(ctx, spec)
}

func (b *stepped) Verify(ctx context.Context, id inventory.HostID) (inventory.Host, error) {
	b.verifies.Add(1)
	step(b.onVerify)
	return b.Backend.Verify(ctx, id)
}

// stepping gives a world with a VM to delete and a request for another one on the same host.
func stepping(t *testing.T) (*world, *stepped, provision.DeleteRequest, provision.ComposeRequest) {
	t.Helper()
	w := start(t, 1, 0)
	req := w.composed("cp-0", "lxd-1")
	other := w.composeRequest("cp-1", "lxd-1")
	b := &stepped{Backend: w.cfg.Backend}
	w.cfg.Backend = b
	w.restart()
	return w, b, deleteRequest(req.Owner, req.Attempt), other
}

func TestRefresh_and_composition_of_one_host_exclude_each_other(t *testing.T) {
	t.Parallel()
	t.Run("X4.4_a_composition_waits_for_the_refresh", func(t *testing.T) {
		t.Parallel()
		w, b, del, compose := stepping(t)
		refreshing, leave := make(chan struct{}), make(chan struct{})
		b.onVerify = func() {
			close(refreshing)
			<-leave
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := w.lxd.DeleteVM(w.ctx(), del)
			assert.NoError(t, err)
		})
		<-refreshing
		short, cancel := context.WithTimeout(w.ctx(), 100*time.Millisecond)
		defer cancel()
		_, err := w.lxd.ComposeVM(short, compose)
		requireFault(t, err, fault.Busy, fault.ReasonCompositionInProgress)
		assert.Zero(t, b.makes.Load(), "the refresh would import the VM in the making")
		close(leave)
		wg.Wait()
		vm, err := w.lxd.ComposeVM(w.ctx(), compose)
		require.NoError(t, err, "it goes on once the host is refreshed")
		assert.True(t, *vm.Claimed)
	})
	t.Run("X4.4_a_composition_that_waited_too_long_for_the_refresh_was_not_sent", func(t *testing.T) {
		t.Parallel()
		w, b, del, compose := stepping(t)
		w.cfg.Timing.QueueLimit = 20 * time.Millisecond
		w.restart()
		refreshing, leave := make(chan struct{}), make(chan struct{})
		b.onVerify = func() {
			close(refreshing)
			<-leave
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := w.lxd.DeleteVM(w.ctx(), del)
			assert.NoError(t, err)
		})
		<-refreshing
		again := compose
		again.Attempt = w.sent(compose.Attempt)
		_, err := w.lxd.ComposeVM(w.ctx(), compose)
		requireFault(t, err, fault.Busy, fault.ReasonTooManyInFlight)
		_, err = w.lxd.ComposeVM(w.ctx(), again)
		requireFault(t, err, fault.NotFound, fault.ReasonVMNotFound)
		assert.Zero(t, b.makes.Load())
		close(leave)
		wg.Wait()
	})
	t.Run("X4.4_a_refresh_does_not_begin_once_a_composition_has", func(t *testing.T) {
		t.Parallel()
		w, b, del, compose := stepping(t)
		making, leave := make(chan struct{}), make(chan struct{})
		// The composition begins when the deletion has already looked whether one runs, and looks for
		// the VMs that are deployed there.
		neighbour := w.composed("cp-2", "lxd-1")
		_, err := w.lxd.DeployVM(w.ctx(), deployRequest(neighbour))
		require.NoError(t, err)
		b.onMake = func() {
			close(making)
			<-leave
		}
		del.Hosts[0].Deployed = []string{neighbour.Attempt.Name}
		var wg sync.WaitGroup
		b.onFind = func(names []string) {
			if !slices.Contains(names, neighbour.Attempt.Name) {
				return
			}
			wg.Go(func() {
				_, err := w.lxd.ComposeVM(w.ctx(), compose)
				assert.NoError(t, err)
			})
			<-making
		}
		_, err = w.lxd.DeleteVM(w.ctx(), del)
		requireFault(t, err, fault.Busy, fault.ReasonDeletionInProgress)
		assert.Zero(t, b.verifies.Load(), "the refresh would import the VM in the making")
		close(leave)
		wg.Wait()
		b.onFind = nil
		_, err = w.lxd.DeleteVM(w.ctx(), del)
		require.NoError(t, err)
	})
}
