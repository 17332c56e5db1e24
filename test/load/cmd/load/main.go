// The command load measures what many machines cost MAAS and what they take here, against an API server of its own, and
// writes the figures into docs/performance.md. It ends with 1 where a budget is exceeded. ONLY in the environment names the
// measurements (lives, static, rest, added, memory, outage), MACHINES the numbers of machines; with either nothing is written but
// with WRITE=1, which leaves the other figures as they are.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/capmaas/capmaas/test/apiserver"
	"github.com/capmaas/capmaas/test/load"
)

const (
	// patience bounds each wait, by the clock.
	patience = 30 * time.Minute
	// restSpeed is for what happens seldom, addedSpeed for what is timed, to which what is computed here adds as it would anywhere.
	restSpeed  = 5
	addedSpeed = 1
)

var errBudget = errors.New("budgets are exceeded")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) (err error) {
	plan, whole, err := planOf(out)
	if err != nil {
		return err
	}
	root, err := apiserver.Root()
	if err != nil {
		return err
	}
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	api, err := apiserver.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, api.Stop()) }()
	figures, err := load.Measure(ctx, load.Options{Config: api.Config, Kubeconfig: api.Kubeconfig, Patience: patience}, plan)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, figures.Document())
	if whole || os.Getenv("WRITE") != "" {
		if err := write(root, figures); err != nil {
			return err
		}
	}
	if exceeded := figures.Exceeded(); len(exceeded) > 0 {
		return fmt.Errorf("%w: %s", errBudget, strings.Join(exceeded, "; "))
	}
	return nil
}

// write keeps the figures and writes the page.
func write(root string, figures load.Run) error {
	file := filepath.Join(root, load.MeasuredFile)
	before, err := load.ReadMeasured(file)
	if err != nil {
		return err
	}
	all := before.With(figures)
	if err := load.WriteMeasured(file, all); err != nil {
		return err
	}
	return load.WriteSection(filepath.Join(root, load.Page), all.Document())
}

// planOf reads the environment, and says whether everything is measured.
func planOf(out io.Writer) (plan load.Plan, whole bool, err error) {
	plan = load.Plan{
		Lives: []int{1, 10, 100}, StaticIP: []int{100}, Rest: []int{1, 10, 100, 1000}, Added: []int{1, 100}, Memory: []int{1000}, Outage: []int{1000},
		RestSpeed: restSpeed, AddedSpeed: addedSpeed, Progress: out,
	}
	only, counts := os.Getenv("ONLY"), []int(nil)
	for text := range strings.FieldsSeq(os.Getenv("MACHINES")) {
		count, err := strconv.Atoi(text)
		if err != nil || count < 1 {
			return plan, false, fmt.Errorf("MACHINES: %q is no number of machines", text)
		}
		counts = append(counts, count)
	}
	named := map[string]*[]int{"lives": &plan.Lives, "static": &plan.StaticIP, "rest": &plan.Rest, "added": &plan.Added, "memory": &plan.Memory, "outage": &plan.Outage}
	wanted := strings.Fields(only)
	for _, name := range wanted {
		if named[name] == nil {
			return plan, false, fmt.Errorf("ONLY: nothing is measured under the name %q", name)
		}
	}
	for name, of := range named {
		switch {
		case len(wanted) > 0 && !slices.Contains(wanted, name):
			*of = nil
		case counts != nil:
			*of = counts
		}
	}
	return plan, only == "" && counts == nil, nil
}
