package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// BareMetal are the use cases of physical machines. They are allocated, deployed and released, never
// composed and never deleted.
type BareMetal struct {
	cfg        Config
	watcher    *watcher
	allocating *flights[BareMetalMachine]
	deploying  *flights[BareMetalMachine]
	releasing  *flights[struct{}]
	holdings   holdings
}

// NewBareMetal makes the use cases of physical machines. Calls of one agent name are joined within
// the process: make one.
func NewBareMetal(cfg Config) *BareMetal {
	cfg = cfg.withDefaults()
	return &BareMetal{
		cfg: cfg, watcher: newWatcher(cfg, newUserName(cfg)),
		allocating: newFlights[BareMetalMachine](cfg),
		deploying:  newFlights[BareMetalMachine](cfg),
		releasing:  newFlights[struct{}](cfg),
		holdings:   holdings{all: make(map[string]holding)},
	}
}

// Drain waits for calls that run on without their caller, at most Timing.DrainLimit.
func (b *BareMetal) Drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.Timing.DrainLimit)
	defer cancel()
	return errors.Join(b.allocating.drain(ctx), b.deploying.drain(ctx), b.releasing.drain(ctx))
}

// AllocateMachine takes one Ready physical machine that matches. An allocation that was sent before is
// only looked for under the agent name: of several machines the one with the lowest system id is
// kept, the others are released; none is NotFound once the allocation can't appear any more.
func (b *BareMetal) AllocateMachine(ctx context.Context, req AllocateRequest) (BareMetalMachine, error) {
	agent := req.Machine.AgentName
	run := b.allocate
	if !req.SentAt.IsZero() {
		run = b.findAllocated
	}
	m, err := b.allocating.do(ctx, agent, func(ctx context.Context) (BareMetalMachine, error) { return run(ctx, req) })
	if errors.Is(err, errRunsOn) {
		return m, fault.New(fault.Busy, fault.ReasonAllocationInProgress, "a machine is being allocated as %s", agent).WithRetryAfter(retrySoon)
	}
	return m, err
}

func (b *BareMetal) allocate(ctx context.Context, req AllocateRequest) (BareMetalMachine, error) {
	agent := req.Machine.AgentName
	m, err := b.take(ctx, req)
	switch {
	case fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Internal):
		return b.afterUnknownAllocate(ctx, req, err)
	case err != nil:
		return BareMetalMachine{}, fmt.Errorf("allocate a machine as %s: %w", agent, err)
	}
	b.cfg.Logger.InfoContext(ctx, "Allocated machine", "systemID", m.SystemID, "zone", m.Zone.Name, "cores", m.Cores, "memoryMiB", m.MemoryMiB,
		"maasMachine", req.Owner.maasMachine())
	return b.markAllocated(ctx, req.Owner, m)
}

// afterUnknownAllocate looks once for what an allocation may have taken. Where it took none it may
// still take one: only the caller, once the allocation is old, may send another.
func (b *BareMetal) afterUnknownAllocate(ctx context.Context, req AllocateRequest, cause error) (BareMetalMachine, error) {
	agent := req.Machine.AgentName
	b.cfg.Logger.WarnContext(ctx, "Allocating machine ended without a known outcome", "agentName", agent, "reason", fault.ReasonOf(cause),
		"error", cause, "maasMachine", req.Owner.maasMachine())
	m, found, err := b.keepOne(ctx, agent)
	if err != nil || !found {
		return BareMetalMachine{}, fault.Wrap(cause, fault.Busy, fault.ReasonAllocationInProgress, "it is not known whether a machine was allocated as %s", agent).
			WithRetryAfter(retrySoon)
	}
	return b.adopt(ctx, req, m)
}

// findAllocated looks for the machine of an allocation that was sent by an earlier call.
func (b *BareMetal) findAllocated(ctx context.Context, req AllocateRequest) (BareMetalMachine, error) {
	agent := req.Machine.AgentName
	m, found, err := b.keepOne(ctx, agent)
	switch {
	case err != nil:
		return BareMetalMachine{}, perhapsHeld(err)
	case found:
		return b.adopt(ctx, req, m)
	}
	if b.mayAppear(req.SentAt) {
		return BareMetalMachine{}, fault.New(fault.Busy, fault.ReasonAllocationInProgress, "an allocation as %s was sent at %s and may still appear", agent, moment(req.SentAt)).
			WithRetryAfter(retrySoon)
	}
	return BareMetalMachine{}, noMachine(req.Machine)
}

// mayAppear says whether the machine of an allocation may still appear (docs/protocol-coverage.md 2.5).
func (b *BareMetal) mayAppear(sentAt time.Time) bool {
	return b.cfg.Clock().Sub(sentAt) < b.cfg.Timing.DetachedLimit
}

// moment writes a time into what a caller is told. A time and not an age: callers keep the text in a condition, of which each change is
// a write that wakes them.
func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// held reads the machines that are allocated under the agent name, the lowest system id first. One
// without an owner is not: MAAS keeps the agent name of a machine that leaves its owner by another way
// than a release, for example by a commissioning.
func (b *BareMetal) held(ctx context.Context, agent string) ([]inventory.Machine, error) {
	found, err := b.cfg.MAAS.Machines(ctx, MachineFilter{AgentNames: []string{agent}})
	if err != nil {
		return nil, fmt.Errorf("look for machines of %s: %w", agent, err)
	}
	found = slices.DeleteFunc(found, func(m inventory.Machine) bool { return m.IsVM() || m.Owner == "" })
	slices.SortFunc(found, func(a, b inventory.Machine) int { return cmp.Compare(a.SystemID, b.SystemID) })
	return found, nil
}

// keepOne gives the one machine that is held under the agent name, after releasing the others.
func (b *BareMetal) keepOne(ctx context.Context, agent string) (inventory.Machine, bool, error) {
	found, err := b.held(ctx, agent)
	if err != nil || len(found) == 0 {
		return inventory.Machine{}, false, err
	}
	for _, extra := range found[1:] {
		if _, err := b.cfg.MAAS.Release(ctx, extra.SystemID, "a second machine of "+agent); err != nil {
			return inventory.Machine{}, false, fmt.Errorf("release the second machine %s of %s: %w", extra.SystemID, agent, err)
		}
		b.cfg.Logger.InfoContext(ctx, "Released second machine", "systemID", extra.SystemID, "reason", agent)
	}
	return found[0], true, nil
}

func (b *BareMetal) markAllocated(ctx context.Context, owner Owner, m inventory.Machine) (BareMetalMachine, error) {
	marked, err := b.mark(ctx, owner, m)
	return marked, perhapsHeld(err)
}

// perhapsHeld makes an unknown outcome of an error after which a caller would take it that nothing is
// held and allocate once more, while a machine is or may be.
func perhapsHeld(err error) error {
	switch fault.KindOf(err) {
	case fault.NotFound, fault.NoRoom, fault.NoCandidate, fault.Invalid, fault.Busy:
		return fault.Wrap(err, fault.Unavailable, fault.ReasonOutcomeUnknown, "a machine may be held")
	default:
		return err
	}
}

func (b *BareMetal) mark(ctx context.Context, owner Owner, m inventory.Machine) (BareMetalMachine, error) {
	if current := ownerOf(m); current == nil || !maps.Equal(current.mark(), owner.mark()) {
		marked, err := b.cfg.MAAS.Annotate(ctx, m.SystemID, owner.mark())
		if err != nil {
			return BareMetalMachine{}, fmt.Errorf("mark %s: %w", m.SystemID, err)
		}
		m = marked
	}
	return metal(m), nil
}

// metal makes the answer of a machine that was found or allocated under its agent name.
func metal(m inventory.Machine) BareMetalMachine {
	claimed := true
	return BareMetalMachine{Machine: m, Claimed: &claimed, Owner: ownerOf(m)}
}

// GetMachine reads the machine of an agent name: from the watch, with the age of what it says, where it is
// watched and was once found under the name, else from MAAS. NotFound only where MAAS was read and has none.
func (b *BareMetal) GetMachine(ctx context.Context, ref MachineRef) (BareMetalMachine, error) {
	if m, ok := b.watcher.seen(ref.SystemID); ok && b.holdings.proved(ref.AgentName, m) {
		return metal(m), nil
	}
	found, _, err := b.heldOrTaken(ctx, ref)
	if err != nil {
		return BareMetalMachine{}, err
	}
	if i := slices.IndexFunc(found, func(m inventory.Machine) bool { return ref.SystemID == "" || m.SystemID == ref.SystemID }); i >= 0 {
		b.holdings.note(ref.AgentName, found[i])
		return metal(found[i]), nil
	}
	return BareMetalMachine{}, noMachine(ref)
}

func noMachine(ref MachineRef) error {
	return fault.New(fault.NotFound, fault.ReasonMachineNotFound, "MAAS has no machine %s under the agent name %s", ref.SystemID, ref.AgentName)
}
