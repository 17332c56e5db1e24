package maas_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
)

// The parts of the key that the tests use; none may show anywhere.
const (
	consumer = "FakeConsumerKey001"
	token    = "FakeTokenKey000001"
	secret   = "FakeTokenSecretForTests00000001"
	testKey  = consumer + ":" + token + ":" + secret
	// leaked is the secret that a real MAAS put into the body of a 401 (recording 008).
	leaked = "FakeTokenSecretForAdmin000000001"
)

// request is what a server was sent.
type request struct {
	method, path, query, form string
	header                    http.Header
	close                     bool
}

// region is a server that gives prepared answers and remembers what it was asked.
type region struct {
	*httptest.Server
	mu       sync.Mutex
	requests []request
}

// answer is one prepared answer.
type answer struct {
	status int
	ctype  string
	again  string // Retry-After
	body   string
}

const (
	plain = "text/plain; charset=utf-8"
	page  = "text/html; charset=utf-8"
	form  = "application/json"
)

// serve starts a region that gives the answers one after the other, and the last one for ever.
func serve(t *testing.T, answers ...answer) *region {
	t.Helper()
	return serveFunc(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		a := answers[min(n, len(answers)-1)]
		w.Header().Set("Content-Type", a.ctype)
		if a.again != "" {
			w.Header().Set("Retry-After", a.again)
		}
		w.WriteHeader(a.status)
		_, _ = w.Write([]byte(a.body))
	})
}

// serveFunc starts a region that answers with a function, which is told how many requests were before.
func serveFunc(t *testing.T, handle func(w http.ResponseWriter, r *http.Request, n int)) *region {
	t.Helper()
	g := &region{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		g.mu.Lock()
		n := len(g.requests)
		g.requests = append(g.requests, request{
			method: r.Method, path: r.URL.Path, query: r.URL.RawQuery, form: r.PostForm.Encode(), header: r.Header, close: r.Close,
		})
		g.mu.Unlock()
		handle(w, r, n)
	}))
	t.Cleanup(g.Close)
	return g
}

// seen gives the requests so far.
func (g *region) seen() []request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]request(nil), g.requests...)
}

// client makes a client of a server with short waits.
func client(t *testing.T, url string, change ...func(*maas.Config)) *maas.Client {
	t.Helper()
	cfg := maas.Config{
		URL: url + "/MAAS", Credentials: maas.StaticKey(testKey), Clock: time.Now,
		Retry: maas.Retry{FirstWait: time.Millisecond},
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := maas.New(cfg)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// requireFault checks kind and reason of a fault.
func requireFault(t *testing.T, err error, kind fault.Kind, reason fault.Reason) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, kind.String()+" "+string(reason), fault.KindOf(err).String()+" "+string(fault.ReasonOf(err)), "%v", err)
}

func TestNew_names_what_is_wrong_with_the_configuration(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ url, key, ca, want string }{
		"no_scheme":     {url: "maas.example/MAAS", key: testKey, want: "want one like https://"},
		"user_in_url":   {url: "https://u:hunter2@maas.example/MAAS", key: testKey, want: "must not hold a user"},
		"query":         {url: "https://maas.example/MAAS?a=b", key: testKey, want: "query"},
		"two_parts":     {url: "https://maas.example/MAAS", key: token + ":" + secret, want: "three parts"},
		"empty_part":    {url: "https://maas.example/MAAS", key: consumer + "::" + secret, want: "three parts"},
		"line_break":    {url: "https://maas.example/MAAS", key: testKey + "\n", want: "three parts"},
		"no_CA_file":    {url: "https://maas.example/MAAS", key: testKey, ca: "/does/not/exist", want: "CA file"},
		"unparsable":    {url: "https://u:hunter2@maas .example/", key: testKey, want: "MAAS URL"},
		"other_scheme":  {url: "ftp://maas.example/MAAS", key: testKey, want: "want one like https://"},
		"fragment":      {url: "https://maas.example/MAAS#x", key: testKey, want: "fragment"},
		"missing_host":  {url: "https:///MAAS", key: testKey, want: "want one like https://"},
		"empty_setting": {url: "", key: testKey, want: "want one like https://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := maas.New(maas.Config{URL: row.url, Credentials: maas.StaticKey(row.key), CAFile: row.ca, Clock: time.Now})
			require.ErrorContains(t, err, row.want)
			for _, hidden := range []string{consumer, token, secret, "hunter2"} {
				assert.NotContains(t, err.Error(), hidden)
			}
		})
	}
}

func TestNew_completes_the_URL(t *testing.T) {
	t.Parallel()
	for _, suffix := range []string{"", "/", "/MAAS", "/MAAS/", "/MAAS/api/2.0/"} {
		g := serve(t, answer{status: 200, ctype: form, body: `{"version": "3.6.2"}`})
		c := client(t, "", func(cfg *maas.Config) { cfg.URL = g.URL + suffix })
		_, err := c.Version(t.Context())
		require.NoError(t, err)
		require.Equal(t, "/MAAS/api/2.0/version/", g.seen()[0].path, suffix)
	}
}

func TestKeyFile_is_read_for_each_request_so_that_the_key_can_be_rotated(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte(testKey+"\n"), 0o600))
	g := serve(t, answer{status: 200, ctype: form, body: `{"username": "capmaas", "is_superuser": true}`})
	c := client(t, g.URL, func(cfg *maas.Config) { cfg.Credentials = maas.KeyFile(file) })

	_, err := c.Whoami(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte("c2:t2:s2"), 0o600))
	who, err := c.Whoami(t.Context())
	require.NoError(t, err)
	require.Equal(t, maas.User{Name: "capmaas", Admin: true}, who)
	require.Contains(t, g.seen()[0].header.Get("Authorization"), `oauth_token="`+token+`"`)
	require.Contains(t, g.seen()[1].header.Get("Authorization"), `oauth_token="t2"`)

	require.NoError(t, os.Remove(file))
	_, err = c.Whoami(t.Context())
	requireFault(t, err, fault.Denied, fault.ReasonMAASKeyRefused)
	require.NoError(t, os.WriteFile(file, bytes.Repeat([]byte("x"), 5000), 0o600))
	_, err = c.Whoami(t.Context())
	requireFault(t, err, fault.Denied, fault.ReasonMAASKeyRefused)
	require.Len(t, g.seen(), 2, "no request goes out without a key")
}

func TestUnauthorized_says_in_our_words_what_is_wrong_with_the_key(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"Authorization Error: Invalid API key.":                                                       "no such API key (consumer)",
		"Authorization Error: 'Invalid access token: BBBBBBBBBBBBBBBBBB'":                             "no such API key (token)",
		"Authorization Error: 'Invalid signature. Expected signature base string: &" + leaked + "'":   "secret of the MAAS API key is wrong",
		"Authorization Error: 'Expired timestamp: given 1795459929 and now 1795467129 has a greater'": "clock is more than 5 minutes behind",
		"Authorization Error: 'Nonce already used: fixednonce00000000000000000000000'":                "seen this request before",
		"Forbidden": "refuses the API key",
	} {
		g := serve(t, answer{status: 401, ctype: page, body: body})
		_, err := client(t, g.URL).Whoami(t.Context())
		requireFault(t, err, fault.Denied, fault.ReasonMAASKeyRefused)
		require.ErrorContains(t, err, want)
	}
}
