// Command e2e lets this provider carry real clusters: the genuine managers of Cluster API, and machines that run genuine kubeadm
// from the user data that a simulated MAAS received. It needs Linux and root; see the README beside it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/capmaas/capmaas/test/e2e/internal/scenario"
	"github.com/capmaas/capmaas/test/e2e/internal/world"
)

// scenarios are what can be told, by name. Those that are more are told when they are asked for.
var scenarios = []struct {
	name, about string
	tell        func(*scenario.Run, context.Context) error
	more        bool
}{
	{"create", "three control planes in VMs in three zones, two bare-metal workers, one worker VM", (*scenario.Run).Create, false},
	{"scale", "the control plane to five and back to three, the workers with it", (*scenario.Run).Scale, false},
	{"upgrade", "every machine to the next patch release", (*scenario.Run).Upgrade, false},
	{"dead-vm", "a VM of the control plane dies and is replaced", (*scenario.Run).DeadVM, false},
	{"dead-host", "the LXD host under a VM of the control plane dies, and comes back after the VM is replaced", (*scenario.Run).DeadHost, true},
	{"dead-zone", "the LXD hosts of a zone die with a VM of the control plane and a worker VM, and come back after both are replaced elsewhere", (*scenario.Run).DeadZone, true},
	{"maas-down", "MAAS is down while the cluster is to grow", (*scenario.Run).MAASDown, true},
	{"pause", "a machine of a paused cluster is deleted", (*scenario.Run).Pause, true},
	{"move", "to a second management cluster with clusterctl, and back, with nothing made anew", (*scenario.Run).Move, false},
	{"delete", "nothing left in Kubernetes, MAAS, LXD and DNS", (*scenario.Run).Delete, false},
	{"endpoint", "a small cluster whose API server has a name and a port that its user wants", (*scenario.Run).Endpoint, true},
	{"subnets", "a cluster whose VMs are in two subnets, and whose control plane is reached in the one that is preferred", (*scenario.Run).Subnets, true},
	{"topology", "another cluster, of a class; it is rebased to a class with the next patch release and deleted", (*scenario.Run).Topology, true},
}

// disturbed is the scenario in which our processes and MAAS always die.
const disturbed = "upgrade"

// options are what the flags say.
type options struct {
	config               scenario.Config
	keep, check, disturb bool
	tell                 []string
	// program is run, with its arguments, in place of scenarios.
	program []string
}

func main() {
	o := parse()
	if !world.Inside() {
		os.Exit(world.Again("e2e", os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := within(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
}

func parse() options {
	var o options
	var names, usual []string
	for _, s := range scenarios {
		names = append(names, s.name)
		if !s.more {
			usual = append(usual, s.name)
		}
	}
	p := &o.config.Programs
	flag.StringVar(&p.Own, "bin", "bin", "`directory` with manager, lxdprovisioner and machine")
	flag.StringVar(&p.Assets, "assets", "", "`directory` with etcd and kubectl")
	flag.StringVar(&p.Kubernetes, "kubernetes", "", "`directory` with kubeadm and the control plane")
	flag.StringVar(&o.config.Before, "kubernetes-before", "", "`directory` with those of the patch release before")
	flag.StringVar(&p.ClusterAPI, "managers", "", "`directory` with Cluster API's managers and their manifests")
	flag.StringVar(&p.Root, "root", ".", "the top of the repository")
	flag.StringVar(&o.config.Work, "work", ".e2e", "`directory` for logs and data; what is in it is removed")
	all := flag.Bool("all", false, "tell every scenario")
	program := flag.String("exec", "", "`program` that is run inside with the arguments, in place of scenarios")
	flag.DurationVar(&o.config.Patience, "patience", scenario.Patience, "how long anything may take that is waited for")
	flag.BoolVar(&o.keep, "keep", false, "leave everything running at the end, until Ctrl-C")
	flag.BoolVar(&o.check, "check", false, "say what this machine lacks for a run, and do nothing else")
	flag.BoolVar(&o.disturb, "disturb", false, "let our manager, the service's replicas and MAAS die by turns in every scenario, not only in "+disturbed)
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "Usage: e2e [flags] [scenario ...] | e2e [flags] --exec program [argument ...]\nscenarios, in their order:\n")
		for _, s := range scenarios {
			fmt.Fprintf(flag.CommandLine.Output(), "  %-10s %s\n", s.name, s.about)
		}
		flag.PrintDefaults()
	}
	flag.Parse()
	switch o.tell = flag.Args(); {
	case *program != "":
		o.program, o.tell = append([]string{*program}, flag.Args()...), nil
	case *all:
		o.tell = names
	case len(o.tell) == 0:
		o.tell = usual
	}
	for _, name := range o.tell {
		if !slices.Contains(names, name) {
			fmt.Fprintf(os.Stderr, "e2e: no scenario %q; there are %s\n", name, strings.Join(names, ", "))
			os.Exit(2)
		}
	}
	for _, dir := range []*string{&p.Own, &p.Assets, &p.Kubernetes, &o.config.Before, &p.ClusterAPI, &p.Root, &o.config.Work} {
		if *dir == "" {
			continue
		}
		if absolute, err := filepath.Abs(*dir); err == nil {
			*dir = absolute
		}
	}
	return o
}

// within is what is done inside.
func within(ctx context.Context, o options) error {
	if o.check {
		return world.Rehearse()
	}
	return run(ctx, o)
}

// run tells the scenarios, each on what the one before has left.
func run(ctx context.Context, o options) (err error) {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	ctrl.SetLogger(klog.Background())
	work := o.config.Work
	if err := os.RemoveAll(work); err != nil {
		return fmt.Errorf("empty %s: %w", work, err)
	}
	if err := os.MkdirAll(work, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", work, err)
	}
	if err := world.Furnish(work); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(work, "timeline.log"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	o.config.Now = time.Now
	o.config.Timeline = scenario.NewTimeline(io.MultiWriter(os.Stdout, log), time.Now)
	r, err := scenario.Start(ctx, o.config)
	if err == nil {
		err = tell(ctx, o, r)
	}
	switch {
	case o.keep && ctx.Err() != nil:
		o.config.Timeline.Sayf("interrupted; logs are in %s", work)
	case err != nil:
		o.config.Timeline.Sayf("failed: %v", err)
		err = errors.Join(err, r.Evidence(ctx))
		o.config.Timeline.Sayf("objects and logs are in %s", work)
	}
	return errors.Join(err, r.Stop())
}

func tell(ctx context.Context, o options, r *scenario.Run) error {
	for _, s := range scenarios {
		if !slices.Contains(o.tell, s.name) {
			continue
		}
		o.config.Timeline.Sayf("=== %s: %s", s.name, s.about)
		if err := r.Tell(ctx, s.tell, o.disturb || s.name == disturbed); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		o.config.Timeline.Sayf("=== %s passed; MAAS has served %d requests", s.name, r.Requests())
	}
	if len(o.program) > 0 {
		if err := r.Program(ctx, o.program); err != nil {
			return err
		}
	}
	if o.keep {
		if err := r.Explain(ctx); err != nil {
			return err
		}
		<-ctx.Done()
	}
	return nil
}
