package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/capmaas/capmaas/services/maassim"
)

const (
	// settling is how long a fleet is left alone before what it costs when it is ready is counted: what follows a thousand
	// creations takes minutes. queued is the same for one that waits, which MAAS gives 30 minutes in all.
	settling = 10 * time.Minute
	queued   = 3 * time.Minute
	// idleFor and waitFor are how long the two are counted: what is done the least often while nothing happens, the search for
	// orphans, is done each half hour and counts at its share; whoever waits must be counted before MAAS gives up.
	idleFor = 30 * time.Minute
	waitFor = 6 * time.Minute
	// held is for how much longer a deployment takes whose waiting is counted.
	held = 24 * time.Hour
)

// Figures are what the lives of a fleet cost.
type Figures struct {
	// Machines is how many there were, Hosts how many LXD hosts.
	Machines, Hosts int
	// Speed is how much faster than the clock MAAS's time ran.
	Speed float64
	// Creating is from making all machines at once until they are provisioned, Deleting from deleting them at once until they
	// are gone.
	Creating, Deleting Usage
	// StaticIP says that each VM has a fixed address.
	StaticIP bool
}

// Rest is what a fleet cost that did not change.
type Rest struct {
	// Machines is how many there were, Hosts how many LXD hosts.
	Machines, Hosts int
	// Idle is while all are provisioned, Waiting while all are Deploying and none moves.
	Idle, Waiting Usage
	// Seen is how long it took at most until a condition told of what had gone wrong with a machine that was ready.
	Seen time.Duration
}

// Life is what a creation and a deletion cost together.
func (f Figures) Life() Usage { return f.Creating.plus(f.Deleting) }

// MeasureLives counts what the machines of a fleet cost while they are made and deleted. The fleet has none before and after.
func (f *Fleet) MeasureLives(ctx context.Context) (Figures, error) {
	return f.live(ctx, func([]string) error { return nil })
}

// MeasureRest counts what the machines of a fleet cost while they are ready and while they wait, and what their lives cost.
func (f *Fleet) MeasureRest(ctx context.Context) (rest Rest, lives Figures, err error) {
	rest = Rest{Machines: f.options.Machines, Hosts: f.hosts()}
	lives, err = f.live(ctx, func(names []string) (err error) {
		if rest.Idle, err = f.rest(ctx, settling, idleFor); err != nil {
			return err
		}
		rest.Seen, err = f.sight(ctx, names)
		return err
	})
	if err == nil {
		rest.Waiting, err = f.wait(ctx)
	}
	return rest, lives, err
}

// hosts is how many LXD hosts there are.
func (f *Fleet) hosts() int { return len(World(f.options.Machines, 1).Hosts) }

// live makes the machines, does something when they are ready, and deletes them.
func (f *Fleet) live(ctx context.Context, whenReady func(names []string) error) (Figures, error) {
	figures := Figures{Machines: f.options.Machines, Hosts: f.hosts(), Speed: f.options.Speed, StaticIP: f.options.StaticIP}
	before := f.read()
	names, err := f.Create(ctx, f.options.Machines)
	if err == nil {
		err = f.AwaitReady(ctx, names)
	}
	if err != nil {
		return figures, err
	}
	figures.Creating = f.since(before)
	if err := whenReady(names); err != nil {
		return figures, err
	}
	before = f.read()
	if err := f.Delete(ctx, names); err != nil {
		return figures, err
	}
	if err := f.AwaitGone(ctx, names); err != nil {
		return figures, err
	}
	figures.Deleting = f.since(before)
	return figures, nil
}

// sight lets something go wrong with a machine that is ready, in the ways that show in different lists, and gives the longest
// time until a condition told. What began right after a look is seen at the next one: the wait is as long as it can be.
func (f *Fleet) sight(ctx context.Context, names []string) (longest time.Duration, err error) {
	for i, wrong := range []maassim.Ending{{ByHand: true, Status: "broken"}, {ByHand: true, Status: "deployed", Power: "off"}, {ByHand: true, Status: "broken"}} {
		name := names[i%len(names)]
		began := now()
		if err := f.change(ctx, name, wrong, false); err != nil {
			return 0, err
		}
		longest = max(longest, f.simulated(time.Since(began)))
		if err := f.change(ctx, name, maassim.Ending{ByHand: true, Status: "deployed", Power: "on"}, true); err != nil {
			return 0, err
		}
	}
	return longest, nil
}

// change writes into MAAS what is so of a machine, and waits until its condition says that it is deployed, or that it is not.
func (f *Fleet) change(ctx context.Context, name string, what maassim.Ending, deployed bool) error {
	if err := f.sim.Finish(f.machines.vm(name), what); err != nil {
		return fmt.Errorf("change %s: %w", name, err)
	}
	return f.await(ctx, fmt.Sprintf("MachineDeployed=%t of %s", deployed, name), func() bool { return f.machines.deployed(name) == deployed })
}

// rest counts what the fleet costs for so long while nothing happens, after a time in which nothing is counted.
func (f *Fleet) rest(ctx context.Context, after, counted time.Duration) (Usage, error) {
	if err := f.Pass(ctx, after); err != nil {
		return Usage{}, err
	}
	before := f.read()
	err := f.Pass(ctx, counted)
	return f.since(before), err
}

// holdDeployments lets none end.
func (f *Fleet) holdDeployments() error {
	if err := f.sim.AddFaults(maassim.Fault{Operation: "machines.deploy", Effect: maassim.EffectSlow, Latency: held}); err != nil {
		return fmt.Errorf("hold deployments: %w", err)
	}
	return nil
}

// wait counts what machines cost whose deployment does not end.
func (f *Fleet) wait(ctx context.Context) (waiting Usage, err error) {
	if err := f.removeClusters(ctx); err != nil {
		return waiting, err
	}
	if err := f.holdDeployments(); err != nil {
		return waiting, err
	}
	defer f.sim.ClearFaults()
	names, err := f.Create(ctx, f.options.Machines)
	if err != nil {
		return waiting, err
	}
	if err = f.awaitDeploying(ctx, len(names)); err != nil {
		return waiting, err
	}
	if waiting, err = f.rest(ctx, queued, waitFor); err != nil {
		return waiting, err
	}
	if f.deploying() != len(names) {
		return waiting, errGivenUp
	}
	if err = f.Delete(ctx, names); err != nil {
		return waiting, err
	}
	return waiting, f.AwaitGone(ctx, names)
}

// errGivenUp says that what was to be counted is not what machines cost that wait.
var errGivenUp = errors.New("MAAS gave up deployments, which it does after half an hour of its time, before all machines had been counted: " +
	"this computer is too busy for MAAS's time to run so fast")

// awaitDeploying waits until MAAS deploys so many machines, or has given one up.
func (f *Fleet) awaitDeploying(ctx context.Context, count int) error {
	failed := func() bool { return f.inState("failed_deployment") > 0 }
	err := f.await(ctx, "all to be Deploying", func() bool { return f.deploying() == count || failed() })
	if err == nil && failed() {
		return errGivenUp
	}
	return err
}

// deploying is how many machines MAAS deploys, hosts aside.
func (f *Fleet) deploying() int { return f.inState("deploying") }

// inState is how many machines MAAS shows in a state, hosts aside.
func (f *Fleet) inState(status string) int {
	count := 0
	for _, m := range f.sim.Machines() {
		if !m.VMHost && m.Status == status {
			count++
		}
	}
	return count
}
