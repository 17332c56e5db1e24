package provision

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// errRunsOn says that a caller's time is over and its call goes on.
var errRunsOn = errors.New("the call runs on without its caller")

// flights run calls that outlive their callers: once MAAS has been told to make or delete something,
// a caller that goes away must not stop the bookkeeping behind it (docs/protocol-coverage.md 2.5). One call a key
// runs at a time; later callers of the key join it.
type flights[T any] struct {
	// limit bounds a call; margin is how long before its deadline a caller is answered.
	limit, margin time.Duration
	log           *slog.Logger

	mu      sync.Mutex
	running map[string]*flight[T]
}

type flight[T any] struct {
	done  chan struct{}
	value T
	err   error
}

func newFlights[T any](cfg Config) *flights[T] {
	t := cfg.Timing
	return &flights[T]{limit: t.DetachedLimit + t.QueueLimit, margin: t.ReplyMargin, log: cfg.Logger, running: map[string]*flight[T]{}}
}

// do runs the call, or joins the one that runs, and gives its outcome or errRunsOn.
func (f *flights[T]) do(ctx context.Context, key string, run func(context.Context) (T, error)) (T, error) {
	f.mu.Lock()
	fl, ok := f.running[key]
	if !ok {
		fl = &flight[T]{done: make(chan struct{})}
		f.running[key] = fl
		go f.fly(context.WithoutCancel(ctx), key, fl, run)
	}
	f.mu.Unlock()
	return f.wait(ctx, fl)
}

// join waits for the call of the key; false where none runs.
func (f *flights[T]) join(ctx context.Context, key string) (T, bool, error) {
	f.mu.Lock()
	fl, ok := f.running[key]
	f.mu.Unlock()
	if !ok {
		var none T
		return none, false, nil
	}
	value, err := f.wait(ctx, fl)
	return value, true, err
}

// runs says whether a call of the key runs.
func (f *flights[T]) runs(key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.running[key]
	return ok
}

func (f *flights[T]) fly(ctx context.Context, key string, fl *flight[T], run func(context.Context) (T, error)) {
	ctx, cancel := context.WithTimeout(ctx, f.limit)
	defer cancel()
	defer func() {
		f.mu.Lock()
		delete(f.running, key)
		f.mu.Unlock()
		close(fl.done)
	}()
	fl.err = guarded(ctx, f.log, key, func() (err error) {
		fl.value, err = run(ctx)
		return err
	})
}

func (f *flights[T]) wait(ctx context.Context, fl *flight[T]) (T, error) {
	if deadline, ok := ctx.Deadline(); ok {
		early, cancel := context.WithDeadline(ctx, deadline.Add(-f.margin))
		defer cancel()
		ctx = early
	}
	select {
	case <-fl.done:
		return fl.value, fl.err
	case <-ctx.Done():
		var none T
		return none, errRunsOn
	}
}

// drain waits until nothing runs any more, or for ctx.
func (f *flights[T]) drain(ctx context.Context) error {
	return drained(ctx, func() <-chan struct{} {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, fl := range f.running {
			return fl.done
		}
		return nil
	})
}

// drained waits until some gives nil: as long as something runs, it gives what is closed when that ends.
func drained(ctx context.Context, some func() <-chan struct{}) error {
	for done := some(); done != nil; done = some() {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
