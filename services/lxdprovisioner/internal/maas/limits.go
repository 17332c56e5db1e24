package maas

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
)

// class groups operations that share a time-out and a limit.
type class int

const (
	short class = iota
	list
	long
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
}

// gates let a bounded number of requests of each class through.
type gates map[class]chan struct{}

func newGates(l Limits) gates {
	return gates{
		short: make(chan struct{}, cmp.Or(max(l.Short, 0), 4)),
		list:  make(chan struct{}, cmp.Or(max(l.List, 0), 1)),
		long:  make(chan struct{}, cmp.Or(max(l.Long, 0), 6)),
	}
}

// enter waits for a slot and gives the function that frees it. A caller who gives up has sent nothing.
// What changes something waits only as long as the time it may need is left, or half of the caller's
// time: a change that is cut short has an unknown outcome, one that was not sent has none.
func (g gates) enter(ctx context.Context, op operation, need time.Duration) (func(), error) {
	gate := g[op.class]
	if err := ctx.Err(); err != nil {
		return nil, fault.Wrap(err, fault.Busy, fault.ReasonTooManyInFlight, "%s was not sent to MAAS", op.name)
	}
	leave := func() { <-gate }
	select {
	case gate <- struct{}{}:
		return leave, nil
	default:
	}
	if deadline, ok := ctx.Deadline(); ok && op.changes {
		patient, cancel := context.WithDeadline(ctx, deadline.Add(-min(need, time.Until(deadline)/2)))
		defer cancel()
		ctx = patient
	}
	select {
	case gate <- struct{}{}:
		return leave, nil
	case <-ctx.Done():
		return nil, fault.Wrap(ctx.Err(), fault.Busy, fault.ReasonTooManyInFlight,
			"%s was not sent to MAAS: %d such requests are under way", op.name, cap(gate))
	}
}

// Retry bounds what is sent again.
type Retry struct {
	// Attempts is how often a request is sent at most. The default is 3.
	Attempts int
	// FirstWait is the pause before the second attempt; later ones double it. The default is 200 ms.
	FirstWait time.Duration
	// MaxWait is the longest pause, and the longest Retry-After that is waited for here. The default is 5 s.
	MaxWait time.Duration
	// Budget is how many attempts may be spent at once over all requests; ten successes earn one back.
	// The default is 20. It keeps a MAAS that fails from being asked three times as much.
	Budget int
}

// retrier decides whether and when a request is sent again.
type retrier struct {
	cfg    Retry
	mu     sync.Mutex
	tokens float64
}

const earned = 0.1

func newRetrier(cfg Retry) *retrier {
	cfg.Attempts = cmp.Or(max(cfg.Attempts, 0), 3)
	cfg.FirstWait = cmp.Or(max(cfg.FirstWait, 0), 200*time.Millisecond)
	cfg.MaxWait = cmp.Or(max(cfg.MaxWait, 0), 5*time.Second)
	cfg.Budget = cmp.Or(max(cfg.Budget, 0), 20)
	return &retrier{cfg: cfg, tokens: float64(cfg.Budget)}
}

// succeeded earns a part of an attempt.
func (r *retrier) succeeded() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens = min(r.tokens+earned, float64(r.cfg.Budget))
}

// next says how long to wait before the request may be sent again, and whether it may at all.
func (r *retrier) next(ctx context.Context, ex *exchange, attempt int) (time.Duration, bool) {
	if attempt >= r.cfg.Attempts || ctx.Err() != nil || !ex.mayRepeat() {
		return 0, false
	}
	wait := min(r.cfg.FirstWait<<(attempt-1), r.cfg.MaxWait)
	wait = wait/2 + rand.N(wait/2+1) //nolint:gosec // jitter need not be unpredictable
	if ex.retryAfter > 0 {
		if ex.retryAfter > r.cfg.MaxWait {
			return 0, false
		}
		wait = ex.retryAfter + rand.N(r.cfg.FirstWait) //nolint:gosec // jitter need not be unpredictable
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tokens < 1 {
		return 0, false
	}
	r.tokens--
	return wait, true
}

// pause waits; it says false when the caller gave up.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
