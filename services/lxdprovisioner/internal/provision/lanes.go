package provision

import (
	"context"
	"sync"
)

// lanes let one call a key through at a time, in the order in which they came.
type lanes struct {
	mu   sync.Mutex
	keys map[string]*lane
}

type lane struct {
	free chan struct{}
	// users counts who holds or wants the lane.
	users int
}

func newLanes() *lanes { return &lanes{keys: map[string]*lane{}} }

// enter waits for the lane of the key and gives the function that leaves it, or the error of ctx.
func (l *lanes) enter(ctx context.Context, key string) (func(), error) {
	l.mu.Lock()
	one, ok := l.keys[key]
	if !ok {
		one = &lane{free: make(chan struct{}, 1)}
		l.keys[key] = one
	}
	one.users++
	l.mu.Unlock()
	select {
	case one.free <- struct{}{}:
		return func() {
			<-one.free
			l.forget(key, one)
		}, nil
	case <-ctx.Done():
		l.forget(key, one)
		return nil, ctx.Err()
	}
}

// forget drops a lane that nobody uses.
func (l *lanes) forget(key string, one *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(l.keys, key)
	}
}
