package orphans

import (
	"time"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// Kind says what is known of a VM that belongs to no MaasMachine.
type Kind string

// The kinds, which are the values of the metric's label.
const (
	// Orphan is marked for a cluster of ours, and its MaasMachine has been absent for long enough. Only these are removed on
	// request.
	Orphan Kind = "orphan"
	// Suspect is one that has not been seen for long enough.
	Suspect Kind = "suspect"
	// UnknownCluster is marked for a cluster that is not here.
	UnknownCluster Kind = "unknown_cluster"
	// Unmarked has our shape of name and nothing else: what a crash leaves between composing and claiming, or somebody else's.
	Unmarked Kind = "unmarked"
)

// Found is one VM that belongs to no MaasMachine.
type Found struct {
	// VM is what MAAS says of it.
	VM *lxdprovisionerv1.VM
	// Kind is what is known of it.
	Kind Kind
	// Since is when this manager saw it first without an owner; zero for what is neither Orphan nor Suspect.
	Since time.Time

	cluster *cluster
}

// Report is what one sweep found, by system id.
type Report struct {
	Found []Found

	// marked counts the VMs that are marked for a cluster, by the cluster's id, those with an owner too.
	marked map[string]int
}

// classify says of each VM whose it is. What a sweep does not find without an owner any more is forgotten.
func (s *Sweep) classify(vms []*lxdprovisionerv1.VM, known *holdings) Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	report, still := Report{marked: map[string]int{}}, map[string]sighting{}
	add := func(f Found, tell bool) {
		if tell {
			report.Found = append(report.Found, f)
		}
	}
	for _, vm := range vms {
		mark := vm.GetStatus().GetOwner()
		report.marked[mark.GetClusterId()]++
		if known.holds(vm) {
			continue
		}
		if mark == nil || mark.GetClusterId() == "" {
			add(Found{VM: vm, Kind: Unmarked}, s.seesAll())
			continue
		}
		home, ours := known.home(mark)
		switch {
		case home == nil:
			add(Found{VM: vm, Kind: UnknownCluster}, s.seesAll())
		case ours && !home.paused:
			found := Found{VM: vm, Kind: Suspect, cluster: home}
			one, again := s.seen[vm.GetSystemId()]
			if !again {
				one.since = s.Clock()
			}
			one.reads++
			if one.reads >= fewestReads && s.Clock().Sub(one.since) >= s.MinAge {
				found.Kind = Orphan
			}
			found.Since = one.since
			still[vm.GetSystemId()] = one
			add(found, true)
		}
	}
	s.seen = still
	return report
}

// seesAll says whether a cluster that is not found is nowhere in this management cluster.
func (s *Sweep) seesAll() bool { return s.Namespace == "" }
