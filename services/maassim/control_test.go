package maassim_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

func TestControl_answers_404_to_a_path_that_names_what_is_not_there(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(2, 1, 1))
	for call, said := range map[string]string{
		"PUT hosts/nosuch/offline":             `no LXD host "nosuch": there are lxd-1, lxd-2`,
		"DELETE hosts/nosuch/offline":          `no LXD host "nosuch"`,
		"PUT hosts/nosuch/flapping":            `no LXD host "nosuch"`,
		"DELETE hosts/nosuch/flapping":         `no LXD host "nosuch"`,
		"PUT hosts/nosuch":                     `no LXD host "nosuch"`,
		"PUT hosts/nosuch/next":                `no LXD host "nosuch"`,
		"DELETE lxd/nosuch/maas/vm":            `no LXD host "nosuch"`,
		"DELETE lxd/lxd-1/maas/nosuch":         "Instance not found",
		"POST machines/nosuch/finish":          `no machine "nosuch"`,
		"PUT holds/machines.explode/*":         `no place "machines.explode": there are lxd.created, lxd.listed, lxd.deleting, deploy.read, `,
		"PUT holds/machines.deploy/nosuch":     `no machine "nosuch", neither by hostname nor by system id, and no VM host: there are the VM hosts lxd-1, lxd-2`,
		"GET holds/machines.deploy/metal-1":    "nothing is held at machines.deploy of metal-1",
		"DELETE holds/machines.deploy/metal-1": "nothing is held at machines.deploy of metal-1",
	} {
		method, path, _ := strings.Cut(call, " ")
		body := map[string]string{"PUT hosts/nosuch/flapping": `{"up": "1s", "down": "1s"}`, "PUT hosts/nosuch/next": `{"failure": "x"}`}[call]
		a := m.direct(method, path, body)
		assert.Equal(t, http.StatusNotFound, a.status, call)
		assert.Contains(t, a.body, said, call)
	}
}

func TestControl_answers_400_to_a_body_that_makes_no_sense(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 1))
	for _, tt := range []struct{ call, body, said string }{
		{"PUT hosts/lxd-1/next", "{", "unexpected EOF"},
		{"PUT hosts/lxd-1/next", "{}", "want a failure, a bridge or a mac"},
		{"PUT hosts/lxd-1/next", `{"failure": "x", "mac": "00:16:3e:00:00:01"}`, "either fails or has a NIC"},
		{"PUT hosts/lxd-1/next", `{"failure": "x"} {"failure": "y"}`, "something behind the JSON value"},
		{"PUT hosts/lxd-1/next", `{"failures": "x"}`, `unknown field "failures"`},
		{"PUT hosts/lxd-1/flapping", `{"up": "1s", "down": "1s", "left": "1s"}`, `unknown field "left"`},
		{"PUT hosts/lxd-1/flapping", `{"up": "1s"}`, "down: "},
		{"PUT hosts/lxd-1/offline", `{"for": "1s"}`, `unknown field "for"`},
		{"POST machines/metal-1/finish", `{"byHand": true, "power": "up"}`, `unknown power state "up": want on or off`},
		{"POST machines/metal-1/finish", `{"byHand": true, "status": "Ready"}`, `unknown status "Ready": want one of new, `},
		{"POST machines/metal-1/finish", `{"power": "on"}`, "byHand is missing"},
		{"POST machines/metal-1/finish", `{"byHand": true, "failed": true}`, "either as failed or by hand"},
		{"POST lxd", `{"name": "vm"}`, `no LXD host ""`},
		{"POST lxd", `{"host": "nosuch", "name": "vm"}`, `no LXD host "nosuch": there are lxd-1`},
		{"POST lxd", `{"host": "lxd-1"}`, "Name must be 1-63 characters long"},
		{"POST lxd", `{"host": "lxd-1", "name": "vm", "cores": -1}`, "cannot be negative"},
		{"POST lxd", `{"host": "lxd-1", "name": "vm", "disks": [{"pool": "nosuch", "size": 1}]}`, "the host has the pools default"},
		{"POST lxd", `{"host": "lxd-1", "name": "vm", "cpu": 1}`, `unknown field "cpu"`},
		{"POST faults", `[{"status": 503}] x`, "after top-level value"},
		{"POST faults", `{"status": 503} {}`, "after top-level value"},
		{"POST faults", `{"faults": [], "seed": 7}`, "nothing stands beside it"},
		{"POST faults", "null", "want a fault"},
	} {
		method, path, _ := strings.Cut(tt.call, " ")
		a := m.direct(method, path, tt.body)
		assert.Equal(t, http.StatusBadRequest, a.status, tt)
		assert.Contains(t, a.body, tt.said, tt)
	}
	assert.Empty(t, m.LXD())
	assert.Empty(t, m.Faults())
}

func TestControl_serves_loopback_alone(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	for from, status := range map[string]int{"127.0.0.1:4711": 200, "[::1]:4711": 200, "192.0.2.1:4711": 403, "[2001:db8::1]:4711": 403, "nobody": 403} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/_sim/lxd", http.NoBody)
		req.RemoteAddr = from
		w := httptest.NewRecorder()
		m.ServeHTTP(w, req)
		assert.Equal(t, status, w.Code, from)
	}
	want(t, m.get("_sim/lxd/"), 404, text, "Unknown API endpoint: /MAAS/api/2.0/_sim/lxd/.")
}

func TestControl_a_hold_takes_a_machine_by_its_system_id(t *testing.T) {
	t.Parallel()
	m := stay(t)
	id := m.compose("held-0", "")
	m.claim(id, "a")
	for _, place := range []string{"machines.deploy", maassim.PlaceDeployRead} {
		require.Equal(t, http.StatusNoContent, m.direct(http.MethodPut, "holds/"+place+"/"+id, "").status)
	}
	deployed := behind(func() answer { return m.post("machines/"+id+"/?op=deploy", "") })
	for _, place := range []string{"machines.deploy", maassim.PlaceDeployRead} {
		require.NoError(t, m.AwaitHeld(bounded(t), place, id))
		require.Equal(t, "Allocated", m.status(id))
		require.Equal(t, http.StatusNoContent, m.direct(http.MethodDelete, "holds/"+place+"/"+id, "").status)
	}
	assert.Equal(t, http.StatusOK, (<-deployed).status)
}

func TestConfig_is_one_JSON_value(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "world.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"speed": 2} {"speed": 3}`), 0o600))
	_, err := maassim.LoadConfig(file, maassim.Config{})
	require.ErrorContains(t, err, "something behind the JSON value")
}
