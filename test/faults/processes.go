package faults

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc/resolver"
	"k8s.io/client-go/rest"

	managerapp "github.com/capmaas/capmaas/controllers/app"
	serviceapp "github.com/capmaas/capmaas/services/lxdprovisioner/app"
	"github.com/capmaas/capmaas/test/stack"
)

const (
	// timeScale shortens the manager's waits.
	timeScale = 0.02
	// lease is how long a manager leads without renewing it.
	lease = 3 * time.Second
)

// timing is the service's for a MAAS that does everything within a second. No fault may delay what MAAS does for longer
// than SettleFirst allows for, or the rules of docs/protocol-coverage.md would not hold here for reasons that are not theirs.
func timing() serviceapp.Timing {
	t := serviceapp.DefaultTiming()
	t.InventoryMaxAge, t.MachinesMaxAge, t.LedgerHold = 100*time.Millisecond, time.Second, 5*time.Second
	t.DetachedLimit, t.SettleFirst, t.SettleGap = 3*time.Second, 6*time.Second, time.Second
	t.RefreshGap, t.CheckGather, t.YieldLook = 200*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond
	t.WatchInterval, t.IdleInterval = 200*time.Millisecond, time.Second
	t.WatchFullRead, t.AliveFresh = time.Second, 200*time.Millisecond
	return t
}

// replica is one replica of the service: a place that outlives the processes which run in it.
type replica struct {
	world *world
	gate  *rpcGate

	mu      sync.Mutex
	maas    *maasGate
	process *stack.Service
	began   time.Time
	up      bool
	number  int
}

// start starts a process.
func (r *replica) start() error {
	w := r.world
	r.mu.Lock()
	defer r.mu.Unlock()
	r.number++
	dir := filepath.Join(w.dir, fmt.Sprintf("%p-%d", r, r.number))
	var gate *maasGate
	gate = newMAASGate(w.sim, w.operations, func(operation string, m moment) bool { return w.crossMAAS(r, gate, operation, m) })
	process, err := stack.StartService(context.Background(), stack.ServiceOptions{
		Dir: dir, MAAS: gate.url(), Key: w.sim.APIKey(), Logs: w.campaign.logs(), Timing: timing(),
		Configure: func(cfg *serviceapp.Config) {
			cfg.DrainTimeout, cfg.ShortCalls, cfg.ListCalls = time.Second, 8, 2
		},
	})
	if err != nil {
		gate.close()
		return err
	}
	w.campaign.zombies.Go(func() {
		_ = process.Wait() // what a process says whose connections were cut says nothing
		gate.close()
	})
	r.maas, r.process, r.began, r.up = gate, process, now(), true
	return r.gate.connect(process.Address)
}

// kill cuts the running process off, and says whether there was one.
func (r *replica) kill() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.up {
		return false
	}
	r.up = false
	r.maas.cut()
	r.gate.disconnect()
	r.process.Cancel()
	return true
}

// age is how long the process has run; ok is false where none runs.
func (r *replica) age() (age time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Since(r.began), r.up
}

// seat is where one manager runs at a time.
type seat struct {
	world *world

	mu      sync.Mutex
	api     *apiGate
	calls   *connections
	from    map[string]bool // the addresses from which the manager has called
	process *stack.Process
	began   time.Time
	up      bool
}

// start starts a manager.
func (s *seat) start() error {
	w := s.world
	s.mu.Lock()
	defer s.mu.Unlock()
	api, err := newAPIGate(context.Background(), w.campaign.apiAddress())
	if err != nil {
		return err
	}
	calls := &connections{}
	options := stack.ManagerOptions(s.config(api), w.namespace, w.target())
	options.TimeScale, options.MachineConcurrency = timeScale, 16
	options.LeaderElect, options.LeaseNamespace, options.Lease = len(w.seats) > 1, w.namespace, lease
	options.Dialer = s.dialer(calls)
	process := stack.StartManager(context.Background(), options)
	s.api, s.calls, s.from, s.process, s.began, s.up = api, calls, map[string]bool{}, process, now(), true
	w.campaign.zombies.Go(func() {
		err := process.Wait()
		api.close()
		if s.killProcess(process) {
			// It gave up by itself, as one does that can't renew its lease; whoever runs it starts it again.
			w.storyf("manager ended by itself: %v", err)
			w.revive(s)
		}
	})
	return nil
}

// config is the way to the API server through the manager's own gate.
func (s *seat) config(api *apiGate) *rest.Config {
	config := rest.CopyConfig(s.world.campaign.config)
	config.Host = "https://" + api.address()
	return config
}

func (s *seat) dialer(calls *connections) managerapp.Dialer {
	return func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, fmt.Errorf("call the service: %w", err)
		}
		if !calls.add(conn) {
			return nil, io.ErrClosedPipe
		}
		return s.remember(conn), nil
	}
}

// managerConn is a connection of a manager, which is forgotten when it is closed: its port is somebody else's then.
type managerConn struct {
	net.Conn

	forget func()
}

// Close closes the connection.
func (c managerConn) Close() error {
	c.forget()
	return c.Conn.Close()
}

// remember notes that what comes from the connection's address is the manager's.
func (s *seat) remember(conn net.Conn) net.Conn {
	address := conn.LocalAddr().String()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from[address] = true
	return managerConn{Conn: conn, forget: sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.from, address)
	})}
}

// kill cuts the manager off, and says whether there was one.
func (s *seat) kill() bool {
	s.mu.Lock()
	process := s.process
	s.mu.Unlock()
	return s.killProcess(process)
}

// killProcess is kill where it is this process that runs.
func (s *seat) killProcess(process *stack.Process) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.up || s.process != process {
		return false
	}
	s.up = false
	s.api.close()
	s.calls.cut()
	s.process.Cancel()
	return true
}

// calledFrom says whether the manager called from this address.
func (s *seat) calledFrom(address string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.up && s.from[address]
}

func (s *seat) age() (age time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.began), s.up
}

// replicas resolves targets of the form replicas:///host:port,host:port, as DNS resolves a headless Service.
type replicas struct{}

// replicaScheme is the one that replicas resolves.
const replicaScheme = "replicas"

// Scheme is the scheme of the targets.
func (replicas) Scheme() string { return replicaScheme }

// Build tells the connection all addresses at once; they never change.
func (replicas) Build(target resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) { //nolint:ireturn // gRPC names the type
	var state resolver.State
	for _, address := range splitList(target.Endpoint()) {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address})
	}
	return nothingMore{}, cc.UpdateState(state)
}

// nothingMore is a resolver that has said everything.
type nothingMore struct{}

// ResolveNow does nothing.
func (nothingMore) ResolveNow(resolver.ResolveNowOptions) {}

// Close does nothing.
func (nothingMore) Close() {}
