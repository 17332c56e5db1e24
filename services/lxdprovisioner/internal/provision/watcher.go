package provision

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// watcher asks MAAS what has changed of the machines that callers wait for: one loop for all callers,
// and only the difference (docs/protocol-coverage.md 7.1), so that machines that don't move cost next to nothing.
type watcher struct {
	maas   Machines
	user   *userName
	clock  func() time.Time
	timing Timing
	limits Limits
	log    *slog.Logger

	mu      sync.Mutex
	records map[string]*record
	readers int
	stop    context.CancelFunc
	asked
	// lastRound is how long the last round took that MAAS answered.
	lastRound time.Duration
	// everyRound is how many lists the last round had that each round has.
	everyRound         int
	consecutiveFailure bool
}

// asked is how far the rounds have come with what isn't asked in each of them.
type asked struct {
	// cursor is the system id up to which records were read in full.
	cursor         string
	fullAt, idleAt time.Time
}

// record is a machine that somebody watches, or watched a moment ago.
type record struct {
	machine inventory.Machine
	// confirmed is when MAAS was last asked whether it has left its state.
	confirmed time.Time
	readers   map[*subscription]bool
	// left is when the last reader left.
	left time.Time
}

// subscription is one caller's share of the changes.
type subscription struct {
	watcher *watcher
	wake    chan struct{}

	mu      sync.Mutex
	changed map[string]inventory.Machine
	missing map[string]bool
	// waiting are the keys that will be among the missing after a while.
	waiting map[string]bool
}

func newWatcher(cfg Config, user *userName) *watcher {
	return &watcher{
		maas: cfg.MAAS, user: user, clock: cfg.Clock, timing: cfg.Timing, limits: cfg.Limits, log: cfg.Logger,
		records: map[string]*record{},
	}
}

// subscribe begins a share of the changes; the loop runs while there is one.
func (w *watcher) subscribe(ctx context.Context) *subscription {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.readers++
	if w.stop == nil {
		loop, stop := context.WithCancel(context.WithoutCancel(ctx))
		w.stop = stop
		if w.idleAt.IsZero() {
			// Later, streams that break again and again must not put off what is due.
			w.fullAt, w.idleAt = w.clock(), w.clock()
		}
		go w.loop(loop)
	}
	return &subscription{
		watcher: w, wake: make(chan struct{}, 1),
		changed: map[string]inventory.Machine{}, missing: map[string]bool{}, waiting: map[string]bool{},
	}
}

// close ends the share. What was seen is kept for a while: streams are opened anew whenever the set
// of machines changes.
func (s *subscription) close() {
	w := s.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock()
	for id, r := range w.records {
		delete(r.readers, s)
		if len(r.readers) > 0 {
			continue
		}
		if r.left.IsZero() {
			r.left = now
		}
		if now.Sub(r.left) >= w.timing.IdleInterval {
			delete(w.records, id)
		}
	}
	if w.readers--; w.readers == 0 {
		w.stop()
		w.stop = nil
	}
}

// add watches a machine from what was read of it.
func (s *subscription) add(m inventory.Machine) {
	w := s.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	r, ok := w.records[m.SystemID]
	if !ok {
		r = &record{readers: map[*subscription]bool{}}
		w.records[m.SystemID] = r
	}
	// What is known already may have been confirmed since it was read. Who else watches the machine hears of a change now: the next
	// round asks only for what differs from this.
	delete(r.readers, s)
	if m.ReadAt.After(r.machine.ReadAt) {
		w.tell(r, m)
	}
	r.readers[s] = true
	r.left = time.Time{}
}

// drop ends the watch of one machine.
func (s *subscription) drop(systemID string) {
	w := s.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	if r, ok := w.records[systemID]; ok {
		delete(r.readers, s)
		if len(r.readers) == 0 {
			delete(w.records, systemID)
		}
	}
}

// again lets the key be among the missing once more after the time of a full read: what could not be
// told is tried anew, whether or not there is a record that a full read would miss.
func (s *subscription) again(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[key] {
		return
	}
	s.waiting[key] = true
	time.AfterFunc(s.watcher.timing.WatchFullRead, func() {
		s.notify(func() {
			delete(s.waiting, key)
			s.missing[key] = true
		})
	})
}

// next waits for changes and gives the machines that changed, and what a full read missed or is to be
// tried again.
func (s *subscription) next(ctx context.Context) ([]inventory.Machine, []string, error) {
	select {
	case <-s.wake:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := slices.Collect(maps.Values(s.changed))
	missing := slices.Sorted(maps.Keys(s.missing))
	clear(s.changed)
	clear(s.missing)
	return changed, missing, nil
}

func (s *subscription) notify(change func()) {
	s.mu.Lock()
	change()
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// seen gives what is known of a machine without asking MAAS: what was read last, as of the last time
// that MAAS said that it has not moved. False where nobody watches it or that is too long ago.
func (w *watcher) seen(systemID string) (inventory.Machine, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, ok := w.records[systemID]
	if !ok {
		return inventory.Machine{}, false
	}
	return w.current(r)
}

// current gives what a record tells, and whether that is young enough; w.mu is held.
func (w *watcher) current(r *record) (inventory.Machine, bool) {
	m := r.machine
	m.ReadAt = r.confirmed
	return m, len(r.readers) > 0 && w.clock().Sub(r.confirmed) < 2*w.interval(m.Status)
}

// ours gives what is known, as by seen, of all VMs that the user holds, by host.
func (w *watcher) ours(user string) map[inventory.HostID][]inventory.Machine {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := map[inventory.HostID][]inventory.Machine{}
	for _, r := range w.records {
		if m, ok := w.current(r); ok && m.IsVM() && m.Owner == user {
			found[m.HostID] = append(found[m.HostID], m)
		}
	}
	return found
}

// counts tells how many callers there are, and how many machines that at least one of them waits for.
func (w *watcher) counts() WatchCounts {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := WatchCounts{Streams: w.readers}
	for _, r := range w.records {
		if len(r.readers) > 0 {
			n.Machines++
		}
	}
	return n
}

// recent gives what was read of a machine for a stream that is opened anew. A round that is a little late must not let a whole
// fleet be read in full because its streams are opened just then.
func (w *watcher) recent(systemID string) (inventory.Machine, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, ok := w.records[systemID]
	if !ok || w.clock().Sub(r.confirmed) >= 2*w.timing.IdleInterval {
		return inventory.Machine{}, false
	}
	return r.machine, true
}

// learn takes in what the answer of a change told of a machine, which is as good as a reading: also for the stream that
// is opened next, if there are any.
func (w *watcher) learn(m inventory.Machine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, ok := w.records[m.SystemID]
	switch {
	case ok:
		w.tell(r, m)
	case w.readers > 0:
		w.records[m.SystemID] = &record{machine: m, confirmed: m.ReadAt, readers: map[*subscription]bool{}, left: w.clock()}
	}
}

// tell takes in what MAAS told of a machine, unless it is older than what is known, and wakes the readers where it has
// changed; w.mu is held.
func (w *watcher) tell(r *record, m inventory.Machine) {
	if r.machine.ReadAt.After(m.ReadAt) {
		return
	}
	differs := fingerprint(r.machine) != fingerprint(m)
	r.machine, r.confirmed = m, m.ReadAt
	if !differs {
		return
	}
	for s := range r.readers {
		s.notify(func() { s.changed[m.SystemID] = m })
	}
}

// forget drops what is known of a machine, since it was just written to; the next round reads it.
func (w *watcher) forget(systemID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r, ok := w.records[systemID]; ok {
		r.confirmed = time.Time{}
	}
}

// interval is the time between two looks at machines of a state; w.mu is held. What asking costs MAAS stretches it: the time
// that it takes, and the number of lists, so that a fleet of many batches takes no more requests a minute than its budget. A round
// that took long waited for other lists, too, so that its time stretches the interval to that of Deployed machines at most.
func (w *watcher) interval(s inventory.Status) time.Duration {
	if s == inventory.StatusDeployed {
		return w.timing.IdleInterval
	}
	return max(w.timing.WatchInterval, min(10*w.lastRound, w.timing.IdleInterval), time.Duration(w.everyRound)*w.timing.WatchInterval*2/5)
}

// loop asks round after round until the last caller leaves. The jitter keeps replicas apart.
func (w *watcher) loop(ctx context.Context) {
	for {
		w.mu.Lock()
		interval := w.interval(inventory.StatusDeploying)
		w.mu.Unlock()
		jitter := time.Duration(rand.Int64N(int64(interval)/5 + 1)) //nolint:gosec // jitter needs no secrecy
		if pause(ctx, interval-interval/10+jitter) != nil {
			return
		}
		began := w.clock()
		err := guarded(ctx, w.log, "a round of the watch", func() error { return w.round(ctx) })
		w.finish(ctx, w.clock().Sub(began), err)
	}
}

// finish notes how long an answered round took, and logs the first failure and the first success after it. The time of a failure
// is that of a time-out, and says nothing of what asking again costs.
func (w *watcher) finish(ctx context.Context, took time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.lastRound = took
	}
	switch {
	case ctx.Err() != nil:
	case err != nil && !w.consecutiveFailure:
		w.log.WarnContext(ctx, "Asking MAAS for changes does not work", "error", err)
	case err == nil && w.consecutiveFailure:
		w.log.InfoContext(ctx, "Asking MAAS for changes works again")
	}
	w.consecutiveFailure = err != nil
}

// question is one list call: ids and the states that they are expected in.
type question struct {
	filter MachineFilter
	// sweep says that the call reads in full, so that what it misses is missing in MAAS.
	sweep bool
	// everyRound says that the call is part of each round, as those about machines that wait are.
	everyRound bool
}

// round asks what is due. What could not be asked stays due.
func (w *watcher) round(ctx context.Context) (err error) {
	w.mu.Lock()
	before := w.asked
	w.mu.Unlock()
	defer func() {
		if err != nil {
			w.mu.Lock()
			w.asked = before
			w.mu.Unlock()
		}
	}()
	questions, err := w.questions(ctx)
	if err != nil {
		return err
	}
	w.pace(questions)
	for _, q := range questions {
		asked := w.clock()
		found, err := w.maas.Machines(ctx, q.filter)
		if err != nil {
			return fmt.Errorf("ask for changes: %w", err)
		}
		w.answer(q, found, asked)
	}
	return nil
}

// pace notes how many of a round's lists come again in the next one.
func (w *watcher) pace(questions []question) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.everyRound = 0
	for _, q := range questions {
		if q.everyRound {
			w.everyRound++
		}
	}
}
