// Package fault is the simulator's plan of what goes wrong: which requests are answered wrongly, lately or not at all, and which
// operations end badly behind a correct answer.
package fault

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Effect is something that goes wrong inside MAAS or LXD rather than on the wire.
type Effect string

// The effects.
const (
	// None leaves the operation alone; only the answer is disturbed.
	None Effect = ""
	// ComposeLost makes the VM in LXD and no machine in MAAS, and answers as MAAS does when its driver timed out.
	ComposeLost Effect = "compose-lost"
	// VMLeft removes the machine from MAAS, answers 204 and leaves the VM in LXD.
	VMLeft Effect = "vm-left"
	// Fail ends a commissioning, a deployment or a release in its failed status.
	Fail Effect = "fail"
	// PostCommit lets MAAS commit and then fail at what it does afterwards: the answer is a 500, and the row has changed.
	PostCommit Effect = "post-commit"
	// Slow adds Fault.Latency to the time that the operation goes on after its answer, instead of to the answer.
	Slow Effect = "slow"
)

// Fault disturbs the requests that match it.
type Fault struct {
	// Operation is the kind of request, for example "vm-hosts.compose"; empty matches every operation of the API.
	Operation string `json:"operation,omitempty"`
	// Host limits the fault to requests about this VM host or about a machine on it; empty matches all.
	Host string `json:"host,omitempty"`
	// Machine limits the fault to requests about the machine of this system id or hostname; empty matches all.
	Machine string `json:"machine,omitempty"`
	// Skip lets this many matching requests pass first.
	Skip int `json:"skip,omitempty"`
	// Count is how many requests are disturbed; 0 disturbs all until the fault is cleared.
	Count int `json:"count,omitempty"`

	// Latency delays the answer; with Effect Slow, the end of the operation.
	Latency time.Duration `json:"latency,omitempty"`
	// Status, Body and Header answer instead of MAAS when Status is not 0.
	Status int               `json:"status,omitempty"`
	Body   string            `json:"body,omitempty"`
	Header map[string]string `json:"header,omitempty"`
	// Reset breaks the connection instead of answering.
	Reset bool `json:"reset,omitempty"`
	// After lets the operation take effect before the answer is replaced or the connection broken.
	After bool `json:"after,omitempty"`
	// Effect goes wrong inside.
	Effect Effect `json:"effect,omitempty"`
}

// Request is what a fault is matched against.
type Request struct {
	Operation string
	Host      string   // the VM host concerned, if any
	Machine   []string // system id and hostname of the machine concerned, if any
}

// Validate says what is wrong with a fault that could never do anything.
func (f Fault) Validate() error {
	effects := []Effect{None, ComposeLost, VMLeft, Fail, PostCommit, Slow}
	switch {
	case !slices.Contains(effects, f.Effect):
		return fmt.Errorf("unknown effect %q", f.Effect)
	case f.Skip < 0 || f.Count < 0 || f.Latency < 0:
		return fmt.Errorf("skip, count and latency cannot be negative")
	case f.Status == 0 && !f.Reset && f.Latency == 0 && f.Effect == None:
		return fmt.Errorf("a fault needs a status, a reset, a latency or an effect")
	case f.Effect == Slow && f.Latency == 0:
		return fmt.Errorf("the effect %q needs a latency", Slow)
	}
	return nil
}

// Plan is a list of faults. The zero value disturbs nothing; it is safe for concurrent use.
type Plan struct {
	mu     sync.Mutex
	faults []*active
}

type active struct {
	Fault
	skip, left int
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

// Take returns the faults for one request and uses them up.
func (p *Plan) Take(req Request) []Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	var taken []Fault
	p.faults = slices.DeleteFunc(p.faults, func(a *active) bool {
		if !a.matches(req) {
			return false
		}
		if a.skip > 0 {
			a.skip--
			return false
		}
		taken = append(taken, a.Fault)
		if a.Count == 0 {
			return false
		}
		a.left--
		return a.left == 0
	})
	return taken
}

func (f Fault) matches(req Request) bool {
	return (f.Operation == "" || f.Operation == req.Operation) &&
		(f.Host == "" || f.Host == req.Host) &&
		(f.Machine == "" || slices.Contains(req.Machine, f.Machine))
}

// Inside is what the faults of one request do inside MAAS.
type Inside struct {
	ComposeLost, VMLeft, Fail, PostCommit bool
	Slow                      time.Duration
}

// InsideOf gathers the inner effects of faults.
func InsideOf(faults []Fault) Inside {
	var in Inside
	for _, f := range faults {
		switch f.Effect {
		case ComposeLost:
			in.ComposeLost = true
		case VMLeft:
			in.VMLeft = true
		case Fail:
			in.Fail = true
		case PostCommit:
			in.PostCommit = true
		case Slow:
			in.Slow += f.Latency
		case None:
		}
	}
	return in
}
