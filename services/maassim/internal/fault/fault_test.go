package fault_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim/internal/fault"
)

func TestValidate_refuses_what_can_do_nothing(t *testing.T) {
	t.Parallel()
	for why, f := range map[string]fault.Fault{
		"needs a status":                          {Operation: "machines.read"},
		`unknown effect "explode"`:                {Effect: "explode"},
		`unknown mangle "burn"`:                   {Mangle: "burn"},
		`unknown preset "teapot"`:                 {Preset: "teapot"},
		"cannot be negative":                      {Status: 500, Skip: -1},
		"probability 1.5":                         {Status: 500, Probability: 1.5},
		"status 42":                               {Status: 42},
		"needs a latency":                         {Effect: fault.Slow, Operation: "machines.release"},
		"either answers or resets":                {Status: 500, Reset: true},
		"either spoils":                           {Status: 500, Mangle: fault.Nulls},
		`"after" needs`:                           {Trickle: time.Second, After: true},
		"needs a latency of the answer":           {Operation: "machines.release", Effect: fault.Slow, Latency: time.Second, After: true},
		"a body or a header":                      {Latency: time.Second, Body: "x"},
		"a field needs":                           {Mangle: fault.Empty, Field: "id"},
		`"vm-left" does nothing to "zones.list"`:  {Effect: fault.VMLeft, Operation: "zones.list"},
		`"fail" never comes`:                      {Effect: fault.Fail, Status: 500},
		"a maximum above it":                      {Spread: fault.Spread{Shape: fault.Uniform, A: time.Second, B: time.Second}},
		`unknown distribution "flat"`:             {Spread: fault.Spread{Shape: "flat"}},
		"a minimum and a tail":                    {Spread: fault.Spread{Shape: fault.Pareto, A: time.Second}},
		`"compose-lost" does nothing to "*.list"`: {Effect: fault.ComposeLost, Operation: "*.list"},
	} {
		require.ErrorContains(t, f.Validate(), why)
	}
	world := fault.World{
		Operations: []string{"machines.read", "vm-hosts.compose", "zones.list"}, OfHosts: []string{"machines.read", "vm-hosts.compose"},
		OfMachines: []string{"machines.read"}, Hosts: []string{"lxd-1"}, Users: []string{"admin"},
	}
	require.ErrorContains(t, fault.Fault{Status: 500, Operation: "machine.read"}.ValidateIn(world), `no operation "machine.read"`)
	require.ErrorContains(t, fault.Fault{Status: 500, Operation: "machines.*, pods.*"}.ValidateIn(world), `no operation "pods.*"`)
	require.ErrorContains(t, fault.Fault{Status: 500, Host: "lxd-9"}.ValidateIn(world), `no host "lxd-9"`)
	require.ErrorContains(t, fault.Fault{Status: 500, User: "bob"}.ValidateIn(world), `no user "bob"`)
	require.ErrorContains(t, fault.Fault{Status: 500, Operation: "zones.*", Host: "lxd-1"}.ValidateIn(world), `no request of "zones.*" is about a host`)
	require.ErrorContains(t, fault.Fault{Status: 500, Operation: "vm-hosts.*", Machine: "vm-0"}.ValidateIn(world), "is about a machine")
	require.NoError(t, fault.Fault{Status: 500, Host: "lxd-1", Machine: "vm-0"}.ValidateIn(world))
	require.NoError(t, fault.Fault{Status: 500, Operation: "machines.*,vm-hosts.compose", Host: "lxd-*", User: "admin"}.ValidateIn(world))
}

func TestPlan_takes_by_pattern_host_machine_user_and_count(t *testing.T) {
	t.Parallel()
	var p fault.Plan
	assert.True(t, p.Idle())
	p.Add(
		fault.Fault{Operation: "machines.*,zones.list", Status: 500, Count: 2},
		fault.Fault{Operation: "*.compose", Host: "lxd-1*", Status: 501},
		fault.Fault{Machine: "vm-*-0", Status: 502},
		fault.Fault{User: "alice", Skip: 1, Status: 503},
	)
	take := func(r fault.Request) []int {
		statuses := []int{}
		for _, f := range p.Take(r) {
			statuses = append(statuses, f.Status)
		}
		return statuses
	}
	assert.Equal(t, []int{500}, take(fault.Request{Operation: "machines.read"}))
	assert.Empty(t, take(fault.Request{Operation: "vm-hosts.read", Hosts: []string{"lxd-1"}}))
	assert.Equal(t, []int{501}, take(fault.Request{Operation: "vm-hosts.compose", Hosts: []string{"lxd-12"}}))
	assert.Empty(t, take(fault.Request{Operation: "vm-hosts.compose", Hosts: []string{"lxd-2"}}))
	assert.Equal(t, []int{500, 502}, take(fault.Request{Operation: "zones.list", Machine: []string{"abc123", "vm-a-0"}}))
	assert.Empty(t, take(fault.Request{Operation: "zones.list"}), "used up")
	assert.Empty(t, take(fault.Request{Operation: "zones.list", User: "alice"}), "skipped")
	assert.Equal(t, []int{503}, take(fault.Request{Operation: "zones.list", User: "alice"}))
	assert.Len(t, p.Faults(), 3)
	p.Clear()
	assert.Empty(t, p.Faults())
}

func TestPlan_repeats_with_its_seed(t *testing.T) {
	t.Parallel()
	hits := func(seed uint64) (n int, pattern []bool) {
		var p fault.Plan
		p.Seed(seed)
		p.Add(fault.Fault{Status: 500, Probability: 0.25})
		for range 4000 {
			hit := len(p.Take(fault.Request{Operation: "zones.list"})) == 1
			pattern = append(pattern, hit)
			if hit {
				n++
			}
		}
		return n, pattern
	}
	n, one := hits(7)
	assert.InDelta(t, 1000, n, 120)
	_, again := hits(7)
	assert.Equal(t, one, again)
	_, other := hits(8)
	assert.NotEqual(t, one, other)
}

func TestSpread_draws_from_its_distribution(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct{ mean, low, high time.Duration }{
		"uniform:10ms:30ms":    {20 * time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond},
		"normal:100ms:10ms":    {100 * time.Millisecond, 0, time.Second},
		"exponential:50ms":     {50 * time.Millisecond, 0, time.Minute},
		"pareto:50ms:3":        {75 * time.Millisecond, 50 * time.Millisecond, 24 * time.Hour},
		"normal:1ms:1000000ms": {400 * time.Second, 0, 24 * time.Hour},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			_, spread, err := fault.ParseLatency(text)
			require.NoError(t, err)
			var p fault.Plan
			p.Add(fault.Fault{Spread: spread})
			const draws = 20000
			sum := time.Duration(0)
			for range draws {
				d := p.Take(fault.Request{})[0].Latency
				require.GreaterOrEqual(t, d, want.low)
				require.LessOrEqual(t, d, want.high)
				sum += d
			}
			assert.InEpsilon(t, float64(want.mean), float64(sum)/draws, 0.05)
		})
	}
	for _, bad := range []string{"flat:1s", "uniform:1s", "normal:a:b", "pareto:1s:x", "soon"} {
		_, _, err := fault.ParseLatency(bad)
		require.Error(t, err, bad)
	}
}

func TestParse_reads_flags_and_files(t *testing.T) {
	t.Parallel()
	f, err := fault.Parse(`operation=vm-hosts.compose|machines.*,host=lxd-3,status=503,count=2,skip=1,probability=0.5,latency=uniform:1s:2s,retry-after=5,after,body=no\, not now`)
	require.NoError(t, err)
	assert.Equal(t, fault.Fault{
		Operation: "vm-hosts.compose,machines.*", Host: "lxd-3", Status: 503, Count: 2, Skip: 1, Probability: 0.5, After: true, Body: "no, not now",
		Spread: fault.Spread{Shape: fault.Uniform, A: time.Second, B: 2 * time.Second}, Header: map[string]string{"Retry-After": "5"},
	}, f)
	for _, bad := range []string{"operatoin=x", "status=many", "reset=perhaps", "latency=soon"} {
		_, err := fault.Parse(bad)
		require.ErrorContains(t, err, "fault \""+bad)
	}

	for _, text := range []string{`{"status": 500, "trickle": "2s"}`, `[{"status": 500, "trickle": "2s"}]`, `{"faults": [{"status": 500, "trickle": "2s"}]}`} {
		all, err := fault.ParseAll([]byte(text))
		require.NoError(t, err, text)
		assert.Equal(t, []fault.Fault{{Status: 500, Trickle: 2 * time.Second}}, all, text)
	}
	for _, bad := range []string{`[{"statsu": 500}]`, `{"statsu": 500}`, `nonsense`, `[{"latency": "soon"}]`} {
		_, err := fault.ParseAll([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestFault_is_written_as_it_is_read(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"latency": "1.5s", "status": 503}`, `{"latency": "pareto:50ms:1.5"}`, `{"mangle": "nulls", "field": "owner", "trickle": "1s"}`,
		`{"preset": "no-rack", "count": 3, "user": "alice"}`,
	} {
		var f fault.Fault
		require.NoError(t, json.Unmarshal([]byte(text), &f), text)
		raw, err := json.Marshal(f)
		require.NoError(t, err)
		assert.JSONEq(t, text, string(raw))
	}
}

func TestPresets_answer_in_MAAS_words(t *testing.T) {
	t.Parallel()
	for _, name := range fault.Presets() {
		var p fault.Plan
		p.Add(fault.Fault{Preset: name})
		f := p.Take(fault.Request{})[0]
		assert.True(t, f.Replaces(), name)
		assert.NotEmpty(t, f.Header["Content-Type"], name)
	}
	var p fault.Plan
	p.Add(fault.Fault{Preset: "db-conflict"}, fault.Fault{Preset: "no-rack", Header: map[string]string{"retry-after": "1"}})
	taken := p.Take(fault.Request{})
	assert.Equal(t, []any{409, "5"}, []any{taken[0].Status, taken[0].Header["Retry-After"]})
	assert.Equal(t, []any{503, "1"}, []any{taken[1].Status, taken[1].Header["Retry-After"]})
}
