package fault

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// World is what a fault is checked against: it can do nothing to what is not there.
type World struct {
	Operations []string
	// OfHosts and OfMachines are the operations whose requests are about a VM host or a machine: host and machine of a fault match those alone.
	OfHosts, OfMachines []string
	Hosts               []string
	Users               []string
}

// worksOn names the operations on which an effect has any.
var worksOn = map[Effect][]string{
	ComposeLost:  composing,
	ComposeAgain: composing,
	Window:       composing,
	VMLeft:       {"machines.delete"},
	Fail:         lasting,
	Slow:         lasting,
	Stuck:        lasting,
	PostCommit: {
		"vm-hosts.compose", "machines.commission", "machines.deploy", "machines.power_on", "machines.power_off",
		"machines.release", "machines.release_many", "machines.abort", "machines.test", "machines.rescue_mode", "machines.exit_rescue_mode",
		"machines.mark_broken",
	},
	HostOffline: {
		"vm-hosts.compose", "vm-hosts.refresh", "vm-hosts.update", "vm-hosts.delete", "machines.commission", "machines.deploy", "machines.power_on",
		"machines.power_off", "machines.query_power_state", "machines.release", "machines.release_many", "machines.abort", "machines.test",
		"machines.rescue_mode", "machines.exit_rescue_mode", "machines.mark_broken", "machines.delete",
	},
}

// composing operations make VMs.
var composing = []string{"vm-hosts.compose", "machines.allocate"}

// lasting operations go on after their answer: they commission, test, deploy, release or rescue.
var lasting = []string{
	"vm-hosts.compose", "vm-hosts.create", "vm-hosts.update", "vm-hosts.refresh", "machines.commission", "machines.deploy",
	"machines.power_on", "machines.release",
	"machines.release_many", "machines.test", "machines.rescue_mode", "machines.exit_rescue_mode", "machines.create",
}

// WorksOn returns the operations on which an effect has any.
func WorksOn(e Effect) []string { return slices.Clone(worksOn[e]) }

var (
	effects = []Effect{None, ComposeLost, ComposeAgain, Window, VMLeft, Fail, PostCommit, Slow, Stuck, HostOffline}
	mangles = []Mangle{Intact, Garbage, Truncated, Empty, Nulls, WrongTypes, HTMLPage}
)

// Validate says what is wrong with a fault that could never do anything.
func (f Fault) Validate() error {
	if err := f.validNames(); err != nil {
		return err
	}
	latency := f.hasLatency()
	answers := f.Status != 0 || f.Preset != ""
	switch {
	case f.Skip < 0 || f.Count < 0 || f.Latency < 0 || f.Trickle < 0:
		return errors.New("skip, count, latency and trickle cannot be negative")
	case f.Probability < 0 || f.Probability > 1:
		return fmt.Errorf("probability %g: want 0 to 1", f.Probability)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status %d: want 200 to 599", f.Status)
	case !answers && !f.Reset && !latency && f.Effect == None && f.Mangle == Intact && f.Trickle == 0:
		return errors.New("a fault needs a status, a preset, a reset, a latency, a trickle, a mangle or an effect")
	case f.Effect == Slow && !latency:
		return fmt.Errorf("the effect %q needs a latency", Slow)
	case answers && f.Reset:
		return errors.New("a fault either answers or resets the connection")
	case f.Mangle != Intact && (answers || f.Reset):
		return errors.New("a fault either spoils MAAS's answer or replaces it")
	case f.After && !answers && !f.Reset && !f.canDelay():
		return errors.New(`"after" needs a latency of the answer, a status, a preset or a reset that comes after the effect`)
	case (f.Body != "" || len(f.Header) > 0) && !answers:
		return errors.New("a body or a header needs a status")
	case f.Field != "" && f.Mangle != Nulls && f.Mangle != WrongTypes:
		return fmt.Errorf("a field needs the mangle %q or %q", Nulls, WrongTypes)
	case f.Effect != None && (answers || f.Reset) && !f.After && f.Effect != HostOffline:
		return fmt.Errorf(`the effect %q never comes when the answer is replaced before it: add "after"`, f.Effect)
	}
	return f.Spread.validate()
}

func (f Fault) hasLatency() bool { return f.Latency > 0 || f.Spread.Shape != "" }

// canDelay reports whether a latency of the fault delays the answer.
func (f Fault) canDelay() bool { return f.hasLatency() && f.Effect != Slow && f.Effect != Window }

// validNames checks the words that stand for something.
func (f Fault) validNames() error {
	if !slices.Contains(effects, f.Effect) {
		return fmt.Errorf("unknown effect %q: want one of %s", f.Effect, names(effects[1:]))
	}
	if !slices.Contains(mangles, f.Mangle) {
		return fmt.Errorf("unknown mangle %q: want one of %s", f.Mangle, names(mangles[1:]))
	}
	if _, ok := presets[f.Preset]; f.Preset != "" && !ok {
		return fmt.Errorf("unknown preset %q: want one of %s", f.Preset, strings.Join(Presets(), ", "))
	}
	if where := worksOn[f.Effect]; len(where) > 0 && !slices.ContainsFunc(where, func(name string) bool { return matchesAny(f.Operation, name) }) {
		return fmt.Errorf("the effect %q does nothing to %q: it works on %s", f.Effect, f.Operation, strings.Join(where, ", "))
	}
	return nil
}

// ValidateIn checks the fault against what there is: an operation, host or user that does not exist is never disturbed.
func (f Fault) ValidateIn(w World) error {
	if err := f.Validate(); err != nil {
		return err
	}
	for _, field := range []struct {
		what, patterns string
		all            []string
	}{{"operation", f.Operation, w.Operations}, {"host", f.Host, w.Hosts}, {"user", f.User, w.Users}} {
		if field.patterns == "" {
			continue
		}
		for pattern := range strings.SplitSeq(field.patterns, ",") {
			pattern = strings.TrimSpace(pattern)
			if !slices.ContainsFunc(field.all, func(name string) bool { return matchesOne(pattern, name) }) {
				return fmt.Errorf("there is no %s %q", field.what, pattern)
			}
		}
	}
	for _, field := range []struct {
		what, patterns string
		operations     []string
	}{{"host", f.Host, w.OfHosts}, {"machine", f.Machine, w.OfMachines}} {
		if field.patterns != "" && !slices.ContainsFunc(field.operations, func(name string) bool { return matchesAny(f.Operation, name) }) {
			return fmt.Errorf("no request of %q is about a %s", f.Operation, field.what)
		}
	}
	return nil
}

func names[T ~string](all []T) string {
	list := make([]string, 0, len(all))
	for _, one := range all {
		list = append(list, string(one))
	}
	return strings.Join(list, ", ")
}
