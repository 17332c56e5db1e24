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
	"github.com/capmaas/capmaas/services/maassim"
)

// swapping runs a step of a test while the swap of a machine is set, before its deployment is sent.
type swapping struct {
	provision.MAAS

	during func()
}

func (s *swapping) DisableSwap(ctx context.Context, systemID string) error {
	err := s.MAAS.DisableSwap(ctx, systemID)
	s.during()
	return err
}

// allocatedWith allocates a machine; during runs in the middle of its deployment.
func (w *world) allocatedWith(during func(systemID string)) provision.DeployMachineRequest {
	w.t.Helper()
	req := provision.DeployMachineRequest{
		Machine: worker, Owner: owner("worker-0"), Image: provision.Image{OS: "ubuntu", Series: "jammy"}, UserData: []byte(userData),
	}
	w.cfg.MAAS = &swapping{MAAS: w.cfg.MAAS, during: func() { during(req.Machine.SystemID) }}
	w.restart()
	m, err := w.metal.AllocateMachine(w.ctx(), allocateRequest())
	require.NoError(w.t, err)
	req.Machine.SystemID = m.SystemID
	return req
}

func TestReleaseMachine_during_a_deployment(t *testing.T) {
	t.Parallel()
	t.Run("X3.1_waits_for_the_deployment_and_releases_what_it_deployed", func(t *testing.T) {
		t.Parallel()
		w := start(t, 0, 1)
		entered, goOn, deployed := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		req := w.allocatedWith(func(string) { close(entered); <-goOn })
		go func() {
			_, err := w.metal.DeployMachine(w.ctx(), req)
			deployed <- err
		}()
		<-entered
		release := provision.ReleaseRequest{Machine: req.Machine, Owner: req.Owner}
		short, cancel := context.WithTimeout(w.ctx(), 20*time.Millisecond)
		defer cancel()
		requireFault(t, w.metal.ReleaseMachine(short, release), fault.Busy, fault.ReasonDeletionInProgress)
		assert.Zero(t, w.sim.Requests()["machines.release"])
		close(goOn)
		require.NoError(t, <-deployed)
		require.NoError(t, w.metal.ReleaseMachine(w.ctx(), release))
		assert.Zero(t, w.held())
		m, ok := w.sim.Machine(req.Machine.SystemID)
		require.True(t, ok)
		assert.NotContains(t, []string{"deploying", "deployed"}, m.Status)
	})
	t.Run("X3.1_by_another_replica_leaves_nothing_to_deploy", func(t *testing.T) {
		t.Parallel()
		w := start(t, 0, 1)
		other := provision.NewBareMetal(w.cfg)
		req := w.allocatedWith(func(string) {
			assert.NoError(t, other.ReleaseMachine(w.ctx(), provision.ReleaseRequest{Machine: worker, Owner: owner("worker-0")}))
		})
		_, err := w.metal.DeployMachine(w.ctx(), req)
		requireFault(t, err, fault.Conflict, fault.ReasonNameTaken)
		assert.Zero(t, w.sim.Requests()["machines.deploy"], "MAAS deploys a Ready machine for whoever asks")
	})
}

func TestDeployMachine_during_a_release_X3_1_waits_for_its_end(t *testing.T) {
	t.Parallel()
	w := start(t, 0, 1)
	entered, goOn, released := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	req := w.allocatedWith(func(string) {})
	w.cfg.MAAS = &releasing{MAAS: w.cfg.MAAS, before: func() { close(entered); <-goOn }}
	w.restart()
	go func() {
		released <- w.metal.ReleaseMachine(w.ctx(), provision.ReleaseRequest{Machine: req.Machine, Owner: req.Owner})
	}()
	<-entered
	_, err := w.metal.DeployMachine(w.ctx(), req)
	requireFault(t, err, fault.Busy, fault.ReasonNotReady)
	close(goOn)
	require.NoError(t, <-released)
	assert.Zero(t, w.sim.Requests()["machines.deploy"])
}

// releasing runs a step of a test before a machine is released.
type releasing struct {
	provision.MAAS

	before func()
}

func (r *releasing) Release(ctx context.Context, systemID, comment string) (inventory.Machine, error) {
	r.before()
	return r.MAAS.Release(ctx, systemID, comment)
}

func TestReleaseMachine_R7_4_is_done_when_MAAS_holds_the_machine_no_more(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 1)
	m, err := w.metal.AllocateMachine(w.ctx(), allocateRequest())
	require.NoError(t, err)
	release := provision.ReleaseRequest{Machine: provision.MachineRef{AgentName: worker.AgentName, SystemID: m.SystemID}, Owner: owner("worker-0")}
	w.fault(maassim.Fault{Operation: "machines.release", Count: 1, Effect: maassim.EffectSlow, Latency: time.Second})
	requireFault(t, w.metal.ReleaseMachine(w.ctx(), release), fault.Busy, fault.ReasonDeletionInProgress)
	require.Eventually(t, func() bool { return w.metal.ReleaseMachine(w.ctx(), release) == nil }, time.Minute, 50*time.Millisecond)
	kept, ok := w.sim.Machine(m.SystemID)
	require.True(t, ok)
	assert.Empty(t, kept.Owner)
}

func TestReleaseMachine_R7_4_sends_a_release_that_failed_again(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 1)
	m, err := w.metal.AllocateMachine(w.ctx(), allocateRequest())
	require.NoError(t, err)
	release := provision.ReleaseRequest{Machine: provision.MachineRef{AgentName: worker.AgentName, SystemID: m.SystemID}, Owner: owner("worker-0")}
	w.fault(maassim.Fault{Operation: "machines.release", Count: 1, Effect: maassim.EffectFail})
	requireFault(t, w.metal.ReleaseMachine(w.ctx(), release), fault.Busy, fault.ReasonDeletionInProgress)
	require.NoError(t, w.metal.ReleaseMachine(w.ctx(), release))
	kept, ok := w.sim.Machine(m.SystemID)
	require.True(t, ok)
	assert.Empty(t, kept.Owner)
}
