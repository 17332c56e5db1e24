package maas

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

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
	// Jitter gives a number from 0 to 1 for each pause, of which it is the part that is left to chance;
	// nil for the runtime's random numbers.
	Jitter func() float64
	// Wait waits, and says false when the context ended first; nil for the runtime's timers.
	Wait func(context.Context, time.Duration) bool
}

func (r Retry) withDefaults() Retry {
	r.Attempts = cmp.Or(max(r.Attempts, 0), 3)
	r.FirstWait = cmp.Or(max(r.FirstWait, 0), 200*time.Millisecond)
	r.MaxWait = cmp.Or(max(r.MaxWait, 0), 5*time.Second)
	r.Budget = cmp.Or(max(r.Budget, 0), 20)
	if r.Jitter == nil {
		r.Jitter = rand.Float64
	}
	if r.Wait == nil {
		r.Wait = pause
	}
	return r
}

// retrier decides whether and when a request is sent again.
type retrier struct {
	cfg    Retry
	mu     sync.Mutex
	tokens float64
}

// earned is what a success adds to the budget.
const earned = 0.1

func newRetrier(cfg Retry) *retrier {
	cfg = cfg.withDefaults()
	return &retrier{cfg: cfg, tokens: float64(cfg.Budget)}
}

// succeeded earns a part of an attempt.
func (r *retrier) succeeded() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens = min(r.tokens+earned, float64(r.cfg.Budget))
}

// next says how long to wait before the request may be sent again, and whether it may at all. It may
// not where the wait would outlive the caller's deadline: the caller is better served by the error.
func (r *retrier) next(ctx context.Context, ex *exchange, attempt int) (time.Duration, bool) {
	if attempt >= r.cfg.Attempts || ctx.Err() != nil || !ex.mayRepeat() || ex.retryAfter > r.cfg.MaxWait {
		return 0, false
	}
	wait := min(r.cfg.FirstWait<<(attempt-1), r.cfg.MaxWait)
	wait = wait/2 + r.part(wait/2)
	if ex.retryAfter > 0 {
		wait = ex.retryAfter + r.part(r.cfg.FirstWait)
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return 0, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tokens < 1 {
		return 0, false
	}
	r.tokens--
	return wait, true
}

// part is a part of a duration that chance decides.
func (r *retrier) part(d time.Duration) time.Duration {
	return time.Duration(r.cfg.Jitter() * float64(d))
}

func (r *retrier) wait(ctx context.Context, d time.Duration) bool { return r.cfg.Wait(ctx, d) }

// mayRepeat says whether the same request may be sent again: a read whose failure means nothing, or a
// change of which MAAS says that its transaction came to nothing. A read that ran out of time is not:
// MAAS goes on with the one that was given up, and would have two to do.
func (ex *exchange) mayRepeat() bool {
	if !ex.sent || ex.op.unrepeated {
		return false
	}
	if ex.op.changes() {
		return !ex.op.outside && ex.contended()
	}
	return ex.status == 0 && !ex.late || ex.status >= 500 || ex.contended()
}

// contended says that MAAS gave up a transaction because of others: a 409 that asks to come again,
// which those about a machine's state don't.
func (ex *exchange) contended() bool {
	return ex.status == http.StatusConflict && ex.retryAfter > 0
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
