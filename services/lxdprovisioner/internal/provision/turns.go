package provision

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// turns share calls by key so that each caller gets one that began after it asked: what a read saw
// before a compose ended proves nothing about that compose.
type turns[T any] struct {
	// gather is what a run waits for before it begins, so that those who come meanwhile share it; limit bounds the run.
	gather func(ctx context.Context, key string)
	limit  time.Duration
	log    *slog.Logger

	mu   sync.Mutex
	keys map[string]*turn[T]
}

type turn[T any] struct {
	done  chan struct{}
	value T
	err   error
	run   func(context.Context) (T, error)
	// begun says that the run has begun, so that who comes now waits for the next.
	begun bool
	// next is the turn of those who came when this one had begun.
	next *turn[T]
}

// newTurns makes turns that wait for a time before they run.
func newTurns[T any](window, limit time.Duration, log *slog.Logger) *turns[T] {
	return newGatheringTurns[T](func(ctx context.Context, _ string) { _ = pause(ctx, window) }, limit, log)
}

// newGatheringTurns makes turns that run when gather has returned.
func newGatheringTurns[T any](gather func(ctx context.Context, key string), limit time.Duration, log *slog.Logger) *turns[T] {
	return &turns[T]{gather: gather, limit: limit, log: log, keys: map[string]*turn[T]{}}
}

// do gives the outcome of a run that began after the call.
func (t *turns[T]) do(ctx context.Context, key string, run func(context.Context) (T, error)) (T, error) {
	return t.join(ctx, key, run)()
}

// join takes part in a run that begins after the call, and gives the function that waits for its outcome.
func (t *turns[T]) join(ctx context.Context, key string, run func(context.Context) (T, error)) func() (T, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	current, running := t.keys[key]
	var mine *turn[T]
	switch {
	case !running:
		mine = &turn[T]{done: make(chan struct{}), run: run}
		t.keys[key] = mine
		go t.take(context.WithoutCancel(ctx), key, mine)
	case !current.begun:
		mine = current
	case current.next == nil:
		mine = &turn[T]{done: make(chan struct{}), run: run}
		current.next = mine
	default:
		mine = current.next
	}
	return func() (T, error) {
		select {
		case <-mine.done:
			return mine.value, mine.err
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
	}
}

// take runs turn after turn until nobody waits.
func (t *turns[T]) take(ctx context.Context, key string, current *turn[T]) {
	for current != nil {
		t.gather(ctx, key)
		t.mu.Lock()
		current.begun = true
		t.mu.Unlock()
		bounded, cancel := context.WithTimeout(ctx, t.limit)
		current.err = guarded(bounded, t.log, key, func() (err error) {
			current.value, err = current.run(bounded)
			return err
		})
		cancel()
		t.mu.Lock()
		next := current.next
		if next == nil {
			delete(t.keys, key)
		} else {
			t.keys[key] = next
		}
		t.mu.Unlock()
		close(current.done)
		current = next
	}
}

// drain waits until nothing runs any more, or for ctx.
func (t *turns[T]) drain(ctx context.Context) error {
	return drained(ctx, func() <-chan struct{} {
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, current := range t.keys {
			return current.done
		}
		return nil
	})
}
