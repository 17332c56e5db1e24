package maassim_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

// hold makes the next call wait that gets to a place, starts one that will, and returns what lets it go on and waits for its answer.
func (m *maas) hold(place, name string, call func() answer) (letGo func() answer) {
	m.t.Helper()
	m.Hold(place, name)
	done := behind(call)
	require.NoError(m.t, m.AwaitHeld(bounded(m.t), place, name))
	return func() answer {
		m.t.Helper()
		require.NoError(m.t, m.LetGo(place, name))
		return <-done
	}
}

// stay is a MAAS where a deployment does not end by itself.
func stay(t *testing.T) *maas {
	t.Helper()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Durations.Deploy = time.Hour
	return start(t, cfg)
}

func TestX3_2_recordings_351_352_a_deploy_that_was_overtaken_by_a_claim_runs_again(t *testing.T) {
	t.Parallel()
	m := stay(t)
	alice := m.as(m.UserAPIKey())

	t.Run("an_administrator_deploys_the_machine_of_who_claimed_it", func(t *testing.T) {
		id := m.compose("va-11", "")
		letGo := m.hold(maassim.PlaceDeployRead, "va-11", func() answer { return m.post("machines/"+id+"/?op=deploy", "agent_name=thief") })
		alice.claim(id, "alice")
		require.Equal(t, http.StatusOK, letGo().status)
		vm, _ := m.Machine("va-11")
		assert.Equal(t, []string{"deploying", "alice", "alice"}, []string{vm.Status, vm.Owner, vm.AgentName})
	})
	t.Run("anybody_else_may_not", func(t *testing.T) {
		id := m.compose("va-12", "")
		letGo := m.hold(maassim.PlaceDeployRead, "va-12", func() answer { return alice.post("machines/"+id+"/?op=deploy", "agent_name=thief") })
		m.claim(id, "admins")
		want(t, letGo(), http.StatusForbidden, text, "")
		vm, _ := m.Machine("va-12")
		assert.Equal(t, []string{"allocated", "admin", "admins"}, []string{vm.Status, vm.Owner, vm.AgentName}, "what was read is not written")
	})
	t.Run("a_machine_that_was_deleted_is_missed", func(t *testing.T) {
		id := m.compose("va-13", "")
		letGo := m.hold(maassim.PlaceDeployRead, "va-13", func() answer { return m.post("machines/"+id+"/?op=deploy", "") })
		require.Equal(t, http.StatusNoContent, m.delete("machines/"+id+"/").status)
		want(t, letGo(), http.StatusNotFound, plain, "No Machine matches the given query.")
	})
}

func TestX3_6_recordings_567_568_of_two_deploys_the_second_finds_the_first(t *testing.T) {
	t.Parallel()
	m := stay(t)
	for name, claimed := range map[string]bool{"from-allocated": true, "from-ready": false} {
		id := m.compose(name, "")
		if claimed {
			m.claim(id, "a")
		}
		letGo := m.hold(maassim.PlaceDeployRead, name, func() answer { return m.post("machines/"+id+"/?op=deploy", "user_data=bG9zZXI=") })
		require.Equal(t, http.StatusOK, m.post("machines/"+id+"/?op=deploy", "user_data=d2lubmVy").status)
		want(t, letGo(), http.StatusConflict, text, "Can't deploy a machine that is in the 'Deploying' state")
		data, _ := m.UserData(id)
		assert.Equal(t, "d2lubmVy", data, "recording 568: one deployment, and its user data")
	}
}

func TestX3_1_recording_351_a_deploy_of_a_Ready_machine_waits_for_the_claim_that_is_under_way(t *testing.T) {
	t.Parallel()
	m, clock := timed(t, 1, maassim.Durations{Allocate: time.Second, Deploy: time.Hour})
	alice := m.as(m.UserAPIKey())
	id := m.compose("va-11", "")
	claimed := behind(func() answer { return m.post("machines/?op=allocate", "system_id="+id+"&agent_name=admins") })
	require.NoError(t, clock.AwaitWaiting(bounded(t), 1), "the claim has MAAS's lock")

	m.Hold(maassim.PlaceDeployRead, "va-11")
	deployed := behind(func() answer { return alice.post("machines/"+id+"/?op=deploy", "agent_name=thief") })
	require.NoError(t, m.AwaitHeld(bounded(t), maassim.PlaceDeployRead, "va-11"))
	require.NoError(t, m.LetGo(maassim.PlaceDeployRead, "va-11"))
	for range 20 { // as many calls as it would take a deploy that waited for nothing
		require.Equal(t, "Ready", m.status(id))
	}
	clock.Advance(time.Second)
	require.Equal(t, http.StatusOK, (<-claimed).status)
	want(t, <-deployed, http.StatusForbidden, text, "")
	vm, _ := m.Machine("va-11")
	assert.Equal(t, []string{"allocated", "admin", "admins"}, []string{vm.Status, vm.Owner, vm.AgentName})
}
