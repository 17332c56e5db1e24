package maas_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
)

const (
	machineJSON = `{"system_id": "abc123", "hostname": "cp-0", "status": 4}`
	claimedJSON = `{"system_id": "abc123", "hostname": "cp-0", "status": 10}`
)

func TestTransport_keeps_connections_and_names_itself(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	g := &region{}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.requests = append(g.requests, request{header: r.Header, close: r.Close})
		g.mu.Unlock()
		_, _ = w.Write([]byte(machineJSON))
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	c := client(t, srv.URL, func(cfg *maas.Config) { cfg.UserAgent = "lxdprovisioner/1.2.3" })
	for range 5 {
		_, err := c.Machine(t.Context(), "abc123")
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, connections.Load(), "the library asks for a new connection each time; we don't")
	for _, r := range g.seen() {
		assert.False(t, r.close)
		assert.Equal(t, "lxdprovisioner/1.2.3", r.header.Get("User-Agent"))
	}
}

func TestTransport_refuses_redirects(t *testing.T) {
	t.Parallel()
	var followed atomic.Bool
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	t.Cleanup(target.Close)
	g := serveFunc(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		http.Redirect(w, r, target.URL, http.StatusMovedPermanently)
	})
	_, err := client(t, g.URL).Claim(t.Context(), "abc123", "capmaas/cp-0")
	requireFault(t, err, fault.Unavailable, fault.ReasonMAASUnavailable)
	require.ErrorContains(t, err, "redirects")
	require.False(t, followed.Load(), "a POST would have become a GET")
	require.Len(t, g.seen(), 1)
}

func TestTransport_verifies_TLS_and_takes_a_CA_file(t *testing.T) {
	t.Parallel()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(machineJSON)) }))
	t.Cleanup(srv.Close)
	once := func(cfg *maas.Config) { cfg.Retry.Attempts = 1 }

	_, err := client(t, srv.URL, once).Machine(t.Context(), "abc123")
	requireFault(t, err, fault.Unavailable, fault.ReasonMAASUnavailable)
	require.ErrorContains(t, err, "certificate")

	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600))
	_, err = client(t, srv.URL, once, func(cfg *maas.Config) { cfg.CAFile = ca }).Machine(t.Context(), "abc123")
	require.NoError(t, err)

	require.NoError(t, os.WriteFile(ca, []byte("no PEM"), 0o600))
	_, err = maas.New(maas.Config{URL: srv.URL, Credentials: maas.StaticKey(testKey), CAFile: ca, Clock: time.Now})
	require.ErrorContains(t, err, "no PEM certificate")
}

func TestTransport_a_caller_who_gives_up_is_not_kept_waiting_by_a_region_that_hangs(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	arrived := make(chan struct{}, 2)
	g := serveFunc(t, func(_ http.ResponseWriter, r *http.Request, _ int) {
		arrived <- struct{}{}
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(hang) })
	c := client(t, g.URL)

	for name, want := range map[string]fault.Reason{"machines.read": fault.ReasonMAASUnavailable, "vm-hosts.compose": fault.ReasonOutcomeUnknown} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- calls[name](ctx, c) }()
		<-arrived
		cancel()
		err := <-done
		requireFault(t, err, fault.Unavailable, want)
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Len(t, g.seen(), 2, "what was given up is not sent again")
}

func TestTransport_bounds_each_class_of_request_in_time(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	g := serveFunc(t, func(_ http.ResponseWriter, r *http.Request, _ int) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(hang) })
	for name, row := range map[string]struct {
		bound func(*maas.Timeouts) *time.Duration
		want  fault.Reason
	}{
		"machines.read":    {func(o *maas.Timeouts) *time.Duration { return &o.Short }, fault.ReasonMAASUnavailable},
		"vm-hosts.list":    {func(o *maas.Timeouts) *time.Duration { return &o.List }, fault.ReasonMAASUnavailable},
		"vm-hosts.compose": {func(o *maas.Timeouts) *time.Duration { return &o.Long }, fault.ReasonOutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, g.URL, func(cfg *maas.Config) {
				*row.bound(&cfg.Timeouts) = time.Second // the other classes keep their defaults
			})
			err := calls[name](t.Context(), c)
			requireFault(t, err, fault.Unavailable, row.want)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		})
	}
}

func TestTransport_tells_what_was_not_sent_from_what_may_have_been(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	unreachable := "http://" + l.Addr().String()
	require.NoError(t, l.Close())
	_, err = client(t, unreachable).Compose(t.Context(), "vmhost/3", composeForm("cp-0"))
	requireFault(t, err, fault.Unavailable, fault.ReasonMAASUnavailable)

	broken := serveFunc(t, func(http.ResponseWriter, *http.Request, int) { panic(http.ErrAbortHandler) })
	_, err = client(t, broken.URL).Compose(t.Context(), "vmhost/3", composeForm("cp-0"))
	requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)
	require.Len(t, broken.seen(), 1, "X2.4: a compose whose answer was lost is not sent again")

	cut := serveFunc(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(`{"system_id": `))
	})
	_, err = client(t, cut.URL).Compose(t.Context(), "vmhost/3", composeForm("cp-0"))
	requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)

	odd := serve(t, answer{200, form, "", `{}`})
	_, err = client(t, odd.URL).Compose(t.Context(), "vmhost/3", composeForm("cp-0"))
	requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)
}

func TestTransport_wants_TLS_1_2_at_least(t *testing.T) {
	t.Parallel()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(machineJSON)) }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	_, err := client(t, srv.URL, trusting(t, srv), func(cfg *maas.Config) { cfg.Retry.Attempts = 1 }).Machine(t.Context(), "abc123")
	requireFault(t, err, fault.Unavailable, fault.ReasonMAASUnavailable)
	require.ErrorContains(t, err, "protocol version")
}

// trusting makes a client trust the server's certificate by a CA file.
func trusting(t *testing.T, srv *httptest.Server) func(*maas.Config) {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600))
	return func(cfg *maas.Config) { cfg.CAFile = ca }
}

func TestTransport_many_requests_at_once_share_their_connections(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict) // a refusal's connection is kept too
		_, _ = w.Write([]byte("No machine with system ID abc123 available."))
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	c := client(t, srv.URL, func(cfg *maas.Config) { cfg.Limits.Short = 20 })
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() { _ = calls["machines.claim"](t.Context(), c) })
	}
	wg.Wait()
	require.Less(t, connections.Load(), int32(100), "20 run at a time; a dial may lose against a connection that falls idle")
}

// proxied is set in the process that TestTransport_goes_through_the_proxy starts: the proxy variables
// are read once in a process.
const proxied = "MAAS_TEST_PROXIED_URL"

func TestTransport_goes_through_the_proxy_that_the_environment_names(t *testing.T) {
	if url := os.Getenv(proxied); url != "" {
		m, err := client(t, url).Machine(t.Context(), "abc123")
		require.NoError(t, err)
		require.Equal(t, "cp-0", m.Hostname)
		return
	}
	t.Parallel()
	asked := make(chan string, 10)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.URL.String()
		_, _ = w.Write([]byte(machineJSON))
	}))
	t.Cleanup(proxy.Close)
	run := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	run.Env = append(os.Environ(), proxied+"=http://maas.invalid", "HTTP_PROXY="+proxy.URL, "http_proxy="+proxy.URL, "NO_PROXY=", "no_proxy=")
	output, err := run.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.Equal(t, "GET http://maas.invalid/MAAS/api/2.0/machines/abc123/?", strings.TrimSuffix(<-asked, "?")+"?")
}

func TestTransport_reads_no_answer_above_64_MiB(t *testing.T) {
	t.Parallel()
	const limit = 64 << 20
	var part bytes.Buffer
	packed := gzip.NewWriter(&part)
	_, err := packed.Write(bytes.Repeat([]byte(" "), 1<<20))
	require.NoError(t, err)
	require.NoError(t, packed.Close())
	bomb := bytes.Repeat(part.Bytes(), limit>>20+1) // gzip's parts follow one another
	for name, handle := range map[string]http.HandlerFunc{
		"by_its_length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(limit+1))
			w.WriteHeader(http.StatusOK) // not a byte of it need come
			_ = http.NewResponseController(w).Flush()
		},
		"unpacked": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				handle(w, r)
			}))
			t.Cleanup(srv.Close)
			c := client(t, srv.URL)
			err := calls["vm-hosts.compose"](t.Context(), c)
			requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)
			require.ErrorContains(t, err, "larger than 67108864 bytes")
			before := asked.Load()
			err = calls["machines.list"](t.Context(), c)
			requireFault(t, err, fault.Unavailable, fault.ReasonMAASUnavailable)
			require.ErrorContains(t, err, "larger than 67108864 bytes")
			assert.Equal(t, before+1, asked.Load(), "asked again it would be as large")
		})
	}
}

func TestTransport_reads_little_of_a_refusal_and_of_headers(t *testing.T) {
	t.Parallel()
	g := serve(t, answer{500, plain, "", strings.Repeat("Traceback (most recent call last) ", 1<<20/16)})
	var seen []maas.Observation
	c := client(t, g.URL, func(cfg *maas.Config) { cfg.Observe = func(o maas.Observation) { seen = append(seen, o) } })
	err := calls["machines.release"](t.Context(), c)
	requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)
	require.Less(t, len(err.Error()), 500)
	require.Equal(t, 16<<10, seen[0].Bytes)

	g = serveFunc(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
	})
	err = calls["machines.release"](t.Context(), client(t, g.URL))
	requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)
	require.ErrorContains(t, err, "server response headers exceeded")
}

func TestTransport_the_library_never_sends_again_by_itself(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusConflict, http.StatusServiceUnavailable} {
		g := serve(t, answer{status, plain, "1", "no connections available."})
		c := client(t, g.URL, func(cfg *maas.Config) { cfg.Retry.Attempts = 1 })
		require.Error(t, calls["vm-hosts.compose"](t.Context(), c))
		require.Error(t, calls["machines.read"](t.Context(), c))
		require.Len(t, g.seen(), 2)
	}
}
