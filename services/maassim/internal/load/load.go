// Package load is the simulated MAAS's regiond processes: how many requests they serve at once, who waits in which order, and what time each
// operation took.
package load

import (
	"sync"
	"time"
)

// Operation is what the calls of one operation have cost so far, in simulated time.
type Operation struct {
	Calls int `json:"calls"`
	// Region is the time that MAAS itself took, as the cost model says.
	Region time.Duration `json:"region_ns"`
	// Queued is the time that calls waited for a place.
	Queued time.Duration `json:"queued_ns"`
	// Held is the time for which calls held a place: MAAS's own and what it waited for LXD. It is read off the clock, so where time runs fast it
	// also has what the simulator itself took, multiplied.
	Held time.Duration `json:"held_ns"`
}

// Load is what is being served and waits, and what was.
type Load struct {
	Places     int                  `json:"places"` // how many calls are served at once; 0: as many as come
	Serving    int                  `json:"serving"`
	Waiting    int                  `json:"waiting"`
	MostServed int                  `json:"most_serving"`
	MostQueued int                  `json:"most_waiting"`
	Operations map[string]Operation `json:"operations"`
	// RowsVisited is how many rows of MAAS's database calls have looked at. A list that an index finds looks at as many rows as it returns, or
	// little more, however many there are.
	RowsVisited int `json:"rows_visited"`
}

// Desk serves calls, at most so many at once, the others in the order of their arrival. It is safe for concurrent use.
type Desk struct {
	places int
	clock  func() time.Time
	closed <-chan struct{}

	mu         sync.Mutex
	serving    int
	queue      []chan struct{} // one for each call that waits; closed when it has its place
	most       struct{ serving, waiting int }
	operations map[string]*Operation
}

// NewDesk returns a desk with so many places, or without a limit when that is 0. The clock tells the simulated time. Once closed is, nobody
// waits any more.
func NewDesk(places int, clock func() time.Time, closed <-chan struct{}) *Desk {
	return &Desk{places: places, clock: clock, closed: closed, operations: make(map[string]*Operation)}
}

// Enter waits for a place and returns the function that gives it back, which takes what the call cost MAAS itself.
func (d *Desk) Enter(operation string) (leave func(region time.Duration)) {
	arrived := d.clock()
	if turn := d.line(); turn != nil {
		select {
		case <-turn:
		case <-d.closed:
		}
	}
	began := d.clock()
	return func(region time.Duration) {
		d.mu.Lock()
		defer d.mu.Unlock()
		o := d.operations[operation]
		if o == nil {
			o = new(Operation)
			d.operations[operation] = o
		}
		o.Calls++
		o.Region += region
		o.Queued += began.Sub(arrived)
		o.Held += d.clock().Sub(began)
		d.next()
	}
}

// line takes a place, or returns the channel that is closed when there is one.
func (d *Desk) line() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.places == 0 || d.serving < d.places {
		d.serving++
		d.most.serving = max(d.most.serving, d.serving)
		return nil
	}
	turn := make(chan struct{})
	d.queue = append(d.queue, turn)
	d.most.waiting = max(d.most.waiting, len(d.queue))
	return turn
}

// next hands a place over to the first in the queue.
func (d *Desk) next() {
	if len(d.queue) == 0 {
		d.serving--
		return
	}
	close(d.queue[0])
	d.queue = d.queue[1:]
}

// Load returns what the desk does and has done.
func (d *Desk) Load() Load {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := Load{
		Places: d.places, Serving: d.serving, Waiting: len(d.queue), MostServed: d.most.serving, MostQueued: d.most.waiting,
		Operations: make(map[string]Operation, len(d.operations)),
	}
	for name, o := range d.operations {
		l.Operations[name] = *o
	}
	return l
}

// Reset forgets what was; what is under way goes on and counts.
func (d *Desk) Reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.most.serving, d.most.waiting = d.serving, len(d.queue)
	clear(d.operations)
}
