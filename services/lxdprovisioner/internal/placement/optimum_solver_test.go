package placement_test

import (
	"math"
	"slices"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// outcome is how good a placement of one group is. An outcome with more VMs placed is better; among
// those the one whose zones are the most even, then the one whose hosts are, then the one that puts its
// VMs on the least loaded hosts.
type outcome struct {
	placed int
	// zoneSquares and hostSquares are the sums of the squares of the group's VMs in each zone and on each
	// host: for a number of VMs the least sum is the most even distribution.
	zoneSquares, hostSquares int
	// share is the dominant share of the fullest host that got a VM.
	share float64
}

// shareTolerance is what two sums of the same shares may differ by.
const shareTolerance = 1e-9

// compare is negative where o is better than p, positive where it is worse.
func (o outcome) compare(p outcome) int {
	switch {
	case o.placed != p.placed:
		return p.placed - o.placed
	case o.zoneSquares != p.zoneSquares:
		return o.zoneSquares - p.zoneSquares
	case o.hostSquares != p.hostSquares:
		return o.hostSquares - p.hostSquares
	case math.Abs(o.share-p.share) <= shareTolerance:
		return 0
	case o.share < p.share:
		return -1
	default:
		return 1
	}
}

// outcomeOf measures what was placed of the group.
func outcomeOf(r *region, group string) outcome {
	var o outcome
	for _, n := range r.byZone(group) {
		o.placed += n
		o.zoneSquares += n * n
	}
	for i, n := range r.byHost(group) {
		o.hostSquares += n * n
		if n > 0 {
			o.share = max(o.share, r.share(i))
		}
	}
	return o
}

// solver finds the best outcome of an instance with one group, in which the VMs may be placed in any order
// and any of them left out. It is exact: VMs of one size are alike, so that a placement is how many of
// each size every host gets, and hosts matter to each other only by the sizes that are left for them and
// by the number in their zone.
type solver struct {
	in instance
	// sizes are the sizes that are asked for, counts how many of each.
	sizes  []inventory.VMSize
	counts []int
	// vectors are all ways to take some of each size, numbered so that the numbers of two add up where the
	// vectors do.
	vectors [][]int
}

// table gives for every vector the best outcome of placing just those VMs; nil where they have no room.
type table []*outcome

func optimum(in instance) outcome {
	s := &solver{in: in}
	for _, o := range in.orders {
		k := slices.IndexFunc(s.sizes, func(size inventory.VMSize) bool { return sameSize(size, o.size) })
		if k < 0 {
			k = len(s.sizes)
			s.sizes, s.counts = append(s.sizes, o.size), append(s.counts, 0)
		}
		s.counts[k]++
	}
	s.vectors = [][]int{{}}
	for _, n := range slices.Backward(s.counts) {
		var longer [][]int
		for first := range n + 1 {
			for _, v := range s.vectors {
				longer = append(longer, append([]int{first}, v...))
			}
		}
		s.vectors = longer
	}
	return s.solve()
}

func (s *solver) solve() outcome {
	zones := map[string]table{}
	for i := range s.in.hosts {
		zone := s.in.hosts[i].Zone.Name
		if zones[zone] == nil {
			zones[zone] = s.nothing()
		}
		zones[zone] = s.combine(zones[zone], s.host(i))
	}
	all := s.nothing()
	for _, t := range zones {
		for _, o := range t {
			if o != nil {
				o.zoneSquares = o.placed * o.placed
			}
		}
		all = s.combine(all, t)
	}
	best := *all[0]
	for _, o := range all {
		if o != nil && o.compare(best) < 0 {
			best = *o
		}
	}
	return best
}

// nothing is the table of no host at all.
func (s *solver) nothing() table {
	t := make(table, len(s.vectors))
	t[0] = &outcome{}
	return t
}

// host is the table of one host.
func (s *solver) host(i int) table {
	t := s.nothing()
next:
	for number, v := range s.vectors[1:] {
		r := newRegion(s.in.hosts[i : i+1])
		for k, n := range v {
			for range n {
				if !r.takes(0, s.sizes[k]) {
					continue next
				}
				r.put(0, order{size: s.sizes[k]})
			}
		}
		n := len(r.placed)
		t[number+1] = &outcome{placed: n, hostSquares: n * n, share: r.share(0)}
	}
	return t
}

// combine is the table of two sets of hosts together. Keeping the best outcome of each vector is enough:
// the squares add up and the share is a maximum, so a better part never makes the whole worse.
func (s *solver) combine(a, b table) table {
	sum := make(table, len(s.vectors))
	for i, x := range a {
		for j, y := range b {
			if x == nil || y == nil || !s.within(i, j) {
				continue
			}
			o := outcome{
				placed: x.placed + y.placed, zoneSquares: x.zoneSquares + y.zoneSquares,
				hostSquares: x.hostSquares + y.hostSquares, share: max(x.share, y.share),
			}
			if sum[i+j] == nil || o.compare(*sum[i+j]) < 0 {
				sum[i+j] = &o
			}
		}
	}
	return sum
}

// within says whether two vectors together take no more than is asked for.
func (s *solver) within(i, j int) bool {
	for k, n := range s.counts {
		if s.vectors[i][k]+s.vectors[j][k] > n {
			return false
		}
	}
	return true
}

// tryEverything finds the best outcome by trying each host, and none, for each VM.
func tryEverything(in instance) outcome {
	var best outcome
	var try func(r *region, left []order)
	try = func(r *region, left []order) {
		if len(left) == 0 {
			if o := outcomeOf(r, "prod"); o.compare(best) < 0 {
				best = o
			}
			return
		}
		try(r, left[1:])
		for i := range r.hosts {
			if !r.takes(i, left[0].size) {
				continue
			}
			next := newRegion(r.hosts)
			next.placed = slices.Clone(r.placed)
			next.put(i, left[0])
			try(next, left[1:])
		}
	}
	try(newRegion(in.hosts), in.orders)
	return best
}
