package provision_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

var worker = provision.MachineRef{AgentName: "capmaas/worker-0-x7k2p"}

func allocateRequest() provision.AllocateRequest {
	return provision.AllocateRequest{Machine: worker, Owner: owner("worker-0")}
}

func TestBareMetal_takes_a_machine_through_its_whole_life(t *testing.T) {
	t.Parallel()
	w := start(t, 3, 2)
	req := allocateRequest()
	req.Constraints = provision.Constraints{MinCores: 8, Zone: "az1"}
	m, err := w.metal.AllocateMachine(w.ctx(), req)
	require.NoError(t, err)
	assert.Equal(t, "az1", m.Zone.Name)
	assert.Equal(t, req.Owner, *m.Owner)

	ref := provision.MachineRef{AgentName: worker.AgentName, SystemID: m.SystemID}
	deploy := provision.DeployMachineRequest{Machine: ref, Owner: req.Owner, Image: provision.Image{OS: "ubuntu", Series: "jammy"}, UserData: []byte(userData)}
	_, err = w.metal.DeployMachine(w.ctx(), deploy)
	require.NoError(t, err)
	_, err = w.metal.DeployMachine(w.ctx(), deploy)
	require.NoError(t, err, "a repeat finds it deployed")
	got, err := w.metal.GetMachine(w.ctx(), ref)
	require.NoError(t, err)
	assert.Equal(t, inventory.StatusDeployed, got.Status)

	require.NoError(t, w.metal.ReleaseMachine(w.ctx(), provision.ReleaseRequest{Machine: ref, Owner: req.Owner}))
	require.NoError(t, w.metal.ReleaseMachine(w.ctx(), provision.ReleaseRequest{Machine: ref, Owner: req.Owner}))
	_, err = w.metal.GetMachine(w.ctx(), ref)
	requireFault(t, err, fault.NotFound, fault.ReasonMachineNotFound)
	kept, ok := w.sim.Machine(m.SystemID)
	require.True(t, ok, "X3.9 metal is never deleted")
	assert.Empty(t, kept.AgentName)
}

func TestAllocateMachine_never_takes_or_makes_a_VM(t *testing.T) {
	t.Parallel()
	w := start(t, 3, 0)
	compose := w.composeRequest("cp-0", "lxd-1")
	w.made(compose.Attempt)
	_, err := w.metal.AllocateMachine(w.ctx(), allocateRequest())
	requireFault(t, err, fault.NoRoom, fault.ReasonNoMachineAvailable)
	assert.Len(t, w.sim.LXD(), 1, "X3.9 MAAS composes a VM where nothing Ready matches, unless VMs are kept out")
	m, ok := w.sim.Machine("cp-0-a1b2c")
	require.True(t, ok)
	assert.Equal(t, "ready", m.Status)
}

func TestAllocateMachine_after_an_unknown_outcome(t *testing.T) {
	t.Parallel()
	t.Run("X3.9_finds_by_agent_name_what_was_taken", func(t *testing.T) {
		t.Parallel()
		w := start(t, 0, 3)
		w.fault(maassim.Fault{Operation: "machines.allocate", Reset: true, After: true, Count: 1})
		_, err := w.metal.AllocateMachine(w.ctx(), allocateRequest())
		require.NoError(t, err)
		assert.Equal(t, 1, w.held())
	})
	t.Run("X3.9_keeps_the_lowest_and_releases_the_rest", func(t *testing.T) {
		t.Parallel()
		w := start(t, 0, 3)
		_, err := w.metal.AllocateMachine(w.ctx(), allocateRequest())
		require.NoError(t, err)
		_, err = w.metal.AllocateMachine(w.ctx(), allocateRequest())
		require.NoError(t, err, "a caller that forgot to say that it has sent before")
		require.Equal(t, 2, w.held())
		again := allocateRequest()
		again.SentAt = w.clock.now()
		_, err = w.metal.AllocateMachine(w.ctx(), again)
		require.NoError(t, err)
		assert.Equal(t, 1, w.held())
	})
	t.Run("X2.5_sends_no_second_one_while_the_first_may_appear", func(t *testing.T) {
		t.Parallel()
		w := start(t, 0, 3)
		w.fault(maassim.Fault{Operation: "machines.allocate", Reset: true, Count: 1})
		_, err := w.metal.AllocateMachine(w.ctx(), allocateRequest())
		requireFault(t, err, fault.Busy, fault.ReasonAllocationInProgress)
		again := allocateRequest()
		again.SentAt = w.clock.now()
		_, err = w.metal.AllocateMachine(w.ctx(), again)
		requireFault(t, err, fault.Busy, fault.ReasonAllocationInProgress)
		w.clock.advance(w.cfg.Timing.DetachedLimit / 2)
		_, later := w.metal.AllocateMachine(w.ctx(), again)
		require.EqualError(t, later, err.Error(), "what is told does not change while nothing does: the caller keeps it in a condition")
		w.clock.advance(w.cfg.Timing.DetachedLimit)
		_, err = w.metal.AllocateMachine(w.ctx(), again)
		requireFault(t, err, fault.NotFound, fault.ReasonMachineNotFound)
		assert.Equal(t, 1, w.sim.Requests()["machines.allocate"], "only the call without sent_at sends")
	})
	t.Run("X2.5_no_error_of_a_later_step_says_that_nothing_is_held", func(t *testing.T) {
		t.Parallel()
		w := start(t, 0, 3)
		w.fault(maassim.Fault{Operation: "machines.set_workload_annotations", Status: http.StatusConflict})
		_, err := w.metal.AllocateMachine(w.ctx(), allocateRequest())
		require.Equal(t, 1, w.held())
		requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)
	})
}

func TestReleaseMachine_of_an_allocation_whose_answer_was_never_seen(t *testing.T) {
	t.Parallel()
	t.Run("X3.9_waits_while_a_machine_may_appear", func(t *testing.T) {
		t.Parallel()
		w := start(t, 0, 1)
		req := provision.ReleaseRequest{Machine: worker, Owner: owner("worker-0"), SentAt: w.clock.now()}
		err := w.metal.ReleaseMachine(w.ctx(), req)
		requireFault(t, err, fault.Busy, fault.ReasonDeletionInProgress)
		w.clock.advance(w.cfg.Timing.DetachedLimit)
		require.NoError(t, w.metal.ReleaseMachine(w.ctx(), req))
	})
	t.Run("X3.9_releases_the_machine_that_appeared", func(t *testing.T) {
		t.Parallel()
		w := start(t, 0, 1)
		_, err := w.metal.AllocateMachine(w.ctx(), allocateRequest())
		require.NoError(t, err)
		require.NoError(t, w.metal.ReleaseMachine(w.ctx(), provision.ReleaseRequest{Machine: worker, Owner: owner("worker-0"), SentAt: w.clock.now()}))
		assert.Zero(t, w.held())
	})
}

func TestAllocateMachine_keeps_to_its_constraints(t *testing.T) {
	t.Parallel()
	w := start(t, 0, 3)
	for name, change := range map[string]func(*provision.Constraints){
		"cores": func(c *provision.Constraints) { c.MinCores = 64 }, "memory": func(c *provision.Constraints) { c.MinMemoryMiB = 1 << 20 },
		"disk": func(c *provision.Constraints) { c.MinDiskGB = 501 },
	} {
		t.Run("R4.3_"+name, func(t *testing.T) {
			req := allocateRequest()
			change(&req.Constraints)
			_, err := w.metal.AllocateMachine(w.ctx(), req)
			requireFault(t, err, fault.NoRoom, fault.ReasonNoMachineAvailable)
			assert.Zero(t, w.held())
		})
	}
	req := allocateRequest()
	req.Constraints.Zone = "nowhere"
	_, err := w.metal.AllocateMachine(w.ctx(), req)
	requireFault(t, err, fault.NoCandidate, fault.ReasonZoneNotFound)
}

func TestAllocateMachine_takes_a_machine_with_enough_disk_where_the_cheapest_has_too_little(t *testing.T) {
	t.Parallel()
	large := func(c *maassim.Config) {
		c.Metal[2].DiskGB = 4 * c.Metal[0].DiskGB
		c.Metal[2].Cores = 2 * c.Metal[0].Cores
	}
	req := allocateRequest()
	t.Run("R4.3_when_MAAS_is_asked", func(t *testing.T) {
		t.Parallel()
		w := start(t, 0, 3, large)
		want := w.sim.Machines()[2].SystemID
		req := req
		req.Constraints.MinDiskGB = 501
		m, err := w.metal.AllocateMachine(w.ctx(), req)
		require.NoError(t, err)
		assert.Equal(t, want, m.SystemID)
		assert.Equal(t, 1, w.held(), "the one with too little disk was given back")
		req.Machine.AgentName = "capmaas/worker-1-x7k2p"
		_, err = w.metal.AllocateMachine(w.ctx(), req)
		requireFault(t, err, fault.NoRoom, fault.ReasonNoMachineAvailable)
	})
	t.Run("R4.3_when_the_answer_that_offered_the_cheapest_was_lost", func(t *testing.T) {
		t.Parallel()
		w := start(t, 0, 3, large)
		req := req
		req.Constraints.MinDiskGB = 501
		w.fault(maassim.Fault{Operation: "machines.allocate", Reset: true, After: true, Count: 1})
		_, err := w.metal.AllocateMachine(w.ctx(), req)
		requireFault(t, err, fault.NotFound, fault.ReasonMachineNotFound)
		assert.Zero(t, w.held())
		_, err = w.metal.AllocateMachine(w.ctx(), req)
		require.NoError(t, err)
	})
}

// held counts the machines that are allocated under the worker's agent name.
func (w *world) held() int {
	n := 0
	for _, m := range w.sim.Machines() {
		if m.AgentName == worker.AgentName {
			n++
		}
	}
	return n
}

func TestDeployMachine_never_deploys_what_is_not_ours(t *testing.T) {
	t.Parallel()
	w := start(t, 0, 1)
	client := w.as(w.sim.UserAPIKey())
	id := w.sim.Machines()[0].SystemID
	_, err := client.Claim(w.ctx(), id, "alice/build")
	require.NoError(t, err)
	_, err = w.metal.DeployMachine(w.ctx(), provision.DeployMachineRequest{
		Machine: provision.MachineRef{AgentName: worker.AgentName, SystemID: id}, Owner: owner("worker-0"),
		Image: provision.Image{OS: "ubuntu", Series: "jammy"}, UserData: []byte(userData),
	})
	requireFault(t, err, fault.Conflict, fault.ReasonNameTaken)
	assert.Zero(t, w.sim.Requests()["machines.deploy"], "X3.1")
}

func TestWatchMachines_tells_changes_and_release(t *testing.T) {
	t.Parallel()
	w := start(t, 0, 1, func(c *maassim.Config) { c.Durations.Deploy = 50 * time.Millisecond })
	m, err := w.metal.AllocateMachine(w.ctx(), allocateRequest())
	require.NoError(t, err)
	ref := provision.MachineRef{AgentName: worker.AgentName, SystemID: m.SystemID}
	events := make(chan provision.MachineEvent, 100)
	go func() {
		_ = w.metal.WatchMachines(w.ctx(), []provision.WatchedMachine{{Machine: ref, Known: []inventory.Status{inventory.StatusAllocated}}},
			func(e provision.MachineEvent) error { events <- e; return nil })
	}()
	first := <-events
	require.NotNil(t, first.Machine)
	assert.Equal(t, inventory.StatusAllocated, first.Machine.Status)
	assert.False(t, (<-events).Synced.IsZero())
	_, err = w.metal.DeployMachine(w.ctx(), provision.DeployMachineRequest{
		Machine: ref, Owner: owner("worker-0"), Image: provision.Image{OS: "ubuntu", Series: "jammy"}, UserData: []byte(userData),
	})
	require.NoError(t, err)
	for e := range events {
		if e.Machine != nil && e.Machine.Status == inventory.StatusDeployed {
			break
		}
	}
	require.NoError(t, w.metal.ReleaseMachine(w.ctx(), provision.ReleaseRequest{Machine: ref, Owner: owner("worker-0")}))
	for e := range events {
		if e.Gone != "" {
			assert.Equal(t, m.SystemID, e.Gone)
			break
		}
	}
}
