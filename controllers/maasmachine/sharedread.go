package maasmachine

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"
)

// readLimit bounds a read that several wait for, so that it does not end with the first of them.
const readLimit = 30 * time.Second

// sharedRead lets those who ask at the same time share a read that begins after each of them has asked. One read runs at a
// time; all who come meanwhile share the next.
type sharedRead[T any] struct {
	read  func(context.Context) (T, error)
	group singleflight.Group
	turn  chan struct{} // holds one while a read runs
}

func newSharedRead[T any](read func(context.Context) (T, error)) *sharedRead[T] {
	return &sharedRead[T]{read: read, turn: make(chan struct{}, 1)}
}

// get gives what was read, which nobody may change.
func (s *sharedRead[T]) get(ctx context.Context) (T, error) {
	value, err, _ := s.group.Do("", func() (any, error) {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), readLimit)
		defer cancel()
		select {
		case s.turn <- struct{}{}:
		case <-bounded.Done():
			return nil, fmt.Errorf("wait for the read before: %w", bounded.Err())
		}
		defer func() { <-s.turn }()
		s.group.Forget("") // who asks from now on shares the next
		return s.read(bounded)
	})
	if err != nil {
		var none T
		return none, err
	}
	return value.(T), nil //nolint:forcetypeassert // it is what read gave
}
