// Package maas is the MAAS of a scale run: hosts and machines for so many clusters, the times of a usual MAAS, what calls cost
// a real one, and a meter before it.
package maas

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/e2e/internal/region"
)

// Options say how large MAAS is and how fast.
type Options struct {
	// Clusters is for how many clusters of three control planes in VMs, two bare-metal workers and one worker VM there is room.
	Clusters int
	// Workers is how many regiond processes MAAS has; each serves four requests at once.
	Workers int
	// Deploy is how long a deployment takes, a fifth more or less.
	Deploy time.Duration
	// Now tells the time.
	Now func() time.Time
}

const (
	// coresPerCluster are those of a cluster's VMs while one of each kind is replaced: three control planes and two workers, and a
	// fourth control plane in each zone, for Cluster API replaces those of one zone first, the same in all clusters.
	coresPerCluster = (3+zones)*4 + 2*2
	// coresPerHost is what is used of a host's 32, so that a host is chosen and never the last one left.
	coresPerHost = 26
	// metalPerCluster are the two that a cluster has, one that takes the place of another, and one that is being released.
	metalPerCluster = 4
	fewestHosts     = 12
	zones           = 3
)

// config is the simulated MAAS of a run.
func (o Options) config() maassim.Config {
	hosts := max(fewestHosts, (o.Clusters*coresPerCluster+coresPerHost-1)/coresPerHost)
	cfg := maassim.DefaultConfig(hosts, zones, metalPerCluster*o.Clusters)
	cfg.Subnets = []maassim.SubnetConfig{region.Subnet("machines")}
	for n := range cfg.Hosts {
		cfg.Hosts[n].Bridges = []maassim.Bridge{{Name: "br0", Subnet: "machines"}}
	}
	cfg.Images = append(cfg.Images, region.Images()...)
	cfg.Cost, cfg.Workers = maassim.RealCost(), o.Workers
	cfg.Durations = maassim.Durations{
		Spread: 0.2, Compose: 3 * time.Second, Refresh: 2 * time.Second, Delete: 2 * time.Second,
		Commission: 3 * time.Minute, Deploy: o.Deploy, Release: 20 * time.Second,
	}
	return cfg
}

// MAAS is a simulated MAAS that listens.
type MAAS struct {
	*maassim.Sim
	*Meter

	// URL is what the service is told.
	URL string
	// Hosts is how many LXD hosts there are.
	Hosts int

	server *http.Server
	ended  chan error
}

// Start starts a MAAS.
func Start(ctx context.Context, o Options) (*MAAS, error) {
	config := o.config()
	sim, err := maassim.New(config)
	if err != nil {
		return nil, fmt.Errorf("make the simulated MAAS: %w", err)
	}
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 5240)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at.String())
	if err != nil {
		return nil, fmt.Errorf("listen as MAAS: %w", err)
	}
	m := &MAAS{
		Sim: sim, Meter: NewMeter(sim, o.Now), URL: "http://" + at.String() + "/MAAS", Hosts: len(config.Hosts), ended: make(chan error, 1),
	}
	m.server = &http.Server{Handler: m.Meter, ReadHeaderTimeout: time.Minute}
	go func() { m.ended <- m.server.Serve(listener) }()
	return m, nil
}

// Stop ends it, with the calls that are under way.
func (m *MAAS) Stop() error {
	m.Close()
	err := m.server.Close()
	if ended := <-m.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// ServeHTTP is the meter's.
func (m *MAAS) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.Meter.ServeHTTP(w, r) }

// Lookup answers from MAAS's DNS records, as its name servers do.
func (m *MAAS) Lookup(name string) ([]netip.Addr, bool) { return region.Lookup(m.Sim, name) }

// Left names what MAAS still has of machines that should be gone.
func (m *MAAS) Left() []string {
	return region.Left(m.Sim, func(maassim.Machine) bool { return false })
}
