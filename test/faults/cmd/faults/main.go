// The command faults runs the long form of the campaign against an API server of its own. SEED and LIFECYCLES in the
// environment repeat and scale it; its last line are the figures. STACKS names a directory for the stacks of all goroutines while
// something does not move.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/capmaas/capmaas/test/apiserver"
	"github.com/capmaas/capmaas/test/faults"
)

const (
	defaultLifecycles = 10000
	worlds            = 6
	perRound          = 60
	extra             = 1000
	patience          = 3 * time.Minute
)

var (
	errViolations = errors.New("something is not as it must be")
	errMissed     = errors.New("nothing died at some of the boundaries; more lifecycles reach more")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	options, err := optionsOf(out)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return err
	}
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard()) // client-go complains of every connection that is cut
	api, err := apiserver.Start(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return err
	}
	options.Config = api.Config
	began := time.Now()
	figures, err := faults.Run(ctx, options)
	err = errors.Join(err, api.Stop())
	fmt.Fprintf(out, "took %s and %s of CPU, the API server's with it\n", time.Since(began).Round(time.Second), cpu().Round(time.Second))
	switch {
	case err != nil:
	case figures.Violations() > 0:
		err = errViolations
	case figures.Hit < figures.Known:
		err = errMissed
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err) // before the figures, which are the last line
	}
	fmt.Fprintln(out, figures)
	return err
}

// cpu is what this process and those that it waited for have used.
func cpu() time.Duration {
	var all time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var used syscall.Rusage
		if err := syscall.Getrusage(who, &used); err == nil {
			all += time.Duration(used.Utime.Nano() + used.Stime.Nano())
		}
	}
	return all
}

// optionsOf reads the environment.
func optionsOf(out io.Writer) (faults.Options, error) {
	seed, err := number("SEED", rand.Uint64()>>1)
	if err != nil {
		return faults.Options{}, err
	}
	stacks := os.Getenv("STACKS")
	if stacks != "" {
		if err := os.MkdirAll(stacks, 0o700); err != nil {
			return faults.Options{}, fmt.Errorf("STACKS: %w", err)
		}
	}
	lifecycles, err := number("LIFECYCLES", defaultLifecycles)
	if err != nil {
		return faults.Options{}, err
	}
	return faults.Options{
		Seed: seed, Lifecycles: int(lifecycles), Extra: extra, Worlds: worlds, PerRound: perRound, Patience: patience, Out: out, Stacks: stacks,
	}, nil
}

// number reads a number from the environment.
func number(name string, value uint64) (uint64, error) {
	text := os.Getenv(name)
	if text == "" {
		return value, nil
	}
	value, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return value, nil
}
