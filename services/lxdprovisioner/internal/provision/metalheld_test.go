package provision_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// watchedMetal deploys a machine and watches it, and gives its reference and what the watch said of it.
func (w *world) watchedMetal() (provision.MachineRef, provision.BareMetalMachine) {
	w.t.Helper()
	w.cfg.Timing.WatchFullRead, w.cfg.Timing.IdleInterval, w.cfg.Timing.WatchInterval = time.Hour, time.Hour, time.Hour
	w.restart()
	ref := w.deployedMetal().Machine
	events := make(chan provision.MachineEvent, 10)
	go func() {
		_ = w.metal.WatchMachines(w.ctx(), []provision.WatchedMachine{{Machine: ref}}, func(e provision.MachineEvent) error {
			events <- e
			return nil
		})
	}()
	first := <-events
	require.NotNil(w.t, first.Machine)
	<-events // it is in step
	return ref, *first.Machine
}

func TestGetMachine_of_a_watched_machine_asks_MAAS_only_once(t *testing.T) {
	t.Parallel()
	w := start(t, 0, 1)
	ref, told := w.watchedMetal()
	_, err := w.metal.GetMachine(w.ctx(), ref)
	require.NoError(t, err)
	w.sim.ResetRequests()
	got, err := w.metal.GetMachine(w.ctx(), ref)
	require.NoError(t, err)
	assert.Equal(t, told.Addresses, got.Addresses)
	assert.Equal(t, told.ReadAt, got.ReadAt, "X7.3 with the age of what it says")
	assert.True(t, *got.Claimed)
	assert.Empty(t, w.sim.Requests(), "X7.3")

	w.clock.advance(3 * time.Hour)
	_, err = w.metal.GetMachine(w.ctx(), ref)
	require.NoError(t, err)
	assert.NotEmpty(t, w.sim.Requests(), "what is too old is read again")
}

func TestGetMachine_believes_a_watch_only_under_the_name_that_MAAS_found(t *testing.T) {
	t.Parallel()
	w := start(t, 0, 1)
	ref, _ := w.watchedMetal()
	_, err := w.metal.GetMachine(w.ctx(), ref)
	require.NoError(t, err)
	_, err = w.metal.GetMachine(w.ctx(), provision.MachineRef{AgentName: "capmaas/other-abcde", SystemID: ref.SystemID})
	requireFault(t, err, fault.NotFound, fault.ReasonMachineNotFound)
}

func TestGetMachine_of_a_released_machine_reads_MAAS(t *testing.T) {
	t.Parallel()
	w := start(t, 0, 1)
	ref, _ := w.watchedMetal()
	_, err := w.metal.GetMachine(w.ctx(), ref)
	require.NoError(t, err)
	release := provision.ReleaseRequest{Machine: ref, Owner: owner("worker-0")}
	require.Eventually(t, func() bool { return w.metal.ReleaseMachine(w.ctx(), release) == nil }, 10*time.Second, time.Millisecond)
	_, err = w.metal.GetMachine(w.ctx(), ref)
	requireFault(t, err, fault.NotFound, fault.ReasonMachineNotFound)
}
