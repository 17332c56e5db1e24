package maassim

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// HandClock is a clock that stands still until somebody moves it. What a simulator with it waits for (LXD at work, the cost of a call, a fault's
// latency) ends when the clock gets there, so that a test decides what happens before what, without real time passing:
//
//	hands := maassim.NewHandClock(time.Now())
//	cfg.HandClock = hands
//	go compose()                 // takes Durations.Compose
//	hands.AwaitWaiting(ctx, 1)   // it has got to LXD
//	hands.Advance(3 * time.Second)
//
// Calls that nothing makes wait are answered at once. It is safe for concurrent use.
type HandClock struct {
	mu      sync.Mutex
	now     time.Time
	waiting []*alarm
	changed chan struct{} // closed when somebody begins to wait
}

type alarm struct {
	at   time.Time
	rung chan struct{}
}

// NewHandClock returns a clock that shows start.
func NewHandClock(start time.Time) *HandClock {
	return &HandClock{now: start, changed: make(chan struct{})}
}

// Now is the time that the clock shows.
func (c *HandClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock on and wakes who waited for a time up to then, the earliest first. It never waits itself.
func (c *HandClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	slices.SortStableFunc(c.waiting, func(a, b *alarm) int { return a.at.Compare(b.at) })
	for len(c.waiting) > 0 && !c.waiting[0].at.After(c.now) {
		close(c.waiting[0].rung)
		c.waiting = c.waiting[1:]
	}
}

// Waiting returns how many calls wait for the clock.
func (c *HandClock) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiting)
}

// AwaitWaiting returns when at least so many calls wait for the clock. It fails with the context.
func (c *HandClock) AwaitWaiting(ctx context.Context, calls int) error {
	for {
		c.mu.Lock()
		enough, changed := len(c.waiting) >= calls, c.changed
		c.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait until %d calls wait for the clock: %w", calls, ctx.Err())
		}
	}
}

// after returns a channel that is closed once the clock has moved on so far, and the function that gives up.
func (c *HandClock) after(d time.Duration) (rung <-chan struct{}, stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &alarm{at: c.now.Add(d), rung: make(chan struct{})}
	c.waiting = append(c.waiting, a)
	close(c.changed)
	c.changed = make(chan struct{})
	return a.rung, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.waiting = slices.DeleteFunc(c.waiting, func(other *alarm) bool { return other == a })
	}
}

// now is the simulated time.
func (s *Sim) now() time.Time {
	passed := s.cfg.Clock().Sub(s.began)
	return s.began.Add(time.Duration(float64(passed) * s.cfg.Speed))
}

// wait passes simulated time.
func (s *Sim) wait(d time.Duration) { s.pause(time.Duration(float64(d) / s.cfg.Speed)) }

// pause passes the clock's time, or less when the simulator is closed. A client that goes away does not shorten it: MAAS finishes what it began.
func (s *Sim) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	passed, stop := s.timer(d)
	defer stop()
	select {
	case <-passed:
	case <-s.done:
	}
}

// timer returns a channel on which something comes when so much of the clock's time has passed, and the function that gives up.
func (s *Sim) timer(d time.Duration) (passed <-chan struct{}, stop func()) {
	if s.cfg.HandClock != nil {
		return s.cfg.HandClock.after(d)
	}
	rung := make(chan struct{})
	timer := time.AfterFunc(d, func() { close(rung) })
	return rung, func() { timer.Stop() }
}
