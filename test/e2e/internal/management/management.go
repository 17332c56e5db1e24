// Package management runs a management cluster as processes on loopback: etcd, an API server, the controller manager, Cluster
// API's managers and this provider's manager and service, each with the rights that its manifests give it.
package management

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/proto/mtls/mtlstest"
	"github.com/capmaas/capmaas/test/process"
)

// untilReady bounds how long one process may take until it answers; a busy machine needs a fraction of it.
const untilReady = 3 * time.Minute

// Programs are the directories of what is run.
type Programs struct {
	// Own holds manager and lxdprovisioner, built from this tree.
	Own string
	// Assets holds etcd and kubectl, Kubernetes the control plane, ClusterAPI its managers with their manifests.
	Assets, Kubernetes, ClusterAPI string
	// Root is the top of the repository, whose deploy/ is installed.
	Root string
}

// Options say what a management cluster is made of.
type Options struct {
	Programs

	// Dir is where it keeps its data and logs; nothing may be there.
	Dir string
	// Base is the first of the hundred ports that it takes on loopback.
	Base int
	// MAAS is the URL of MAAS, which ends in /MAAS, and Key an API key.
	MAAS, Key string
	// Now tells the time.
	Now func() time.Time
}

// Cluster is a running management cluster.
type Cluster struct {
	Options

	// Config is an administrator's, Kubeconfig a file with the same.
	Config     *rest.Config
	Kubeconfig string
	// Client reads and writes everything.
	Client client.Client

	authority *mtlstest.Authority
	managers  []*manager

	mu        sync.Mutex
	processes []*process.Process // in the order in which they were started
}

// The parts' ports, counted from the base.
const (
	portEtcd = iota
	portEtcdPeer
	portAPIServer
	portControllerManager
	portService
	portFirstManager = 10 // each manager has ten
)

func (c *Cluster) port(offset int) int { return c.Base + offset }

func (c *Cluster) url(scheme string, offset int) string {
	return fmt.Sprintf("%s://127.0.0.1:%d", scheme, c.port(offset))
}

func (c *Cluster) path(names ...string) string {
	return filepath.Join(append([]string{c.Dir}, names...)...)
}

// Start starts all parts, each when the one before answers. What it gives back is to be stopped even where it fails.
func Start(ctx context.Context, options Options, say func(format string, args ...any)) (*Cluster, error) {
	if err := missing(options.needed(), options.neededByManagers()); err != nil {
		return &Cluster{Options: options}, err
	}
	c, err := Prepare(ctx, options, say)
	if err != nil {
		return c, err
	}
	return c, start(ctx, say, []part{
		{"the controller manager", c.startControllerManager},
		{"the service's replicas", c.startService},
		{"the managers", c.startManagers},
		{"admission", c.admit},
	})
}

// Prepare starts what every part asks, the API server, and installs the kinds and everybody's rights there. What it gives back is to be
// stopped even where it fails.
func Prepare(ctx context.Context, options Options, say func(format string, args ...any)) (*Cluster, error) {
	c := &Cluster{Options: options}
	if err := missing(options.needed()); err != nil {
		return c, err
	}
	if err := os.MkdirAll(c.path("etcd"), 0o700); err != nil {
		return c, fmt.Errorf("make %s: %w", c.Dir, err)
	}
	return c, start(ctx, say, []part{{"etcd and the API server", c.startAPIServer}, {"kinds and rights", c.install}})
}

// needed are the files without which Prepare fails, neededByManagers those that Start needs besides.
func (p Programs) needed() []string {
	return []string{
		filepath.Join(p.Assets, "etcd"), filepath.Join(p.Assets, "kubectl"), filepath.Join(p.Kubernetes, "kube-apiserver"),
		filepath.Join(p.Root, "deploy", "default"), filepath.Join(p.ClusterAPI, "core.yaml"),
		filepath.Join(p.ClusterAPI, "bootstrap.yaml"), filepath.Join(p.ClusterAPI, "controlplane.yaml"),
	}
}

func (p Programs) neededByManagers() []string {
	return []string{
		filepath.Join(p.Kubernetes, "kube-controller-manager"), filepath.Join(p.Own, "manager"), filepath.Join(p.Own, "lxdprovisioner"),
		filepath.Join(p.ClusterAPI, "core"), filepath.Join(p.ClusterAPI, "bootstrap"), filepath.Join(p.ClusterAPI, "controlplane"),
	}
}

// missing says which files are not there, before anything is started.
func missing(files ...[]string) error {
	var errs []error
	for _, file := range slices.Concat(files...) {
		if _, err := os.Stat(file); err != nil {
			errs = append(errs, fmt.Errorf("a management cluster needs %s: %w", file, err))
		}
	}
	return errors.Join(errs...)
}

// part is something that is started.
type part struct {
	name  string
	start func(context.Context) error
}

func start(ctx context.Context, say func(format string, args ...any), parts []part) error {
	for _, p := range parts {
		if err := p.start(ctx); err != nil {
			return fmt.Errorf("start %s: %w", p.name, err)
		}
		say("started %s", p.name)
	}
	return nil
}

// Stop stops everything, the last first, so that nobody waits for what is gone.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, p := range slices.Backward(c.processes) {
		errs = append(errs, p.Stop())
	}
	return errors.Join(errs...)
}

// Alive says which process is gone that should be there.
func (c *Cluster) Alive() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.processes {
		if err := p.Exited(); err != nil {
			return err
		}
	}
	return nil
}

// Processes are all that run, in the order in which they were started.
func (c *Cluster) Processes() []*process.Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.processes)
}

// Kill ends the process of this name as a power cut does, and starts it again. It may be called while others wait for something.
func (c *Cluster) Kill(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := slices.IndexFunc(c.processes, func(p *process.Process) bool { return p.Name() == name })
	if at < 0 {
		return fmt.Errorf("no process is named %s", name)
	}
	c.processes[at].Kill()
	again, err := c.processes[at].Restart()
	if err != nil {
		return err
	}
	c.processes[at] = again
	return nil
}

func (c *Cluster) run(name, binary string, env []string, args ...string) error {
	p, err := process.Start(process.Spec{
		Name: name, Binary: binary, Args: args, Env: env, Log: c.path(name + ".log"), Foreign: filepath.Dir(binary) != c.Own,
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.processes = append(c.processes, p)
	return nil
}

// await waits until what answers.
func (c *Cluster) await(ctx context.Context, what string, check func(context.Context) error) error {
	return process.Await(ctx, what, untilReady, c.Alive, check)
}

// answers checks that a GET is answered with 200.
func answers(url string) func(context.Context) error { return answersTo(http.DefaultClient, url) }

// answersTo checks it for a client that knows whom to trust.
func answersTo(asker *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		response, err := asker.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s", url, response.Status)
		}
		return nil
	}
}
