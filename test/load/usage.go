package load

import (
	"maps"
	"slices"
	"time"

	"github.com/capmaas/capmaas/test/stack"
)

// Cost is what the calls of one operation took.
type Cost struct {
	// Requests and Bytes are those that passed the meter.
	stack.Traffic

	// Region is the time that MAAS itself took, by the simulator's cost model.
	Region time.Duration
}

// Usage is what a time cost MAAS.
type Usage struct {
	// Operations are the costs by operation.
	Operations map[string]Cost
	// Time is how much of MAAS's time passed.
	Time time.Duration
}

// reading is what the counters show.
type reading struct {
	at   time.Time
	cost map[string]Cost
}

// read reads the counters.
func (f *Fleet) read() reading {
	r := reading{at: now(), cost: map[string]Cost{}}
	regional := f.sim.Load().Operations
	for operation, traffic := range f.meter.Traffic() {
		r.cost[operation] = Cost{Traffic: traffic, Region: regional[operation].Region}
	}
	return r
}

// since is what was used after an earlier reading.
func (f *Fleet) since(before reading) Usage {
	after := f.read()
	u := Usage{Operations: map[string]Cost{}, Time: f.simulated(after.at.Sub(before.at))}
	for operation, cost := range after.cost {
		was := before.cost[operation]
		used := Cost{Region: cost.Region - was.Region}
		used.Requests, used.Bytes = cost.Requests-was.Requests, cost.Bytes-was.Bytes
		if used.Requests > 0 {
			u.Operations[operation] = used
		}
	}
	return u
}

// plus adds another usage.
func (u Usage) plus(other Usage) Usage {
	sum := Usage{Operations: maps.Clone(u.Operations), Time: u.Time + other.Time}
	for operation, cost := range other.Operations {
		sum.Operations[operation] = sum.Operations[operation].plus(cost)
	}
	return sum
}

func (c Cost) plus(other Cost) Cost {
	c.Requests += other.Requests
	c.Bytes += other.Bytes
	c.Region += other.Region
	return c
}

// Total is the cost of all operations.
func (u Usage) Total() Cost {
	var total Cost
	for _, cost := range u.Operations {
		total = total.plus(cost)
	}
	return total
}

// names are the operations, those of most requests first.
func (u Usage) names() []string {
	names := slices.Sorted(maps.Keys(u.Operations))
	slices.SortStableFunc(names, func(a, b string) int { return u.Operations[b].Requests - u.Operations[a].Requests })
	return names
}

// Rate is what a time cost by the minute.
type Rate struct {
	Requests, Bytes float64
	Region          time.Duration
}

// PerMinute is the usage of a minute of MAAS's time.
func (u Usage) PerMinute() Rate {
	total, minutes := u.Total(), u.Time.Minutes()
	return Rate{
		Requests: float64(total.Requests) / minutes, Bytes: float64(total.Bytes) / minutes,
		Region: time.Duration(float64(total.Region) / minutes),
	}
}
