package provision

import (
	"sync"
	"time"
)

// lately remembers for a while when something was so. Forgetting it costs one request.
type lately struct {
	clock func() time.Time
	hold  time.Duration

	mu    sync.Mutex
	since map[string]time.Time
}

func newLately(clock func() time.Time, hold time.Duration) *lately {
	return &lately{clock: clock, hold: hold, since: map[string]time.Time{}}
}

// note says that it was so at that time.
func (l *lately) note(key string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for old, was := range l.since {
		if l.clock().Sub(was) >= l.hold {
			delete(l.since, old)
		}
	}
	l.since[key] = at
}

// first says that it is so now, and gives since when.
func (l *lately) first(key string) time.Time {
	if at, was := l.at(key); was {
		return at
	}
	now := l.clock()
	l.note(key, now)
	return now
}

// take says whether it was so a moment ago, and forgets it.
func (l *lately) take(key string) bool {
	was := l.was(key)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.since, key)
	return was
}

// was says whether it was so a moment ago.
func (l *lately) was(key string) bool {
	_, was := l.at(key)
	return was
}

// at gives since when it is so, where it was so a moment ago.
func (l *lately) at(key string) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.since[key]
	return at, ok && l.clock().Sub(at) < l.hold
}
