// Package scenario tells what happens to real clusters, and judges by what is then in Kubernetes, MAAS, LXD and DNS.
package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/e2e/internal/fleet"
	"github.com/capmaas/capmaas/test/e2e/internal/management"
	"github.com/capmaas/capmaas/test/e2e/internal/region"
	"github.com/capmaas/capmaas/test/e2e/internal/relay"
	"github.com/capmaas/capmaas/test/e2e/internal/resolver"
	"github.com/capmaas/capmaas/test/e2e/internal/world"
)

// Config says what a run needs.
type Config struct {
	management.Programs

	// Before holds the Kubernetes of the patch release before that of Programs.
	Before string
	// Work is the directory of data and logs.
	Work string
	// Patience bounds every wait.
	Patience time.Duration
	// Timeline is told what happens.
	Timeline *Timeline
	// Now tells the time.
	Now func() time.Time
}

// Run is everything that runs.
type Run struct {
	Config

	sim        *maassim.Server
	fleet      *fleet.Fleet
	management *management.Cluster
	// besides are the management clusters besides the first.
	besides []*management.Cluster
	first   *management.Cluster
	// zones is how many zones have hosts that work, lost are the VMs on hosts that do not.
	zones int
	lost  []string
	// preferred is the subnet whose addresses go into DNS; its zero value stands for every subnet.
	preferred netip.Prefix
	// version is that of the Kubernetes of Programs, before that of Before.
	version, before string

	endSim, endFleet context.CancelFunc
	fleetEnded       chan error

	// door is the way to MAAS of all management clusters.
	door *relay.Relay
	// names is the name server.
	names *resolver.Resolver
	// disturbed is what lets our processes die at the moment; nil where nothing does.
	disturbed *disturbance

	mu sync.Mutex
	// started are the management clusters that run.
	started []*management.Cluster
}

// zones is how many zones have LXD hosts.
const zones = 3

// The subnets as MAAS calls them.
const (
	firstSubnet  = "machines"
	secondSubnet = "second"
)

// maasAddress is where MAAS is.
const maasAddress = "127.0.0.1:5240"

// base is the first port of the management cluster.
const base = 20000

// Start starts everything. What it gives back is to be stopped even where it fails.
func Start(ctx context.Context, config Config) (*Run, error) {
	r := &Run{Config: config, zones: zones, endSim: func() {}, endFleet: func() {}}
	var err error
	if r.version, err = versionOf(config.Kubernetes); err != nil {
		return r, err
	}
	if config.Before != "" {
		if r.before, err = versionOf(config.Before); err != nil {
			return r, err
		}
	}
	if err := r.startMAAS(ctx); err != nil {
		return r, err
	}
	r.Timeline.Sayf("simulated MAAS %s at %s: 6 LXD hosts in %d zones, 4 bare-metal machines", r.sim.Version(), r.door.Address(), zones)
	r.first, err = r.startManagement(ctx, "management", base)
	r.management = r.first
	return r, err
}

// startManagement starts a management cluster; it is to be stopped even where that fails.
func (r *Run) startManagement(ctx context.Context, name string, base int) (*management.Cluster, error) {
	c, err := management.Start(ctx, management.Options{
		Programs: r.Programs, Dir: filepath.Join(r.Work, name), Base: base, Now: r.Now,
		MAAS: "http://" + r.door.Address() + "/MAAS", Key: r.sim.APIKey(),
	}, func(format string, args ...any) { r.Timeline.Sayf(name+": "+format, args...) })
	if err != nil {
		return c, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started = append(r.started, c)
	return c, nil
}

// managements are the first management cluster and those besides, also where not all parts of one are started.
func (r *Run) managements() []*management.Cluster {
	return append([]*management.Cluster{r.first}, r.besides...)
}

func versionOf(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "version"))
	if err != nil {
		return "", fmt.Errorf("read the version of Kubernetes: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// startMAAS starts the simulator, the bodies of its machines and its name server. A deployment lasts until its machine has fetched
// its user data.
func (r *Run) startMAAS(ctx context.Context) error {
	simCtx, endSim := context.WithCancel(context.WithoutCancel(ctx))
	r.endSim = endSim
	sim, err := maassim.Start(simCtx, maasConfig())
	if err != nil {
		return fmt.Errorf("start the simulated MAAS: %w", err)
	}
	r.sim = sim
	if r.door, err = relay.Start(simCtx, maasAddress, strings.TrimPrefix(sim.BaseURL(), "http://")); err != nil {
		return err
	}
	images := map[string]fleet.Image{region.Image: {Kubernetes: r.Kubernetes, Version: r.version}}
	if r.Before != "" {
		images[region.ImageBefore] = fleet.Image{Kubernetes: r.Before, Version: r.before}
	}
	r.fleet = fleet.New(fleet.Config{
		Sim: sim.Sim, Program: filepath.Join(r.Own, "machine"), Images: images, Programs: []string{r.Assets},
		Dir: filepath.Join(r.Work, "machines"), Sayf: r.Timeline.Sayf,
	})
	fleetCtx, endFleet := context.WithCancel(context.WithoutCancel(ctx))
	r.endFleet, r.fleetEnded = endFleet, make(chan error, 1)
	go func() { r.fleetEnded <- r.fleet.Run(fleetCtx) }()
	r.names, err = resolver.Start(simCtx, netip.AddrPortFrom(world.Rack, 53), management.Lookup(func(name string) ([]netip.Addr, bool) { return region.Lookup(r.sim.Sim, name) }))
	return err
}

func maasConfig() maassim.Config {
	cfg := maassim.DefaultConfig(6, zones, 4)
	cfg.Subnets = []maassim.SubnetConfig{region.Subnet(firstSubnet), {
		Name: secondSubnet, CIDR: world.Second.String(), Fabric: "fabric-second",
		Dynamic:        []maassim.Range{{Start: "10.20.200.0", End: "10.20.220.255"}},
		ReservedRanges: []maassim.Range{{Start: "10.20.0.1", End: "10.20.0.9"}},
	}}
	for n := range cfg.Hosts {
		cfg.Hosts[n].Bridges = []maassim.Bridge{{Name: "br0", Subnet: firstSubnet}, {Name: "br1", Subnet: secondSubnet}}
	}
	for n := range cfg.Metal {
		cfg.Metal[n].Tags = []string{"metal"} // the released template for physical machines chooses them by a tag
	}
	cfg.Images = append(cfg.Images, region.Images()...)
	cfg.Durations = maassim.Durations{
		Compose: 2 * time.Second, Refresh: time.Second, Delete: time.Second, Commission: 5 * time.Second, Release: 3 * time.Second,
		// The machine itself ends its deployment, and MAAS gives up on one after 30 minutes.
		Deploy: 29 * time.Minute,
	}
	return cfg
}

// Stop stops everything: the management cluster while MAAS still answers, then the machines, then MAAS.
func (r *Run) Stop() error {
	var errs []error
	for _, c := range slices.Backward(r.managements()) {
		if c != nil {
			errs = append(errs, c.Stop())
		}
	}
	r.endFleet()
	if r.fleetEnded != nil {
		errs = append(errs, <-r.fleetEnded)
	}
	r.endSim()
	if r.sim != nil {
		errs = append(errs, r.sim.Wait())
	}
	if r.door != nil {
		r.door.Wait()
	}
	if r.names != nil {
		r.names.Wait()
	}
	return errors.Join(errs...)
}
