package load

import (
	"context"
	"fmt"
	"time"

	"github.com/capmaas/capmaas/services/maassim"
)

const (
	// settling is how long a fleet is left alone before what it costs at rest is counted.
	settling = 3 * time.Minute
	// looking is for how long that is counted: a multiple of the interval at which Deployed machines are asked for.
	looking = 6 * time.Minute
	// held is for how much longer a deployment takes whose waiting is counted.
	held = 24 * time.Hour
)

// Figures are what was counted of one fleet.
type Figures struct {
	// Machines is how many there were, Hosts how many LXD hosts.
	Machines, Hosts int
	// Creating is from making all machines at once until they are provisioned, Deleting from deleting them at once until they
	// are gone.
	Creating, Deleting Usage
	// Idle is while all are provisioned, Waiting while all are Deploying and none moves.
	Idle, Waiting Usage
	// Seen is how long it took at most until a condition told of what had gone wrong with a machine that was ready.
	Seen time.Duration
	// StaticIP says that each VM has a fixed address.
	StaticIP bool
}

// Life is what a creation and a deletion cost together.
func (f Figures) Life() Usage { return f.Creating.plus(f.Deleting) }

// Measure counts what the machines of a fleet cost while they are made, ready, deleted, and while they wait. The fleet has
// none before and after.
func (f *Fleet) Measure(ctx context.Context) (Figures, error) {
	return f.measure(ctx, func(names []string, figures *Figures) (err error) {
		if figures.Idle, err = f.rest(ctx); err != nil {
			return err
		}
		figures.Seen, err = f.sight(ctx, names)
		return err
	}, f.wait)
}

// MeasureLives counts what making and deleting the machines costs, and nothing else.
func (f *Fleet) MeasureLives(ctx context.Context) (Figures, error) {
	return f.measure(ctx, func([]string, *Figures) error { return nil }, func(context.Context) (Usage, error) { return Usage{}, nil })
}

// measure makes the machines, does something with them when they are ready, deletes them, and measures the waiting.
func (f *Fleet) measure(
	ctx context.Context, whenReady func([]string, *Figures) error, wait func(context.Context) (Usage, error),
) (figures Figures, err error) {
	figures = Figures{Machines: f.options.Machines, Hosts: len(World(f.options.Machines, 1).Hosts), StaticIP: f.options.StaticIP}
	before := f.read()
	names, err := f.Create(ctx, f.options.Machines)
	if err == nil {
		err = f.AwaitReady(ctx, names)
	}
	if err != nil {
		return figures, err
	}
	figures.Creating = f.since(before)
	if err := whenReady(names, &figures); err != nil {
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
	figures.Waiting, err = wait(ctx)
	return figures, err
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

// rest counts what the fleet costs while nothing happens.
func (f *Fleet) rest(ctx context.Context) (Usage, error) {
	if err := f.Pass(ctx, settling); err != nil {
		return Usage{}, err
	}
	before := f.read()
	err := f.Pass(ctx, looking)
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
	if err := f.holdDeployments(); err != nil {
		return waiting, err
	}
	defer f.sim.ClearFaults()
	names, err := f.Create(ctx, f.options.Machines)
	if err != nil {
		return waiting, err
	}
	err = f.await(ctx, "all to be Deploying", func() bool { return f.deploying() == len(names) })
	if err != nil {
		return waiting, err
	}
	if waiting, err = f.rest(ctx); err != nil {
		return waiting, err
	}
	if err = f.Delete(ctx, names); err != nil {
		return waiting, err
	}
	return waiting, f.AwaitGone(ctx, names)
}

// deploying is how many machines MAAS deploys, hosts aside.
func (f *Fleet) deploying() int {
	count := 0
	for _, m := range f.sim.Machines() {
		if !m.VMHost && m.Status == "deploying" {
			count++
		}
	}
	return count
}
