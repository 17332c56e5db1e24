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
)

// Relay passes connections on to a server.
type Relay struct {
	target   string
	listener net.Listener

	mu    sync.Mutex
	cut   bool
	felt  int                   // how many connections broke since it was cut
	conns map[net.Conn]struct{} // of both sides
}

// Start relays connections to the address to the target until the context ends.
func Start(ctx context.Context, address, target string) (*Relay, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("relay to %s: %w", target, err)
	}
	r := &Relay{target: target, listener: listener, conns: make(map[net.Conn]struct{})}
	context.AfterFunc(ctx, func() {
		_ = listener.Close()
		r.Cut()
	})
	go r.accept(ctx)
	return r, nil
}

// Address is where it listens.
func (r *Relay) Address() string { return r.listener.Addr().String() }

// Cut breaks every connection, and each that comes, until Mend.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut, r.felt = true, len(r.conns)/2
	for conn := range r.conns {
		reset(conn)
	}
	clear(r.conns)
}

// Mend passes connections on again.
func (r *Relay) Mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = false
}

// Felt is how many connections the last cut has broken or refused so far.
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
			go r.pass(ctx, conn)
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
	if !r.hold(from, to) {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // a side that breaks ends both
			_ = way[0].Close()
		})
	}
	both.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, from)
	delete(r.conns, to)
}

// hold notes a pair of connections, unless the relay is cut.
func (r *Relay) hold(pair ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut {
		r.felt++
	}
	for _, conn := range pair {
		if r.cut {
			reset(conn)
			continue
		}
		r.conns[conn] = struct{}{}
	}
	return !r.cut
}

// reset closes a connection as the kernel does for a process that was killed.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it may be closed already
	}
	_ = conn.Close()
}
