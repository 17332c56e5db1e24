package placement_test

import (
	"cmp"
	"slices"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

// chooser chooses a host for a VM; false where it finds none. MAAS decides afterwards whether it takes
// the VM there.
type chooser func(r *region, o order) (host int, ok bool)

// chooserRule is a chooser and its name in docs/performance.md.
type chooserRule struct {
	name   string
	choose chooser
}

// choosers are the rules that are compared. "Zone by Cluster API" means that the control plane provider
// names the zone beforehand, which is then a must; without it nobody does.
var choosers = []chooserRule{
	{"this service", ours},
	{"this service, zone by Cluster API", func(r *region, o order) (int, bool) { return oursIn(r, o, zoneByClusterAPI(r, o.group)) }},
	{"existing provider", func(r *region, o order) (int, bool) { return existing(r, o, "") }},
	{"existing provider, zone by Cluster API", func(r *region, o order) (int, bool) { return existing(r, o, zoneByClusterAPI(r, o.group)) }},
	{"MAAS", firstThatTakes},
}

func ours(r *region, o order) (int, bool) { return oursIn(r, o, "") }

func oursIn(r *region, o order, zone string) (int, bool) {
	d, err := placement.Place(placement.Request{
		VM: o.name, Size: o.size,
		Constraints: placement.Constraints{Pools: []string{"cp"}, Zone: zone},
		Group:       placement.Group{Key: o.group, Peers: r.peers(o.group)},
	}, inventory.Snapshot{Hosts: r.hosts})
	if err != nil {
		return 0, false
	}
	return r.index(d.Chosen.HostID), true
}

// existing is the rule of the existing provider (its pkg/maas/lxd/host_maas_client.go). Hosts that pass
// have enough of what MAAS calls available, which is the total less what is used: over-commit ratios are
// not looked at. One storage pool must have the room; which one MAAS then takes is not looked at either.
// The best host has the fewest control planes of the cluster, then the highest sum of available cores by
// cores and available memory by memory. Its sort is not stable; here hosts that are as good stay in
// MAAS's order. A VM that MAAS refuses is asked for on the same host again.
func existing(r *region, o order, zone string) (int, bool) {
	inGroup := r.byHost(o.group)
	best, bestScore := -1, 0.0
	for i := range r.hosts {
		h := &r.hosts[i]
		cores, memory := h.Total.Cores-h.Used.Cores, h.Total.MemoryMiB-h.Used.MemoryMiB
		storage := func(p inventory.StoragePool) bool { return p.AvailableBytes >= bytesOf(o.size) }
		if zone != "" && h.Zone.Name != zone || cores < int64(o.size.Cores) || memory < o.size.MemoryMiB ||
			!slices.ContainsFunc(h.StoragePools, storage) {
			continue
		}
		score := float64(cores)/float64(o.size.Cores) + float64(memory)/float64(o.size.MemoryMiB)
		if best < 0 || cmp.Or(cmp.Compare(inGroup[i], inGroup[best]), cmp.Compare(bestScore, score)) < 0 {
			best, bestScore = i, score
		}
	}
	return best, best >= 0
}

// zoneByClusterAPI is the failure domain that Cluster API's control plane provider names: the one with the
// fewest machines of the control plane, whether it has room or not (cluster-api: util/failuredomains
// PickFewest). Of those with as many it is the first by name.
func zoneByClusterAPI(r *region, group string) string {
	zones := r.byZone(group)
	fewest := ""
	for zone, n := range zones {
		if fewest == "" || cmp.Or(cmp.Compare(n, zones[fewest]), cmp.Compare(zone, fewest)) < 0 {
			fewest = zone
		}
	}
	return fewest
}

// firstThatTakes is MAAS's own rule when an allocation finds no machine: the hosts are tried in the order
// of their ids, and the first that takes the VM has it (MAAS: api/machines.py allocate, forms/pods.py
// ComposeMachineForPodsForm; hosts without over-commit would come first, but every LXD host has it).
func firstThatTakes(r *region, o order) (int, bool) {
	for i := range r.hosts {
		if r.takes(i, o.size) {
			return i, true
		}
	}
	return 0, false
}

// played is how a rule did in an instance.
type played struct {
	region *region
	asked  int
	// missed are VMs that were not placed although MAAS would have taken them on some host; refused are
	// those of them for which the rule chose a host that MAAS refused.
	missed, refused int
	// crowded are VMs that were put into a zone although one with fewer of the group had a host that
	// takes them.
	crowded int
}

// play asks for the VMs one after the other; each is seen before the next is asked for.
func (in instance) play(rule chooser) played {
	p := played{region: newRegion(in.hosts), asked: len(in.orders)}
	for _, o := range in.orders {
		i, ok := rule(p.region, o)
		switch {
		case ok && p.region.takes(i, o.size):
			if p.region.crowds(i, o) {
				p.crowded++
			}
			p.region.put(i, o)
		case p.region.anyTakes(o.size):
			p.missed++
			if ok {
				p.refused++
			}
		}
	}
	return p
}

// crowds says whether a zone with fewer of the group than the host's has a host that takes the VM.
func (r *region) crowds(host int, o order) bool {
	zones := r.byZone(o.group)
	for i := range r.hosts {
		if zones[r.hosts[i].Zone.Name] < zones[r.hosts[host].Zone.Name] && r.takes(i, o.size) {
			return true
		}
	}
	return false
}
