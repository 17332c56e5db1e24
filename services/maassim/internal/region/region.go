// Package region is what the simulated MAAS believes and does: its database of machines, hosts, networks and records, and the operations on
// them. It acts on package lxd through what a rack controller would do, and never looks at LXD's truth otherwise.
//
// Each operation holds the region's lock while it reads and writes rows, and lets it go while LXD works. What a real MAAS does not do
// atomically (compose) is therefore not atomic here either.
package region

import (
	"container/heap"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/maassim/internal/lxd"
	"github.com/capmaas/capmaas/services/maassim/internal/network"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// Region is the simulated region controller. It is safe for concurrent use.
type Region struct {
	cfg   Config
	users []*rest.User
	lxd   *lxd.World
	clock func() time.Time
	wait  func(time.Duration)
	gate  func(place string, names ...string)
	// mutedPower: the end of a power command is not reported, so that only a query tells MAAS what it did.
	mutedPower bool

	minor   int // of MAAS 3.x
	mu      sync.Mutex
	ids     identities
	serials serials
	agenda  agenda
	tables

	drawing sync.Mutex
	random  *rand.Rand // of the spread of durations

	zones     []*zone
	pools     []*pool
	domains   []*domain
	vlans     []*network.VLAN
	subnets   []*network.Subnet
	servers   []server
	revision  int        // of the last change of a machine's row
	acquiring sync.Mutex // MAAS's advisory lock: allocate and deploy of a Ready machine wait for each other
	tags      []*tag
	images    []*image
	reserved  []*reservedIP     // MAAS 3.6 and later
	strays    map[string]*stray // by MAC address
}

// Deps are what a region stands on.
type Deps struct {
	Users []*rest.User // the first is the administrator who owns the VM hosts' machines
	LXD   *lxd.World
	// Clock tells the simulated time, which may run fast.
	Clock func() time.Time
	// Wait passes simulated time inside a call.
	Wait func(time.Duration)
	// Gate is called without locks at the places where a call about a host or a machine can be held: PlaceCreated and its like.
	Gate func(place string, names ...string)
}

// New returns a region as the configuration describes it, with its hosts in LXD. It fails when the configuration contradicts itself.
func New(cfg Config, deps Deps) (*Region, error) {
	random := rand.New(rand.NewPCG(cfg.Seed, 0)) //nolint:gosec // it spreads durations, and must repeat
	r := &Region{
		cfg: cfg, users: deps.Users, lxd: deps.LXD, clock: deps.Clock, random: random, gate: deps.Gate,
		tables: newTables(), strays: make(map[string]*stray),
	}
	r.wait = func(d time.Duration) { deps.Wait(r.spread(d)) }
	return r, r.seed()
}

// begin takes the lock, brings the region up to date and returns the function that gives the lock back.
func (r *Region) begin() func() {
	r.mu.Lock()
	r.settle()
	return func() {
		r.settleTables()
		r.mu.Unlock()
	}
}

// settle does what was planned up to now.
func (r *Region) settle() {
	now := r.clock()
	for len(r.agenda) > 0 && !r.agenda[0].at.After(now) {
		next, _ := heap.Pop(&r.agenda).(planned)
		if next.machine.epoch == next.epoch && r.machines.Has(next.machine) {
			r.machines.Touch(next.machine)
			next.do()
		}
	}
}

// after plans the end of an operation on a machine; a status change before then cancels it.
func (r *Region) after(d time.Duration, m *machine, do func()) {
	r.ids.plan++
	heap.Push(&r.agenda, planned{at: r.clock().Add(r.spread(d)), order: r.ids.plan, machine: m, epoch: m.epoch, do: do})
}

// spread draws a duration near the one that is set.
func (r *Region) spread(d time.Duration) time.Duration {
	if d == 0 || r.cfg.Durations.Spread == 0 {
		return d
	}
	r.drawing.Lock()
	defer r.drawing.Unlock()
	return time.Duration(float64(d) * (1 + r.cfg.Durations.Spread*(2*r.random.Float64()-1)))
}

// set gives a machine a status; what was planned for its former status is void.
func (m *machine) set(s status) {
	m.previous, m.status = m.status, s
	m.epoch++
	m.written()
}

// planned is an end of an operation that lies ahead.
type planned struct {
	at      time.Time
	order   int
	machine *machine
	epoch   int
	timeout bool // it is the end of patience, not the end of the operation
	do      func()
}

// agenda is a heap of what lies ahead, the earliest first.
type agenda []planned

func (a *agenda) Len() int { return len(*a) }

func (a *agenda) Less(i, j int) bool {
	one, other := (*a)[i], (*a)[j]
	if one.at.Equal(other.at) {
		return one.order < other.order
	}
	return one.at.Before(other.at)
}

func (a *agenda) Swap(i, j int) { (*a)[i], (*a)[j] = (*a)[j], (*a)[i] }

// Push is for container/heap.
func (a *agenda) Push(x any) {
	if p, ok := x.(planned); ok {
		*a = append(*a, p)
	}
}

// Pop is for container/heap.
func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}

// removeMachine deletes a machine's row, with its addresses and its place in DNS.
func (r *Region) removeMachine(m *machine) {
	for _, l := range m.links() {
		r.freeAddress(l)
	}
	r.machines.Remove(m)
	m.epoch++
	for _, e := range r.events.of.Rows(m.systemID) {
		r.events.Remove(e)
	}
}

// note writes an event of a machine, which is also its status message when it is not below INFO.
func (r *Region) note(m *machine, level, kind, describe string) {
	r.ids.event++
	r.events.Add(&event{
		id: r.ids.event, systemID: m.systemID, hostname: m.hostname, level: level, kind: kind, describe: describe, at: r.clock(),
	})
	message := kind
	if describe != "" {
		message += " - " + describe
	}
	m.message = &message
}
