// Package loop rebuilds programs when their sources change, and restarts those that came out different.
package loop

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// quiet is for how long nothing must change before a build begins: an editor writes a file in several steps, and a change
// of branch many files.
const quiet = 300 * time.Millisecond

// Program is one that is kept up to date.
type Program struct {
	// Name is what messages call it.
	Name string
	// Build builds it and says whether it differs from what runs. The error is the compiler's output.
	Build func(ctx context.Context) (changed bool, err error)
	// Restart ends what runs and starts what was built; it gives back nil when the program answers.
	Restart func(ctx context.Context) error
}

// Loop is what is watched and what is built of it.
type Loop struct {
	// Roots are the directories whose sources are watched, with all below them.
	Roots []string
	// Programs are built in this order, and restarted in this order once all are built.
	Programs []Program
	// Sayf is told what happens.
	Sayf func(format string, args ...any)
}

// Run watches until ctx ends. Sources that don't compile leave the old programs running, and so does a program that does
// not answer when it was started anew: the next change is another try.
func (l *Loop) Run(ctx context.Context) error {
	w, err := watch(l.Roots)
	if err != nil {
		return err
	}
	defer func() { _ = w.close() }() // nothing is left to be read from it
	l.Sayf("watching %d directories", w.size())
	for {
		first, err := w.await(ctx, quiet)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		l.Sayf("%s changed", first)
		l.renew(ctx)
	}
}

// renew builds everything and restarts what differs. Where one does not build nothing is restarted: the programs speak to
// each other, and half a change is none that anybody wrote.
func (l *Loop) renew(ctx context.Context) {
	var changed []Program
	var errs []error
	for _, p := range l.Programs {
		differs, err := p.Build(ctx)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s does not build:\n%w", p.Name, err))
		case differs:
			changed = append(changed, p)
		}
	}
	if ctx.Err() != nil {
		return
	}
	if err := errors.Join(errs...); err != nil {
		l.Sayf("%v\nwhat ran before runs on", err)
		return
	}
	if len(changed) == 0 {
		l.Sayf("no program differs")
	}
	for _, p := range changed {
		if err := p.Restart(ctx); err != nil {
			l.Sayf("%v", err)
			continue
		}
		l.Sayf("restarted %s", p.Name)
	}
}
