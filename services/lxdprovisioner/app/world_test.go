package app_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/capmaas/capmaas/services/lxdprovisioner/app"
	"github.com/capmaas/capmaas/services/maassim"
)

// region is a simulated MAAS behind a real HTTP server.
type region struct {
	*maassim.Sim

	t      *testing.T
	server *httptest.Server
}

func newRegion(t *testing.T, change func(*maassim.Config)) *region {
	t.Helper()
	cfg := maassim.DefaultConfig(6, 3, 4)
	if change != nil {
		change(&cfg)
	}
	sim, err := maassim.New(cfg)
	require.NoError(t, err)
	r := &region{Sim: sim, t: t, server: httptest.NewServer(sim)}
	t.Cleanup(func() {
		sim.Close()
		r.server.Close()
	})
	return r
}

// ask does by hand what an operator or a stranger does in MAAS, and gives the answer's body.
func (r *region) ask(t *testing.T, path string, form url.Values) string {
	t.Helper()
	key := strings.Split(r.APIKey(), ":")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.server.URL+"/MAAS/api/2.0/"+path, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", fmt.Sprintf(`OAuth oauth_version="1.0", oauth_signature_method="PLAINTEXT", oauth_consumer_key="%s", oauth_token="%s", oauth_signature="%%26%s", oauth_nonce="%d", oauth_timestamp="%d"`,
		key[0], key[1], key[2], time.Now().UnixNano(), time.Now().Unix()))
	answer, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { assert.NoError(t, answer.Body.Close()) }()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Less(t, answer.StatusCode, 300, "%s: %s", path, body)
	return string(body)
}

// logBook is a log that can be read while it is written.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// service is the real service, started as cmd/lxdprovisioner starts it.
type service struct {
	conn      *grpc.ClientConn
	addresses app.Addresses
	logs      *logBook
	// stop ends the service; ended gives what Run gave.
	stop  context.CancelFunc
	ended <-chan error
}

// config is what the program has without flags, on free ports and with durations that a test waits for.
func config(t *testing.T, env map[string]string) app.Config {
	t.Helper()
	timing := app.DefaultTiming()
	timing.YieldLook, timing.LookupWindow = 20*time.Millisecond, 5*time.Millisecond
	timing.InventoryMaxAge, timing.RefreshGap = 50*time.Millisecond, time.Millisecond
	timing.WatchInterval, timing.IdleInterval, timing.WatchFullRead = 30*time.Millisecond, 30*time.Millisecond, 30*time.Millisecond
	cfg := app.Config{Clock: time.Now, Getenv: func(name string) string { return env[name] }, Logs: io.Discard, Timing: timing}
	flags := flag.NewFlagSet("lxdprovisioner", flag.ContinueOnError)
	cfg.AddFlags(flags)
	require.NoError(t, flags.Parse([]string{"--listen=127.0.0.1:0", "--metrics-addr=127.0.0.1:0", "--log-level=debug", "--insecure"}))
	return cfg
}

// start runs the service against the region and connects to it.
func (r *region) start(t *testing.T, change func(*app.Config)) *service {
	t.Helper()
	cfg := config(t, map[string]string{"MAAS_ENDPOINT": r.server.URL + "/MAAS", "MAAS_API_KEY": r.APIKey()})
	if change != nil {
		change(&cfg)
	}
	return run(t, cfg)
}

func run(t *testing.T, cfg app.Config) *service {
	t.Helper()
	s := &service{logs: &logBook{}}
	cfg.Logs = s.logs
	started := make(chan app.Addresses, 1)
	cfg.Started = func(a app.Addresses) { started <- a }
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		ended <- app.Run(ctx, cfg)
	}()
	s.stop, s.ended = stop, ended
	select {
	case s.addresses = <-started:
	case err := <-ended:
		stop()
		require.NoError(t, err, "the service ended before it listened")
	}
	var err error
	s.conn, err = grpc.NewClient(s.addresses.GRPC.String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() {
		stop()
		assert.NoError(t, s.conn.Close())
		if err, open := <-ended; open {
			assert.NoError(t, err)
		}
		if t.Failed() && testing.Verbose() {
			t.Log(s.logs.String())
		}
	})
	return s
}

// wait gives what Run gave after stop; the clean-up then has nothing to wait for.
func (s *service) wait(t *testing.T) error {
	t.Helper()
	return <-s.ended
}

// scrape reads /metrics.
func (s *service) scrape(t *testing.T) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addresses.Metrics.String()+"/metrics", nil)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { assert.NoError(t, answer.Body.Close()) }()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	return string(body)
}
