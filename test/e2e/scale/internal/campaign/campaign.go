// Package campaign lets many clusters live at once, from their creation over an upgrade to their deletion, and measures what
// that costs.
package campaign

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/test/e2e/internal/management"
	"github.com/capmaas/capmaas/test/e2e/scale/internal/maas"
	"github.com/capmaas/capmaas/test/process"
)

// The versions between which clusters are upgraded.
const (
	Version       = "v1.36.3"
	VersionBefore = "v1.36.2"
)

// life is what is done with each cluster, in this order.
var life = []struct {
	phase string
	do    func(*Campaign, context.Context, string) error
}{{"create", (*Campaign).create}, {"upgrade", (*Campaign).upgrade}, {last, (*Campaign).delete}}

// last is the phase that is not left out where one before it fails.
const last = "delete"

// Phases are those of the clusters' lives, in their order.
func Phases() []string {
	var all []string
	for _, part := range life {
		all = append(all, part.phase)
	}
	return all
}

// Config says what a campaign needs.
type Config struct {
	// Clusters is how many there are to be, Concurrency how many of them are made, upgraded or deleted at a time.
	Clusters, Concurrency int
	// Patience bounds each phase.
	Patience time.Duration
	// Phases are those of Phases that are wanted.
	Phases []string
	// MAAS is where their machines are.
	MAAS *maas.MAAS
	// Bodies is how many machines are switched on.
	Bodies func() int
	// Sayf is told what happens.
	Sayf func(format string, args ...any)
	// Now tells the time.
	Now func() time.Time
}

// Campaign is what runs.
type Campaign struct {
	Config
	*management.Cluster

	watcher *watcher

	mu     sync.Mutex
	made   int             // machines of this phase
	vms    []time.Duration // by how much longer than MAAS alone they took
	metal  []time.Duration
	gone   []time.Duration // from the deletion of a machine of this phase until it was gone
	queues map[string]int  // the longest of this phase that were seen
}

// Start begins to watch a management cluster.
func Start(ctx context.Context, config Config, cluster *management.Cluster) (*Campaign, error) {
	c := &Campaign{Config: config, Cluster: cluster}
	var err error
	c.watcher, err = watch(ctx, cluster.Config, config.Now, c.born, c.died)
	return c, err
}

// Stop ends the watching.
func (c *Campaign) Stop() { c.watcher.end() }

// Run lets all clusters live. Where a phase fails, its figures are kept and those after it are left out, but for the deletion.
func (c *Campaign) Run(ctx context.Context) (Figures, error) {
	f := Figures{Clusters: c.Clusters, Concurrency: c.Concurrency, CPUs: runtime.NumCPU(), Hosts: c.MAAS.Hosts}
	var err error
	for _, part := range life {
		if !slices.Contains(c.Phases, part.phase) || err != nil && part.phase != last {
			continue
		}
		p, failed := c.phase(ctx, part.phase, func(ctx context.Context, cluster string) error { return part.do(c, ctx, cluster) })
		f.Phases = append(f.Phases, p)
		err = errors.Join(err, failed)
	}
	if err == nil && slices.Contains(c.Phases, last) {
		err = c.nothingLeft(ctx)
	}
	if err != nil {
		f.Broke = err.Error()
	}
	return f, err
}

// phase does something with every cluster, so many at a time.
func (c *Campaign) phase(ctx context.Context, name string, do func(context.Context, string) error) (Phase, error) {
	c.Sayf("=== %s %d clusters, %d at a time", name, c.Clusters, c.Concurrency)
	c.begin()
	before, err := c.read()
	if err != nil {
		return Phase{Name: name}, err
	}
	watching, stop := context.WithCancel(ctx)
	var queues sync.WaitGroup
	queues.Go(func() { c.watchQueues(watching, name) })
	bounded, cancel := context.WithTimeout(ctx, c.Patience)
	times, err := c.each(bounded, do)
	cancel()
	stop()
	queues.Wait()
	after, readErr := c.read()
	p := c.between(before, after)
	p.Name, p.Done, p.Clusters = name, len(times), spreadOf(times)
	c.Sayf("=== %s: %d of %d clusters in %s; one took %s, at most %s; %d requests to MAAS", name, p.Done, c.Clusters,
		p.Time.Round(time.Second), p.Clusters.Median.Round(time.Second), p.Clusters.Most.Round(time.Second), p.Requests().Count)
	return p, errors.Join(err, readErr)
}

// each does something with every cluster and gives the times of those that are through.
func (c *Campaign) each(ctx context.Context, do func(context.Context, string) error) (times []time.Duration, err error) {
	slots := make(chan struct{}, c.Concurrency)
	var mu sync.Mutex
	var all sync.WaitGroup
	for n := range c.Clusters {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			name, began := fmt.Sprintf("scale-%03d", n+1), c.Now()
			failed := do(ctx, name)
			mu.Lock()
			defer mu.Unlock()
			if failed == nil {
				times = append(times, c.Now().Sub(began))
			}
			err = errors.Join(err, failed)
		})
	}
	all.Wait()
	return times, err
}

func (c *Campaign) create(ctx context.Context, name string) error {
	objects, err := c.sample(name, older)
	if err != nil {
		return err
	}
	if err := c.apply(ctx, objects); err != nil {
		return err
	}
	return c.await(ctx, "cluster "+name+" to be available", func() error { return c.watcher.settled(name, older.version, older.version) })
}

// upgrade replaces the control plane and then the workers, as Kubernetes wants it.
func (c *Campaign) upgrade(ctx context.Context, name string) error {
	objects, err := c.sample(name, newer)
	if err != nil {
		return err
	}
	if err := c.apply(ctx, objects, "MaasMachineTemplate", "KubeadmControlPlane"); err != nil {
		return err
	}
	err = c.await(ctx, "the control plane of "+name+" to be upgraded", func() error { return c.watcher.settled(name, newer.version, older.version) })
	if err != nil {
		return err
	}
	if err := c.apply(ctx, objects, "MachineDeployment"); err != nil {
		return err
	}
	return c.await(ctx, "the workers of "+name+" to be upgraded", func() error { return c.watcher.settled(name, newer.version, newer.version) })
}

func (c *Campaign) delete(ctx context.Context, name string) error {
	cluster := &clusterv1.Cluster{}
	cluster.Namespace, cluster.Name = namespace, name
	if err := c.Client.Delete(ctx, cluster); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete cluster %s: %w", name, err)
	}
	return c.await(ctx, "cluster "+name+" to be deleted", func() error { return c.watcher.left(name) })
}

// await looks until something holds or the phase's time is up.
func (c *Campaign) await(ctx context.Context, what string, check func() error) error {
	return process.Await(ctx, what, c.Patience, c.Alive, func(context.Context) error { return check() })
}

// nothingLeft waits until MAAS and Kubernetes are as before: what is released takes a while.
func (c *Campaign) nothingLeft(ctx context.Context) error {
	return process.Await(ctx, "nothing to be left", 5*time.Minute, c.Alive, func(ctx context.Context) error {
		left := c.MAAS.Left()
		if on := c.Bodies(); on > 0 {
			left = append(left, fmt.Sprintf("%d machines are switched on", on))
		}
		for _, list := range []client.ObjectList{&infrav1.MaasClusterList{}, &infrav1.MaasMachineTemplateList{}, &corev1.SecretList{}} {
			if err := c.Client.List(ctx, list, client.InNamespace(namespace)); err != nil {
				return err
			}
			if n := meta.LenList(list); n > 0 {
				left = append(left, fmt.Sprintf("%d objects of %T", n, list))
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("%d things are left: %s", len(left), strings.Join(left[:min(len(left), 10)], "; "))
		}
		return nil
	})
}

// born notes by how much longer a machine took than MAAS alone.
func (c *Campaign) born(b birth) {
	life, ok := c.MAAS.Life(b.systemID)
	own, done := life.Own()
	added := b.provisioned.Sub(b.wanted()) - own
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made++
	if !ok || !done {
		c.Sayf("machine %s was provisioned before MAAS called it Deployed", b.systemID)
		return
	}
	if b.vm {
		c.vms = append(c.vms, added)
	} else {
		c.metal = append(c.metal, added)
	}
}

// died notes how long a machine took to go.
func (c *Campaign) died(took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = append(c.gone, took)
}

func (c *Campaign) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made, c.vms, c.metal, c.gone, c.queues = 0, nil, nil, nil, make(map[string]int)
	c.MAAS.ResetLoad()
}
