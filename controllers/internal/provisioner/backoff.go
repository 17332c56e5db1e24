package provisioner

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// The delays after failures: the first is short enough not to be noticed, the last is how soon a repaired cause is seen.
const (
	firstDelay   = 5 * time.Second
	longestDelay = 10 * time.Minute
)

// jitter is how far a delay strays to either side, so that machines that failed together do not come back together.
const jitter = 0.2

// Backoff holds each object back after a failure: the delay doubles with every failure in a row, and begins anew after a
// success or when the object was changed.
type Backoff struct {
	clock  func() time.Time
	random func() float64
	scale  float64

	mu      sync.Mutex
	entries map[types.UID]held
}

type held struct {
	failures   int
	due        time.Time
	generation int64
}

// NewBackoff makes a Backoff. random gives numbers from 0 up to 1; scale multiplies every delay.
func NewBackoff(clock func() time.Time, random func() float64, scale float64) *Backoff {
	return &Backoff{clock: clock, random: random, scale: scale, entries: map[types.UID]held{}}
}

// Fail notes a failure and returns how long to wait for the next try.
func (b *Backoff) Fail(object types.UID, generation int64) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.current(object, generation)
	delay := longestDelay
	if e.failures < 16 {
		delay = min(firstDelay<<e.failures, longestDelay)
	}
	delay = time.Duration(float64(delay) * (1 - jitter + 2*jitter*b.random()) * b.scale)
	e.failures++
	e.due = b.clock().Add(delay)
	b.entries[object] = e
	return delay
}

// Hold keeps the object back for a given time; the number of failures stays.
func (b *Backoff) Hold(object types.UID, generation int64, delay time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.current(object, generation)
	e.due = b.clock().Add(delay)
	b.entries[object] = e
}

// Remaining is how long the object is still held back; 0 where it is not.
func (b *Backoff) Remaining(object types.UID, generation int64) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, b.current(object, generation).due.Sub(b.clock()))
}

// Succeed forgets the failures.
func (b *Backoff) Succeed(object types.UID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.entries, object)
}

// current is the entry, or a new one where there is none or the object has another generation.
func (b *Backoff) current(object types.UID, generation int64) held {
	if e, ok := b.entries[object]; ok && e.generation == generation {
		return e
	}
	return held{generation: generation}
}
