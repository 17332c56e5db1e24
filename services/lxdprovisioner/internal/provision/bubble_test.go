package provision_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

// pipes are a network without sockets: whoever waits for it lets the time of a bubble pass.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

// usual is a MAAS as most are: the durations of real ones, what calls cost a real one, and one region worker.
func usual(hosts int) maassim.Config {
	cfg := maassim.DefaultConfig(hosts, 3, 0)
	cfg.Cost, cfg.Workers = maassim.RealCost(), 1
	cfg.Durations = maassim.Durations{
		Spread: 0.2, Compose: 3 * time.Second, Refresh: 2 * time.Second, Delete: 2 * time.Second, Deploy: 4 * time.Minute,
	}
	return cfg
}

// inBubbleWithMAAS plays f with a MAAS of its own in a bubble of package synctest: what takes minutes there takes as long as
// it takes to compute, and is counted alike however slow the machine is.
func inBubbleWithMAAS(t *testing.T, cfg maassim.Config, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sim, err := maassim.New(cfg)
		require.NoError(t, err)
		network := newPipes()
		server := &http.Server{Handler: sim, ReadHeaderTimeout: time.Minute}
		served := make(chan error, 1)
		go func() { served <- server.Serve(network) }()
		w := &world{t: t, sim: sim, url: "http://maas.example/MAAS", clock: &clock{}, log: &journal{}, dial: network.Dial}
		w.connect()
		w.cfg.Timing = provision.DefaultTiming()
		w.restart()
		f(w)
		require.NoError(t, w.lxd.Drain(w.ctx()))
		<-time.After(time.Minute) // readings whose callers went away come to their ends
		sim.Close()
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
}
