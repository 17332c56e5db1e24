// Package gate holds calls at named places until they are let go, so that calls overlap in the order that somebody wants rather than by luck.
package gate

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Any stands for every host and every machine.
const Any = "*"

// ErrNoHold is what LetGo and Await fail with where nothing is to be held.
var ErrNoHold = errors.New("nothing is held")

// Gates are the places at which calls are to be held. The zero value holds none; it is safe for concurrent use.
type Gates struct {
	mu    sync.Mutex
	holds map[spot]*hold
}

// spot is a place and the host or machine that a call is about there.
type spot struct{ place, name string }

type hold struct {
	taken  bool          // a call is or was held
	inside chan struct{} // closed when a call is held
	open   chan struct{} // closed when it may go on
}

// Hold makes the next call wait that gets to the place on behalf of name, a host or a machine, or Any. One call is held at a time: those that
// come while it waits pass. A hold that is there already stays.
func (g *Gates) Hold(place, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holds == nil {
		g.holds = make(map[spot]*hold)
	}
	if _, ok := g.holds[spot{place, name}]; !ok {
		g.holds[spot{place, name}] = &hold{inside: make(chan struct{}), open: make(chan struct{})}
	}
}

// Idle reports whether nothing is to be held anywhere.
func (g *Gates) Idle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.holds) == 0
}

// Await returns when a call is held at the place. It fails when nothing is to be held there, or with the context.
func (g *Gates) Await(ctx context.Context, place, name string) error {
	g.mu.Lock()
	h, ok := g.holds[spot{place, name}]
	g.mu.Unlock()
	if !ok {
		return noHold(place, name)
	}
	select {
	case <-h.inside:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for a call at %s of %s: %w", place, name, ctx.Err())
	}
}

// LetGo ends a hold; the call that waits goes on. It fails when there is no such hold.
func (g *Gates) LetGo(place, name string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	h, ok := g.holds[spot{place, name}]
	if !ok {
		return noHold(place, name)
	}
	delete(g.holds, spot{place, name})
	close(h.open)
	return nil
}

// Pass is called at a place, without locks. It returns at once unless the call is to be held; then when it is let go, or closed is.
func (g *Gates) Pass(closed <-chan struct{}, place string, names ...string) {
	h := g.take(place, append(names, Any))
	if h == nil {
		return
	}
	close(h.inside)
	select {
	case <-h.open:
	case <-closed:
	}
}

func (g *Gates) take(place string, names []string) *hold {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, name := range names {
		if h, ok := g.holds[spot{place, name}]; ok && !h.taken {
			h.taken = true
			return h
		}
	}
	return nil
}

func noHold(place, name string) error { return fmt.Errorf("%w at %s of %s", ErrNoHold, place, name) }
