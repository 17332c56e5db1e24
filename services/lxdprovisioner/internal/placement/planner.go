package placement

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// planner fills zones evenly: each VM goes to the zone with the fewest of the group that still has a
// host with room, and there to the best host. A VM changes the rank of its own host alone, so every
// zone keeps its hosts in a heap and n VMs on h hosts cost (n+h) log h.
type planner struct {
	survey *survey
	size   inventory.VMSize
	zones  []*zonePlan
}

// zonePlan is one zone of a plan.
type zonePlan struct {
	name     string
	existing int
	planned  int
	// hosts are the zone's hosts with room, the best on top.
	hosts rankHeap
}

func newPlanner(s *survey, size inventory.VMSize) *planner {
	if s.q.loads == nil {
		s.q.loads = make(map[int]*load)
	}
	p := &planner{survey: s, size: size}
	zones := make([]*zonePlan, len(s.q.index.zones))
	for i, v := range s.verdicts {
		if !mayTake(v) {
			continue
		}
		zone := s.zoneOf(i)
		z := zones[zone]
		if z == nil {
			z = &zonePlan{name: s.q.index.zones[zone], existing: s.q.inZone(zone), hosts: rankHeap{survey: s}}
			zones[zone] = z
			p.zones = append(p.zones, z)
		}
		if v == fits {
			c := s.q.host(i, s.q.load(i))
			z.hosts.ranks = append(z.hosts.ranks, rank{})
			s.q.rate(&z.hosts.ranks[len(z.hosts.ranks)-1], i, &c)
		}
	}
	slices.SortFunc(p.zones, func(a, b *zonePlan) int { return cmp.Compare(a.name, b.name) })
	for _, z := range p.zones {
		heap.Init(&z.hosts)
	}
	return p
}

// mayTake says whether a host fits, or only room or the group's other VMs are in the way.
func mayTake(v verdict) bool {
	return v == fits || v.rule().stage == stageRoom || v.rule().reason == GroupOnHost
}

// fill plans up to n VMs and stops where no host has room.
func (p *planner) fill(n int) []PlannedVM {
	vms := make([]PlannedVM, 0, min(n, len(p.survey.verdicts)))
	for index := range n {
		z := p.next()
		if z == nil {
			break
		}
		h := p.survey.at(z.hosts.ranks[0].host)
		vms = append(vms, PlannedVM{Index: index, HostID: h.ID, HostName: h.Name, Zone: z.name})
		p.put(z)
	}
	return vms
}

// next gives the zone for the next VM: of those with the fewest the one with the best host; nil
// where none has room.
func (p *planner) next() *zonePlan {
	var best *zonePlan
	for _, z := range p.zones {
		if z.hosts.Len() == 0 {
			continue
		}
		if best == nil || z.total() < best.total() ||
			z.total() == best.total() && p.survey.compare(&z.hosts.ranks[0], &best.hosts.ranks[0]) > 0 {
			best = z
		}
	}
	return best
}

// put notes a VM on the zone's best host and ranks that host anew.
func (p *planner) put(z *zonePlan) {
	s := p.survey
	i := z.hosts.ranks[0].host
	l := loadOf(s.q.loads, i)
	l.add(p.size)
	l.group++
	z.planned++
	c := s.q.host(i, l)
	s.verdicts[i] = s.verdict(&c, i)
	if s.verdicts[i] != fits {
		s.fitting--
		heap.Pop(&z.hosts)
		return
	}
	s.q.rate(&z.hosts.ranks[0], i, &c)
	heap.Fix(&z.hosts, 0)
}

func (z *zonePlan) total() int { return z.existing + z.planned }

// noFit says that only some VMs of a plan have room.
func (p *planner) noFit(placed, wanted int) *NoFit {
	head := fmt.Sprintf("room for %d of %s of %s", placed, count(wanted, "VM"), p.survey.size())
	return &NoFit{Class: NoRoom, Summary: sentence(head, p.survey.tally(all, p.survey.nearest(stageRoom))), Rejections: p.survey.allRejections()}
}

// shares gives every zone's share, and whether they are even.
func (p *planner) shares() (shares []ZoneShare, even bool) {
	fullest := slices.MaxFunc(p.zones, func(a, b *zonePlan) int { return cmp.Compare(a.total(), b.total()) })
	even = true
	for _, z := range p.zones {
		share := ZoneShare{Zone: z.name, Existing: z.existing, Planned: z.planned}
		if z.total() < fullest.total()-1 {
			even = false
			share.Explanation = p.explain(z, fullest)
		}
		shares = append(shares, share)
	}
	return shares, even
}

// explain says why a zone has fewer than its even share: it has no room, or others had more before.
func (p *planner) explain(z, fullest *zonePlan) string {
	if z.hosts.Len() > 0 {
		return fmt.Sprintf("zone %s had %d of the group before", clip(fullest.name, nameLimit), fullest.existing)
	}
	return "no room for more: " + strings.Join(p.full(func(zone string) bool { return zone == z.name }), ", ")
}

// full counts, by reason, the hosts in some zones that may take a VM and have room for none.
func (p *planner) full(in func(zone string) bool) []string {
	return p.survey.tally(func(i int, v verdict) bool { return mayTake(v) && in(p.survey.at(i).Zone.Name) }, none)
}

// lost says of every zone that the request allows and in which no host may take a VM why that is so.
func (p *planner) lost() []string {
	q := p.survey.q
	var lost []string
	for zone, name := range q.index.zones {
		if q.outside(name) || slices.ContainsFunc(p.zones, func(z *zonePlan) bool { return z.name == name }) {
			continue
		}
		why := p.survey.tally(func(i int, _ verdict) bool { return p.survey.zoneOf(i) == zone }, none)
		lost = append(lost, fmt.Sprintf("none %s (%s)", inZone(name), strings.Join(why, ", ")))
	}
	slices.Sort(lost)
	return lost
}

// shortReasons is how many reasons the summary of a plan names before it comes to the zones.
const shortReasons = 2

// summary says how many VMs go where. Zones that got fewer than their share come first, then those in
// which no host may take a VM, all with the reason.
func (p *planner) summary(plan *Plan, wanted int) string {
	head := fmt.Sprintf("%s over %s", count(len(plan.VMs), "VM"), count(len(plan.Zones), "zone"))
	if len(plan.VMs) < wanted {
		reasons := p.full(func(string) bool { return true })
		head = fmt.Sprintf("room for %d of %s, then %s", len(plan.VMs), count(wanted, "VM"),
			strings.Join(reasons[:min(len(reasons), shortReasons)], " and "))
	}
	var short, full []string
	for _, z := range plan.Zones {
		part := fmt.Sprintf("%d %s", z.Planned, inZone(z.Zone))
		if z.Explanation == "" {
			full = append(full, part)
			continue
		}
		short = append(short, fmt.Sprintf("%s (%s)", part, z.Explanation))
	}
	return sentence(head, slices.Concat(short, p.lost(), full))
}
