package placement

import (
	"fmt"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// Plan is where the VMs of a plan go.
type Plan struct {
	// VMs are the VMs that have a place, by index from 0 without gaps.
	VMs []PlannedVM
	// Zones are all zones with a host that may take a VM, room or not, by name.
	Zones []ZoneShare
	// Even says whether no two zones differ by more than one VM, those of the group counted in.
	Even bool
	// Summary is one sentence of at most 200 characters; it says why where the plan is uneven or short,
	// or leaves out a zone because no host in it may take a VM.
	Summary string
	// Rejections are the hosts that can take none, in the snapshot's order.
	Rejections []Rejection
}

// PlannedVM is one VM of a plan.
type PlannedVM struct {
	Index    int
	HostID   inventory.HostID
	HostName string
	Zone     string
}

// ZoneShare is what one zone got of a plan.
type ZoneShare struct {
	Zone string
	// Existing counts the group's VMs that were there already.
	Existing int
	// Planned counts the VMs that the plan puts there.
	Planned int
	// Explanation says why the zone got fewer than its even share; empty where it did not.
	Explanation string
}

// Distribute plans the VMs over zones and hosts, each as Place would with those before it counted
// in; without a group the VMs of the plan are one. Errors are *Invalid and *NoFit: too little room
// for all is NoRoom, unless as many as fit are wanted and there is room for one.
func Distribute(req PlanRequest, snap inventory.Snapshot) (Plan, error) {
	return NewIndex(snap).Distribute(req)
}

// Distribute plans the VMs as the function Distribute does.
func (x *Index) Distribute(req PlanRequest) (Plan, error) {
	if req.Count < 1 {
		return Plan{}, &Invalid{"count", fmt.Sprintf("a plan is for at least 1 VM, asked for %d", req.Count)}
	}
	req.Keep = ""
	q, err := x.prepare(req.Request)
	if err != nil {
		return Plan{}, err
	}
	s := look(q)
	if s.fitting == 0 {
		return Plan{}, s.noFit()
	}
	plan := Plan{Rejections: s.allRejections()}
	p := newPlanner(s, req.Size)
	plan.VMs = p.fill(req.Count)
	if len(plan.VMs) < req.Count && !req.AsManyAsFit {
		return Plan{}, p.noFit(len(plan.VMs), req.Count)
	}
	plan.Zones, plan.Even = p.shares()
	plan.Summary = p.summary(&plan, req.Count)
	return plan, nil
}
