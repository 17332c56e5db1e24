package provision_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// silentHost does not answer the first reads of a host.
type silentHost struct {
	provision.Backend

	left atomic.Int64
}

func (s *silentHost) Host(ctx context.Context, id inventory.HostID) (inventory.Host, error) {
	if s.left.Add(-1) >= 0 {
		return inventory.Host{}, fault.New(fault.Unavailable, fault.ReasonMAASUnavailable, "no answer")
	}
	return s.Backend.Host(ctx, id)
}

func TestWatchVMs_tells_an_absence_as_soon_as_it_is_proved(t *testing.T) {
	t.Parallel()
	for name, systemID := range map[string]string{"X4.5_of_a_VM_that_was_seen": "abc123", "X4.5_of_a_VM_that_was_never_seen": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, 1, 0)
			absent := w.attempt("cp-9", "lxd-1")
			absent.SystemID = systemID
			silent := &silentHost{Backend: w.cfg.Backend}
			silent.left.Store(3)
			w.cfg.Backend = silent
			w.restart()
			events, stop := w.watch(watched(absent))
			defer stop()
			assert.False(t, (<-events).Synced.IsZero(), "nothing is told while it is not proved")
			assert.Equal(t, absent.Name, (<-events).Gone)
		})
	}
}

func TestWatchVMs_tells_a_VM_that_appears_after_the_snapshot(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	late := w.attempt("cp-9", "lxd-1")
	host := w.hostOf(late)
	silent := &silentHost{Backend: w.cfg.Backend}
	silent.left.Store(1 << 20)
	w.cfg.Backend = silent
	w.restart()
	events, stop := w.watch(watched(late))
	defer stop()
	require.False(t, (<-events).Synced.IsZero())
	_, err := silent.Make(w.ctx(), provision.VMSpec{Name: late.Name, Host: host, Size: small(), Architecture: "amd64/generic", SkipCommissioning: true})
	require.NoError(t, err)
	e := <-events
	require.NotNil(t, e.VM)
	assert.Equal(t, late.Name, e.VM.Hostname)
}

func TestWatchVMs_tells_once_that_a_VM_is_gone(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	counting := &countedMAAS{MAAS: w.cfg.MAAS}
	w.cfg.MAAS = counting
	w.restart()
	kept, gone := w.composed("cp-0", "lxd-1"), w.composed("cp-1", "lxd-1")
	unnamed := gone.Attempt
	unnamed.SystemID = ""
	events, stop := w.watch(watched(kept.Attempt), watched(unnamed))
	defer stop()
	for range 3 {
		<-events
	}
	_, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(gone.Owner, gone.Attempt))
	require.NoError(t, err)
	for e := range events {
		if e.Gone != "" {
			break
		}
	}
	counting.rounds.Store(0)
	require.Eventually(t, func() bool { return counting.rounds.Load() >= 3 }, 10*time.Second, time.Millisecond)
	stop()
	for len(events) > 0 {
		assert.Empty(t, (<-events).Gone, "X4.5 a caller without the system id is told once too")
	}
}

// silentClaims does not answer the first proofs of a claim.
type silentClaims struct {
	provision.MAAS

	left atomic.Int64
}

func (s *silentClaims) Claimed(ctx context.Context, systemID, agent string) (inventory.Machine, error) {
	if s.left.Add(-1) >= 0 {
		return inventory.Machine{}, fault.New(fault.Unavailable, fault.ReasonMAASUnavailable, "no answer")
	}
	return s.MAAS.Claimed(ctx, systemID, agent)
}

func TestWatchMachines_tells_a_machine_as_soon_as_its_claim_is_read(t *testing.T) {
	t.Parallel()
	for name, agent := range map[string]string{"X3.9_held": worker.AgentName, "X3.9_not_held": "capmaas/other"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, 0, 1)
			m, err := w.metal.AllocateMachine(w.ctx(), allocateRequest())
			require.NoError(t, err)
			silent := &silentClaims{MAAS: w.cfg.MAAS}
			silent.left.Store(3)
			w.cfg.MAAS = silent
			w.restart()
			ctx, cancel := context.WithCancel(w.ctx())
			defer cancel()
			events := make(chan provision.MachineEvent, 100)
			go func() {
				_ = w.metal.WatchMachines(ctx, []provision.WatchedMachine{{Machine: provision.MachineRef{AgentName: agent, SystemID: m.SystemID}}},
					func(e provision.MachineEvent) error { events <- e; return nil })
			}()
			require.False(t, (<-events).Synced.IsZero(), "nothing is told while the claim is not read")
			e := <-events
			if agent == worker.AgentName {
				require.NotNil(t, e.Machine)
				assert.Equal(t, m.SystemID, e.Machine.SystemID)
			} else {
				assert.Equal(t, m.SystemID, e.Gone)
			}
		})
	}
}
