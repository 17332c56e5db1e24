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
	refreshing map[inventory.HostID]chan struct{}
	// composing and removing are the compositions and deletions that MAAS has been asked for or is about to be; unchecked are
	// the compositions whose VM waits for no check of its host yet.
	composing, removing, unchecked works
	// checking are the hosts of the unchecked, by the VM's name.
	checking map[string]inventory.HostID
}

// works are the calls of one kind that run, by host.
type works map[inventory.HostID]*work

type work struct {
	running int
	ended   chan struct{}
}

func (w works) begin(id inventory.HostID) {
	one, ok := w[id]
	if !ok {
		one = &work{ended: make(chan struct{})}
		w[id] = one
	}
	one.running++
}

func (w works) end(id inventory.HostID) {
	one := w[id]
	if one.running--; one.running == 0 {
		delete(w, id)
		close(one.ended)
	}
}

func newHostGate() *hostGate {
	return &hostGate{refreshing: map[inventory.HostID]chan struct{}{}, composing: works{}, removing: works{}, unchecked: works{}, checking: map[string]inventory.HostID{}}
}

// remove counts one more deletion on the host, and gives the function that ends it.
func (g *hostGate) remove(id inventory.HostID) func() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.removing.begin(id)
	return func() { g.end(g.removing, id) }
}

// quiet waits until no deletion runs on the host, or for so long: a refresh that begins before they have ended proves
// nothing of them, and the next one may not come for a while.
func (g *hostGate) quiet(ctx context.Context, id inventory.HostID, most time.Duration) {
	g.await(ctx, g.removing, id, most)
}

// composed waits until every VM that is being composed on the host waits for its check, or for so long: one reading of the
// host then tells of all of them.
func (g *hostGate) composed(ctx context.Context, id inventory.HostID, most time.Duration) {
	g.await(ctx, g.unchecked, id, most)
}

// checked says that the VM waits for the check of its host, or will never need it. It may be said again.
func (g *hostGate) checked(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if id, ok := g.checking[name]; ok {
		delete(g.checking, name)
		g.unchecked.end(id)
	}
}

func (g *hostGate) await(ctx context.Context, kind works, id inventory.HostID, most time.Duration) {
	g.mu.Lock()
	one, ok := kind[id]
	g.mu.Unlock()
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	select {
	case <-one.ended:
	case <-ctx.Done():
	}
}

// compose waits for the refresh of the host, if one runs, and gives the function that ends the VM's
// composition; checked ends what it holds up beyond that. Busy, with nothing sent, where ctx ends first.
func (g *hostGate) compose(ctx context.Context, host inventory.Host, name string) (func(), error) {
	for {
		refreshed := g.begin(host.ID, name)
		if refreshed == nil {
			return func() { g.end(g.composing, host.ID) }, nil
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
func (g *hostGate) begin(id inventory.HostID, name string) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if refreshed, ok := g.refreshing[id]; ok {
		return refreshed
	}
	g.composing.begin(id)
	g.unchecked.begin(id)
	g.checking[name] = id
	return nil
}

func (g *hostGate) end(kind works, id inventory.HostID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	kind.end(id)
}

// busy is the error of a refresh while the host is composed on; nil where it isn't.
func (g *hostGate) busy(host inventory.Host) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.busyLocked(host)
}

func (g *hostGate) busyLocked(host inventory.Host) error {
	if _, composing := g.composing[host.ID]; !composing {
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
