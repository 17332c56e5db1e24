package fault

import (
	"math/rand/v2"
	"slices"
	"sync"
)

// Plan is a list of faults. The zero value disturbs nothing; it is safe for concurrent use.
type Plan struct {
	mu     sync.Mutex
	faults []*active
	random *rand.Rand
}

type active struct {
	Fault
	skip, left int
}

// Seed makes probabilities and distributions repeat: with one seed and one order of requests the same ones are disturbed.
func (p *Plan) Seed(seed uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.random = newRandom(seed)
}

func newRandom(seed uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // it is to be repeated, not to be unguessable
}

// Add appends faults to the plan; a request is disturbed by every fault that matches it.
func (p *Plan) Add(faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range faults {
		p.faults = append(p.faults, &active{Fault: f, skip: f.Skip, left: f.Count})
	}
}

// Clear empties the plan.
func (p *Plan) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = nil
}

// Faults returns what is left of the plan: faults that are used up are gone, Skip and Count say what remains.
func (p *Plan) Faults() []Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]Fault, 0, len(p.faults))
	for _, a := range p.faults {
		f := a.Fault
		f.Skip, f.Count = a.skip, a.left
		list = append(list, f)
	}
	return list
}

// Idle reports whether the plan is empty, so that nobody has to find out what a request is about.
func (p *Plan) Idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.faults) == 0
}

// Take returns the faults for one request, with their latencies drawn and their presets filled in, and uses them up.
func (p *Plan) Take(req Request) []Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.random == nil {
		p.random = newRandom(1)
	}
	var taken []Fault
	p.faults = slices.DeleteFunc(p.faults, func(a *active) bool {
		if !a.matches(req) {
			return false
		}
		if a.skip > 0 {
			a.skip--
			return false
		}
		if a.Probability > 0 && p.random.Float64() >= a.Probability {
			return false
		}
		f := a.withPreset()
		if f.Spread.Shape != "" {
			f.Latency = f.Spread.draw(p.random)
		}
		taken = append(taken, f)
		if a.Count == 0 {
			return false
		}
		a.left--
		return a.left == 0
	})
	return taken
}
