package maassim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

const driverTimedOut = "Unable to compose a machine because 'lxd' driver timed out after 120 seconds."

// timed is a MAAS with hosts where things take so long of a clock that the test moves.
func timed(t *testing.T, hosts int, durations maassim.Durations) (*maas, *maassim.HandClock) {
	t.Helper()
	cfg := maassim.DefaultConfig(hosts, 1, 0)
	cfg.Durations = durations
	return byHand(t, cfg)
}

// behind does something beside the test.
func behind(act func() answer) <-chan answer {
	done := make(chan answer, 1)
	go func() { done <- act() }()
	return done
}

// where says whether LXD has a VM of that name, and MAAS a machine.
func (m *maas) where(name string) (inLXD, inMAAS bool) {
	_, inLXD = m.instance(name)
	_, inMAAS = m.Machine(name)
	return inLXD, inMAAS
}

func TestX1_5_a_compose_that_timed_out_is_in_LXD_later(t *testing.T) {
	t.Parallel()
	m, clock := timed(t, 1, maassim.Durations{Compose: 10 * time.Minute})
	done := behind(func() answer { return m.post("vm-hosts/1/?op=compose", "hostname=slow-0&skip_commissioning=true") })
	require.NoError(t, clock.AwaitWaiting(bounded(t), 1))
	clock.Advance(2 * time.Minute)
	want(t, <-done, 503, text, driverTimedOut)

	clock.Advance(8*time.Minute - time.Second)
	inLXD, inMAAS := m.where("slow-0")
	assert.Equal(t, []bool{false, false}, []bool{inLXD, inMAAS}, "the rack is still at it")
	require.Equal(t, 200, m.post("vm-hosts/1/?op=refresh", "").status)
	_, inMAAS = m.where("slow-0")
	assert.False(t, inMAAS, "a refresh in between finds nothing")

	clock.Advance(time.Second)
	inLXD, inMAAS = m.where("slow-0")
	assert.Equal(t, []bool{true, false}, []bool{inLXD, inMAAS})
	require.Equal(t, 200, m.post("vm-hosts/1/?op=refresh", "").status)
	_, inMAAS = m.where("slow-0")
	assert.True(t, inMAAS, "the next one imports it")
}

func TestX1_5_a_lost_compose_is_in_LXD_when_the_plan_says(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		beside  []maassim.Fault
		arrives bool
	}{
		"at_once":             {nil, true},
		"slow_is_later":       {[]maassim.Fault{{Operation: "vm-hosts.compose", Effect: maassim.EffectSlow, Latency: 3 * time.Minute}}, true},
		"stuck_never_arrives": {[]maassim.Fault{{Operation: "vm-hosts.compose", Effect: maassim.EffectStuck}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, clock := timed(t, 1, maassim.Durations{})
			require.NoError(t, m.AddFaults(append(tt.beside, maassim.Fault{Operation: "vm-hosts.compose", Effect: maassim.EffectComposeLost})...))
			want(t, m.post("vm-hosts/1/?op=compose", "hostname=lost-0"), 503, text, driverTimedOut)
			inLXD, _ := m.where("lost-0")
			assert.Equal(t, tt.beside == nil, inLXD)
			clock.Advance(3 * time.Minute)
			inLXD, inMAAS := m.where("lost-0")
			assert.Equal(t, []bool{tt.arrives, false}, []bool{inLXD, inMAAS})
		})
	}
}

func TestX1_5_what_LXD_has_begun_it_ends_without_MAAS(t *testing.T) {
	t.Parallel()
	m, clock := timed(t, 2, maassim.Durations{})
	require.NoError(t, m.AddFaults(
		maassim.Fault{Operation: "vm-hosts.compose", Host: "lxd-1", Effect: maassim.EffectComposeLost},
		maassim.Fault{Operation: "vm-hosts.compose", Host: "lxd-1", Effect: maassim.EffectSlow, Latency: time.Minute},
	))
	for _, name := range []string{"late-0", "late-1"} {
		require.Equal(t, 503, m.post("vm-hosts/1/?op=compose", "hostname="+name).status)
	}
	require.NoError(t, m.FailNext("lxd-1", "no more room"))
	want(t, m.post("vm-hosts/1/?op=compose", "hostname=late-2"), 503, text, "Unable to compose machine because: no more room")
	require.NoError(t, m.AddInstance(maassim.Instance{Host: "lxd-1", Name: "late-1", Cores: 7, MemoryMiB: 1024}))
	require.NoError(t, m.SetHostOffline("lxd-1", true))
	clock.Advance(time.Minute)

	inLXD, _ := m.where("late-0")
	assert.True(t, inLXD, "though nobody reaches the host")
	inLXD, _ = m.where("late-2")
	assert.False(t, inLXD, "what LXD refused at once")
	other, _ := m.instance("late-1")
	assert.Equal(t, 7, other.Cores, "a name that was taken meanwhile stays who took it")
}
