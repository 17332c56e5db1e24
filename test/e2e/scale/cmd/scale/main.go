// Command scale lets many clusters live at once on one computer: the genuine managers of Cluster API, our manager and both
// replicas of the service, a simulated MAAS, and machines that are members of clusters in memory. It is made as cmd/e2e is and
// needs Linux and root; see the README of test/e2e.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/capmaas/capmaas/test/e2e/internal/management"
	"github.com/capmaas/capmaas/test/e2e/internal/region"
	"github.com/capmaas/capmaas/test/e2e/internal/resolver"
	"github.com/capmaas/capmaas/test/e2e/internal/scenario"
	"github.com/capmaas/capmaas/test/e2e/internal/world"
	"github.com/capmaas/capmaas/test/e2e/scale/internal/bodies"
	"github.com/capmaas/capmaas/test/e2e/scale/internal/campaign"
	"github.com/capmaas/capmaas/test/e2e/scale/internal/maas"
	"github.com/capmaas/capmaas/test/e2e/scale/internal/workload"
	"github.com/capmaas/capmaas/test/measured"
)

// options are what the flags say.
type options struct {
	programs              management.Programs
	work                  string
	clusters, concurrency int
	patience              time.Duration
	workers               int
	deploy                time.Duration
	phases                string
	write                 bool
	figures               string
}

func main() {
	o := parse()
	if o.figures != "" {
		if err := campaign.WriteKept(o.programs.Root, o.figures); err != nil {
			fail(1, err)
		}
		return
	}
	if !world.Inside() {
		os.Exit(world.Again("scale", os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fail(1, err)
	}
}

func fail(code int, err error) {
	fmt.Fprintln(os.Stderr, "scale:", err)
	os.Exit(code)
}

func parse() options {
	var o options
	p := &o.programs
	flag.StringVar(&p.Own, "bin", "bin", "`directory` with manager and lxdprovisioner")
	flag.StringVar(&p.Assets, "assets", "", "`directory` with etcd and kubectl")
	flag.StringVar(&p.Kubernetes, "kubernetes", "", "`directory` with the control plane")
	flag.StringVar(&p.ClusterAPI, "managers", "", "`directory` with Cluster API's managers and their manifests")
	flag.StringVar(&p.Root, "root", ".", "the top of the repository")
	flag.StringVar(&o.work, "work", ".e2e/scale", "`directory` for logs and data; what is in it is removed")
	flag.IntVar(&o.clusters, "clusters", 10, "how many clusters")
	flag.IntVar(&o.concurrency, "concurrency", 0, "how many of them at a time; 0 for all")
	flag.DurationVar(&o.patience, "duration", 20*time.Minute, "the most that creating, upgrading and deleting may take each")
	flag.IntVar(&o.workers, "workers", 4, "how many region processes MAAS has")
	flag.DurationVar(&o.deploy, "deploy", 30*time.Second, "how long MAAS deploys a machine, a fifth more or less")
	flag.StringVar(&o.phases, "phases", strings.Join(campaign.Phases(), " "), "what is done with the clusters, in this order")
	flag.BoolVar(&o.write, "write", false, "put the figures into "+campaign.MeasuredFile+" and "+campaign.Page)
	flag.StringVar(&o.figures, "figures", "", "measure nothing; put what an earlier run kept in this `file` there")
	flag.Parse()
	if err := o.check(); err != nil {
		fail(2, err)
	}
	if o.concurrency <= 0 || o.concurrency > o.clusters {
		o.concurrency = o.clusters
	}
	for _, dir := range []*string{&p.Own, &p.Assets, &p.Kubernetes, &p.ClusterAPI, &p.Root, &o.work} {
		if absolute, err := filepath.Abs(*dir); err == nil && *dir != "" {
			*dir = absolute
		}
	}
	return o
}

// check refuses what would measure nothing, or what is no whole life for the page.
func (o *options) check() error {
	wanted := strings.Fields(o.phases)
	for _, phase := range wanted {
		if !slices.Contains(campaign.Phases(), phase) {
			return fmt.Errorf("there is no phase %q: there are %s", phase, strings.Join(campaign.Phases(), ", "))
		}
	}
	switch {
	case len(wanted) == 0:
		return fmt.Errorf("name a phase: %s", strings.Join(campaign.Phases(), ", "))
	case o.write && !slices.Equal(wanted, campaign.Phases()):
		return fmt.Errorf("%s has the figures of whole lives: leave out --phases, or --write", campaign.Page)
	}
	return nil
}

// run measures and writes what was measured, whatever broke.
func run(ctx context.Context, o options) (err error) {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	ctrl.SetLogger(klog.Background())
	if err := os.RemoveAll(o.work); err != nil {
		return fmt.Errorf("empty %s: %w", o.work, err)
	}
	if err := os.MkdirAll(o.work, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", o.work, err)
	}
	if err := errors.Join(world.Furnish(o.work), world.Own()); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(o.work, "timeline.log"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	timeline := scenario.NewTimeline(io.MultiWriter(os.Stdout, log), time.Now)
	figures, err := measure(ctx, o, timeline.Sayf)
	if len(figures.Phases) == 0 {
		return err
	}
	figures.Workers, figures.Deploy = o.workers, o.deploy
	fmt.Println(figures)
	return errors.Join(err, measured.Keep(filepath.Join(o.work, "figures.json"), figures), keep(ctx, o, figures))
}

// keep puts the figures into the repository where that is wanted, and nobody has broken off.
func keep(ctx context.Context, o options, figures campaign.Figures) error {
	if o.write && ctx.Err() == nil {
		return campaign.Write(o.programs.Root, figures)
	}
	return nil
}

// base is the first port of the management cluster.
const base = 20000

// measure starts everything, measures, and stops everything: the management cluster while MAAS still answers.
func measure(ctx context.Context, o options, sayf func(string, ...any)) (figures campaign.Figures, err error) {
	around, end := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer running.Wait()
	defer end()
	maasd, err := maas.Start(around, maas.Options{Clusters: o.clusters, Workers: o.workers, Deploy: o.deploy, Now: time.Now})
	if err != nil {
		return figures, err
	}
	defer func() { err = errors.Join(err, maasd.Stop()) }()
	sayf("simulated MAAS %s at %s: %d LXD hosts, %d region processes", maasd.Version(), maasd.URL, maasd.Hosts, o.workers)
	names, err := resolver.Start(around, netip.AddrPortFrom(world.Rack, 53), management.Lookup(maasd.Lookup))
	if err != nil {
		return figures, err
	}
	running.Go(names.Wait)
	host, err := workload.NewHost(around, time.Now, nil)
	if err != nil {
		return figures, err
	}
	machines := bodies.New(bodies.Config{
		MAAS: maasd, Host: host, Sayf: sayf, Versions: map[string]string{region.Image: campaign.Version, region.ImageBefore: campaign.VersionBefore},
	})
	running.Go(func() { machines.Run(around) })
	cluster, err := management.Start(ctx, management.Options{
		Programs: o.programs, Dir: filepath.Join(o.work, "management"), Base: base, Now: time.Now,
		MAAS: maasd.URL, Key: maasd.APIKey(),
	}, func(format string, args ...any) { sayf("management: "+format, args...) })
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	if err != nil {
		return figures, err
	}
	run, err := campaign.Start(ctx, campaign.Config{
		Clusters: o.clusters, Concurrency: o.concurrency, Patience: o.patience, Phases: strings.Fields(o.phases), MAAS: maasd, Bodies: machines.On, Sayf: sayf, Now: time.Now,
	}, cluster)
	if err != nil {
		return figures, err
	}
	defer run.Stop()
	return run.Run(ctx)
}
