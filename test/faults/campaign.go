package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/resolver"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// Options say how long a campaign is and where it runs.
type Options struct {
	// Config reaches an API server with the custom resources.
	Config *rest.Config
	// Seed makes what happens repeat, as far as it does not depend on when something else happens.
	Seed uint64
	// Lifecycles is how many MaasMachines are made and deleted at least.
	Lifecycles int
	// Extra is how many more are made at most while there are boundaries at which nothing died.
	Extra int
	// Worlds is how many stacks there are at a time, each with a MAAS of its own.
	Worlds int
	// PerRound is how many machines each world makes in a round.
	PerRound int
	// Patience is how long nothing may change any more, once nothing is disturbed, while something is not as it must be. What
	// is then not done counts as stuck.
	Patience time.Duration
	// Out gets the progress, the stories of what is wrong, and the figures.
	Out io.Writer
	// Logs gets the log of every service; nil for nobody.
	Logs io.Writer
	// Stacks is a directory for the stacks of all goroutines while something does not move; empty for none.
	Stacks string
}

// Figures are what a campaign counted.
type Figures struct {
	Lifecycles, Kills              int
	Cuts, Offs                     int // times at which a manager lost the API server, and somebody switched a machine off
	Hit, Known                     int
	Leaked, Doubled, Stolen, Stuck int
}

// Violations is how many things were not as they must be.
func (f Figures) Violations() int { return f.Leaked + f.Doubled + f.Stolen + f.Stuck }

// String is the last line of a campaign.
func (f Figures) String() string {
	return fmt.Sprintf("lifecycles=%d kills=%d boundaries=%d/%d leaked=%d doubled=%d stolen=%d stuck=%d",
		f.Lifecycles, f.Kills, f.Hit, f.Known, f.Leaked, f.Doubled, f.Stolen, f.Stuck)
}

// Campaign is one run.
type Campaign struct {
	options    Options
	config     *rest.Config
	dir        string
	boundaries *boundaries
	kills      atomic.Int64
	cuts       atomic.Int64
	offs       atomic.Int64
	lives      atomic.Int64
	ended      atomic.Bool
	zombies    sync.WaitGroup
	worlds     sync.Map // those that are there, by name

	mu         sync.Mutex
	violations map[kind]int
	errs       []error
	quit       context.CancelFunc
}

// progressEvery is how often the progress is told.
const progressEvery = 10 * time.Second

// Run runs a campaign. Violations are counted, not errors: an error means that the campaign itself could not go on.
func Run(ctx context.Context, options Options) (Figures, error) {
	resolver.Register(replicas{})
	dir, err := os.MkdirTemp("", "faults-")
	if err != nil {
		return Figures{}, fmt.Errorf("make a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	config := rest.CopyConfig(options.Config)
	config.QPS = -1 // the default of twenty requests a second is a fiftieth of what time runs faster here
	c := &Campaign{options: options, config: config, dir: dir, boundaries: newBoundaries(options.Seed), violations: map[kind]int{}, quit: quit}
	c.printf("seed=%d lifecycles=%d worlds=%d: SEED=%d LIFECYCLES=%d repeats this", options.Seed, options.Lifecycles, options.Worlds, options.Seed, options.Lifecycles)
	began := now()
	reporting, stopReports := context.WithCancel(ctx)
	var reports sync.WaitGroup
	reports.Go(func() { c.report(reporting, began) })
	var worlds sync.WaitGroup
	for n := range options.Worlds {
		worlds.Go(func() {
			if err := c.runWorlds(ctx, n); err != nil {
				c.fail(err)
			}
		})
	}
	worlds.Wait()
	c.ended.Store(true)
	stopReports()
	reports.Wait()
	c.zombies.Wait()
	c.boundaries.each(func(b boundary, deaths int) { c.printf("deaths=%d at %s", deaths, b) })
	return c.figures(), errors.Join(c.errs...)
}

// runWorlds runs rounds in one world, and in a fresh one after something was wrong, until there were enough.
func (c *Campaign) runWorlds(ctx context.Context, number int) error {
	for ; ctx.Err() == nil && !c.enough(); number += c.options.Worlds {
		w, err := newWorld(ctx, c, number)
		if err != nil {
			return err
		}
		c.worlds.Store(w.name, w)
		err = w.rounds(ctx)
		c.worlds.Delete(w.name)
		w.close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Campaign) enough() bool {
	hit, known := c.boundaries.figures()
	extra := c.lives.Load() - int64(c.options.Lifecycles)
	return extra >= int64(c.options.Extra) || extra >= 0 && hit == known
}

func (c *Campaign) over() bool { return c.ended.Load() }

// fail ends the campaign.
func (c *Campaign) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs = append(c.errs, err)
	c.quit()
}

func (c *Campaign) printf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.options.Out, format+"\n", args...)
}

func (c *Campaign) logs() io.Writer {
	if c.options.Logs != nil {
		return c.options.Logs
	}
	return io.Discard
}

// apiAddress is the host:port of the API server.
func (c *Campaign) apiAddress() string {
	if u, err := url.Parse(c.config.Host); err == nil && u.Host != "" {
		return u.Host
	}
	return c.config.Host
}

func (c *Campaign) figures() Figures {
	c.mu.Lock()
	defer c.mu.Unlock()
	hit, known := c.boundaries.figures()
	return Figures{
		Lifecycles: int(c.lives.Load()), Kills: int(c.kills.Load()), Cuts: int(c.cuts.Load()), Offs: int(c.offs.Load()), Hit: hit, Known: known,
		Leaked: c.violations[leaked], Doubled: c.violations[doubled], Stolen: c.violations[stolen], Stuck: c.violations[stuck],
	}
}

func (c *Campaign) report(ctx context.Context, began time.Time) {
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f := c.figures()
			c.printf("%s %s cuts=%d offs=%d", time.Since(began).Round(time.Second), f, f.Cuts, f.Offs)
			c.worlds.Range(func(_, there any) bool {
				if w := there.(*world); w.waiting() != "" {
					c.printf("  %s waits for %s", w.name, w.waiting())
				}
				return true
			})
		}
	}
}

// count notes what is wrong and tells its story.
func (c *Campaign) count(w *world, v violation) {
	c.mu.Lock()
	c.violations[v.kind]++
	c.mu.Unlock()
	c.printf("%s %s in %s: %s", v.kind, v.object, w.namespace, v.what)
}

const (
	// clustersPerWorld is in how many clusters the machines of a world are.
	clustersPerWorld = 3
	// renewEvery is after how many rounds a cluster is deleted and another made.
	renewEvery = 3
	// mostPatience bounds, in patiences, how long a stack that goes on and on may take to come to rest.
	mostPatience = 5
	// longestDisturbance bounds how long everything is disturbed at a stretch.
	longestDisturbance = 30 * time.Second
)

// rounds runs rounds until there were enough, and then leaves nothing; it ends early after something was wrong.
func (w *world) rounds(ctx context.Context) error {
	if err := w.makeClusters(ctx); err != nil {
		return err
	}
	var there []*life
	for round := 0; ctx.Err() == nil; round++ {
		last := w.campaign.enough()
		born, err := w.bear(ctx, round, last)
		if err != nil {
			return err
		}
		if err := w.disturbed(ctx, append(born, there...)); err != nil {
			return err
		}
		var ok bool
		if there, ok, err = w.settle(ctx, append(born, there...)); err != nil || !ok {
			return err
		}
		if last && len(there) == 0 {
			return w.leaveNothing(ctx)
		}
		if len(there) == 0 || round%renewEvery == renewEvery-1 {
			if there, ok, err = w.renewCluster(ctx, round, there); err != nil || !ok {
				return err
			}
		}
	}
	return nil
}

// bear plans the machines of a round; the last one only buries.
func (w *world) bear(ctx context.Context, round int, last bool) ([]*life, error) {
	if last {
		return nil, nil
	}
	born := w.plan(round, w.campaign.options.PerRound)
	return born, w.inherit(ctx, born)
}

func (w *world) makeClusters(ctx context.Context) error {
	for n := range clustersPerWorld {
		c, err := w.makeCluster(ctx, fmt.Sprintf("%s-c%d", w.name, n))
		if err != nil {
			return err
		}
		w.clusters = append(w.clusters, c)
	}
	return nil
}

// disturbed leads the machines through a round in which everything dies and fails.
func (w *world) disturbed(ctx context.Context, lives []*life) error {
	return w.whileDisturbed(ctx, func(ctx context.Context) error {
		w.live(ctx, lives)
		return nil
	})
}

// whileDisturbed does something while everything dies and fails. What has not ended by itself after a while ends in peace.
func (w *world) whileDisturbed(ctx context.Context, do func(context.Context) error) error {
	bounded, end := context.WithTimeout(ctx, longestDisturbance)
	var actors sync.WaitGroup
	w.be(disturbed)
	for _, act := range []func(context.Context){w.trouble, w.unsettle, w.switchOff, w.alice.work, w.operate} {
		actors.Go(func() { act(bounded) })
	}
	actors.Go(func() {
		<-bounded.Done()
		w.be(resting)
	})
	err := do(ctx)
	end()
	actors.Wait()
	w.revival.Wait()
	return err
}

// settle waits until nothing is wrong any more. It gives the machines that are there, and says whether all is well.
func (w *world) settle(ctx context.Context, lives []*life) (there []*life, ok bool, err error) {
	var wrong []violation
	began, moved, deaths, kept := now(), now(), 0, false
	for ctx.Err() == nil {
		if wrong, err = w.compare(ctx); err != nil && ctx.Err() == nil {
			return nil, false, err
		}
		var moves bool
		if moves, deaths = w.waitsFor(wrong, deaths); moves {
			moved = now()
		}
		if len(wrong) == 0 || time.Since(moved) > w.campaign.options.Patience || time.Since(began) > mostPatience*w.campaign.options.Patience {
			break
		}
		kept = kept || w.keepStacks(time.Since(moved), len(wrong))
		if err := w.remediate(ctx); err != nil {
			return nil, false, err
		}
		pause(ctx, 4*glance)
	}
	if ctx.Err() != nil {
		return nil, false, ctx.Err()
	}
	for _, v := range wrong {
		v.what += "\n  events:\n    " + w.eventsOf(ctx, v.object)
		w.campaign.count(w, v)
	}
	if len(wrong) > 0 {
		w.campaign.printf("  what was disturbed last in %s:\n    %s", w.namespace, w.lastStories())
		return nil, false, nil
	}
	for _, l := range lives {
		if here := l.state(ctx); here != gone {
			l.ending, l.deleted = inBetween, laterLife*l.deleted
			there = append(there, l)
			continue
		}
		if err := l.removeMachine(ctx); err != nil {
			return nil, false, err
		}
		w.campaign.lives.Add(1)
	}
	return there, true, w.alice.clean()
}

// remediate deletes machines that failed for good before they were ever deployed, as Cluster API's health check does.
func (w *world) remediate(ctx context.Context) error {
	var all infrav1.MaasMachineList
	if err := w.seen.List(ctx, &all); err != nil {
		return fmt.Errorf("list MaasMachines: %w", err)
	}
	for i := range all.Items {
		if stateOf(&all.Items[i]) != failed {
			continue
		}
		w.storyf("%s failed for good and is remediated", all.Items[i].Name)
		if err := client.IgnoreNotFound(w.client.Delete(ctx, &all.Items[i])); err != nil {
			return fmt.Errorf("remediate: %w", err)
		}
	}
	return nil
}
