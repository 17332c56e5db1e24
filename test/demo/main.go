// Command demo shows the main job on real processes: an API server, a simulated MAAS with twelve
// LXD hosts in three zones, the service and the manager. It applies a sample cluster, shows how its
// machines come, deletes it and proves that nothing of it is left in MAAS, LXD or DNS.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/test/playground"
)

const (
	// untilReady and untilGone bound the two halves; a slow machine needs a fraction of them.
	untilReady = 10 * time.Minute
	untilGone  = 10 * time.Minute
)

func main() {
	keep := flag.Bool("keep", false, "leave everything running at the end, until Ctrl-C")
	bin := flag.String("bin", "bin", "directory with maassim, lxdprovisioner and manager")
	work := flag.String("work", ".demo", "directory for logs and the kubeconfig")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, *work, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin, work string, keep bool) (err error) {
	work, err = filepath.Abs(work)
	if err != nil {
		return err
	}
	s := newScreen(os.Stdout)
	running, err := playground.Start(ctx, playground.Options{Bin: bin, Work: work, Sayf: s.sayf})
	defer func() {
		err = errors.Join(err, running.Stop())
		if err == nil {
			s.sayf("stopped everything; logs are in %s", work)
		}
	}()
	if err != nil {
		return stopped(ctx, err)
	}
	stack := &stack{Playground: running, keep: keep, hosts: lxdprovisionerv1.NewLXDProvisionerClient(running.Conn)}
	if err := tell(ctx, s, stack); err != nil {
		return stopped(ctx, err)
	}
	if keep {
		stack.explain(s)
		<-ctx.Done()
		return nil
	}
	return nil
}

// tell is the story of the demo.
func tell(ctx context.Context, s *screen, stack *stack) error {
	cluster, err := applySample(ctx, stack)
	if err != nil {
		return err
	}
	s.sayf("applied deploy/samples/demo: cluster %s", cluster.name)
	if err := cluster.awaitReady(ctx, s); err != nil {
		return err
	}
	s.sayf("every machine is ready; what an operator looks at:")
	if err := cluster.lookAt(ctx, s); err != nil {
		return err
	}
	if err := cluster.prove(ctx, s); err != nil {
		return err
	}
	if stack.keep {
		return nil
	}
	s.sayf("deleting cluster %s", cluster.name)
	if err := cluster.delete(ctx); err != nil {
		return err
	}
	if err := cluster.awaitGone(ctx, s); err != nil {
		return err
	}
	return stack.proveEmpty(ctx, s)
}

// stopped turns the errors of an interruption into one line.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted; everything that was started is being stopped")
	}
	return err
}
