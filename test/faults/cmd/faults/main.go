// The command faults runs the long form of the campaign against an API server of its own. SEED and LIFECYCLES in the
// environment repeat and scale it; its last line are the figures.
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
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/capmaas/capmaas/test/apiserver"
	"github.com/capmaas/capmaas/test/faults"
)

const (
	defaultLifecycles = 10000
	worlds            = 4
	perRound          = 40
	patience          = 90 * time.Second
)

var errViolations = errors.New("something is not as it must be")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) (err error) {
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard()) // client-go complains of every connection that is cut
	seed, err := number("SEED", rand.Uint64()>>1)
	if err != nil {
		return err
	}
	lifecycles, err := number("LIFECYCLES", defaultLifecycles)
	if err != nil {
		return err
	}
	api, err := apiserver.Start(ctx)
	if err != nil {
		return err
	}
	figures, err := faults.Run(ctx, faults.Options{
		Config: api.Config, Seed: seed, Lifecycles: int(lifecycles), Worlds: worlds, PerRound: perRound, Patience: patience, Out: out, //nolint:gosec // a count
	})
	err = errors.Join(err, api.Stop())
	if err == nil && figures.Violations() > 0 {
		err = errViolations
	}
	_, printed := fmt.Fprintln(out, figures)
	return errors.Join(err, printed)
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
