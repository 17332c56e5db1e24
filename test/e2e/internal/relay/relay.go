// Package relay stands before a server as the network does: it passes connections on until it is cut. A server behind a relay
// that is cut is one that has died: who waits for an answer gets none, whatever the server went on to do, and nobody reaches it.
package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// Relay passes connections on to a server.
type Relay struct {
	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	felt  int                // how many questions it has broken or refused since it was cut
	pairs map[*pair]struct{} // those that pass
}

// pair is a connection and the one to the target that it is joined to.
type pair struct {
	from, to net.Conn
	// asked is whether something was sent to the target after its last answer.
	asked atomic.Bool
}

// Start relays connections to the address to the target until the context ends.
func Start(ctx context.Context, address, target string) (*Relay, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("relay to %s: %w", target, err)
	}
	r := &Relay{target: target, listener: listener, pairs: make(map[*pair]struct{})}
	r.running.Go(func() { r.accept(ctx) })
	r.running.Go(func() {
		<-ctx.Done()
		_ = listener.Close()
		r.Cut()
	})
	return r, nil
}

// Wait waits until it has ended, and every connection with it.
func (r *Relay) Wait() { r.running.Wait() }

// Address is where it listens.
func (r *Relay) Address() string { return r.listener.Addr().String() }

// Cut breaks every connection, and each that comes, until Mend.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut, r.felt = true, 0
	for p := range r.pairs {
		if p.asked.Load() {
			r.felt++
		}
		reset(p.from)
		reset(p.to)
	}
	clear(r.pairs)
}

// Mend passes connections on again.
func (r *Relay) Mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = false
}

// Felt is how many questions lost their answer by the last cut, and how many connections it has refused so far. Nobody feels that
// a connection breaks on which nothing is asked.
func (r *Relay) Felt() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.felt
}

func (r *Relay) accept(ctx context.Context) {
	for {
		conn, err := r.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			r.running.Go(func() { r.pass(ctx, conn) })
		}
	}
}

// pass joins a connection to one to the target.
func (r *Relay) pass(ctx context.Context, from net.Conn) {
	to, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.target)
	if err != nil {
		reset(from)
		return
	}
	p := &pair{from: from, to: to}
	if !r.hold(p) {
		return
	}
	var both sync.WaitGroup
	for _, way := range []struct {
		to, from net.Conn
		asks     bool
	}{{to, from, true}, {from, to, false}} {
		both.Go(func() {
			_, _ = io.Copy(&noting{Conn: way.to, note: func() { p.asked.Store(way.asks) }}, way.from) // a side that breaks ends both
			_ = way.to.Close()
		})
	}
	both.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pairs, p)
}

// noting is a connection of which each writing is noted.
type noting struct {
	net.Conn

	note func()
}

// Write writes after it was noted.
func (n *noting) Write(b []byte) (int, error) {
	n.note()
	return n.Conn.Write(b)
}

// hold notes a pair, unless the relay is cut.
func (r *Relay) hold(p *pair) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut {
		r.felt++
		reset(p.from)
		reset(p.to)
		return false
	}
	r.pairs[p] = struct{}{}
	return true
}

// reset closes a connection as the kernel does for a process that was killed.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it may be closed already
	}
	_ = conn.Close()
}
