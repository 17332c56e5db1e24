package provision_test

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

// filters notes what the polling loop asks.
type filters struct {
	provision.MAAS

	mu    sync.Mutex
	asked []provision.MachineFilter
	// broken is how many of the next questions about owners MAAS does not answer.
	broken int
}

func (f *filters) Machines(ctx context.Context, filter provision.MachineFilter) ([]inventory.Machine, error) {
	f.mu.Lock()
	f.asked = append(f.asked, filter)
	breaks := len(filter.NotOwners) > 0 && f.broken > 0
	if breaks {
		f.broken--
	}
	f.mu.Unlock()
	if breaks {
		return nil, fault.New(fault.Unavailable, fault.ReasonMAASUnavailable, "the connection broke")
	}
	return f.MAAS.Machines(ctx, filter)
}

// of gives the questions about a machine that exclude something.
func (f *filters) of(systemID string) (status, owner, power, several int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, q := range f.asked {
		if len(q.SystemIDs) != 1 || q.SystemIDs[0] != systemID {
			continue
		}
		n := 0
		if len(q.NotStatuses) > 0 {
			status, n = status+1, n+1
		}
		if len(q.NotOwners) > 0 {
			owner, n = owner+1, n+1
		}
		if len(q.NotPowers) > 0 {
			power, n = power+1, n+1
		}
		if n > 1 {
			several++
		}
	}
	return status, owner, power, several
}

func TestWatchVMs_of_a_deployed_VM(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]struct {
		op   string
		form url.Values
		told func(provision.VM) bool
	}{
		"X7.2_tells_that_it_was_switched_off": {"power_off", nil, func(vm provision.VM) bool { return vm.Power == inventory.PowerOff }},
		"X7.2_tells_that_it_was_released":     {"release", nil, func(vm provision.VM) bool { return vm.Status != inventory.StatusDeployed }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, asked, req := deployedAndWatched(t)
			events, stop := w.watch(watched(req.Attempt, inventory.StatusDeployed))
			defer stop()
			require.NotNil(t, (<-events).VM)
			require.False(t, (<-events).Synced.IsZero())
			require.Eventually(t, func() bool {
				status, owner, power, _ := asked.of(req.Attempt.SystemID)
				return status > 1 && owner > 1 && power > 1
			}, 10*time.Second, time.Millisecond)
			_, _, _, several := asked.of(req.Attempt.SystemID)
			assert.Zero(t, several, "filters are ANDed: one call would show only what differs in all")
			w.post("machines/"+req.Attempt.SystemID+"/?op="+happens.op, happens.form)
			for e := range events {
				if e.VM != nil && happens.told(*e.VM) {
					break
				}
			}
		})
	}
	t.Run("X7.2_tells_that_it_has_another_owner", func(t *testing.T) {
		t.Parallel()
		w, _, req := deployedAndWatched(t)
		events, stop := w.watch(watched(req.Attempt, inventory.StatusDeployed))
		defer stop()
		require.NotNil(t, (<-events).VM)
		w.brought(req.Attempt.SystemID, inventory.StatusDeployed, true)
		for e := range events {
			if e.VM != nil && e.VM.Machine.Owner == "" {
				break
			}
		}
	})
}

// In a bubble no round of questions is under way when time moves on: one that seems to take two minutes would put off the next.
func TestWatchVMs_X7_2_asks_again_at_once_what_MAAS_did_not_answer(t *testing.T) {
	t.Parallel()
	inBubbleWithMAAS(t, maassim.DefaultConfig(1, 3, 0), func(w *world) {
		t := w.t
		w.cfg.Timing.WatchInterval = timing().WatchInterval
		asked, req := w.deployAndWatch()
		asked.broken = 1
		events, stop := w.watchWhile(t.Context(), watched(req.Attempt, inventory.StatusDeployed))
		defer stop()
		require.NotNil(t, (<-events).VM)
		require.False(t, (<-events).Synced.IsZero())
		<-time.After(w.cfg.Timing.IdleInterval)
		require.Eventually(t, func() bool {
			_, owner, power, _ := asked.of(req.Attempt.SystemID)
			return owner > 1 && power > 0
		}, 10*time.Second, time.Millisecond, "a failure is seen within two minutes, and not only within four")
	})
}

func TestWatchVMs_X7_1_asks_more_rarely_where_a_round_takes_many_lists(t *testing.T) {
	t.Parallel()
	const batches = 5
	inBubbleWithMAAS(t, maassim.DefaultConfig(1, 3, 0), func(w *world) {
		var vms []provision.WatchedVM
		for i := range batches {
			vms = append(vms, watched(w.composed(fmt.Sprintf("cp-%d", i), "lxd-1").Attempt, inventory.StatusAllocated))
		}
		w.cfg.Limits = provision.DefaultLimits()
		w.cfg.Limits.WatchBatch = 1
		counting := &countedMAAS{MAAS: w.cfg.MAAS}
		w.cfg.MAAS = counting
		w.restart()
		_, stop := w.watchWhile(w.t.Context(), vms...)
		defer stop()
		<-time.After(2 * time.Minute) // the first rounds don't know yet how many there are
		counting.rounds.Store(0)
		<-time.After(10 * time.Minute)
		assert.InDelta(w.t, 150, counting.rounds.Load(), 20, "15 a minute, whatever the number of batches; without that 30")
	})
}

func TestWatchVMs_X7_3_opens_anew_without_reading_what_is_looked_at_a_little_late(t *testing.T) {
	t.Parallel()
	inBubbleWithMAAS(t, maassim.DefaultConfig(1, 3, 0), func(w *world) {
		t := w.t
		w.cfg.Timing.IdleInterval = provision.DefaultTiming().IdleInterval
		// Deployed machines are looked at in every second round.
		w.cfg.Timing.WatchInterval = 3 * w.cfg.Timing.IdleInterval / 4
		asked, req := w.deployAndWatch()
		reads := 0
		w.cfg.Backend = &watchful{Backend: w.cfg.Backend, found: func() { reads++ }}
		w.restart()
		for range 2 {
			events, stop := w.watchWhile(t.Context(), watched(req.Attempt, inventory.StatusDeployed))
			require.NotNil(t, (<-events).VM)
			require.False(t, (<-events).Synced.IsZero())
			for _, before, _, _ := asked.of(req.Attempt.SystemID); ; {
				if _, owner, _, _ := asked.of(req.Attempt.SystemID); owner > before {
					break
				}
				<-time.After(time.Second)
			}
			<-time.After(w.cfg.Timing.IdleInterval + time.Second)
			stop()
		}
		// Opening anew does not make what is known older.
		for range 2 {
			events, stop := w.watchWhile(t.Context(), watched(req.Attempt, inventory.StatusDeployed))
			require.NotNil(t, (<-events).VM)
			require.False(t, (<-events).Synced.IsZero())
			stop()
		}
		assert.Equal(t, 1, reads)
	})
}

// deployedAndWatched is a world with a deployed VM in which full reads tell nothing.
func deployedAndWatched(t *testing.T) (*world, *filters, provision.ComposeRequest) {
	t.Helper()
	w := start(t, 1, 0)
	asked, req := w.deployAndWatch()
	return w, asked, req
}

func (w *world) deployAndWatch() (*filters, provision.ComposeRequest) {
	w.t.Helper()
	req := w.composed("cp-0", "lxd-1")
	_, err := w.lxd.DeployVM(w.ctx(), deployRequest(req))
	require.NoError(w.t, err)
	asked := &filters{MAAS: w.cfg.MAAS}
	w.cfg.MAAS = asked
	w.cfg.Timing.WatchFullRead = time.Hour
	w.restart()
	return asked, req
}
