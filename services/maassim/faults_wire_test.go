package maassim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

// ask sends a GET and returns what arrives, with the error of the connection.
func (m *maas) ask(path string) (answer, error) {
	m.t.Helper()
	req, err := http.NewRequestWithContext(m.t.Context(), http.MethodGet, m.base+"/MAAS/api/2.0/"+path, nil)
	require.NoError(m.t, err)
	req.Header.Set("Authorization", sign(m.key))
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body)}, err
}

func TestFaults_choose_by_pattern_user_and_probability(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.Config{Seed: 3, Faults: []maassim.Fault{{Operation: "zones.*,resourcepools.*", User: "alice", Status: 500}}})
	alice := m.as(m.UserAPIKey())
	assert.Equal(t, []int{200, 500, 500, 200}, []int{
		m.get("zones/").status, alice.get("zones/").status, alice.get("resourcepools/").status, alice.get("subnets/").status,
	})
	m.ClearFaults()
	require.NoError(t, m.AddFaults(maassim.Fault{Operation: "zones.list", Probability: 0.5, Status: 500}))
	failed := 0
	for range 200 {
		if m.get("zones/").status == 500 {
			failed++
		}
	}
	assert.InDelta(t, 100, failed, 40)
	require.ErrorContains(t, m.AddFaults(maassim.Fault{Operation: "zone.list", Status: 500}), `there is no operation "zone.list"`)
	require.ErrorContains(t, m.AddFaults(maassim.Fault{Host: "lxd-77", Status: 500}), `there is no host "lxd-77"`)
	_, err := maassim.New(maassim.Config{Faults: []maassim.Fault{{Operation: "nonsense", Status: 500}}})
	require.ErrorContains(t, err, `there is no operation "nonsense"`)
}

func TestFaults_presets_speak_as_MAAS_and_nginx_do(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.Config{})
	for preset, expected := range map[string]struct {
		status                      int
		retryAfter, contentType, in string
	}{
		"db-conflict":     {409, "5", html, "<title>Error: Conflict Error</title>"},
		"no-rack":         {503, "10", text, "Unable to connect to any rack controller ; no connections available."},
		"bad-gateway":     {502, "", "text/html", "502 Bad Gateway"},
		"gateway-timeout": {504, "", "text/html", "504 Gateway Time-out"},
		"nonce-clash":     {401, "", html, "Authorization Error: 'Nonce already used: "},
		"secret-leak":     {401, "", html, "Expected signature base string: &"},
		"host-down":       {503, "", text, "Unable to compose machine because: Pod 1: Failed to connect"},
		"power-busy":      {503, "", text, "another action is already in progress for that node."},
		"forbidden":       {403, "", text, ""},
	} {
		require.NoError(t, m.AddFaults(maassim.Fault{Operation: "zones.list", Preset: preset, Count: 1}))
		a := m.get("zones/")
		assert.Equal(t, expected.status, a.status, preset)
		assert.Equal(t, expected.retryAfter, a.header.Get("Retry-After"), preset)
		assert.Equal(t, expected.contentType, a.header.Get("Content-Type"), preset)
		assert.Contains(t, a.body, expected.in, preset)
	}
	assert.Contains(t, maassim.FaultPresets(), "db-conflict")
}

func TestFaults_spoil_answers(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 1))
	spoilt := func(f maassim.Fault, path string) (answer, error) {
		t.Helper()
		f.Count = 1
		require.NoError(t, m.AddFaults(f))
		return m.ask(path)
	}
	a, err := spoilt(maassim.Fault{Mangle: maassim.MangleGarbage}, "zones/")
	require.NoError(t, err)
	assert.Equal(t, []any{200, asJS}, []any{a.status, a.header.Get("Content-Type")})
	assert.False(t, json.Valid([]byte(a.body)))

	a, err = spoilt(maassim.Fault{Mangle: maassim.MangleTruncated}, "machines/")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Equal(t, 200, a.status)
	assert.True(t, strings.HasPrefix(a.body, "["), "half of it came")

	a, err = spoilt(maassim.Fault{Mangle: maassim.MangleEmpty}, "zones/")
	require.NoError(t, err)
	assert.Equal(t, []any{200, ""}, []any{a.status, a.body})

	a, err = spoilt(maassim.Fault{Mangle: maassim.MangleHTMLPage}, "zones/")
	require.NoError(t, err)
	assert.Equal(t, []any{200, "text/html"}, []any{a.status, a.header.Get("Content-Type")})

	a, err = spoilt(maassim.Fault{Mangle: maassim.MangleNulls, Field: "zone"}, "machines/")
	require.NoError(t, err)
	first := a.list(t)[0]
	assert.Nil(t, first["zone"])
	assert.NotNil(t, first["hostname"])

	a, err = spoilt(maassim.Fault{Mangle: maassim.MangleNulls}, "zones/")
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"id": nil, "name": nil, "description": nil, "resource_uri": nil}, a.list(t)[0])

	a, err = spoilt(maassim.Fault{Mangle: maassim.MangleWrongTypes}, "zones/")
	require.NoError(t, err)
	zone := a.list(t)[0]
	assert.IsType(t, "", zone["id"])
	assert.IsType(t, 0.0, zone["name"])
}

func TestFaults_reset_by_TCP(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 1))
	require.NoError(t, m.AddFaults(maassim.Fault{Operation: "zones.list", Reset: true, Count: 1}))
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(m.base, "http://"))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "GET /MAAS/api/2.0/zones/ HTTP/1.1\r\nHost: maas\r\nAuthorization: %s\r\n\r\n", sign(m.key))
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	assert.ErrorIs(t, err, syscall.ECONNRESET, "a connection that is merely closed ends in EOF")
}

func TestFaults_a_trickling_answer_comes_whole(t *testing.T) {
	t.Parallel()
	m, hands := byHand(t, maassim.DefaultConfig(1, 1, 1))
	require.NoError(t, m.AddFaults(maassim.Fault{Operation: "machines.list", Trickle: 20 * time.Second, Count: 1}))
	got := make(chan answer, 1)
	go func() { got <- m.get("machines/") }()
	waits := 0
	for len(got) == 0 && waits < 100 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if hands.AwaitWaiting(ctx, 1) == nil {
			hands.Advance(time.Second)
			waits++
		}
		cancel()
	}
	assert.Equal(t, 20, waits, "a wait before each piece")
	assert.Len(t, (<-got).list(t), 2)
}

func TestFaults_latency_from_a_distribution_delays_the_answer(t *testing.T) {
	t.Parallel()
	m, hands := byHand(t, maassim.Config{})
	require.NoError(t, m.AddFaults(maassim.Fault{
		Operation: "zones.list", Spread: maassim.Spread{Shape: maassim.SpreadUniform, A: 10 * time.Second, B: 20 * time.Second},
	}))
	got := make(chan answer, 1)
	go func() { got <- m.get("zones/") }()
	require.NoError(t, hands.AwaitWaiting(t.Context(), 1))
	hands.Advance(10*time.Second - time.Nanosecond)
	assert.Equal(t, 1, hands.Waiting(), "never less than the minimum")
	hands.Advance(10*time.Second + time.Nanosecond)
	assert.Equal(t, 200, (<-got).status)
}

func TestFaults_latency_comes_before_the_effect_or_after_it(t *testing.T) {
	t.Parallel()
	m, hands := byHand(t, maassim.DefaultConfig(1, 1, 0))
	for name, tt := range map[string]struct {
		fault  maassim.Fault
		status int
		done   bool // while the client waits
	}{
		"before":                       {maassim.Fault{}, 200, false},
		"after":                        {maassim.Fault{After: true}, 200, true},
		"after_and_the_answer_is_lost": {maassim.Fault{After: true, Preset: "gateway-timeout"}, 504, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := tt.fault
			f.Operation, f.Latency, f.Count = "zones.create", time.Minute, 1
			require.NoError(t, m.AddFaults(f))
			zone := strings.ReplaceAll(name, "_", "-")
			got := make(chan answer, 1)
			go func() { got <- m.post("zones/", "name="+zone) }()
			require.NoError(t, hands.AwaitWaiting(t.Context(), 1))
			assert.Equal(t, tt.done, m.get("zones/"+zone+"/").status == 200)
			hands.Advance(time.Minute)
			assert.Equal(t, tt.status, (<-got).status)
			assert.Equal(t, 200, m.get("zones/"+zone+"/").status)
		})
	}
}

func TestFaults_a_host_that_is_off_for_one_request_and_one_that_flaps(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(2, 2, 0)
	clock := newClock()
	cfg.Clock = clock.Now
	m := start(t, cfg)
	require.NoError(t, m.AddFaults(maassim.Fault{Operation: "vm-hosts.refresh", Host: "lxd-1", Effect: maassim.EffectHostOffline, Count: 1}))
	want(t, m.post("vm-hosts/1/?op=refresh", ""), 503, text, "Pod 1: "+noRoute)
	assert.Equal(t, 200, m.post("vm-hosts/1/?op=refresh", "").status)

	require.NoError(t, m.FlapHost("lxd-2", time.Hour, time.Hour))
	statuses := []int{}
	for range 4 {
		statuses = append(statuses, m.post("vm-hosts/2/?op=refresh", "").status)
		clock.advance(time.Hour)
	}
	assert.Equal(t, []int{200, 503, 200, 503}, statuses)
	require.NoError(t, m.StopFlapping("lxd-2"))
	clock.advance(time.Hour)
	assert.Equal(t, 200, m.post("vm-hosts/2/?op=refresh", "").status)
	require.Error(t, m.FlapHost("nosuch", time.Hour, time.Hour))
	require.Error(t, m.FlapHost("lxd-2", 0, time.Hour))
}

func TestFaults_recordings_496_to_498_a_refresh_in_the_window_imports_the_VM(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Durations.Commission = time.Hour
	m := start(t, cfg)
	require.NoError(t, m.AddFaults(maassim.Fault{Operation: "vm-hosts.compose", Effect: maassim.EffectWindow, Count: 1}))
	composed := make(chan answer, 1)
	go func() { composed <- m.post("vm-hosts/1/?op=compose", "hostname=win-0&skip_commissioning=true") }()
	require.Eventually(t, func() bool { return m.OpenWindows() == 1 }, 10*time.Second, time.Millisecond)
	_, inLXD := m.instance("win-0")
	_, inMAAS := m.Machine("win-0")
	assert.Equal(t, []bool{true, false}, []bool{inLXD, inMAAS})

	require.Equal(t, 200, m.post("vm-hosts/1/?op=refresh", "").status)
	imported, ok := m.Machine("win-0")
	require.True(t, ok)
	assert.Equal(t, "commissioning", imported.Status)
	status, _ := control(t, m.base, http.MethodDelete, "/_sim/windows", "")
	assert.Equal(t, 204, status)
	want(t, <-composed, 400, asJS, `{"hostname": ["Node with hostname \"win-0\" already exists"]}`)
	assert.Zero(t, m.OpenWindows())
}

func TestFaults_a_window_closes_by_itself(t *testing.T) {
	t.Parallel()
	m, hands := byHand(t, maassim.DefaultConfig(1, 1, 0))
	require.NoError(t, m.AddFaults(maassim.Fault{Operation: "vm-hosts.compose", Effect: maassim.EffectWindow, Latency: time.Minute}))
	composed := make(chan answer, 1)
	go func() { composed <- m.post("vm-hosts/1/?op=compose", "hostname=win-1&skip_commissioning=true") }()
	require.NoError(t, hands.AwaitWaiting(t.Context(), 1))
	assert.Equal(t, 1, m.OpenWindows())
	hands.Advance(time.Minute)
	assert.Equal(t, 200, (<-composed).status)
}

func TestFaults_a_compose_that_the_database_runs_twice_leaves_a_VM(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	require.NoError(t, m.AddFaults(maassim.Fault{Operation: "vm-hosts.compose", Effect: maassim.EffectComposeAgain, Count: 1}))
	a := m.post("vm-hosts/1/?op=compose", "hostname=twice-0")
	assert.Equal(t, 503, a.status)
	assert.Contains(t, a.body, "already exists")
	_, inLXD := m.instance("twice-0")
	_, inMAAS := m.Machine("twice-0")
	assert.Equal(t, []bool{true, false}, []bool{inLXD, inMAAS})
}

func TestFaults_what_is_stuck_never_ends(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	clock := newClock()
	cfg.Clock = clock.Now
	m := start(t, cfg)
	require.NoError(t, m.AddFaults(
		maassim.Fault{Operation: "machines.release", Effect: maassim.EffectStuck},
		maassim.Fault{Operation: "vm-hosts.compose", Effect: maassim.EffectFail, Skip: 1},
	))
	id := m.compose("stuck-0", "")
	m.claim(id, "a")
	m.post("machines/"+id+"/?op=release", "")
	clock.advance(365 * 24 * time.Hour)
	assert.Equal(t, "Releasing failed", m.machine(id)["status_name"], "MAAS gives up after its five minutes")

	failed, _ := m.post("vm-hosts/1/?op=compose", "hostname=fail-9").object(t)["system_id"].(string)
	assert.Equal(t, "Failed commissioning", m.machine(failed)["status_name"])
}

func TestFaults_after_commit_the_row_has_changed(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	require.NoError(t, m.AddFaults(
		maassim.Fault{Operation: "vm-hosts.compose", Effect: maassim.EffectPostCommit, Count: 1},
		maassim.Fault{Operation: "machines.deploy", Effect: maassim.EffectPostCommit, Count: 1},
	))
	assert.Equal(t, 500, m.post("vm-hosts/1/?op=compose", "hostname=pc-0").status)
	made, ok := m.Machine("pc-0")
	require.True(t, ok, "the machine and its VM are there")
	assert.Equal(t, "new", made.Status)

	id := m.compose("pc-1", "")
	assert.Equal(t, 500, m.post("machines/"+id+"/?op=deploy", "").status)
	after, _ := m.Machine(id)
	assert.Equal(t, "allocated", after.Status)
}

func TestFaults_of_an_allocation_are_about_the_machine_that_it_names(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	one, other := m.compose("al-0", ""), m.compose("al-1", "")
	require.NoError(t, m.AddFaults(maassim.Fault{Operation: "machines.allocate", Machine: "al-0", Preset: "db-conflict"}))
	assert.Equal(t, 409, m.post("machines/?op=allocate", "system_id="+one).status)
	assert.Equal(t, 200, m.post("machines/?op=allocate", "system_id="+other).status)
}

func TestFaults_come_from_flags_files_and_the_control_endpoint(t *testing.T) {
	t.Parallel()
	f, err := maassim.ParseFault("operation=zones.list,status=503,retry-after=7,count=1")
	require.NoError(t, err)
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	require.NoError(t, m.AddFaults(f))
	assert.Equal(t, "7", m.get("zones/").header.Get("Retry-After"))

	file := filepath.Join(t.TempDir(), "plan.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"faults": [{"operation": "zones.list", "preset": "bad-gateway", "count": 1}]}`), 0o600))
	plan, err := maassim.LoadFaults(file)
	require.NoError(t, err)
	require.NoError(t, m.AddFaults(plan...))
	assert.Equal(t, 502, m.get("zones/").status)
	_, err = maassim.LoadFaults(filepath.Join(t.TempDir(), "nosuch"))
	require.ErrorContains(t, err, "read the fault plan")

	status, why := control(t, m.base, http.MethodPost, "/_sim/faults", `[{"operation": "zones.list", "presets": "bad-gateway"}]`)
	assert.Equal(t, 400, status)
	assert.Contains(t, why, `unknown field "presets"`)
	_, presets := control(t, m.base, http.MethodGet, "/_sim/presets", "")
	assert.Contains(t, presets, "no-rack")
	_, operations := control(t, m.base, http.MethodGet, "/_sim/operations", "")
	assert.Contains(t, operations, "vm-hosts.compose")
	_, paths := control(t, m.base, http.MethodGet, "/_sim/", "")
	assert.Contains(t, paths, "/_sim/faults")
	status, _ = control(t, m.base, http.MethodPut, "/_sim/hosts/lxd-1/flapping", `{"up": "1h", "down": "1h"}`)
	assert.Equal(t, 204, status)
	status, _ = control(t, m.base, http.MethodPut, "/_sim/hosts/lxd-1/flapping", `{"up": "1h"}`)
	assert.Equal(t, 400, status)
	status, _ = control(t, m.base, http.MethodDelete, "/_sim/hosts/nosuch/flapping", "")
	assert.Equal(t, 404, status)
}
