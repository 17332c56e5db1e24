package load

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/capmaas/capmaas/test/stack"
)

const (
	// downFor is how long MAAS is away.
	downFor = 10 * time.Minute
	// window is over which requests are counted, in MAAS's time.
	window = 10 * time.Second
)

// Outage is what a fleet did while MAAS was away and after it came back.
type Outage struct {
	// Machines is how many there were, Waiting how many of them MAAS was deploying when it went.
	Machines, Waiting int
	// DroppedEarly is how many of the deleted ones were let go while MAAS was away, MissedWrongly how many machines were ever
	// said to be missing.
	DroppedEarly, MissedWrongly int
	// Working, Down and Back are the most requests in a window while the fleet was made at once, while MAAS was away, and
	// after it came back.
	Working, Down, Back int
	// Concurrent is the most requests that MAAS was ever sent at a time.
	Concurrent int
	// VMs is how many there are in LXD in the end.
	VMs int
}

// Outlive makes the fleet, takes MAAS away while a tenth of it is being deployed, deletes another tenth and makes as many new
// ones meanwhile, and waits until all has come to rest after MAAS is back.
func (f *Fleet) Outlive(ctx context.Context) (Outage, error) {
	o := Outage{Machines: f.options.Machines}
	tenth := max(1, f.options.Machines/10)
	began := now()
	stay, err := f.Create(ctx, f.options.Machines-tenth)
	if err == nil {
		err = f.AwaitReady(ctx, stay)
	}
	if err != nil {
		return o, err
	}
	waiting, err := f.more(ctx, "waiting", tenth)
	if err != nil {
		return o, err
	}
	if err := f.await(ctx, "some to be Deploying", func() bool { return f.deploying() > tenth/2 }); err != nil {
		return o, err
	}
	doomed := stay[len(stay)-tenth:]
	stay = append(slices.Clone(stay[:len(stay)-tenth]), waiting...)
	left := now()
	f.meter.Down(true)
	o.Waiting = f.deploying()
	if err := f.Delete(ctx, doomed); err != nil {
		return o, err
	}
	asked, err := f.more(ctx, "late", tenth)
	if err != nil {
		return o, err
	}
	if err := f.Pass(ctx, downFor); err != nil {
		return o, err
	}
	o.DroppedEarly = len(doomed) - f.machines.there(doomed)
	back := now()
	f.meter.Down(false)
	if err := f.AwaitReady(ctx, append(stay, asked...)); err != nil {
		return o, err
	}
	if err := f.AwaitGone(ctx, doomed); err != nil {
		return o, err
	}
	log := f.meter.Log()
	o.Working, o.Down, o.Back = f.most(log, began, left), f.most(log, left, back), f.most(log, back, now())
	o.Concurrent = concurrent(log)
	o.VMs = len(f.sim.LXD())
	o.MissedWrongly = f.machines.missed()
	return o, nil
}

// exceeded names what must not happen in an outage and did.
func (o Outage) exceeded() []string {
	var out []string
	most := func(what string, value, limit int) {
		if value > limit {
			out = append(out, fmt.Sprintf("%s with %d machines while MAAS was away or after it: %d, at most %d", what, o.Machines, value, limit))
		}
	}
	most("finalizers gone without a proof", o.DroppedEarly, 0)
	most("machines said to be missing", o.MissedWrongly, 0)
	most("requests at a time", o.Concurrent, AtOnce)
	most("requests in a window while MAAS is away", o.Down, o.Working)
	most("requests in a window once MAAS is back", o.Back, o.Working)
	if o.Waiting == 0 {
		out = append(out, "none of the machines waited for its deployment when MAAS went")
	}
	if o.VMs != o.Machines {
		out = append(out, fmt.Sprintf("VMs for %d machines after the outage: %d", o.Machines, o.VMs))
	}
	return out
}

// more adds machines to the last cluster.
func (f *Fleet) more(ctx context.Context, kind string, count int) ([]string, error) {
	names := make([]string, count)
	for n := range count {
		names[n] = fmt.Sprintf("%s-%s%d", f.clusters[len(f.clusters)-1], kind, n)
	}
	return names, inParallel(count, func(n int) error { return stack.MakeMachine(ctx, f.client, f.plan(names[n], false)) })
}

// most is the most requests that began within a window between two times.
func (f *Fleet) most(log []stack.Request, from, to time.Time) int {
	var begins []time.Time
	for _, r := range log {
		if !r.Began.Before(from) && r.Began.Before(to) {
			begins = append(begins, r.Began)
		}
	}
	slices.SortFunc(begins, time.Time.Compare)
	most, first := 0, 0
	for i, at := range begins {
		for at.Sub(begins[first]) >= f.real(window) {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// concurrent is the most requests that were under way at a time.
func concurrent(log []stack.Request) int {
	type edge struct {
		at   time.Time
		step int
	}
	edges := make([]edge, 0, 2*len(log))
	for _, r := range log {
		edges = append(edges, edge{r.Began, 1}, edge{r.Ended, -1})
	}
	slices.SortFunc(edges, func(a, b edge) int {
		if order := a.at.Compare(b.at); order != 0 {
			return order
		}
		return a.step - b.step
	})
	most, running := 0, 0
	for _, e := range edges {
		running += e.step
		most = max(most, running)
	}
	return most
}

// How many requests the service may send at a time: those that wait for LXD or for power, of these to one host, lists, and
// short ones (protocol rule 7.5 and --maas-host-calls).
const (
	longAtOnce  = 6
	hostAtOnce  = 2
	listAtOnce  = 1
	shortAtOnce = 4
	// AtOnce is all of them.
	AtOnce = longAtOnce + listAtOnce + shortAtOnce
)
