package maassim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// direction is what the recorder did by hand before a recording, or how requests overlapped. Testdata's replay-script.json holds them.
type direction struct {
	Before int    `json:"before"` // number of the recording
	Why    string `json:"why"`

	// Call is a request to the control endpoint ("POST /_sim/machines/cp-0/finish", with a JSON body) or one to MAAS by the administrator that
	// was not recorded ("DELETE machines/{cp-0}/", with a form). Ids are those of the recordings; {cp-0} stands for the system id of the
	// machine of that name, {nic:cp-0} and {mac:cp-0} for its first interface, {host:lxd-11} for a VM host, {dns:api} for a record and
	// {link:72} for a recorded link.
	Call string          `json:"call,omitempty"`
	Body json.RawMessage `json:"body,omitempty"`
	Form string          `json:"form,omitempty"`
	As   string          `json:"as,omitempty"` // "alice" for a call by the plain user
	// Learn says what the answer's object is called in the recordings: "xnfmtx" or "vm-hosts/14".
	Learn string `json:"learn,omitempty"`

	// Send sends the request of that recording out of its turn; its answer is compared in its turn. Background does not wait for it; Discard
	// forgets it, and the request is sent again in its turn.
	Send       int  `json:"send,omitempty"`
	Background bool `json:"background,omitempty"`
	Discard    bool `json:"discard,omitempty"`
	// Forget forgets all ids: what follows comes from another database.
	Forget bool `json:"forget,omitempty"`
	// Wait waits for the answer to the request of that recording, which was sent in the background.
	Wait int `json:"wait,omitempty"`
}

// patience bounds every wait of a replay; only a simulator that hangs reaches it.
const patience = 5 * time.Second

// player replays recordings against one simulator.
type player struct {
	*maas
	*translator
	recordings map[int]*recording
	script     map[int][]direction
	sent       map[int]chan replayed // requests that were sent out of their turn
}

// stage carries out the directions before a recording.
func (p *player) stage(t *testing.T, number int) {
	t.Helper()
	for _, d := range p.script[number] {
		switch {
		case d.Forget:
			p.forget()
		case d.Wait != 0:
			got := <-p.sent[d.Wait]
			p.sent[d.Wait] <- got
		case d.Send == 0:
			p.call(t, d)
		case d.Discard:
			p.send(t, p.recordings[d.Send])
		default:
			answer := make(chan replayed, 1)
			p.sent[d.Send] = answer
			request := p.prepare(t, p.recordings[d.Send])
			if d.Background {
				go func() { answer <- request() }()
				continue
			}
			answer <- request()
		}
	}
}

var braced = regexp.MustCompile(`\{(?:(\w+):)?([a-z0-9-]+)\}`)

// resolve replaces names in braces, and ids of the recordings.
func (p *player) resolve(t *testing.T, s string) string {
	t.Helper()
	return braced.ReplaceAllStringFunc(p.request(s), func(part string) string {
		m := braced.FindStringSubmatch(part)
		id := p.lookUp(m[1], m[2])
		require.NotEmpty(t, id, part)
		return id
	})
}

// lookUp finds the simulator's id of what has a name.
func (p *player) lookUp(kind, name string) string {
	var list string
	by, want := "name", "id"
	switch kind {
	case "link":
		return p.number("links", name)
	case "host":
		list = "vm-hosts/"
	case "dns":
		list, by, name = "dnsresources/", "fqdn", name+".cluster.example"
	case "nic":
		list, name = "nodes/"+p.machineNamed(name)+"/interfaces/", "eth0"
	case "mac":
		list, name, want = "nodes/"+p.machineNamed(name)+"/interfaces/", "eth0", "mac_address"
	default:
		return p.machineNamed(name)
	}
	var all []map[string]any
	if err := decodeJSON([]byte(p.get(list).body), &all); err != nil {
		return ""
	}
	for _, o := range all {
		if o[by] == name {
			return fmt.Sprint(o[want])
		}
	}
	return ""
}

func (p *player) call(t *testing.T, d direction) {
	t.Helper()
	method, path, ok := strings.Cut(d.Call, " ")
	require.True(t, ok, "direction before %d: %q", d.Before, d.Call)
	path = p.resolve(t, path)
	var a answer
	switch {
	case strings.HasPrefix(path, "/_sim/"):
		a = p.do(t, method, path, "", p.resolve(t, string(d.Body)))
	case d.As == "alice":
		a = p.do(t, method, "/MAAS/api/2.0/"+path, p.UserAPIKey(), p.resolve(t, d.Form))
	default:
		a = p.do(t, method, "/MAAS/api/2.0/"+path, p.APIKey(), p.resolve(t, d.Form))
	}
	if a.status >= 300 {
		t.Errorf("direction before %d: %s: %d %.300s", d.Before, d.Call, a.status, a.body)
		return
	}
	if d.Learn == "" {
		return
	}
	o := a.object(t)
	if kind, id, ok := strings.Cut(d.Learn, "/"); ok {
		p.learnNumber(kind, id, fmt.Sprint(o["id"]))
	} else {
		p.learnWords(d.Learn, o["system_id"])
	}
}

// do sends a request of the script, signed unless there is no key.
func (p *player) do(t *testing.T, method, path, key, body string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, p.base+path, strings.NewReader(body))
	require.NoError(t, err)
	if key != "" {
		req.Header.Set("Authorization", sign(key))
		req.Header.Set("Content-Type", form)
	}
	resp, err := transport.RoundTrip(req)
	require.NoError(t, err, path)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(text)}
}

// answerTo returns the simulator's answer to a recorded request, which may be under way already.
func (p *player) answerTo(t *testing.T, r *recording) replayed {
	t.Helper()
	if answer, ok := p.sent[r.number]; ok {
		return <-answer
	}
	return p.send(t, r)
}

var (
	nonceField = regexp.MustCompile(`oauth_nonce="[^"]*"`)
	timeField  = regexp.MustCompile(`oauth_timestamp="[^"]*"`)
)

// authorization renews the nonce and the time of a recorded header, which the recorder had replaced, except where they were the point.
func authorization(r *recording) string {
	nonce, at := "replay"+strconv.FormatInt(nonces.Add(1), 10), time.Now()
	switch {
	case strings.Contains(r.name, "bad-oldts"):
		at = at.Add(-2 * time.Hour)
	case strings.Contains(r.name, "nonce-reused"):
		nonce = reusedNonce
	}
	header := nonceField.ReplaceAllString(r.Request.Headers["Authorization"], `oauth_nonce="`+nonce+`"`)
	return timeField.ReplaceAllString(header, `oauth_timestamp="`+strconv.FormatInt(at.Unix(), 10)+`"`)
}

// reusedNonce is the one that recording 010 used for the second time.
const reusedNonce = "fixednonce00000000000000000000000"

// send sends a recorded request with its ids translated.
func (p *player) send(t *testing.T, r *recording) replayed {
	t.Helper()
	return p.prepare(t, r)()
}

// prepare translates a recorded request and returns the function that sends it, which may run beside others.
func (p *player) prepare(t *testing.T, r *recording) func() replayed {
	t.Helper()
	target := p.base + p.request(r.Request.Path)
	if r.Request.Query != "" {
		target += "?" + p.request(r.Request.Query)
	}
	var body io.Reader
	if r.Request.Body != nil {
		body = strings.NewReader(p.form(target, *r.Request.Body))
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	req, err := http.NewRequestWithContext(ctx, r.Request.Method, target, body)
	require.NoError(t, err)
	for name, value := range r.Request.Headers {
		req.Header.Set(name, value)
	}
	if r.Request.Headers["Authorization"] != "" {
		req.Header.Set("Authorization", authorization(r))
	}
	return func() replayed {
		defer cancel()
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return replayed{body: []byte(err.Error())}
		}
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			return replayed{body: []byte(err.Error())}
		}
		return replayed{status: resp.StatusCode, header: resp.Header, body: text}
	}
}
