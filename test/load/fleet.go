package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	serviceapp "github.com/capmaas/capmaas/services/lxdprovisioner/app"
	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/scheme"
	"github.com/capmaas/capmaas/test/stack"
)

// Options say what a fleet is and where it runs.
type Options struct {
	// Config reaches an API server with the custom resources, Kubeconfig says the same in a file's words; only programs want it.
	Config     *rest.Config
	Kubeconfig []byte
	// Machines is how many VMs the fleet is to have.
	Machines int
	// Speed is how much faster than the clock MAAS's time runs.
	Speed float64
	// StaticIP gives each VM an address of its own.
	StaticIP bool
	// Patience bounds every wait, by the clock.
	Patience time.Duration
	// Logs gets the log of the service; nil for nobody.
	Logs io.Writer
}

// part is a service or a manager.
type part interface{ Stop() error }

// Fleet is a full stack with its machines.
type Fleet struct {
	options   Options
	sim       *maassim.Sim
	maas      *httptest.Server
	meter     *stack.Meter
	client    client.Client
	namespace string
	dir       string
	// parts are what runs, in the order in which it was started.
	parts     []part
	batches   int
	addresses int
	clusters  []string
	machines  *machines
	stopWatch context.CancelFunc
}

const (
	// perHost is how many VMs there are for a host, so that none is too full to choose from.
	perHost = 10
	// fewestHosts are there for the smallest fleet.
	fewestHosts = 12
	zones       = 3
	// perWorker is how many machines there are for a regiond process: one alone takes longer to compose a thousand VMs at once than
	// MAAS lets the first of them deploy.
	perWorker = 250
)

// World is the MAAS of a fleet: hosts for the machines, the times of a usual MAAS, and what calls cost a real one.
func World(machineCount int, speed float64) maassim.Config {
	cfg := maassim.DefaultConfig(max(fewestHosts, (machineCount+perHost-1)/perHost), zones, 0)
	cfg.Speed, cfg.Cost, cfg.Workers = speed, maassim.RealCost(), workers(machineCount)
	cfg.Durations = maassim.Durations{
		Spread: 0.2, Compose: 3 * time.Second, Refresh: 2 * time.Second, Delete: 2 * time.Second,
		Commission: 3 * time.Minute, Deploy: 4 * time.Minute, Release: 20 * time.Second,
	}
	return cfg
}

// workers is how many regiond processes the MAAS of a fleet has.
func workers(machineCount int) int { return max(1, machineCount/perWorker) }

// Start starts the stack; there is no machine yet. The fleet is to be closed also where that fails.
func Start(ctx context.Context, o Options) (*Fleet, error) {
	f, err := prepare(ctx, o, World(o.Machines, o.Speed))
	if err != nil {
		return f, err
	}
	service, err := stack.StartService(ctx, stack.ServiceOptions{
		Dir: f.dir, MAAS: f.maas.URL + "/MAAS", Key: f.sim.APIKey(), Logs: f.logs(), Timing: stack.Timing(f.options.Speed),
		Configure: func(cfg *serviceapp.Config) { cfg.CheckInterval = f.real(serviceapp.DefaultCheckInterval) },
	})
	if err != nil {
		return f, err
	}
	options := stack.ManagerOptions(f.options.Config, f.namespace, service.Address)
	options.TimeScale = 1 / f.options.Speed
	options.SyncPeriod = max(time.Second, f.real(options.SyncPeriod))
	f.parts = append(f.parts, service, stack.StartManager(ctx, options))
	return f, nil
}

// prepare is a fleet without service and manager.
func prepare(ctx context.Context, o Options, world maassim.Config) (*Fleet, error) {
	f := &Fleet{options: o, stopWatch: func() {}}
	var err error
	if f.sim, err = maassim.New(world); err != nil {
		return f, fmt.Errorf("make the simulated MAAS: %w", err)
	}
	f.meter = stack.NewMeter(f.sim, now)
	f.maas = httptest.NewServer(f.meter)
	if f.dir, err = os.MkdirTemp("", "load-"); err != nil {
		return f, fmt.Errorf("make a directory: %w", err)
	}
	config := rest.CopyConfig(o.Config)
	config.QPS = -1 // the fleet is made at once, as by many controllers
	if f.client, err = client.New(config, client.Options{Scheme: scheme.New()}); err != nil {
		return f, fmt.Errorf("connect to the API server: %w", err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "load-"}}
	if err := f.client.Create(ctx, namespace); err != nil {
		return f, fmt.Errorf("make a namespace: %w", err)
	}
	f.namespace = namespace.Name
	f.machines, f.stopWatch, err = watchMachines(ctx, o.Config, f.namespace)
	return f, err
}

func (f *Fleet) logs() io.Writer {
	if f.options.Logs == nil {
		return io.Discard
	}
	return f.options.Logs
}

// real is how long a time of MAAS takes by the clock.
func (f *Fleet) real(simulated time.Duration) time.Duration {
	return time.Duration(float64(simulated) / f.options.Speed)
}

// simulated is how much of MAAS's time has passed in a time by the clock.
func (f *Fleet) simulated(d time.Duration) time.Duration {
	return time.Duration(float64(d) * f.options.Speed)
}

// MAAS is the simulator.
func (f *Fleet) MAAS() *maassim.Sim { return f.sim }

// Meter counts what reaches MAAS.
func (f *Fleet) Meter() *stack.Meter { return f.meter }

// Close stops everything.
func (f *Fleet) Close() error {
	var errs []error
	for _, p := range slices.Backward(f.parts) {
		errs = append(errs, p.Stop())
	}
	f.stopWatch()
	if f.maas != nil {
		f.sim.Close()
		f.maas.Close()
	}
	return errors.Join(append(errs, os.RemoveAll(f.dir))...)
}

// Pass lets so much of MAAS's time pass.
func (f *Fleet) Pass(ctx context.Context, simulated time.Duration) error {
	timer := time.NewTimer(f.real(simulated))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// glance is how often something is looked at that is waited for.
const glance = 20 * time.Millisecond

// await looks until something holds, or for the fleet's patience.
func (f *Fleet) await(ctx context.Context, what string, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, f.options.Patience)
	defer cancel()
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: %s", what, ctx.Err(), f.machines)
		case <-ticker.C:
		}
	}
	return nil
}

// until waits as await does, for what is asked of the API server: a look that fails ends the wait.
func (f *Fleet) until(ctx context.Context, holds func() (bool, error)) error {
	var failed error
	err := f.await(ctx, "a cluster", func() bool {
		var ok bool
		ok, failed = holds()
		return ok || failed != nil
	})
	return errors.Join(err, failed)
}

// inParallel does something for each of n, some at a time.
func inParallel(n int, do func(int) error) error {
	const at = 8
	errs := make([]error, n)
	next := make(chan int)
	var all sync.WaitGroup
	for range at {
		all.Go(func() {
			for i := range next {
				errs[i] = do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
	return errors.Join(errs...)
}
