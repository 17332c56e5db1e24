package placement

import (
	"cmp"
	"slices"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// Decision is the answer to a request: the host and why it and not another.
type Decision struct {
	// Chosen is the best host.
	Chosen Candidate
	// Summary is one sentence of at most 200 characters.
	Summary string

	survey *survey
}

// Place chooses a host for one VM. Errors are *Invalid and *NoFit.
func Place(req Request, snap inventory.Snapshot) (Decision, error) {
	q, err := prepare(req)
	if err != nil {
		return Decision{}, err
	}
	s := look(q, snap.Hosts)
	if s.fitting == 0 {
		return Decision{}, s.noFit()
	}
	best := s.choose()
	return Decision{Chosen: s.candidate(best, 0), Summary: s.chosenSummary(best), survey: s}, nil
}

// Candidates gives all hosts that fit, best first; the first is the chosen one. It sorts them at
// every call.
func (d Decision) Candidates() []Candidate {
	if d.survey == nil {
		return nil
	}
	ranked := d.survey.ranked()
	candidates := make([]Candidate, len(ranked))
	for rank, r := range ranked {
		candidates[rank] = d.survey.candidate(r, rank)
	}
	return candidates
}

// Rejections gives all hosts that don't fit, in the snapshot's order. It words them at every call.
func (d Decision) Rejections() []Rejection {
	if d.survey == nil {
		return nil
	}
	return d.survey.rejections()
}

// prepare makes a query of a request that some inventory could fulfil.
func prepare(req Request) (*query, error) {
	if err := req.validate(); err != nil {
		return nil, err
	}
	if p := req.Constraints.Profile; p != "" && p != MAASProfile {
		return nil, &NoFit{Class: ProfileMissing, Summary: profileSummary(p)}
	}
	return newQuery(req), nil
}

// survey is what a look at all hosts found.
type survey struct {
	q        *query
	hosts    []inventory.Host
	verdicts []verdict
	fitting  int
	// best is the best host of every zone that has one, by the zone's name; under the empty name the
	// best of all where there is no group, since zones don't matter then.
	best map[string]*rank
	// group is how many VMs of the group are in a zone.
	group map[string]int
	// fewest is the least of group over the zones that have a candidate.
	fewest int
	// last is the zone that was noted last; hosts of one zone often follow each other.
	last     string
	lastBest *rank
}

// look judges every host and rates those that fit.
func look(q *query, hosts []inventory.Host) *survey {
	s := &survey{q: q, hosts: hosts, verdicts: make([]verdict, len(hosts)), best: make(map[string]*rank)}
	s.group = q.groupByZone(hosts)
	c := host{}
	for i := range hosts {
		c.Host, c.load = &hosts[i], q.usage.of(hosts[i].ID)
		s.verdicts[i] = judge(q, &c)
		if s.verdicts[i] == fits {
			s.fitting++
			s.note(i, &c)
		}
	}
	first := true
	for zone := range s.best {
		if first || s.group[zone] < s.fewest {
			s.fewest, first = s.group[zone], false
		}
	}
	return s
}

// note keeps the host if it is its zone's best. All hosts of a zone share the zone's term, so that
// term can wait until all zones are known.
func (s *survey) note(i int, c *host) {
	zone := ""
	if len(s.group) > 0 {
		zone = c.Zone.Name
	}
	r := s.rate(i, c)
	if s.lastBest == nil || s.last != zone {
		s.last, s.lastBest = zone, s.best[zone]
	}
	switch {
	case s.lastBest == nil:
		s.lastBest = new(r)
		s.best[zone] = s.lastBest
	case s.compare(&r, s.lastBest) > 0:
		*s.lastBest = r
	}
}

// host gives a host as the rules see it.
func (s *survey) host(i int) host {
	return host{Host: &s.hosts[i], load: s.q.usage.of(s.hosts[i].ID)}
}

// rank is a host that fits, with what it is compared by.
type rank struct {
	host  int
	terms terms
}

// compare is positive where r is better than o. Hosts that are alike in everything go by id, so that
// two hosts never compare as equal.
func (s *survey) compare(r, o *rank) int {
	if c := r.terms.compare(&o.terms); c != 0 {
		return c
	}
	a, b := s.hosts[r.host].ID, s.hosts[o.host].ID
	return cmp.Or(cmp.Compare(s.q.tie(a), s.q.tie(b)), cmp.Compare(b, a))
}

// rate gives the rank of the host that c shows, among those of its zone.
func (s *survey) rate(i int, c *host) rank {
	return rank{host: i, terms: s.q.score(c)}
}

// rateAcross gives the rank the term that compares zones.
func (s *survey) rateAcross(r rank) rank {
	if len(s.group) > 0 {
		r.terms[termZoneSpread] = 1 / float64(1+s.group[s.hosts[r.host].Zone.Name]-s.fewest)
	}
	return r
}

// choose gives the best host that fits; there must be one.
func (s *survey) choose() rank {
	best := rank{host: -1}
	for _, r := range s.best {
		if r := s.rateAcross(*r); best.host < 0 || s.compare(&r, &best) > 0 {
			best = r
		}
	}
	return best
}

// ranked gives all hosts that fit, best first.
func (s *survey) ranked() []rank {
	ranked := make([]rank, 0, s.fitting)
	for i, v := range s.verdicts {
		if v == fits {
			c := s.host(i)
			ranked = append(ranked, s.rateAcross(s.rate(i, &c)))
		}
	}
	slices.SortFunc(ranked, func(a, b rank) int { return s.compare(&b, &a) })
	return ranked
}

func (s *survey) candidate(r rank, position int) Candidate {
	h := &s.hosts[r.host]
	return Candidate{
		HostID:   h.ID,
		HostName: h.Name,
		Zone:     h.Zone.Name,
		Pool:     h.Pool.Name,
		Score:    1 - float64(position)/float64(s.fitting),
		Terms:    r.terms.named(s.q.want.Policy),
	}
}

func (s *survey) rejections() []Rejection {
	rejected := make([]Rejection, 0, len(s.hosts)-s.fitting)
	for i, v := range s.verdicts {
		if v != fits {
			c := s.host(i)
			rejected = append(rejected, rejection(s.q, &c, v))
		}
	}
	return rejected
}
