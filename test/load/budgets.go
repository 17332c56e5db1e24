package load

import (
	"fmt"
	"time"
)

// The budgets of what machines may cost MAAS, and of what they take here.
const (
	// LifeBudget is the most requests for one VM's life, 100 at once, shared ones counted at their share; StaticLifeBudget is
	// for VMs with a fixed address.
	LifeBudget       = 8
	StaticLifeBudget = 10
	// AddedBudget is by how much 100 machines at once may take longer than MAAS alone.
	AddedBudget = 0.05
	// OwnBudget is how many requests of a life are about one VM alone: compose, allocate, annotate, deploy, delete.
	OwnBudget = 5
	// WaitingRequests and WaitingRegion are for a minute of 1,000 machines that wait.
	WaitingRequests = 20
	WaitingRegion   = 8 * time.Second
	// IdleRequests, IdleRegion and IdleBytes are for a minute of 1,000 machines that are ready, SeenBudget for how long a
	// failure may stay unseen meanwhile.
	IdleRequests = 10
	IdleRegion   = 5 * time.Second
	IdleBytes    = 2e6
	SeenBudget   = 2 * time.Minute
	// MemoryBudget is for service and manager together with 1,000 machines in flight.
	MemoryBudget = 300 << 20

	// at and fleet are the numbers of machines for which the budgets are.
	at    = 100
	fleet = 1000
)

// own are the operations that are about one VM alone.
var own = []string{"vm-hosts.compose", "machines.allocate", "machines.set_workload_annotations", "machines.deploy", "machines.delete"}

// PerMachine is how many requests a machine's life took.
func (f Figures) PerMachine() float64 {
	return float64(f.Life().Total().Requests) / float64(f.Machines)
}

// Own is how many requests there were about one VM alone, for all machines together.
func (f Figures) Own() int {
	count := 0
	for _, operation := range own {
		count += f.Life().Operations[operation].Requests
	}
	return count
}

// Exceeded names the budgets that a run does not keep to.
func (r Run) Exceeded() []string {
	var out []string
	most := func(what string, value, budget float64) {
		if value > budget {
			out = append(out, fmt.Sprintf("%s: %.2f, budget %.2f", what, value, budget))
		}
	}
	for _, f := range r.Lives {
		switch {
		case f.Machines == at && f.StaticIP:
			most("requests for a life with a fixed address", f.PerMachine(), StaticLifeBudget)
		case f.Machines == at:
			most("requests for a life", f.PerMachine(), LifeBudget)
		}
	}
	for _, r := range r.Rest {
		if r.Machines == fleet {
			waiting, idle := r.Waiting.PerMinute(), r.Idle.PerMinute()
			most("requests a minute while waiting", waiting.Requests, WaitingRequests)
			most("s of region time a minute while waiting", waiting.Region.Seconds(), WaitingRegion.Seconds())
			most("requests a minute while idle", idle.Requests, IdleRequests)
			most("s of region time a minute while idle", idle.Region.Seconds(), IdleRegion.Seconds())
			most("MB a minute while idle", idle.Bytes/1e6, IdleBytes/1e6)
			most("s until a failure is seen", r.Seen.Seconds(), SeenBudget.Seconds())
		}
	}
	for _, a := range r.Added {
		if a.Machines == at {
			most("share of time added", a.Share(), AddedBudget)
		}
	}
	for _, m := range r.Memory {
		if m.Machines == fleet {
			most("MiB of memory", float64(m.Both())/(1<<20), MemoryBudget>>20)
		}
	}
	for _, o := range r.Outage {
		out = append(out, o.exceeded()...)
	}
	return out
}
