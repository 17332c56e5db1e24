package placement

import "github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"

// Decision is the answer to a request: the host and why it and not another.
type Decision struct {
	// Chosen is the best host.
	Chosen Candidate
	// Summary is one sentence of at most 200 characters.
	Summary string

	survey *survey
}

// Place chooses a host for one VM. Errors are *Invalid and *NoFit. Who asks more than once of one
// snapshot makes an Index of it.
func Place(req Request, snap inventory.Snapshot) (Decision, error) {
	return NewIndex(snap).Place(req)
}

// Place chooses a host for one VM. Errors are *Invalid and *NoFit.
func (x *Index) Place(req Request) (Decision, error) {
	q, err := x.prepare(req)
	if err != nil {
		return Decision{}, err
	}
	s := look(q)
	if s.fitting == 0 {
		return Decision{}, s.noFit()
	}
	best := s.choose()
	return Decision{Chosen: s.candidate(best, 0), Summary: s.chosenSummary(best), survey: s}, nil
}

// prepare makes a query of a request that some inventory could fulfil.
func (x *Index) prepare(req Request) (*query, error) {
	if err := req.validate(); err != nil {
		return nil, err
	}
	if p := req.Constraints.Profile; p != "" && p != MAASProfile {
		return nil, &NoFit{Class: ProfileMissing, Summary: profileSummary(p)}
	}
	return newQuery(x, req), nil
}

// Fitting is how many hosts fit.
func (d Decision) Fitting() int {
	if d.survey == nil {
		return 0
	}
	return d.survey.fitting
}

// Candidates gives all hosts that fit, best first; the first is the chosen one. It sorts them at
// every call.
func (d Decision) Candidates() []Candidate { return d.Best(d.Fitting()) }

// Best gives the n best hosts of those that fit, best first; all where there are no more.
func (d Decision) Best(n int) []Candidate {
	if d.survey == nil {
		return nil
	}
	ranked := d.survey.ranked(n)
	candidates := make([]Candidate, len(ranked))
	for position, r := range ranked {
		candidates[position] = d.survey.candidate(r, position)
	}
	return candidates
}

// Rejections gives all hosts that don't fit, in the snapshot's order. It words them at every call.
func (d Decision) Rejections() []Rejection {
	if d.survey == nil {
		return nil
	}
	return d.FirstRejections(len(d.survey.verdicts))
}

// FirstRejections gives the first n of Rejections; all where there are no more.
func (d Decision) FirstRejections(n int) []Rejection {
	if d.survey == nil {
		return nil
	}
	return d.survey.rejections(n)
}

func (s *survey) candidate(r rank, position int) Candidate {
	h := s.at(r.host)
	return Candidate{
		HostID:   h.ID,
		HostName: h.Name,
		Zone:     h.Zone.Name,
		Pool:     h.Pool.Name,
		Score:    1 - float64(position)/float64(s.fitting),
		Terms:    r.terms.named(s.q.want.Policy),
	}
}

// rejections words the first n of the hosts that don't fit.
func (s *survey) rejections(n int) []Rejection {
	rejected := make([]Rejection, 0, min(n, len(s.verdicts)-s.fitting))
	for i, v := range s.verdicts {
		if len(rejected) == n {
			break
		}
		if v != fits {
			c := s.q.host(i, s.q.load(i))
			rejected = append(rejected, rejection(s.q, &c, v))
		}
	}
	return rejected
}

// allRejections words all hosts that don't fit.
func (s *survey) allRejections() []Rejection { return s.rejections(len(s.verdicts)) }
