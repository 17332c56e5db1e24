// Package playground runs the whole product on this machine: an API server with its webhooks, a simulated MAAS with twelve
// LXD hosts in three zones, the service and the manager, each the delivered program in a process of its own. The demo is
// shown on it, and make dev restarts its programs.
package playground

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/grpc"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/capmaas/capmaas/test/apiserver"
	"github.com/capmaas/capmaas/test/clusterapi"
	"github.com/capmaas/capmaas/test/process"
	"github.com/capmaas/capmaas/test/scheme"
)

const (
	// Namespace is the one that the manager watches.
	Namespace = "default"
	// startLimit bounds how long a program may take until it answers.
	startLimit = time.Minute
)

// Options say how it runs.
type Options struct {
	// Bin is the directory of maassim, lxdprovisioner and manager.
	Bin string
	// Work is the directory of logs, kubeconfig and credentials; it is made where it is not there.
	Work string
	// Sayf is told what has happened.
	Sayf func(format string, args ...any)
}

// Playground is everything that runs.
type Playground struct {
	// Options are those that it was started with.
	Options
	// Kubeconfig is the path of an administrator's; Client reads and writes as that administrator.
	Kubeconfig string
	Client     client.Client
	// Simulator is the URL of the simulated MAAS, below which are /MAAS and /_sim.
	Simulator string
	// Service is the address of the service, which knows its callers by their certificates; Conn is a connection to it with
	// those of the manager.
	Service string
	Conn    *grpc.ClientConn

	api        *apiserver.Server
	programs   []*program
	endStandIn context.CancelFunc
}

// program is one of the programs: what is run, and how it is known to answer.
type program struct {
	spec    process.Spec
	ready   func(context.Context) error
	process *process.Process
}

// Start starts all parts, each when the one before answers. What it gives back is to be stopped even where it fails.
func Start(ctx context.Context, o Options) (*Playground, error) {
	ctrllog.SetLogger(logr.Discard()) // what envtest and the stand-in log is not for the screen
	p := &Playground{Options: o, endStandIn: func() {}}
	if err := os.MkdirAll(o.Work, 0o755); err != nil {
		return p, fmt.Errorf("make %s: %w", o.Work, err)
	}
	for _, part := range []struct {
		name  string
		start func(context.Context) error
	}{
		{"API server and etcd", p.startAPIServer},
		{"simulated MAAS", p.startSimulator},
		{"service lxdprovisioner", p.startService},
		{"manager", p.startManager},
	} {
		if err := part.start(ctx); err != nil {
			return p, err
		}
		o.Sayf("started the %s", part.name)
	}
	return p, nil
}

func (p *Playground) startAPIServer(ctx context.Context) error {
	api, err := apiserver.StartWithAdmission(ctx)
	if err != nil {
		return err
	}
	p.api = api
	p.Kubeconfig = filepath.Join(p.Work, "kubeconfig")
	if err := os.WriteFile(p.Kubeconfig, api.Kubeconfig, 0o600); err != nil {
		return fmt.Errorf("write the kubeconfig: %w", err)
	}
	p.Client, err = client.New(api.Config, client.Options{Scheme: scheme.New()})
	if err != nil {
		return fmt.Errorf("reach the API server: %w", err)
	}
	standInCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.endStandIn = cancel
	go (&clusterapi.StandIn{Client: p.Client, Namespace: Namespace}).Run(standInCtx)
	return nil
}

// launch starts a program for the first time, with a log that begins with it, and waits until it answers.
func (p *Playground) launch(ctx context.Context, name string, env, args []string, ready func(context.Context) error) error {
	log := filepath.Join(p.Work, name+".log")
	if err := os.Remove(log); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("begin the log of %s: %w", name, err)
	}
	r := &program{spec: process.Spec{Name: name, Binary: filepath.Join(p.Bin, name), Env: env, Args: args, Log: log}, ready: ready}
	p.programs = append(p.programs, r)
	return r.start(ctx)
}

func (r *program) start(ctx context.Context) (err error) {
	r.process, err = process.Start(r.spec)
	if err != nil {
		return err
	}
	return process.Await(ctx, r.spec.Name, startLimit, r.process.Exited, r.ready)
}

// Restart ends a program, where it has not ended by itself, and starts what is now at its place, with the same flags. It
// gives back nil when the program answers.
func (p *Playground) Restart(ctx context.Context, name string) error {
	for _, r := range p.programs {
		if r.spec.Name != name {
			continue
		}
		if r.process.Exited() == nil {
			if err := r.process.Stop(); err != nil {
				p.Sayf("%v", err)
			}
		}
		return r.start(ctx)
	}
	return fmt.Errorf("%s does not run here", name)
}

// Alive says which program is gone that should be there.
func (p *Playground) Alive() error {
	for _, r := range p.programs {
		if r.process == nil {
			continue
		}
		if err := r.process.Exited(); err != nil {
			return err
		}
	}
	return nil
}

// Stop stops everything, the last first: the manager, the service, the simulator, the API server.
func (p *Playground) Stop() error {
	p.endStandIn()
	var errs []error
	if p.Conn != nil {
		errs = append(errs, p.Conn.Close())
	}
	for _, r := range slices.Backward(p.programs) {
		if r.process != nil {
			errs = append(errs, r.process.Stop())
		}
	}
	if p.api != nil {
		errs = append(errs, p.api.Stop())
	}
	return errors.Join(errs...)
}

// Get reads a URL and, where into is not nil, its JSON.
func Get(ctx context.Context, url string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(into)
}
