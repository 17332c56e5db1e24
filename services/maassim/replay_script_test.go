package maassim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// direction is what the recorder did by hand before a recording, or how requests overlapped. Testdata's replay-script.json holds them.
type direction struct {
	Before int    `json:"before"` // number of the recording
	Why    string `json:"why"`

	// Call is a request to the control endpoint ("POST /_sim/machines/cp-0/finish", with a JSON body) or one to MAAS that was not recorded
	// ("DELETE machines/cp-0/", with a form). Ids are those of the recordings; {cp-0} stands for the system id of the machine of that name.
	Call string          `json:"call,omitempty"`
	As   string          `json:"as,omitempty"` // "alice" for a call to MAAS by the plain user
	Body json.RawMessage `json:"body,omitempty"`
	Form string          `json:"form,omitempty"`

	// Send sends the request of that recording out of its turn; its answer is compared in its turn. Background does not wait for it.
	Send       int  `json:"send,omitempty"`
	Background bool `json:"background,omitempty"`
}

// patience bounds every wait of a replay; only a simulator that hangs reaches it.
const patience = 20 * time.Second

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
		case d.Send != 0:
			answer := make(chan replayed, 1)
			p.sent[d.Send] = answer
			if d.Background {
				go func() { answer <- p.send(t, p.recordings[d.Send]) }()
				continue
			}
			answer <- p.send(t, p.recordings[d.Send])
		default:
			p.call(t, d)
		}
	}
}

var braced = regexp.MustCompile(`\{([a-z0-9-]+)\}`)

func (p *player) call(t *testing.T, d direction) {
	t.Helper()
	method, path, ok := strings.Cut(d.Call, " ")
	require.True(t, ok, "direction before %d: %q", d.Before, d.Call)
	resolve := func(s string) string {
		return p.request(braced.ReplaceAllStringFunc(s, func(name string) string { return p.machineNamed(strings.Trim(name, "{}")) }))
	}
	path = resolve(path)
	var a answer
	switch {
	case strings.HasPrefix(path, "/_sim/"):
		a = p.control(t, method, path, d.Body)
	case d.As == "alice":
		a = p.as(p.UserAPIKey()).do(method, path, form, []byte(resolve(d.Form)))
	default:
		a = p.do(method, path, form, []byte(resolve(d.Form)))
	}
	assert.Less(t, a.status, 300, "direction before %d: %s: %s", d.Before, d.Call, a.body)
}

// control calls the control endpoint.
func (p *player) control(t *testing.T, method, path string, body []byte) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, p.base+path, bytes.NewReader(body))
	require.NoError(t, err)
	resp, err := http.DefaultTransport.RoundTrip(req)
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
	target := p.base + p.request(r.Request.Path)
	if r.Request.Query != "" {
		target += "?" + p.request(r.Request.Query)
	}
	var body io.Reader
	if r.Request.Body != nil {
		body = strings.NewReader(p.form(target, *r.Request.Body))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.Request.Method, target, body)
	if !assert.NoError(t, err) {
		return replayed{}
	}
	for name, value := range r.Request.Headers {
		req.Header.Set(name, value)
	}
	if r.Request.Headers["Authorization"] != "" {
		req.Header.Set("Authorization", authorization(r))
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if !assert.NoError(t, err, target) {
		return replayed{}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	assert.NoError(t, err)
	return replayed{status: resp.StatusCode, header: resp.Header, body: text}
}
