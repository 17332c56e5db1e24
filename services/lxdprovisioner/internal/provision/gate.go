package provision

import (
	"context"
	"sync"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// hostGate keeps compositions and refreshes of one host apart: a refresh imports the VM that is in the
// making (docs/protocol-coverage.md 4.4). Compositions share a host, a refresh has it to itself.
type hostGate struct {
	mu         sync.Mutex
	composing  map[inventory.HostID]int
	refreshing map[inventory.HostID]chan struct{}
}

func newHostGate() *hostGate {
	return &hostGate{composing: map[inventory.HostID]int{}, refreshing: map[inventory.HostID]chan struct{}{}}
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
