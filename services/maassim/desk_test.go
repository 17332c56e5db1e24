package maassim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

// byHand starts a simulator whose time stands still.
func byHand(t *testing.T, cfg maassim.Config) (*maas, *maassim.HandClock) {
	t.Helper()
	hands := maassim.NewHandClock(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC))
	cfg.HandClock = hands
	return start(t, cfg), hands
}

// each sends the requests at once and returns the channel on which their numbers come as they are answered.
func each(m *maas, n int, send func(n int) answer) <-chan int {
	answered := make(chan int, n)
	for i := range n {
		go func() {
			if a := send(i); assert.Less(m.t, a.status, 300, a.body) {
				answered <- i
			}
		}()
	}
	return answered
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestR4_4_a_clock_that_is_moved_by_hand_ends_what_takes_time(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Durations = maassim.Durations{Compose: 3 * time.Second, Deploy: 4 * time.Minute}
	m, hands := byHand(t, cfg)
	answered := each(m, 1, func(int) answer {
		return m.post("vm-hosts/1/?op=compose", "hostname=vm&cores=1&memory=1024&skip_commissioning=true")
	})
	require.NoError(t, hands.AwaitWaiting(bounded(t), 1))
	hands.Advance(3*time.Second - 1)
	require.Equal(t, 1, hands.Waiting())
	require.Empty(t, answered)
	hands.Advance(1)
	require.Equal(t, 0, <-answered)
	require.Zero(t, hands.Waiting())

	vm, _ := m.Machine("vm")
	m.post("machines/"+vm.SystemID+"/?op=deploy", "")
	hands.Advance(4*time.Minute - 1)
	require.Equal(t, "Deploying", m.machine(vm.SystemID)["status_name"])
	hands.Advance(1)
	require.Equal(t, "Deployed", m.machine(vm.SystemID)["status_name"])
}

func TestR4_4_the_speed_shortens_what_is_waited_for(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Speed = 60
	cfg.Durations.Compose = time.Minute
	m, hands := byHand(t, cfg)
	answered := each(m, 1, func(int) answer {
		return m.post("vm-hosts/1/?op=compose", "cores=1&memory=1024&skip_commissioning=true")
	})
	require.NoError(t, hands.AwaitWaiting(bounded(t), 1))
	hands.Advance(time.Second)
	require.Equal(t, 0, <-answered)
}

func TestR4_4_durations_spread_as_they_are_told_and_repeat_with_the_seed(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) (ready []time.Duration) {
		cfg := maassim.DefaultConfig(1, 1, 8)
		cfg.Durations, cfg.Seed = maassim.Durations{Commission: 100 * time.Second, Spread: 0.2}, seed
		m, hands := byHand(t, cfg)
		for n := range 8 {
			vm, _ := m.Machine(fmt.Sprintf("metal-%d", n+1))
			require.Equal(t, http.StatusOK, m.post("machines/"+vm.SystemID+"/?op=commission", "").status)
		}
		seen := map[string]bool{}
		for passed := time.Duration(0); passed <= 120*time.Second; passed += time.Second {
			for _, vm := range m.Machines() {
				if !vm.VMHost && vm.Status == "ready" && !seen[vm.Hostname] {
					seen[vm.Hostname] = true
					ready = append(ready, passed)
				}
			}
			hands.Advance(time.Second)
		}
		return ready
	}
	first := run(7)
	require.Len(t, first, 8)
	assert.GreaterOrEqual(t, first[0], 80*time.Second)
	assert.Greater(t, first[7]-first[0], 5*time.Second)
	assert.Equal(t, first, run(7))
	assert.NotEqual(t, first, run(8))
}

func TestR4_4_settings_of_time_that_make_no_sense_are_refused(t *testing.T) {
	t.Parallel()
	for _, wrong := range []maassim.Config{
		{Durations: maassim.Durations{Spread: 1}}, {Durations: maassim.Durations{Spread: -0.1}}, {Workers: -1}, {Speed: -1},
	} {
		_, err := maassim.New(wrong)
		require.Error(t, err)
	}
}

func TestR4_4_calls_beyond_four_a_worker_wait_in_the_order_of_their_arrival(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Workers, cfg.Cost = 1, maassim.CostModel{"": {Call: time.Second}}
	m, hands := byHand(t, cfg)
	answered := make(chan int, 7)
	for n := range 7 {
		go func() {
			m.get("users/?op=whoami")
			answered <- n
		}()
		require.Eventually(t, func() bool { l := m.Load(); return l.Serving+l.Waiting == n+1 }, time.Minute, time.Millisecond)
	}
	l := m.Load()
	assert.Equal(t, [3]int{4, 4, 3}, [3]int{l.Places, l.Serving, l.Waiting})
	require.NoError(t, hands.AwaitWaiting(bounded(t), 4))
	require.Empty(t, answered)
	hands.Advance(time.Second)
	first := []int{<-answered, <-answered, <-answered, <-answered}
	assert.ElementsMatch(t, []int{0, 1, 2, 3}, first)
	require.NoError(t, hands.AwaitWaiting(bounded(t), 3))
	hands.Advance(time.Second)
	assert.ElementsMatch(t, []int{4, 5, 6}, []int{<-answered, <-answered, <-answered})

	l = m.Load()
	whoami := l.Operations["users.whoami"]
	assert.Equal(t, maassim.OperationLoad{Calls: 7, Region: 7 * time.Second, Queued: 3 * time.Second, Held: 7 * time.Second}, whoami)
	assert.Equal(t, [4]int{0, 0, 4, 3}, [4]int{l.Serving, l.Waiting, l.MostServed, l.MostQueued})
	m.ResetLoad()
	assert.Empty(t, m.Load().Operations)
}

func TestR4_4_a_compose_holds_its_place_while_LXD_works(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(4, 1, 0)
	cfg.Workers, cfg.Durations.Compose = 1, 10*time.Second
	m, hands := byHand(t, cfg)
	composed := each(m, 4, func(n int) answer {
		return m.post(fmt.Sprintf("vm-hosts/%d/?op=compose", n+1), "cores=1&memory=1024&skip_commissioning=true")
	})
	require.NoError(t, hands.AwaitWaiting(bounded(t), 4))
	read := each(m, 1, func(int) answer { return m.get("vm-hosts/1/") })
	require.Eventually(t, func() bool { return m.Load().Waiting == 1 }, time.Minute, time.Millisecond)
	require.Empty(t, read)
	hands.Advance(10 * time.Second)
	for range 4 {
		<-composed
	}
	<-read
	assert.Equal(t, 10*time.Second, m.Load().Operations["vm-hosts.read"].Queued)
	assert.Equal(t, 40*time.Second, m.Load().Operations["vm-hosts.compose"].Held)
}

// The figures are those of a real MAAS. Speed makes the waiting short; what is compared is simulated time.
func TestR4_4_the_cost_model_tells_what_was_measured(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(20, 1, 100)
	cfg.Cost, cfg.Speed = maassim.RealCost(), 1e9
	m := start(t, cfg)
	region := func(operation string, call func()) time.Duration {
		m.ResetLoad()
		call()
		o := m.Load().Operations[operation]
		require.Equal(t, 1, o.Calls, operation)
		return o.Region
	}
	around := func(want, got time.Duration) {
		t.Helper()
		assert.InDelta(t, want.Seconds(), got.Seconds(), want.Seconds()/4)
	}
	list := func(query string) time.Duration {
		return region("machines.list", func() { require.Equal(t, http.StatusOK, m.get("machines/"+query).status) })
	}
	around(3975*time.Millisecond, list("")) // measured with 120 machines, which these are with the hosts' own
	m.post("tags/", "name=all")
	m.post("tags/all/?op=update_nodes", "add="+systemIDs(m, "metal-1", "metal-2", "metal-3"))
	for _, op := range []string{"machines", "nodes"} { // both render whole machines
		around(269*time.Millisecond, region("tags."+op, func() { require.Len(t, m.get("tags/all/?op="+op).list(t), 3) }))
	}
	around(212*time.Millisecond, list("?id=none&not_status=deployed"))
	around(176*time.Millisecond, list("?owner=alice&not_status=deployed"))
	around(273*time.Millisecond, list("?hostname=metal-1"))
	around(532*time.Millisecond, region("vm-hosts.list", func() { m.get("vm-hosts/") }))
	around(55*time.Millisecond, region("vm-hosts.read", func() { m.get("vm-hosts/1/") }))
	around(18*time.Millisecond, region("users.whoami", func() { m.get("users/?op=whoami") }))
	around(4025*time.Millisecond/150, region("subnets.ip_addresses", func() { m.get("subnets/1/?op=ip_addresses") })-20*time.Millisecond)
	vm, _ := m.Machine("metal-1")
	around(219*time.Millisecond, region("machines.allocate", func() { m.claim(vm.SystemID, "agent") }))
	around(31*time.Millisecond, region("machines.allocate", func() {
		require.Equal(t, http.StatusConflict, m.post("machines/?op=allocate", "system_id="+vm.SystemID).status)
	}))
	around(190*time.Millisecond, region("machines.power_on", func() { m.post("machines/"+vm.SystemID+"/?op=power_on", "") }))
	around(248*time.Millisecond, region("machines.delete", func() { m.delete("machines/" + vm.SystemID + "/") }))
}

// systemIDs are those of the machines of these names, as the values of one parameter "add".
func systemIDs(m *maas, names ...string) string {
	ids := make([]string, 0, len(names))
	for _, name := range names {
		vm, _ := m.Machine(name)
		ids = append(ids, vm.SystemID)
	}
	return strings.Join(ids, "&add=")
}

func TestR4_4_without_a_cost_model_MAAS_takes_no_time(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	m.get("machines/")
	o := m.Load().Operations["machines.list"]
	assert.Equal(t, 1, o.Calls)
	assert.Zero(t, o.Region)
}

func TestR4_4_every_entry_of_the_cost_model_is_an_operation(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	for operation := range maassim.RealCost() {
		if operation != "" && !maassim.IsCostPart(operation) && !strings.HasSuffix(operation, ".*") {
			assert.Contains(t, m.Operations(), operation)
		}
	}
}

func TestR4_4_load_is_shown_by_the_control_endpoint(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	m.get("users/?op=whoami")
	_, text := control(t, m.base, http.MethodGet, "/_sim/load", "")
	var seen maassim.Load
	require.NoError(t, json.Unmarshal([]byte(text), &seen))
	assert.Equal(t, 1, seen.Operations["users.whoami"].Calls)
	assert.Zero(t, seen.Places)
	control(t, m.base, http.MethodDelete, "/_sim/load", "")
	assert.Empty(t, m.Load().Operations)
}

func TestR4_4_closing_lets_everybody_go_who_waits(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Workers, cfg.Cost = 1, maassim.CostModel{"": {Call: time.Hour}}
	m, hands := byHand(t, cfg)
	var done sync.WaitGroup
	for range 9 {
		done.Go(func() { m.get("users/?op=whoami") })
	}
	require.NoError(t, hands.AwaitWaiting(bounded(t), 4))
	require.Eventually(t, func() bool { return m.Load().Waiting == 5 }, time.Minute, time.Millisecond)
	m.Close()
	done.Wait()
	assert.Zero(t, m.Load().Serving)
}
