package placement

import (
	"cmp"
	"container/heap"
	"slices"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// survey is what a look at all hosts found.
type survey struct {
	q        *query
	verdicts []verdict
	fitting  int
	// best is the best host of every zone, by the zone's position; host is -1 where none fits.
	best []rank
	// shown is the host that the rules look at, here so that looking allocates nothing.
	shown host
	// fewest is the least number of the group's VMs among the zones that have a candidate.
	fewest int
}

// rank is a host that fits, with what it is compared by.
type rank struct {
	host  int
	terms terms
	// tie is the host's hash for this VM, once it was asked for.
	tie uint64
}

// look judges every host and rates those that fit.
func look(q *query) *survey {
	rows := q.index.rows
	s := &survey{q: q, verdicts: make([]verdict, len(rows)), best: make([]rank, len(q.index.zones))}
	for zone := range s.best {
		s.best[zone].host = -1
	}
	loaded := q.loaded
	var r rank
	for i := range rows {
		l := noLoad
		if len(loaded) > 0 && loaded[0] == i {
			l, loaded = q.loads[i], loaded[1:]
		}
		c := q.host(i, l)
		v := s.verdict(&c, i)
		s.verdicts[i] = v
		if v != fits {
			continue
		}
		s.fitting++
		zone := q.index.kinds[c.kind].zone
		if !q.outdone(&c, &s.best[zone]) {
			q.rate(&r, i, &c)
			s.note(&r, zone)
		}
	}
	s.fewest = s.fewestInZone()
	return s
}

// verdict gives the verdict on the host in that position. Nearly all hosts are settled by what was
// found out before and by their room; only the others meet rule by rule.
func (s *survey) verdict(c *host, i int) verdict {
	checks := s.q.checks
	v := min(c.alone, c.answer.verdict)
	if v == fits && c.roomy(&s.q.need) {
		checks = s.q.uncounted
	}
	if len(checks) == 0 || v < checks[0].verdict {
		return v
	}
	s.shown = s.q.host(i, c.load)
	return judge(checks, s.q, &s.shown, v)
}

// judge gives the first of the rules that rejects the host and stands before the verdict so far.
func judge(checks []check, q *query, c *host, so verdict) verdict {
	for i := range checks {
		k := &checks[i]
		if k.verdict > so {
			break
		}
		if k.rejects(q, c) {
			return k.verdict
		}
	}
	return so
}

// roundingMargin is far more than what rounding could move a share by.
const roundingMargin = 0.01

// outdone says whether a glance at the host's cores and memory shows that it is not better than the
// best so far. Most hosts of a large region need no more than that.
func (q *query) outdone(c *host, best *rank) bool {
	if !q.bySharesAlone || best.host < 0 || best.terms[termHostSpread] < 1 {
		return false
	}
	least := best.terms[termPolicy] - roundingMargin
	return float64(c.coresLeft()-q.need.Cores) < least*float64(c.allowedCores) ||
		float64(c.memoryLeft()-q.need.MemoryMiB) < least*float64(c.allowedMemory)
}

// rate makes r the rank of the host that c shows, among those of its zone.
func (q *query) rate(r *rank, i int, c *host) {
	r.host, r.tie = i, 0
	q.score(c, &r.terms)
}

// note keeps the host if it is its zone's best. All hosts of a zone share the zone's term, so that
// term can wait until all zones are known.
func (s *survey) note(r *rank, zone int) {
	if best := &s.best[zone]; best.host < 0 || s.compare(r, best) > 0 {
		*best = *r
	}
}

func (s *survey) fewestInZone() int {
	fewest := -1
	for zone := range s.best {
		if n := s.q.inZone(zone); s.best[zone].host >= 0 && (fewest < 0 || n < fewest) {
			fewest = n
		}
	}
	return fewest
}

// at gives the host in that position.
func (s *survey) at(i int) *inventory.Host { return &s.q.index.snapshot.Hosts[i] }

// zoneOf gives the position of the host's zone.
func (s *survey) zoneOf(i int) int { return s.q.index.kinds[s.q.index.rows[i].kind].zone }

// compare is positive where r is better than o. Hosts that are alike in everything go by id, so that
// two hosts never compare as equal.
func (s *survey) compare(r, o *rank) int {
	if c := r.terms.compare(&o.terms); c != 0 {
		return c
	}
	if c := cmp.Compare(s.tie(r), s.tie(o)); c != 0 {
		return c
	}
	return cmp.Compare(s.at(o.host).ID, s.at(r.host).ID)
}

// tie gives the hash by which the rank is told apart from others that are as good.
func (s *survey) tie(r *rank) uint64 {
	if r.tie == 0 {
		r.tie = s.q.tie(s.at(r.host).ID)
	}
	return r.tie
}

// rateAcross gives the rank the term that compares zones.
func (s *survey) rateAcross(r rank) rank {
	r.terms[termZoneSpread] = 1 / float64(1+s.q.inZone(s.zoneOf(r.host))-s.fewest)
	return r
}

// choose gives the best host that fits; there must be one.
func (s *survey) choose() rank {
	best := rank{host: -1}
	for zone := range s.best {
		if s.best[zone].host < 0 {
			continue
		}
		if r := s.rateAcross(s.best[zone]); best.host < 0 || s.compare(&r, &best) > 0 {
			best = r
		}
	}
	return best
}

// ranked gives the n best of the hosts that fit, best first. It keeps no more than n at a time.
func (s *survey) ranked(n int) []rank {
	if n <= 0 {
		return nil
	}
	kept := &rankHeap{survey: s, ranks: make([]rank, 0, min(n, s.fitting)), worstOnTop: true}
	for i, v := range s.verdicts {
		if v != fits {
			continue
		}
		c := s.q.host(i, s.q.load(i))
		var r rank
		s.q.rate(&r, i, &c)
		r = s.rateAcross(r)
		switch {
		case kept.Len() < n:
			kept.ranks = append(kept.ranks, r)
			if kept.Len() == n {
				heap.Init(kept)
			}
		case s.compare(&r, &kept.ranks[0]) > 0:
			kept.ranks[0] = r
			heap.Fix(kept, 0)
		}
	}
	slices.SortFunc(kept.ranks, func(a, b rank) int { return s.compare(&b, &a) })
	return kept.ranks
}

// rankHeap is a heap of hosts, the best or the worst on top.
type rankHeap struct {
	survey     *survey
	ranks      []rank
	worstOnTop bool
}

// Len is the number of hosts.
func (h *rankHeap) Len() int { return len(h.ranks) }

// Less says whether i goes above j.
func (h *rankHeap) Less(i, j int) bool {
	return h.survey.compare(&h.ranks[i], &h.ranks[j]) > 0 != h.worstOnTop
}

// Swap swaps two hosts.
func (h *rankHeap) Swap(i, j int) { h.ranks[i], h.ranks[j] = h.ranks[j], h.ranks[i] }

// Push adds a host.
func (h *rankHeap) Push(x any) {
	if r, ok := x.(rank); ok {
		h.ranks = append(h.ranks, r)
	}
}

// Pop takes the last host.
func (h *rankHeap) Pop() any {
	last := h.ranks[len(h.ranks)-1]
	h.ranks = h.ranks[:len(h.ranks)-1]
	return last
}
