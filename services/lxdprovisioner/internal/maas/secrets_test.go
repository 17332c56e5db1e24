package maas_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
)

const (
	joinToken = "abcdef.0123456789abcdef"
	lxdKey    = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj"
)

// hidden is everything that no log, error or observation may hold.
func hidden() []string {
	encoded := base64.StdEncoding.EncodeToString([]byte(userData))
	return []string{consumer, token, secret, leaked, joinToken, "kubeadm join", encoded, encoded[:24], encoded[16:48], lxdKey}
}

// witness keeps everything that a client says, at the highest verbosity.
type witness struct {
	mu   sync.Mutex
	said bytes.Buffer
}

func (w *witness) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.said.Write(p)
}

func (w *witness) listen(cfg *maas.Config) {
	cfg.Logger = slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.Level(math.MinInt), AddSource: true}))
	cfg.Observe = func(o maas.Observation) { _, _ = fmt.Fprintf(w, "%+v %#v\n", o, o) }
	cfg.Retry.Attempts = 2
}

// err keeps an error in every form in which it may be printed, with all that it wraps.
func (w *witness) err(err error) {
	for ; err != nil; err = unwrap(err) {
		_, _ = fmt.Fprintf(w, "%v\n%+v\n%#v\n%q\n", err, err, err, err)
	}
}

func unwrap(err error) error {
	if u, ok := err.(interface{ Unwrap() error }); ok {
		return u.Unwrap()
	}
	return nil
}

func (w *witness) silent(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	require.NotEmpty(t, w.said.String())
	for _, word := range hidden() {
		assert.NotContains(t, w.said.String(), word)
	}
}

// everything asks a region everything that the client can ask.
func (w *witness) everything(ctx context.Context, t *testing.T, url string, change ...func(*maas.Config)) {
	t.Helper()
	c := client(t, url, append([]func(*maas.Config){w.listen}, change...)...)
	for _, ask := range calls {
		w.err(ask(ctx, c))
	}
	w.silent(t)
}

func TestSecrets_never_show_whatever_MAAS_answers_to_any_request(t *testing.T) {
	t.Parallel()
	encoded := base64.StdEncoding.EncodeToString([]byte(userData))
	ours := testKey + " " + secret + " &" + secret + " " + consumer
	for name, a := range map[string]answer{
		"401_with_the_real_secret":  {401, page, "", "Authorization Error: 'Invalid signature. Expected signature base string: &" + leaked + "'"},
		"401_with_the_token":        {401, page, "", "Authorization Error: 'Invalid access token: " + token + "'"},
		"401_in_strange_words":      {401, "application/json", "", `{"detail": "` + leaked + ours + `"}`},
		"400_that_echoes_the_key":   {400, plain, "", "bad header: " + ours},
		"403_that_echoes_the_key":   {403, plain, "", ours},
		"404_that_echoes_the_key":   {404, plain, "", "No Machine matches the given query. " + ours},
		"409_that_echoes_the_key":   {409, plain, "", ours},
		"500_that_echoes_the_key":   {500, plain, "", ours},
		"503_that_echoes_the_key":   {503, plain, "10", "no connections available. " + ours},
		"502_page_with_the_key":     {502, page, "", "<html>" + ours + leaked + "</html>"},
		"redirect":                  {301, page, "", leaked},
		"200_that_is_the_key":       {200, form, "", testKey},
		"200_with_the_LXD_key":      {200, form, "", `{"project": {"key": "` + lxdKey + `"}, "key": "` + lxdKey + `", "system_id": "` + lxdKey + `", "id": "` + lxdKey + `"}`},
		"200_whose_fields_are_keys": {200, form, "", `{"` + lxdKey + `": 1, "` + secret + `": [` + secret},
		"200_with_numbers":          {200, form, "", `{"system_id": 1, "status": "` + secret + `", "hostname": ["` + leaked + `"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := serve(t, a)
			new(witness).everything(t.Context(), t, g.URL)
			require.NotEmpty(t, g.seen())
		})
	}
	for name, body := range map[string]string{
		"preseed": "Failed to render preseed: near " + userData, "as_it_is": userData, "one_line": "bad line: # token " + joinToken,
		"encoded": `{"user_data": ["` + encoded + ` is bad"]}`, "a_part_of_it": "near " + encoded[16:48], "in_a_sentence": "image is unavailable: runcmd: - kubeadm join",
	} {
		for _, status := range []int{400, 403, 404, 409, 413, 500, 503} {
			t.Run(fmt.Sprintf("deploy_%s_%d", name, status), func(t *testing.T) {
				t.Parallel()
				var w witness
				g := serve(t, answer{status, plain, "", body})
				w.err(calls["machines.deploy"](t.Context(), client(t, g.URL, w.listen)))
				w.silent(t)
			})
		}
	}
}

func TestSecrets_never_show_when_there_is_no_answer(t *testing.T) {
	t.Parallel()
	t.Run("something_that_is_not_HTTP_echoes_the_request", func(t *testing.T) {
		t.Parallel()
		g := serveFunc(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = conn.Write([]byte(strings.ReplaceAll(r.Header.Get("Authorization"), " ", "") + r.PostForm.Encode() + "\r\n"))
				_ = conn.Close()
			}
		})
		var w witness
		w.everything(t.Context(), t, g.URL)
		require.Contains(t, w.said.String(), "malformed HTTP response")
	})
	t.Run("the_connection_breaks", func(t *testing.T) {
		t.Parallel()
		g := serveFunc(t, func(http.ResponseWriter, *http.Request, int) { panic(http.ErrAbortHandler) })
		new(witness).everything(t.Context(), t, g.URL)
	})
	t.Run("TLS_is_not_trusted", func(t *testing.T) {
		t.Parallel()
		srv := httptest.NewTLSServer(http.NotFoundHandler())
		t.Cleanup(srv.Close)
		srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
		new(witness).everything(t.Context(), t, srv.URL)
	})
	t.Run("it_is_not_TLS", func(t *testing.T) {
		t.Parallel()
		g := serve(t, answer{400, plain, "", ""})
		new(witness).everything(t.Context(), t, strings.Replace(g.URL, "http:", "https:", 1))
	})
	t.Run("the_caller_gave_up", func(t *testing.T) {
		t.Parallel()
		g := serve(t, answer{200, form, "", "{}"})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		new(witness).everything(ctx, t, g.URL)
	})
	t.Run("the_time_is_over", func(t *testing.T) {
		t.Parallel()
		g := serveFunc(t, func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() })
		const soon = 5 * time.Millisecond
		new(witness).everything(t.Context(), t, g.URL, func(cfg *maas.Config) { cfg.Timeouts = maas.Timeouts{Short: soon, List: soon, Long: soon} })
	})
}

func TestSecrets_never_show_in_what_is_said_of_a_bad_key(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{
		"two_parts": token + ":" + secret, "four_parts": testKey + ":" + leaked, "empty_part": consumer + "::" + secret, "spaces": consumer + ": " + token + ":" + secret,
		"lines": testKey + "\n" + testKey, "only_a_secret": secret, "too_long": strings.Repeat(testKey, 100), "invisible": testKey + "\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var w witness
			_, err := maas.New(maas.Config{URL: "http://127.0.0.1:1", Credentials: maas.StaticKey(key), Clock: time.Now})
			require.Error(t, err)
			w.err(err)
			_, err = maas.New(maas.Config{URL: key, Credentials: maas.StaticKey("http://maas/MAAS"), Clock: time.Now})
			require.Error(t, err, "key and URL in each other's place")
			w.err(err)

			file := filepath.Join(t.TempDir(), "key")
			require.NoError(t, os.WriteFile(file, []byte(testKey), 0o600))
			g := serve(t, answer{200, form, "", "{}"})
			c := client(t, g.URL, w.listen, func(cfg *maas.Config) { cfg.Credentials = maas.KeyFile(file) })
			require.NoError(t, os.WriteFile(file, []byte(key), 0o600))
			for _, ask := range calls {
				err := ask(t.Context(), c)
				require.Error(t, err)
				w.err(err)
			}
			require.Empty(t, g.seen())
			w.silent(t)
		})
	}
}
