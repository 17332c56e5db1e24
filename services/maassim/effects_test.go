package maassim_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

// effectHost is the VM host that the calls of these tests are about.
const effectHost = "lxd-1"

// effectWorld is a MAAS with one host, on which everything takes its time, and an LXD that MAAS does not know.
func effectWorld(t *testing.T) (*maas, *clock) {
	t.Helper()
	cfg := maassim.DefaultConfig(1, 1, 0)
	hands := newClock()
	cfg.Clock = hands.Now
	cfg.Durations = maassim.Durations{Commission: time.Minute, Deploy: time.Minute, Release: time.Minute, Test: time.Minute, Rescue: time.Minute}
	extra := cfg.Hosts[0]
	extra.Name, extra.Address, extra.Unregistered = "lxd-2", "10.20.0.2", true
	extra.Bridges = extra.Bridges[:1]
	cfg.Hosts = append(cfg.Hosts, extra)
	return start(t, cfg), hands
}

// machineCall prepares a machine and returns a call of one of its operations.
func machineCall(op, arguments string, steps ...string) func(*maas) func() answer {
	return func(m *maas) func() answer {
		id := m.compose("vm-0", "")
		for _, step := range steps {
			switch step {
			case "allocate":
				m.claim(id, "a")
			case "finish":
				require.NoError(m.t, m.Finish(id, maassim.Ending{}))
			default:
				a := m.post("machines/"+id+"/?op="+step, "")
				require.Less(m.t, a.status, 300, a.body)
			}
		}
		return func() answer { return m.post("machines/"+id+"/?op="+op, arguments) }
	}
}

// hostCall makes a VM behind MAAS's back and returns a call about its host.
func hostCall(host string, call func(m *maas) answer) func(*maas) func() answer {
	return func(m *maas) func() answer {
		require.NoError(m.t, m.AddInstance(maassim.Instance{Host: host, Name: "found-0", Cores: 1, MemoryMiB: 1024}))
		return func() answer { return call(m) }
	}
}

// effectCalls are calls on which effects work, by operation: each prepares and returns what sends it.
var effectCalls = map[string]func(*maas) func() answer{
	"vm-hosts.compose": func(m *maas) func() answer {
		return func() answer { return m.post("vm-hosts/1/?op=compose", "hostname=vm-0") }
	},
	"vm-hosts.refresh": hostCall(effectHost, func(m *maas) answer { return m.post("vm-hosts/1/?op=refresh", "") }),
	"vm-hosts.update":  hostCall(effectHost, func(m *maas) answer { return m.put("vm-hosts/1/", "cpu_over_commit_ratio=2") }),
	"vm-hosts.create": hostCall("lxd-2", func(m *maas) answer {
		return m.post("vm-hosts/", "type=lxd&name=lxd-2&project=maas&power_address=10.20.0.2")
	}),
	"vm-hosts.delete": func(m *maas) func() answer {
		m.compose("vm-0", "")
		return func() answer { return m.delete("vm-hosts/1/?decompose=true") }
	},
	"machines.allocate": func(m *maas) func() answer {
		return func() answer { return m.post("machines/?op=allocate", "cpu_count=1") }
	},
	"machines.create": func(m *maas) func() answer {
		return func() answer {
			return m.post("machines/", "architecture=amd64&mac_addresses=00:16:3e:00:00:77&hostname=metal-0&power_type=manual")
		}
	},
	"machines.delete": func(m *maas) func() answer {
		id := m.compose("vm-0", "")
		return func() answer { return m.delete("machines/" + id + "/") }
	},
	"machines.release_many": func(m *maas) func() answer {
		id := m.compose("vm-0", "")
		m.claim(id, "a")
		m.post("machines/"+id+"/?op=power_on", "")
		return func() answer { return m.post("machines/?op=release", "machines="+id) }
	},
	"machines.query_power_state": func(m *maas) func() answer {
		id := m.compose("vm-0", "")
		return func() answer { return m.get("machines/" + id + "/?op=query_power_state") }
	},
	"machines.commission":       machineCall("commission", ""),
	"machines.deploy":           machineCall("deploy", "", "allocate"),
	"machines.power_on":         machineCall("power_on", "", "allocate"),
	"machines.power_off":        machineCall("power_off", "", "allocate", "deploy"),
	"machines.release":          machineCall("release", "", "allocate", "deploy"),
	"machines.abort":            machineCall("abort", "", "commission"),
	"machines.test":             machineCall("test", "", "commission", "finish", "finish"),
	"machines.mark_broken":      machineCall("mark_broken", "", "allocate", "deploy"),
	"machines.rescue_mode":      machineCall("rescue_mode", ""),
	"machines.exit_rescue_mode": machineCall("exit_rescue_mode", "", "rescue_mode"),
}

// picture is what there is to see of a MAAS: what was answered, and what MAAS and LXD have at once and after a while.
func picture(t *testing.T, operation string, f *maassim.Fault) (status int, seen []string) {
	t.Helper()
	m, hands := effectWorld(t)
	send := effectCalls[operation](m)
	hands.advance(30 * time.Second) // what was prepared is still under way
	if f != nil {
		require.NoError(t, m.AddFaults(*f))
	}
	got := make(chan answer, 1)
	go func() { got <- send() }()
	if f != nil && f.Effect == maassim.EffectWindow {
		require.Eventually(t, func() bool { return m.OpenWindows() == 1 }, 10*time.Second, time.Millisecond)
		seen = append(seen, "a window is open")
		m.ReleaseWindows()
	}
	a := <-got
	if f != nil {
		require.Empty(t, m.Faults(), "the fault met the request")
	}
	for range 3 {
		seen = append(seen, fmt.Sprint(a.status))
		for _, machine := range m.Machines() {
			seen = append(seen, fmt.Sprint(machine.Hostname, " ", machine.Status, " ", machine.PowerState, " ", machine.Owner))
		}
		for _, instance := range m.LXD() {
			raw, err := json.Marshal([]any{instance.Name, instance.Running})
			require.NoError(t, err)
			seen = append(seen, string(raw))
		}
		hands.advance(time.Minute)
	}
	return a.status, seen
}

func TestFaults_every_effect_works_on_its_operations_and_is_refused_elsewhere(t *testing.T) {
	t.Parallel()
	for _, effect := range []maassim.Effect{
		maassim.EffectComposeLost, maassim.EffectComposeAgain, maassim.EffectWindow, maassim.EffectVMLeft, maassim.EffectFail,
		maassim.EffectPostCommit, maassim.EffectSlow, maassim.EffectStuck, maassim.EffectHostOffline,
	} {
		t.Run(string(effect), func(t *testing.T) {
			t.Parallel()
			m, _ := effectWorld(t)
			fault := maassim.Fault{Effect: effect, Count: 1}
			if effect == maassim.EffectSlow {
				fault.Latency = 10 * time.Minute
			}
			works := maassim.WorksOn(effect)
			require.NotEmpty(t, works)
			for _, operation := range m.Operations() {
				fault.Operation = operation
				if !slices.Contains(works, operation) {
					assert.ErrorContains(t, m.AddFaults(fault), "does nothing", operation)
					continue
				}
				t.Run(operation, func(t *testing.T) {
					t.Parallel()
					require.Contains(t, effectCalls, operation)
					f := fault
					f.Operation = operation
					usual, without := picture(t, operation, nil)
					require.Less(t, usual, 300)
					status, with := picture(t, operation, &f)
					assert.NotEqual(t, without, with)
					if effect == maassim.EffectPostCommit {
						assert.GreaterOrEqual(t, status, 500)
					}
				})
			}
		})
	}
}

func TestFaults_of_a_bulk_release_are_about_its_machines_and_their_hosts(t *testing.T) {
	t.Parallel()
	m, _ := effectWorld(t)
	one, other := m.compose("vm-0", ""), m.compose("vm-1", "")
	release := func(ids string) int { return m.post("machines/?op=release", "machines="+ids).status }
	require.NoError(t, m.AddFaults(maassim.Fault{Operation: "machines.release_many", Machine: "vm-1", Status: 502}))
	assert.Equal(t, []int{200, 502, 502}, []int{release(one), release(other), release(one + "&machines=" + other)})
	m.ClearFaults()
	require.NoError(t, m.AddFaults(maassim.Fault{Operation: "machines.release_many", Host: effectHost, Status: 503}))
	assert.Equal(t, 503, release(one))
	require.ErrorContains(t, m.AddFaults(maassim.Fault{Operation: "zones.list", Host: effectHost, Status: 503}), `no request of "zones.list" is about a host`)
}
