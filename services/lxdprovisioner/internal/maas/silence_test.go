package maas_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
)

// network is a region behind lines that can die without a word, as they do when a firewall forgets them.
// It has no sockets, so that it lives in a bubble of package synctest with its own time.
type network struct {
	pending chan net.Conn
	closed  chan struct{}
	close   sync.Once
	mu      sync.Mutex
	lines   []*atomic.Bool
	// deaf lines carry nothing from their beginning.
	deaf bool
}

// newNetwork starts a region that answers with a function.
func newNetwork(t *testing.T, certificates []tls.Certificate, http2 bool, handle http.HandlerFunc) *network {
	t.Helper()
	n := &network{pending: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{
		Handler: handle, ReadHeaderTimeout: time.Hour, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{Certificates: certificates, MinVersion: tls.VersionTLS12}, Protocols: new(http.Protocols),
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(http2)
	go func() { _ = srv.ServeTLS(n, "", "") }()
	t.Cleanup(func() { _ = srv.Close() })
	return n
}

// Accept, Close and Addr make a listener of the network.
func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.pending:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error { n.close.Do(func() { close(n.closed) }); return nil }

func (n *network) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443} }

// dial lays a line to the region.
func (n *network) dial(context.Context, string, string) (net.Conn, error) {
	near, nearEnd := net.Pipe()
	far, farEnd := net.Pipe()
	dead := &atomic.Bool{}
	n.mu.Lock()
	dead.Store(n.deaf)
	n.lines = append(n.lines, dead)
	n.mu.Unlock()
	go carry(farEnd, nearEnd, dead)
	go carry(nearEnd, farEnd, dead)
	n.pending <- far
	return near, nil
}

// carry takes what comes in one direction; a dead line takes it and delivers nothing.
func carry(to, from net.Conn, dead *atomic.Bool) {
	defer to.Close() //nolint:errcheck // a pipe closes without fail
	buffer := make([]byte, 64<<10)
	for {
		got, err := from.Read(buffer)
		if err != nil {
			return
		}
		if dead.Load() {
			continue
		}
		if _, err := to.Write(buffer[:got]); err != nil {
			return
		}
	}
}

// die lets all lines that there are fall silent; no end of them learns of it.
func (n *network) die() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, dead := range n.lines {
		dead.Store(true)
	}
}

func (n *network) dialed() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.lines)
}

// certified gives a certificate for 127.0.0.1 and what makes a client trust it.
func certified(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(srv.Close)
	return srv
}

func TestTransport_a_connection_that_dies_silently_is_replaced_with_HTTP_2(t *testing.T) {
	t.Parallel()
	cert := certified(t)
	synctest.Test(t, func(t *testing.T) {
		var version atomic.Int32
		n := newNetwork(t, cert.TLS.Certificates, true, func(w http.ResponseWriter, r *http.Request) {
			version.Store(int32(r.ProtoMajor))
			_, _ = io.WriteString(w, machineJSON)
		})
		c := client(t, "https://127.0.0.1", trusting(t, cert))
		c.DialBy(n.dial)
		require.NoError(t, calls["machines.read"](t.Context(), c))
		require.EqualValues(t, 2, version.Load())

		n.die()
		began := time.Now()
		require.NoError(t, calls["machines.read"](t.Context(), c), "asked again over a new connection")
		assert.Less(t, time.Since(began), 30*time.Second, "before its own time is up")
		assert.Equal(t, 2, n.dialed())

		n.die()
		began = time.Now()
		requireFault(t, calls["vm-hosts.compose"](t.Context(), c), fault.Unavailable, fault.ReasonOutcomeUnknown)
		assert.Less(t, time.Since(began), 30*time.Second, "long before the 150 s for LXD")
		require.NoError(t, calls["machines.read"](t.Context(), c))
		assert.Equal(t, 3, n.dialed(), "nothing more is sent over a dead connection")
	})
}

func TestTransport_a_connection_that_is_quiet_while_LXD_works_lives(t *testing.T) {
	t.Parallel()
	cert := certified(t)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, cert.TLS.Certificates, true, func(w http.ResponseWriter, _ *http.Request) {
			<-time.After(2 * time.Minute) // of the bubble
			_, _ = io.WriteString(w, `{"system_id": "abc123"}`)
		})
		c := client(t, "https://127.0.0.1", trusting(t, cert))
		c.DialBy(n.dial)
		require.NoError(t, calls["vm-hosts.compose"](t.Context(), c), "a region answers pings while it works")
		assert.Equal(t, 1, n.dialed())
	})
}

func TestTransport_a_region_that_accepts_and_stays_silent_costs_the_time_of_one_request(t *testing.T) {
	t.Parallel()
	cert := certified(t)
	for op, bound := range map[string]time.Duration{
		"machines.read": 30 * time.Second, "vm-hosts.list": 90 * time.Second, "vm-hosts.compose": 150 * time.Second,
	} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t, cert.TLS.Certificates, false, func(w http.ResponseWriter, _ *http.Request) {
					_, _ = io.WriteString(w, machineJSON)
				})
				c := client(t, "https://127.0.0.1", trusting(t, cert))
				c.DialBy(n.dial)
				require.NoError(t, calls["machines.read"](t.Context(), c))

				n.die()
				began := time.Now()
				requireFault(t, calls[op](t.Context(), c), fault.Unavailable, unclear(op))
				assert.Equal(t, bound, time.Since(began))
				require.NoError(t, calls["machines.read"](t.Context(), c), "the next request has a new connection")
				assert.Equal(t, 2, n.dialed())
			})
		})
	}
}

func TestTransport_a_silent_TLS_handshake_sends_nothing(t *testing.T) {
	t.Parallel()
	cert := certified(t)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, cert.TLS.Certificates, true, http.NotFound)
		n.deaf = true
		c := client(t, "https://127.0.0.1", trusting(t, cert))
		c.DialBy(n.dial)
		began := time.Now()
		requireFault(t, calls["vm-hosts.compose"](t.Context(), c), fault.Unavailable, fault.ReasonMAASUnavailable)
		assert.Equal(t, 10*time.Second, time.Since(began))
	})
}
