package maassim_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

func TestFaults_replace_answers_before_or_after_the_effect(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(2, 2, 0))
	require.NoError(t, m.AddFaults(
		maassim.Fault{Operation: "vm-hosts.compose", Host: "lxd-1", Count: 1, Status: 503, Body: "nope", Header: map[string]string{"Retry-After": "10"}},
		maassim.Fault{Operation: "vm-hosts.compose", Host: "lxd-2", Skip: 1, Count: 1, Status: 502, After: true},
	))
	a := m.post("vm-hosts/1/?op=compose", "hostname=f-0&skip_commissioning=true")
	want(t, a, 503, text, "nope")
	assert.Equal(t, "10", a.header.Get("Retry-After"))
	assert.Empty(t, m.LXD(), "before the effect")
	assert.Equal(t, 200, m.post("vm-hosts/1/?op=compose", "hostname=f-0&skip_commissioning=true").status, "used up")

	assert.Equal(t, 200, m.post("vm-hosts/2/?op=compose", "hostname=f-1&skip_commissioning=true").status, "skipped")
	assert.Equal(t, 502, m.post("vm-hosts/2/?op=compose", "hostname=f-2&skip_commissioning=true").status)
	_, made := m.Machine("f-2")
	assert.True(t, made, "after the effect")
	assert.Empty(t, m.Faults())
}

func TestFaults_break_the_connection(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	id := m.compose("f-0", "")
	require.NoError(t, m.AddFaults(maassim.Fault{Operation: "machines.delete", Machine: "f-0", Reset: true, After: true}))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, m.base+"/MAAS/api/2.0/machines/"+id+"/", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", sign(m.APIKey()))
	resp, err := new(http.Transport).RoundTrip(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	require.Error(t, err)
	assert.Empty(t, m.LXD(), "the effect stays")
}

func TestFaults_inside_MAAS_and_LXD(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	clock := newClock()
	cfg.Clock = clock.Now
	m := start(t, cfg)

	t.Run("a_lost_compose_leaves_the_VM_without_a_machine", func(t *testing.T) {
		require.NoError(t, m.AddFaults(maassim.Fault{Operation: "vm-hosts.compose", Count: 1, Effect: maassim.EffectComposeLost}))
		want(t, m.post("vm-hosts/1/?op=compose", "hostname=lost-0"), 503, text, "Unable to compose a machine because 'lxd' driver timed out after 120 seconds.")
		_, inLXD := m.instance("lost-0")
		_, inMAAS := m.Machine("lost-0")
		assert.Equal(t, []bool{true, false}, []bool{inLXD, inMAAS})
	})
	t.Run("recording_487_a_delete_that_leaves_the_VM", func(t *testing.T) {
		require.NoError(t, m.AddFaults(maassim.Fault{Operation: "machines.delete", Host: "lxd-1", Count: 1, Effect: maassim.EffectVMLeft}))
		id := m.compose("left-0", "")
		assert.Equal(t, 204, m.delete("machines/"+id+"/").status)
		_, inLXD := m.instance("left-0")
		assert.True(t, inLXD)
	})
	t.Run("recordings_570_571_a_deployment_that_fails", func(t *testing.T) {
		require.NoError(t, m.AddFaults(maassim.Fault{Operation: "machines.deploy", Count: 1, Effect: maassim.EffectFail}))
		id := m.compose("fail-0", "")
		m.post("machines/"+id+"/?op=deploy", "")
		o := m.machine(id)
		assert.Equal(t, "Failed deployment", o["status_name"])
		assert.Equal(t, "Node operation 'Deploying' timed out after 30 minutes.", o["error_description"])
		events := m.get("events/?op=query&level=ERROR&id=" + id).object(t)["events"].([]any)
		require.Len(t, events, 1)
		assert.Equal(t, "Marking node failed", events[0].(map[string]any)["type"])
		want(t, m.post("machines/"+id+"/?op=deploy", ""), 409, text, "Can't deploy a machine that is in the 'Failed deployment' state")
	})
	t.Run("a_slow_release", func(t *testing.T) {
		require.NoError(t, m.AddFaults(maassim.Fault{Operation: "machines.release", Count: 1, Effect: maassim.EffectSlow, Latency: 4 * time.Minute}))
		id := m.compose("slow-0", "")
		m.claim(id, "a")
		m.post("machines/"+id+"/?op=release", "")
		assert.Equal(t, "Releasing", m.machine(id)["status_name"])
		clock.advance(4 * time.Minute)
		assert.Equal(t, "New", m.machine(id)["status_name"])
	})
	t.Run("a_fault_that_does_nothing_is_refused", func(t *testing.T) {
		require.ErrorContains(t, m.AddFaults(maassim.Fault{Operation: "machines.read"}), "needs a status")
		require.ErrorContains(t, m.AddFaults(maassim.Fault{Effect: "explode"}), `unknown effect "explode"`)
	})
}

// control calls the control endpoint.
func control(t *testing.T, base, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := transport.RoundTrip(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(raw)
}

func TestControl_endpoint_shows_the_truth_and_takes_faults(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	m.compose("c-0", "")
	_, lxd := control(t, m.base, http.MethodGet, "/_sim/lxd", "")
	assert.Contains(t, lxd, `"name": "c-0"`)
	_, counts := control(t, m.base, http.MethodGet, "/_sim/requests", "")
	assert.JSONEq(t, `{"vm-hosts.compose": 1}`, counts)
	_, machines := control(t, m.base, http.MethodGet, "/_sim/machines", "")
	assert.Contains(t, machines, `"status": "ready"`)
	_, dns := control(t, m.base, http.MethodGet, "/_sim/dns", "")
	assert.JSONEq(t, `[]`, dns)

	status, left := control(t, m.base, http.MethodPost, "/_sim/faults", `{"operation": "zones.list", "status": 500, "latency": "1ms", "count": 2}`)
	assert.Equal(t, 200, status)
	assert.JSONEq(t, `[{"operation": "zones.list", "status": 500, "latency": "1ms", "count": 2}]`, left)
	assert.Equal(t, 500, m.get("zones/").status)
	status, _ = control(t, m.base, http.MethodDelete, "/_sim/faults", "")
	assert.Equal(t, 204, status)
	assert.Equal(t, 200, m.get("zones/").status)
	status, why := control(t, m.base, http.MethodPost, "/_sim/faults", `[{"operation": "zones.list"}]`)
	assert.Equal(t, 400, status)
	assert.Contains(t, why, "needs a status")

	status, _ = control(t, m.base, http.MethodPut, "/_sim/hosts/lxd-1/offline", "")
	assert.Equal(t, 204, status)
	assert.Equal(t, 503, m.post("vm-hosts/1/?op=refresh", "").status)
	status, _ = control(t, m.base, http.MethodPut, "/_sim/hosts/nosuch/offline", "")
	assert.Equal(t, 404, status)
}

func TestStart_serves_until_the_context_ends(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server, err := maassim.Start(ctx, maassim.DefaultConfig(1, 1, 0))
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(server.URL(), "/MAAS"))
	status, body := control(t, server.URL(), http.MethodGet, "/api/2.0/version/", "")
	assert.Equal(t, 200, status)
	assert.Contains(t, body, server.Version())
	cancel()
	require.NoError(t, server.Wait())

	_, err = maassim.New(maassim.Config{APIKey: "a:b"})
	require.ErrorContains(t, err, "want consumer:token:secret")
	_, err = maassim.New(maassim.Config{Hosts: []maassim.HostConfig{{Name: "x", Zone: "nowhere"}}})
	require.ErrorContains(t, err, `zone "nowhere"`)
	_, err = maassim.New(maassim.Config{Version: "2.9"})
	require.ErrorContains(t, err, "2.9")
	_, err = maassim.New(maassim.Config{Version: "3.9"})
	require.ErrorContains(t, err, "3.8 is the newest")
}
