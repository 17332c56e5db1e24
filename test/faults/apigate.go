package faults

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
)

// connections can be cut all at once.
type connections struct {
	mu   sync.Mutex
	all  map[net.Conn]struct{}
	down bool
}

// add keeps a connection; it is closed at once while there are to be none.
func (c *connections) add(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		_ = conn.Close()
		return false
	}
	if c.all == nil {
		c.all = map[net.Conn]struct{}{}
	}
	c.all[conn] = struct{}{}
	return true
}

func (c *connections) remove(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, conn)
	_ = conn.Close()
}

// cut breaks every connection, and every further one until restore.
func (c *connections) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = true
	for conn := range c.all {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
	clear(c.all)
}

func (c *connections) restore() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = false
}

// apiGate is the way of one manager to the API server.
type apiGate struct {
	connections

	listener net.Listener
	target   string
}

func newAPIGate(ctx context.Context, target string) (*apiGate, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen in front of the API server: %w", err)
	}
	g := &apiGate{listener: listener, target: target}
	go g.serve(ctx)
	return g, nil
}

func (g *apiGate) address() string { return g.listener.Addr().String() }

func (g *apiGate) close() {
	g.cut()
	_ = g.listener.Close()
}

func (g *apiGate) serve(ctx context.Context) {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			return
		}
		go g.forward(ctx, conn)
	}
}

func (g *apiGate) forward(ctx context.Context, near net.Conn) {
	if !g.add(near) {
		return
	}
	defer g.remove(near)
	far, err := (&net.Dialer{}).DialContext(ctx, "tcp", g.target)
	if err != nil {
		return
	}
	if !g.add(far) {
		return
	}
	defer g.remove(far)
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			_, _ = io.Copy(way[0], way[1])
			ended <- struct{}{}
		}()
	}
	<-ended
}
