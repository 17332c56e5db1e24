// Package fault is the simulator's plan of what goes wrong: which requests are answered wrongly, lately or not at all, and which
// operations end badly behind a correct answer.
package fault

import (
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
	// ComposeAgain is a compose that loses a race in the database: MAAS runs it anew, and LXD has the VM already.
	ComposeAgain Effect = "compose-again"
	// Window holds a compose when LXD has the VM and MAAS has not, for Fault.Latency or until the window is released.
	Window Effect = "window"
	// VMLeft removes the machine from MAAS, answers 204 and leaves the VM in LXD.
	VMLeft Effect = "vm-left"
	// Fail ends a commissioning, a deployment or a release in its failed status.
	Fail Effect = "fail"
	// PostCommit lets MAAS commit and then fail at what it does afterwards: the answer is a 500, and the row has changed.
	PostCommit Effect = "post-commit"
	// Slow adds Fault.Latency to the time that the operation goes on after its answer, instead of to the answer.
	Slow Effect = "slow"
	// Stuck operations go on after their answer until somebody ends them; MAAS itself gives up on a release after five minutes.
	Stuck Effect = "stuck"
	// HostOffline makes the VM host that the request is about unreachable, for everybody, until the request is answered.
	HostOffline Effect = "host-offline"
)

// forever is how long a stuck operation goes on.
const forever = 100 * 365 * 24 * time.Hour

// Mangle spoils the true answer of a request; the operation takes effect.
type Mangle string

// The ways to spoil an answer.
const (
	Intact Mangle = ""
	// Garbage answers 200 with JSON's media type and what is no JSON.
	Garbage Mangle = "garbage"
	// Truncated ends the connection in the middle of the body.
	Truncated Mangle = "truncated"
	// Empty answers with the true status and headers and without a body.
	Empty Mangle = "empty"
	// Nulls replaces the values in a JSON answer by null.
	Nulls Mangle = "nulls"
	// WrongTypes makes strings of numbers, booleans and nulls in a JSON answer, and numbers of strings.
	WrongTypes Mangle = "wrong-types"
	// HTMLPage answers 200 with a page for people, as a proxy with a login does.
	HTMLPage Mangle = "html"
)

// Fault disturbs the requests that match it.
type Fault struct {
	// Operation is the kind of request, for example "vm-hosts.compose"; empty matches every operation of the API. Here and in the next
	// three fields there may be several patterns with commas between them, and * stands for any text: "machines.*,vm-hosts.refresh".
	Operation string `json:"operation,omitempty"`
	// Host limits the fault to requests about this VM host or about a machine on it; empty matches all.
	Host string `json:"host,omitempty"`
	// Machine limits the fault to requests about the machine of this system id or hostname; empty matches all.
	Machine string `json:"machine,omitempty"`
	// User limits the fault to requests of this user; empty matches all.
	User string `json:"user,omitempty"`
	// Skip lets this many matching requests pass first.
	Skip int `json:"skip,omitempty"`
	// Count is how many requests are disturbed; 0 disturbs all until the fault is cleared.
	Count int `json:"count,omitempty"`
	// Probability is the share of matching requests that are disturbed, of 1; 0 disturbs all.
	Probability float64 `json:"probability,omitempty"`

	// Latency delays the operation and its answer, with After the answer alone; with Effect Slow, the end of the operation; with Effect Window, how long it is open.
	Latency time.Duration `json:"latency,omitempty"`
	// Spread draws the latency from a distribution instead.
	Spread Spread `json:"-"`
	// Preset answers instead of MAAS with one of its known refusals; Presets lists them.
	Preset string `json:"preset,omitempty"`
	// Status, Body and Header answer instead of MAAS when Status is not 0.
	Status int               `json:"status,omitempty"`
	Body   string            `json:"body,omitempty"`
	Header map[string]string `json:"header,omitempty"`
	// Reset breaks the connection instead of answering.
	Reset bool `json:"reset,omitempty"`
	// After lets the operation take effect before Latency passes, the answer is replaced or the connection broken.
	After bool `json:"after,omitempty"`
	// Mangle spoils the answer.
	Mangle Mangle `json:"mangle,omitempty"`
	// Field limits Nulls and WrongTypes to the values of this name, wherever they are in the answer; empty spoils all.
	Field string `json:"field,omitempty"`
	// Trickle sends the answer's body in small pieces over this long.
	Trickle time.Duration `json:"trickle,omitempty"`
	// Effect goes wrong inside.
	Effect Effect `json:"effect,omitempty"`
}

// Request is what a fault is matched against.
type Request struct {
	Operation string
	Hosts     []string // the VM hosts concerned, if any
	Machine   []string // system ids and hostnames of the machines concerned, if any
	User      string   // who asks, if anybody
}

// Replaces reports whether the fault answers instead of MAAS, or not at all.
func (f Fault) Replaces() bool { return f.Status != 0 || f.Reset }

// Concerns reports whether the fault is about a VM host of this name.
func (f Fault) Concerns(host string) bool { return matchesAny(f.Host, host) }

// DelaysAnswer reports whether the fault's latency delays the answer, rather than what is inside: before the effect, or behind it with After.
func (f Fault) DelaysAnswer() bool { return f.Latency > 0 && f.Effect != Slow && f.Effect != Window }

// Inside is what the faults of one request do inside MAAS.
type Inside struct {
	ComposeLost, VMLeft, Fail, PostCommit bool
	Slow                                  time.Duration
	// Window holds a compose between LXD's work and MAAS's; nil for none.
	Window func()
}

// InsideOf gathers the inner effects of faults; window holds a compose for at most as long as it is told.
func InsideOf(faults []Fault, window func(time.Duration)) Inside {
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
		case Stuck:
			in.Slow = forever
		case Window:
			in.Window = func() { window(f.Latency) }
		case None, ComposeAgain, HostOffline:
		}
	}
	return in
}
