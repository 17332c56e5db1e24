package maassim_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

// direct sends a stage direction to the control endpoint.
func (m *maas) direct(method, path, body string) answer {
	m.t.Helper()
	req, err := http.NewRequestWithContext(m.t.Context(), method, m.base+"/_sim/"+path, bytes.NewBufferString(body))
	require.NoError(m.t, err)
	resp, err := transport.RoundTrip(req)
	require.NoError(m.t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(m.t, err)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(text)}
}

// slow is a MAAS where nothing ends by itself.
func slow(t *testing.T) *maas {
	t.Helper()
	cfg := maassim.DefaultConfig(2, 1, 0)
	cfg.Version = "3.4"
	cfg.Durations = maassim.Durations{Commission: time.Hour, Deploy: time.Hour, Release: time.Hour}
	return start(t, cfg)
}

func TestStage_finish_ends_what_is_under_way(t *testing.T) {
	t.Parallel()
	m := slow(t)
	id := m.compose("va-0", "")
	m.claim(id, "a")
	m.post("machines/"+id+"/?op=deploy", "")
	require.Equal(t, "Deploying", m.machine(id)["status_name"])

	t.Run("by_itself_it_would_take_an_hour", func(t *testing.T) {
		assert.Equal(t, http.StatusNoContent, m.direct(http.MethodPost, "machines/va-0/finish", "").status)
		assert.Equal(t, "Deployed", m.machine(id)["status_name"])
	})
	t.Run("nothing_under_way_is_said", func(t *testing.T) {
		a := m.direct(http.MethodPost, "machines/va-0/finish", "")
		assert.Equal(t, http.StatusBadRequest, a.status)
		assert.Equal(t, "nothing is under way on machine \"va-0\", which is Deployed\n", a.body)
	})
	t.Run("an_unknown_machine_or_field_is_refused", func(t *testing.T) {
		assert.Equal(t, http.StatusNotFound, m.direct(http.MethodPost, "machines/nosuch/finish", "").status)
		assert.Equal(t, http.StatusBadRequest, m.direct(http.MethodPost, "machines/va-0/finish", `{"outcome": "x"}`).status)
	})
	t.Run("failed_is_what_MAAS_does_when_time_is_over", func(t *testing.T) {
		failing := m.compose("va-1", "")
		m.claim(failing, "b")
		m.post("machines/"+failing+"/?op=deploy", "")
		assert.Equal(t, http.StatusNoContent, m.direct(http.MethodPost, "machines/va-1/finish", `{"failed": true}`).status)
		o := m.machine(failing)
		assert.Equal(t, "Failed deployment", o["status_name"])
		assert.Equal(t, "Marking node failed - Node operation 'Deploying' timed out after 30 minutes.", o["status_message"])
	})
	t.Run("by_hand_tells_no_event", func(t *testing.T) {
		by := m.compose("va-2", "")
		m.claim(by, "c")
		m.post("machines/"+by+"/?op=deploy", "")
		m.direct(http.MethodPost, "machines/va-2/finish", `{"byHand": true, "power": "off"}`)
		o := m.machine(by)
		assert.Equal(t, []any{"Deployed", "Deploying", "off"}, []any{o["status_name"], o["status_message"], o["power_state"]})
	})
}

func TestStage_a_held_compose_lets_others_see_the_moment(t *testing.T) {
	t.Parallel()
	m := slow(t)
	require.Equal(t, http.StatusNoContent, m.direct(http.MethodPut, "holds/lxd.created/lxd-1", "").status)
	done := make(chan answer, 1)
	go func() { done <- m.post("vm-hosts/1/?op=compose", "hostname=va-0&skip_commissioning=true") }()
	require.Equal(t, http.StatusNoContent, m.direct(http.MethodGet, "holds/lxd.created/lxd-1", "").status)

	_, inLXD := m.instance("va-0")
	assert.True(t, inLXD)
	_, inMAAS := m.Machine("va-0")
	assert.False(t, inMAAS)
	assert.Equal(t, http.StatusNoContent, m.direct(http.MethodDelete, "holds/lxd.created/lxd-1", "").status)
	assert.Equal(t, http.StatusOK, (<-done).status)
	_, inMAAS = m.Machine("va-0")
	assert.True(t, inMAAS)
	assert.Equal(t, http.StatusNotFound, m.direct(http.MethodDelete, "holds/lxd.created/lxd-1", "").status)
}

func TestStage_the_next_VM_and_the_racks_obey(t *testing.T) {
	t.Parallel()
	m := slow(t)
	m.direct(http.MethodPut, "hosts/lxd-1/next", `{"failure": "no more room"}`)
	want(t, m.post("vm-hosts/1/?op=compose", "hostname=va-0"), 503, text, "Unable to compose machine because: no more room")
	m.direct(http.MethodPut, "hosts/lxd-1/next", `{"mac": "00:16:3e:12:34:56", "bridge": "br1"}`)
	m.compose("va-0", "")
	inst, _ := m.instance("va-0")
	require.Len(t, inst.NICs, 1)
	assert.Equal(t, []string{"00:16:3e:12:34:56", "br1"}, []string{inst.NICs[0].MAC, inst.NICs[0].Parent})

	m.direct(http.MethodPut, "racks/offline", "")
	a := m.post("vm-hosts/1/?op=compose", "hostname=va-1")
	assert.Equal(t, []any{503, "10"}, []any{a.status, a.header.Get("Retry-After")})
	m.direct(http.MethodDelete, "racks/offline", "")
	m.compose("va-1", "")
}
