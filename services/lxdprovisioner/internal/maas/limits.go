package maas

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// Limits bound how many requests of each class run at a time. One region worker serves four
// requests at once, and a long call holds one of its threads until LXD has answered.
type Limits struct {
	// Long is for what waits for LXD or for power: compose, delete, refresh, deploy, release. The default is 6.
	Long int
	// List is for lists. The default is 1.
	List int
	// Short is for everything else. The default is 4.
	Short int
	// Host is how many of the long ones work on one LXD host at a time. The default is 2: more would
	// only wait for each other there, and keep other hosts' out meanwhile.
	Host int
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Long: cmp.Or(max(l.Long, 0), 6), List: cmp.Or(max(l.List, 0), 1), Short: cmp.Or(max(l.Short, 0), 4), Host: cmp.Or(max(l.Host, 0), 2),
	}
}

// sum is how many requests can run at a time.
func (l Limits) sum() int { return l.Long + l.List + l.Short }

// Load is how busy the client is with one class of requests.
type Load struct {
	// Class is "short", "list" or "long".
	Class string
	// Limit is how many may run at a time, Running how many do, Waiting how many would like to.
	Limit, Running, Waiting int
}

// HostLoad is how busy the client is with what LXD does on one host.
type HostLoad struct {
	Host inventory.HostID
	// Running is how many long requests are under way there, Waiting how many would like to be.
	Running, Waiting int
}

// gate lets a bounded number of requests through, in the order in which they came.
type gate struct {
	slots chan struct{}
	// users counts who holds or wants a slot of a host's gate.
	users int
}

func newGate(slots int) *gate { return &gate{slots: make(chan struct{}, slots)} }

// enter waits for a slot; it says false where ctx ends first, and nothing is left behind then.
func (g *gate) enter(ctx context.Context) bool {
	select {
	case g.slots <- struct{}{}:
		return true
	default:
	}
	select {
	case g.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (g *gate) leave() { <-g.slots }

// gates are one gate for each class, and one for each host that LXD works on.
type gates struct {
	classes map[class]*gate
	waiting map[class]*atomic.Int64
	perHost int
	mu      sync.Mutex
	hosts   map[inventory.HostID]*gate
}

func newGates(l Limits) *gates {
	l = l.withDefaults()
	return &gates{
		classes: map[class]*gate{short: newGate(l.Short), list: newGate(l.List), long: newGate(l.Long)},
		waiting: map[class]*atomic.Int64{short: {}, list: {}, long: {}},
		perHost: l.Host, hosts: map[inventory.HostID]*gate{},
	}
}

// enter waits for a slot and gives the function that frees it. A caller who gives up has sent nothing.
// What changes something waits only as long as the time it may need is left, or half of the caller's
// time: a change that is cut short has an unknown outcome, one that was not sent has none.
func (g *gates) enter(ctx context.Context, a ask, need time.Duration) (func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.Wrap(err, fault.Busy, fault.ReasonTooManyInFlight, "%s was not sent to MAAS", a.op.name)
	}
	if deadline, ok := ctx.Deadline(); ok && a.op.changes() {
		patient, cancel := context.WithDeadline(ctx, deadline.Add(-min(need, time.Until(deadline)/2)))
		defer cancel()
		ctx = patient
	}
	waiting, slots := g.waiting[a.op.class], g.classes[a.op.class]
	waiting.Add(1)
	defer waiting.Add(-1)
	// The host first: who waits for a host must not hold a slot that another host could use.
	leaveHost, ok := g.enterHost(ctx, a.host)
	if !ok {
		return nil, fault.Wrap(ctx.Err(), fault.Busy, fault.ReasonTooManyInFlight,
			"%s was not sent to MAAS: %d such requests are under way on %s", a.op.name, g.perHost, a.host)
	}
	if !slots.enter(ctx) {
		leaveHost()
		return nil, fault.Wrap(ctx.Err(), fault.Busy, fault.ReasonTooManyInFlight,
			"%s was not sent to MAAS: %d such requests are under way", a.op.name, cap(slots.slots))
	}
	return func() {
		slots.leave()
		leaveHost()
	}, nil
}

// enterHost waits for a slot of a host; without a host there is nothing to wait for.
func (g *gates) enterHost(ctx context.Context, host inventory.HostID) (func(), bool) {
	if host == "" {
		return func() {}, true
	}
	g.mu.Lock()
	one, ok := g.hosts[host]
	if !ok {
		one = newGate(g.perHost)
		g.hosts[host] = one
	}
	one.users++
	g.mu.Unlock()
	if !one.enter(ctx) {
		g.forget(host, one)
		return nil, false
	}
	return func() {
		one.leave()
		g.forget(host, one)
	}, true
}

// forget drops the gate of a host that nobody is busy with, so that hosts that went leave nothing.
func (g *gates) forget(host inventory.HostID, one *gate) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(g.hosts, host)
	}
}

// hostLoads names the hosts that are worked on or waited for, and how many requests one host is sent at a time.
func (g *gates) hostLoads() (most int, hosts []HostLoad) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for host, one := range g.hosts {
		running := len(one.slots)
		hosts = append(hosts, HostLoad{Host: host, Running: running, Waiting: one.users - running})
	}
	slices.SortFunc(hosts, func(a, b HostLoad) int { return cmp.Compare(a.Host, b.Host) })
	return g.perHost, hosts
}

func (g *gates) loads() []Load {
	out := make([]Load, 0, len(classes))
	for _, k := range []class{short, list, long} {
		slots := g.classes[k].slots
		out = append(out, Load{Class: classes[k], Limit: cap(slots), Running: len(slots), Waiting: int(g.waiting[k].Load())})
	}
	return out
}
