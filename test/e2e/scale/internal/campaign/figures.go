package campaign

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Figures are what so many clusters cost.
type Figures struct {
	// Clusters is how many there were, Concurrency how many of them were made, upgraded or deleted at a time.
	Clusters, Concurrency int
	// CPUs is how many processors the computer had.
	CPUs int
	// Hosts is how many LXD hosts MAAS had, Workers how many regiond processes, Deploy how long a deployment took.
	Hosts, Workers int
	Deploy         time.Duration
	// Phases are those of the clusters' lives that were reached, in their order.
	Phases []Phase
	// Broke says what ended the run before its end; empty where nothing did.
	Broke string `json:",omitempty"`
}

// Phase is one part of the clusters' lives.
type Phase struct {
	// Name is create, upgrade or delete.
	Name string
	// Time is until every cluster was through or had failed, Done how many were through.
	Time time.Duration
	Done int
	// Clusters is how long one cluster took.
	Clusters Spread
	// Operations are MAAS's requests by operation.
	Operations map[string]Requests
	// Lists are MAAS's lists of machines by the names of their filters.
	Lists map[string]int `json:",omitempty"`
	// Made is how many machines were provisioned, Removed how many were gone.
	Made, Removed int
	// VMs and Metal are the time by which machines took longer than MAAS alone, from when all was there that one needs, as far as
	// MAAS has told when it was done with them.
	VMs, Metal Spread
	// Gone is how long machines took from their deletion until they were gone.
	Gone Spread
	// Processes are what each program used, by name; the peak of memory is since its start.
	Processes map[string]Process
	// MostQueued is how many requests have waited at MAAS's region at most, Queues how many objects were seen to wait before controllers.
	MostQueued int
	Queues     map[string]int
}

// Requests are those of an operation.
type Requests struct {
	Count  int
	Region time.Duration
}

// Process is what a program used.
type Process struct {
	CPU  time.Duration
	Peak int64
}

// Spread is a distribution of times.
type Spread struct {
	Count             int
	Median, P95, Most time.Duration
}

// spreadOf summarises times.
func spreadOf(times []time.Duration) Spread {
	if len(times) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(times))
	at := func(share float64) time.Duration { return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))] }
	return Spread{Count: len(sorted), Median: at(0.5), P95: at(0.95), Most: sorted[len(sorted)-1]}
}

// Requests are all of a phase.
func (p Phase) Requests() Requests {
	var sum Requests
	for r := range maps.Values(p.Operations) {
		sum.Count += r.Count
		sum.Region += r.Region
	}
	return sum
}

// Setup tells figures from those of other runs: how many clusters, and how many of them at a time where that is not all.
func (f Figures) Setup() string {
	if f.Concurrency == f.Clusters {
		return strconv.Itoa(f.Clusters)
	}
	return fmt.Sprintf("%d, %d at a time", f.Clusters, f.Concurrency)
}

// Phase finds a phase by its name; an empty one where it was not reached.
func (f Figures) Phase(name string) Phase {
	for _, p := range f.Phases {
		if p.Name == name {
			return p
		}
	}
	return Phase{}
}

// Used is what a program used in all phases.
func (f Figures) Used(program string) Process {
	var sum Process
	for _, p := range f.Phases {
		sum.CPU += p.Processes[program].CPU
		sum.Peak = max(sum.Peak, p.Processes[program].Peak)
	}
	return sum
}

// Busy is the share of the computer's processors that all programs took together.
func (f Figures) Busy() float64 {
	var used, there time.Duration
	for _, p := range f.Phases {
		for one := range maps.Values(p.Processes) {
			used += one.CPU
		}
		there += p.Time * time.Duration(f.CPUs)
	}
	return float64(used) / float64(max(1, there))
}

// Queues are the longest of all phases.
func (f Figures) Queues() map[string]int {
	all := make(map[string]int)
	for _, p := range f.Phases {
		for name, longest := range p.Queues {
			all[name] = max(all[name], longest)
		}
	}
	return all
}
