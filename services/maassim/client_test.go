package maassim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

const form = "application/x-www-form-urlencoded"

// maas is a simulator with a client that signs as one user.
type maas struct {
	*maassim.Sim
	t    *testing.T
	base string
	key  string
}

var nonces atomic.Int64

// transport carries all requests of the tests. A server that another test closes takes the idle connections of
// http.DefaultTransport with it, and with them requests that are about to begin.
var transport = &http.Transport{}

// start serves a simulator for the length of the test.
func start(t *testing.T, cfg maassim.Config) *maas {
	t.Helper()
	sim, err := maassim.New(cfg)
	require.NoError(t, err)
	srv := httptest.NewServer(sim)
	t.Cleanup(func() {
		sim.Close()
		srv.Close()
		assert.NoError(t, sim.CheckRows(), "something changed a row without touching it")
	})
	return &maas{Sim: sim, t: t, base: srv.URL, key: sim.APIKey()}
}

// as returns the same MAAS for somebody else.
func (m *maas) as(key string) *maas {
	other := *m
	other.key = key
	return &other
}

// answer is what MAAS said.
type answer struct {
	status int
	header http.Header
	body   string
}

// object reads the answer as a JSON object.
func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.body)
	var o map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.body), &o))
	return o
}

// list reads the answer as a list of JSON objects.
func (a answer) list(t *testing.T) []map[string]any {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.body)
	var l []map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.body), &l))
	return l
}

func sign(key string) string {
	p := strings.Split(key, ":")
	return fmt.Sprintf(`OAuth oauth_version="1.0", oauth_signature_method="PLAINTEXT", oauth_consumer_key="%s", oauth_token="%s", oauth_signature="%s", oauth_timestamp="%d", oauth_nonce="nonce%d"`,
		p[0], p[1], url.QueryEscape("&"+p[2]), time.Now().Unix(), nonces.Add(1))
}

func (m *maas) do(method, path, contentType string, body []byte) answer {
	m.t.Helper()
	req, err := http.NewRequestWithContext(m.t.Context(), method, m.base+"/MAAS/api/2.0/"+path, bytes.NewReader(body))
	require.NoError(m.t, err)
	if m.key != "" {
		req.Header.Set("Authorization", sign(m.key))
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return m.send(req)
}

// send sends a request as it is.
func (m *maas) send(req *http.Request) answer {
	m.t.Helper()
	resp, err := transport.RoundTrip(req)
	require.NoError(m.t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(m.t, err)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(text)}
}

func (m *maas) get(path string) answer { m.t.Helper(); return m.do(http.MethodGet, path, "", nil) }

func (m *maas) post(path, body string) answer {
	m.t.Helper()
	return m.do(http.MethodPost, path, form, []byte(body))
}

func (m *maas) put(path, body string) answer {
	m.t.Helper()
	return m.do(http.MethodPut, path, form, []byte(body))
}

func (m *maas) delete(path string) answer {
	m.t.Helper()
	return m.do(http.MethodDelete, path, "", nil)
}

// compose makes a VM on host 1 that is Ready at once, and returns its system id. more is appended to the form.
func (m *maas) compose(name, more string) string {
	m.t.Helper()
	a := m.post("vm-hosts/1/?op=compose", "hostname="+name+"&cores=2&memory=4096&skip_commissioning=true"+more)
	id, _ := a.object(m.t)["system_id"].(string)
	return id
}

// machine reads a machine over the API.
func (m *maas) machine(id string) map[string]any {
	m.t.Helper()
	return m.get("machines/" + id + "/").object(m.t)
}

// claim allocates a machine.
func (m *maas) claim(id, agent string) {
	m.t.Helper()
	a := m.post("machines/?op=allocate", "system_id="+id+"&agent_name="+agent)
	require.Equal(m.t, http.StatusOK, a.status, a.body)
}

// instance returns the LXD truth of one VM.
func (m *maas) instance(name string) (maassim.Instance, bool) {
	for _, i := range m.LXD() {
		if i.Name == name {
			return i, true
		}
	}
	return maassim.Instance{}, false
}

// want checks status, content type and body of an answer at once.
func want(t *testing.T, a answer, status int, contentType, body string) {
	t.Helper()
	require.Equal(t, status, a.status, a.body)
	require.Equal(t, contentType, a.header.Get("Content-Type"))
	require.Equal(t, body, a.body)
}

const (
	text  = "text/plain; charset=utf-8"
	plain = "text/plain"
	asJS  = "application/json; charset=utf-8"
)
