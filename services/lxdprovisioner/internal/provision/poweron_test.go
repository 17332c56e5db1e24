package provision_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

// switchedOff switches a machine off behind everybody's back.
func (w *world) switchedOff(systemID string) {
	w.t.Helper()
	w.post("machines/"+systemID+"/?op=power_off", url.Values{})
}

// powerOns counts what MAAS was told.
func (w *world) powerOns() int { return w.sim.Requests()["machines.power_on"] }

// runs says whether MAAS shows the machine on.
func (w *world) runs(systemID string) bool {
	w.t.Helper()
	m, err := w.cfg.MAAS.Machine(w.ctx(), systemID)
	require.NoError(w.t, err)
	return m.Power == inventory.PowerOn
}

// deployedWorker deploys the physical machine of worker-0.
func (w *world) deployedWorker(inMemory bool) string {
	w.t.Helper()
	m, err := w.metal.AllocateMachine(w.ctx(), allocateRequest())
	require.NoError(w.t, err)
	ref := worker
	ref.SystemID = m.SystemID
	_, err = w.metal.DeployMachine(w.ctx(), provision.DeployMachineRequest{
		Machine: ref, Owner: owner("worker-0"), Image: provision.Image{OS: "ubuntu", Series: "jammy"}, UserData: []byte(userData), InMemory: inMemory,
	})
	require.NoError(w.t, err)
	require.Eventually(w.t, func() bool {
		m, err := w.cfg.MAAS.Machine(w.ctx(), m.SystemID)
		return err == nil && m.Status == inventory.StatusDeployed
	}, 10*time.Second, 5*time.Millisecond)
	return m.SystemID
}

func TestPowerOn_X3_8_of_deployed_machines_is_sent_once(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 1)
	vm, _ := w.deployed("cp-0", "lxd-1")
	metal := w.deployedWorker(false)
	for i, m := range []struct{ systemID, machine string }{{vm.Attempt.SystemID, "cp-0"}, {metal, "worker-0"}} {
		w.switchedOff(m.systemID)
		moved := owner(m.machine)
		moved.MachineUID = "another-after-a-move"
		done, err := w.region.PowerOn(w.ctx(), m.systemID, moved)
		require.NoError(t, err)
		assert.True(t, done.Sent)
		assert.True(t, w.runs(m.systemID))
		again, err := w.region.PowerOn(w.ctx(), m.systemID, owner(m.machine))
		require.NoError(t, err)
		assert.False(t, again.Sent, "one that is on is answered as it is")
		assert.Equal(t, i+1, w.powerOns())
	}
}

func TestPowerOn_X3_8_is_not_sent_to_what_must_not_be_switched_on(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 3)
	ready, _ := w.sim.Machine("metal-3")
	_, err := w.region.PowerOn(w.ctx(), ready.SystemID, owner("worker-0"))
	requireFault(t, err, fault.Conflict, fault.ReasonNameTaken)
	_, err = w.region.PowerOn(w.ctx(), "nosuch", owner("worker-0"))
	requireFault(t, err, fault.NotFound, fault.ReasonMachineNotFound)

	memory := w.deployedWorker(true)
	w.switchedOff(memory)
	_, err = w.region.PowerOn(w.ctx(), memory, owner("worker-0"))
	requireFault(t, err, fault.Unsupported, fault.ReasonNotSupported)
	_, err = w.region.PowerOn(w.ctx(), memory, owner("worker-1"))
	requireFault(t, err, fault.Conflict, fault.ReasonNameTaken)

	composed := w.composeRequest("cp-0", "lxd-1")
	var vm provision.VM
	require.Eventually(t, func() bool {
		vm, err = w.lxd.ComposeVM(w.ctx(), composed)
		composed.Attempt = w.sent(composed.Attempt)
		return err == nil && vm.Status == inventory.StatusAllocated
	}, 10*time.Second, 5*time.Millisecond)
	_, err = w.region.PowerOn(w.ctx(), vm.SystemID, composed.Owner)
	requireFault(t, err, fault.Busy, fault.ReasonNotReady)

	// Somebody allocates it under the same user and copies the mark, or has another user's machine marked.
	hers, _ := w.sim.Machine("metal-2")
	_, err = w.as(w.sim.UserAPIKey()).Claim(w.ctx(), hers.SystemID, "alice/build")
	require.NoError(t, err)
	_, err = w.as(w.sim.UserAPIKey()).Annotate(w.ctx(), hers.SystemID, map[string]string{
		"capmaas.machine": "worker-2", "capmaas.machine-uid": "uid-worker-2", "capmaas.cluster-id": "c-1", "capmaas.namespace": "prod",
	})
	require.NoError(t, err)
	_, err = w.region.PowerOn(w.ctx(), hers.SystemID, owner("worker-2"))
	requireFault(t, err, fault.Conflict, fault.ReasonNameTaken)
	assert.Zero(t, w.powerOns())
}

func TestPowerOn_X3_8_with_an_unclear_answer_reads_the_machine(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req, _ := w.deployed("cp-0", "lxd-1")
	id := req.Attempt.SystemID
	w.switchedOff(id)
	w.fault(maassim.Fault{Operation: "machines.power_on", Status: 500, Body: "power driver", Count: 1})
	_, err := w.region.PowerOn(w.ctx(), id, req.Owner)
	requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)
	assert.False(t, w.runs(id))

	w.fault(maassim.Fault{Operation: "machines.power_on", Status: 500, Body: "power driver", After: true, Count: 1})
	done, err := w.region.PowerOn(w.ctx(), id, req.Owner)
	require.NoError(t, err)
	assert.True(t, done.Sent)
	assert.Equal(t, inventory.PowerOn, done.Machine.Power)
}

// starting runs a step of a test while a machine is being switched on.
type starting struct {
	provision.MAAS

	during func()
}

func (s *starting) PowerOn(ctx context.Context, systemID string) (inventory.Machine, error) {
	s.during()
	return s.MAAS.PowerOn(ctx, systemID)
}

func TestPowerOn_X2_5_is_finished_without_its_caller(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req, _ := w.deployed("cp-0", "lxd-1")
	w.switchedOff(req.Attempt.SystemID)
	goOn := make(chan struct{})
	w.cfg.MAAS = &starting{MAAS: w.cfg.MAAS, during: func() { <-goOn }}
	w.restart()
	short, cancel := context.WithTimeout(w.ctx(), 50*time.Millisecond)
	defer cancel()
	_, err := w.region.PowerOn(short, req.Attempt.SystemID, req.Owner)
	requireFault(t, err, fault.Busy, fault.ReasonNotReady)
	close(goOn)
	require.NoError(t, w.region.Drain(w.ctx()))
	assert.True(t, w.runs(req.Attempt.SystemID))
	assert.Equal(t, 1, w.powerOns())
}
