package stack

import (
	"context"
	"sync"
)

// Process is a part of the stack that runs in this process until it is stopped.
type Process struct {
	cancel context.CancelFunc
	wait   func() error
	ended  chan struct{}
}

// background runs something that goes on when ctx ends, until it is stopped.
func background(ctx context.Context, run func(context.Context) error) *Process {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &Process{cancel: cancel, ended: make(chan struct{})}
	var err error
	go func() {
		defer close(p.ended)
		err = run(ctx)
	}()
	p.wait = sync.OnceValue(func() error {
		<-p.ended
		return err
	})
	return p
}

// Stop lets it end in order, and gives what it ended with.
func (p *Process) Stop() error {
	p.cancel()
	return p.wait()
}

// Cancel tells it to end and does not wait.
func (p *Process) Cancel() { p.cancel() }

// Wait waits until it has ended, and gives what it ended with.
func (p *Process) Wait() error { return p.wait() }
