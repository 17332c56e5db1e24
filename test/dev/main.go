// Command dev is the inner loop without containers: API server, simulated MAAS, service and manager as real processes;
// service and manager are rebuilt and restarted when their sources change, while the API server, the simulator and all
// objects stay.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/capmaas/capmaas/test/apiserver"
	"github.com/capmaas/capmaas/test/dev/loop"
	"github.com/capmaas/capmaas/test/playground"
)

// packages are the programs that run, and whether a change restarts them, in that order. The simulator would forget its
// machines.
var packages = []struct {
	name, path string
	restarts   bool
}{
	{"maassim", "./services/maassim/cmd/maassim", false},
	{"lxdprovisioner", "./services/lxdprovisioner/cmd/lxdprovisioner", true},
	{"manager", "./controllers/cmd/manager", true},
}

// sources are the modules that the restarted programs are built from.
var sources = []string{"api", "controllers", "proto", "services/lxdprovisioner"}

func main() {
	work := flag.String("work", ".dev", "directory for the programs, their logs and the kubeconfig")
	sample := flag.Bool("sample", false, "apply deploy/samples/demo")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *work, *sample); err != nil {
		fmt.Fprintln(os.Stderr, "dev:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, work string, sample bool) (err error) {
	root, err := apiserver.Root()
	if err != nil {
		return err
	}
	work, err = filepath.Abs(work)
	if err != nil {
		return err
	}
	bin := filepath.Join(work, "bin")
	if err := build(ctx, root, bin); err != nil {
		return err
	}
	p, err := playground.Start(ctx, playground.Options{Bin: bin, Work: work, Sayf: sayf})
	defer func() {
		err = errors.Join(err, p.Stop())
		if err == nil {
			sayf("stopped everything; logs are in %s", work)
		}
	}()
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	if sample {
		objects, err := p.ApplySample(ctx)
		if err != nil {
			return err
		}
		sayf("applied %d objects of deploy/samples/demo", len(objects))
	}
	sayf("ready until Ctrl-C:\n  export KUBECONFIG=%s\n  kubectl get maasmachines -o wide\n  grpcurl %s %s list\n  curl -s %s/_sim/lxd\n  tail -F %s/*.log",
		p.Kubeconfig, strings.Join(p.GRPCurl(), " "), p.Service, p.Simulator, work)
	return inner(root, bin, p).Run(ctx)
}

// build builds all programs for the first time.
func build(ctx context.Context, root, bin string) error {
	for _, program := range packages {
		sayf("building %s", program.name)
		if _, err := loop.GoBuild(root, program.path, filepath.Join(bin, program.name))(ctx); err != nil {
			return err
		}
	}
	return nil
}

// inner is the loop over the programs of a playground.
func inner(root, bin string, p *playground.Playground) *loop.Loop {
	l := &loop.Loop{Sayf: sayf}
	for _, dir := range sources {
		l.Roots = append(l.Roots, filepath.Join(root, dir))
	}
	for _, program := range packages {
		if !program.restarts {
			continue
		}
		l.Programs = append(l.Programs, loop.Program{
			Name:    program.name,
			Build:   loop.GoBuild(root, program.path, filepath.Join(bin, program.name)),
			Restart: func(ctx context.Context) error { return p.Restart(ctx, program.name) },
		})
	}
	return l
}

func sayf(format string, args ...any) {
	fmt.Printf("%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}
