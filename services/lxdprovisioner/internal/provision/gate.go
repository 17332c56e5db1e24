package provision

import (
	"context"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// hostGate keeps compositions and refreshes of one host apart: a refresh imports the VM that is in the
// making (docs/protocol-coverage.md 4.4). Compositions share a host, a refresh has it to itself.
type hostGate struct {
	mu         sync.Mutex
	composing  map[inventory.HostID]int
	refreshing map[inventory.HostID]chan struct{}
	// removing are the deletions that MAAS has been asked for or is about to be.
	removing map[inventory.HostID]*removals
}

// removals are those of one host that run at a time.
type removals struct {
	running int
	ended   chan struct{}
}

func newHostGate() *hostGate {
	return &hostGate{
		composing: map[inventory.HostID]int{}, refreshing: map[inventory.HostID]chan struct{}{}, removing: map[inventory.HostID]*removals{},
	}
}

// remove counts one more deletion on the host, and gives the function that ends it.
func (g *hostGate) remove(id inventory.HostID) func() {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, ok := g.removing[id]
	if !ok {
		r = &removals{ended: make(chan struct{})}
		g.removing[id] = r
	}
	r.running++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if r.running--; r.running == 0 {
			delete(g.removing, id)
			close(r.ended)
		}
	}
}

// quiet waits until no deletion runs on the host, or for so long: a refresh that begins before they have ended proves
// nothing of them, and the next one may not come for a while.
func (g *hostGate) quiet(ctx context.Context, id inventory.HostID, most time.Duration) {
	g.mu.Lock()
	r, ok := g.removing[id]
	g.mu.Unlock()
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	select {
	case <-r.ended:
	case <-ctx.Done():
	}
}

// compose waits for the refresh of the host, if one runs, and gives the function that ends the
// composition. Busy, with nothing sent, where ctx ends first.
func (g *hostGate) compose(ctx context.Context, host inventory.Host) (func(), error) {
	for {
		refreshed := g.begin(host.ID)
		if refreshed == nil {
			return func() { g.end(host.ID) }, nil
		}
		select {
		case <-refreshed:
		case <-ctx.Done():
			return nil, fault.Wrap(ctx.Err(), fault.Busy, fault.ReasonTooManyInFlight, "nothing was sent: %s is being refreshed", host.Name).
				WithRetryAfter(retrySoon)
		}
	}
}

// begin counts one more composition, or gives what is closed when the refresh ends.
func (g *hostGate) begin(id inventory.HostID) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if refreshed, ok := g.refreshing[id]; ok {
		return refreshed
	}
	g.composing[id]++
	return nil
}

func (g *hostGate) end(id inventory.HostID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.composing[id]--; g.composing[id] == 0 {
		delete(g.composing, id)
	}
}

// busy is the error of a refresh while the host is composed on; nil where it isn't.
func (g *hostGate) busy(host inventory.Host) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.busyLocked(host)
}

func (g *hostGate) busyLocked(host inventory.Host) error {
	if g.composing[host.ID] == 0 {
		return nil
	}
	return fault.New(fault.Busy, fault.ReasonDeletionInProgress, "a VM is being composed on %s, which is refreshed afterwards", host.Name).WithRetryAfter(retrySoon)
}

// refresh holds the host's compositions back until the function it gives is called. One refresh of a
// host runs at a time: its turns see to that.
func (g *hostGate) refresh(host inventory.Host) (func(), error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.busyLocked(host); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	g.refreshing[host.ID] = ended
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.refreshing, host.ID)
		close(ended)
	}, nil
}
