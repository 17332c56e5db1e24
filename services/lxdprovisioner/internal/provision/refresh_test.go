package provision_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/maassim"
)

func TestRefresh_that_failed(t *testing.T) {
	t.Parallel()
	t.Run("X4.4_counts_for_the_minute_and_X4.3_proves_nothing", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composed("cp-0", "lxd-1")
		del := deleteRequest(req.Owner, req.Attempt)
		w.fault(maassim.Fault{Operation: "vm-hosts.refresh", Status: 500, Body: "driver timed out", After: true, Count: 1})
		_, err := w.lxd.DeleteVM(w.ctx(), del)
		require.Error(t, err)
		kind, reason := fault.KindOf(err), fault.ReasonOf(err)
		for range 3 {
			_, err = w.lxd.DeleteVM(w.ctx(), del)
			requireFault(t, err, kind, reason)
		}
		assert.Equal(t, 1, w.sim.Requests()["vm-hosts.refresh"])
		w.clock.advance(61 * time.Second)
		_, err = w.lxd.DeleteVM(w.ctx(), del)
		require.NoError(t, err)
		assert.Equal(t, 2, w.sim.Requests()["vm-hosts.refresh"])
	})
	t.Run("X4.4_counts_for_the_minute_after_its_end_where_MAAS_took_longer", func(t *testing.T) {
		t.Parallel()
		w, b, del, _ := stepping(t)
		b.onVerify = func() { w.clock.advance(2 * time.Minute) }
		w.fault(maassim.Fault{Operation: "vm-hosts.refresh", Status: 500, Body: "driver timed out", After: true, Count: 1})
		for range 3 {
			_, err := w.lxd.DeleteVM(w.ctx(), del)
			require.Error(t, err)
		}
		assert.Equal(t, 1, w.sim.Requests()["vm-hosts.refresh"])
	})
}

func TestDrain_waits_for_a_refresh_whose_caller_is_gone(t *testing.T) {
	t.Parallel()
	w, b, del, _ := stepping(t)
	w.cfg.Timing.DetachedLimit, w.cfg.Timing.QueueLimit = 2*time.Second, 0
	w.restart()
	refreshing, leave := make(chan struct{}), make(chan struct{})
	b.onVerify = func() {
		close(refreshing)
		<-leave
	}
	deleted := make(chan error, 1)
	go func() {
		_, err := w.lxd.DeleteVM(w.ctx(), del)
		deleted <- err
	}()
	<-refreshing
	require.Error(t, <-deleted, "the deletion is given up")
	drained := make(chan error, 1)
	go func() { drained <- w.lxd.Drain(w.ctx()) }()
	select {
	case err := <-drained:
		t.Errorf("X2.5 a refresh runs on, but nobody waits for it: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(leave)
	require.NoError(t, <-drained)
}
