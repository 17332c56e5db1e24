package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// releaseStep is what a release does with a machine of ours.
type releaseStep int

const (
	// stepRelease gives the machine back, which MAAS takes in this state.
	stepRelease releaseStep = iota + 1
	// stepAbort ends what runs, upon which MAAS shows the state of before.
	stepAbort
	// stepWait lets MAAS end what it is at.
	stepWait
	// stepFree has nothing to give back: nobody can hold a machine in this state.
	stepFree
	// stepOperator has no way from this state that leaves the machine whole: MAAS neither releases nor
	// aborts it, and what somebody is at must not be undone.
	stepOperator
)

// stepOf gives the step of each of MAAS's states (MAAS: RELEASABLE_STATUSES, Node.abort_operation).
func stepOf(s inventory.Status) releaseStep {
	switch s {
	case inventory.StatusAllocated, inventory.StatusReserved, inventory.StatusDeploying, inventory.StatusDeployed,
		inventory.StatusFailedDeployment, inventory.StatusBroken, inventory.StatusFailedReleasing, inventory.StatusFailedDiskErasing:
		return stepRelease
	case inventory.StatusCommissioning, inventory.StatusTesting:
		return stepAbort
	case inventory.StatusReleasing, inventory.StatusDiskErasing, inventory.StatusEnteringRescueMode, inventory.StatusExitingRescueMode:
		return stepWait
	case inventory.StatusNew, inventory.StatusReady:
		return stepFree
	default:
		return stepOperator
	}
}

// wayOut tells an operator what frees a machine that MAAS does not release.
func wayOut(s inventory.Status) string {
	switch s {
	case inventory.StatusRescueMode, inventory.StatusFailedEnteringRescue, inventory.StatusFailedExitingRescue:
		return "exit its rescue mode"
	case inventory.StatusFailedTesting:
		return "override its failed tests or test it again"
	case inventory.StatusFailedCommissioning, inventory.StatusMissing:
		return "commission it"
	default:
		return "bring it back to a state in which MAAS releases it"
	}
}

// releaseLook is the wait after a release that failed, and where an operator has to act: MAAS gives a
// release five minutes, and the cause is seldom gone at once. Erasing disks takes from minutes to hours.
const releaseLook = time.Minute

// ReleaseMachine aborts what runs and releases every machine that is held under the agent name. Success
// means that MAAS holds none any more; while MAAS is releasing one, and while
// somebody has to free it first, it is Busy.
func (b *BareMetal) ReleaseMachine(ctx context.Context, req ReleaseRequest) error {
	_, err := b.releasing.do(ctx, req.Machine.AgentName, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.release(ctx, req)
	})
	if errors.Is(err, errRunsOn) {
		return fault.New(fault.Busy, fault.ReasonDeletionInProgress, "%s is being released", req.Machine.AgentName).WithRetryAfter(retrySoon)
	}
	return err
}

func (b *BareMetal) release(ctx context.Context, req ReleaseRequest) error {
	// An allocation that runs would be left behind, and a deployment that runs would deploy the freed
	// machine. One that comes later sees that the release runs.
	_, _, _ = b.allocating.join(ctx, req.Machine.AgentName)
	_, _, _ = b.deploying.join(ctx, req.Machine.AgentName)
	found, known, err := b.heldOrTaken(ctx, req.Machine)
	if err == nil && len(found) == 0 && req.Machine.SystemID == "" {
		found, err = b.letGo(ctx, req.Owner)
	}
	if err != nil {
		return err
	}
	if len(found) == 0 && !req.SentAt.IsZero() {
		if b.mayAppear(req.SentAt) {
			return fault.New(fault.Busy, fault.ReasonDeletionInProgress, "an allocation as %s was sent at %s and may still appear", req.Machine.AgentName, moment(req.SentAt)).
				WithRetryAfter(retrySoon)
		}
	}
	var failures []error
	for _, m := range found {
		if err := b.releaseOne(ctx, req, m); err != nil {
			failures = append(failures, err)
		}
	}
	if len(failures) > 0 {
		return failures[0]
	}
	for _, m := range found {
		if err := b.verifyReleased(ctx, req, m.SystemID); err != nil {
			return err
		}
	}
	systemID := req.Machine.SystemID
	switch {
	case systemID == "" || slices.ContainsFunc(found, func(m inventory.Machine) bool { return m.SystemID == systemID }):
		return nil
	case len(found) == 0:
		return b.settleReleased(ctx, req, known) // it was read above, and nothing was done since
	}
	return b.verifyReleased(ctx, req, systemID)
}

// letGo finds the machines of an owner that a release took the agent name away from and did not free. Only
// the mark says whose they are, and MAAS can't be asked for that: it is asked for the few machines of ours
// that are in such a state.
func (b *BareMetal) letGo(ctx context.Context, owner Owner) ([]inventory.Machine, error) {
	us, err := b.watcher.user.get(ctx)
	if err != nil {
		return nil, err
	}
	found, err := b.cfg.MAAS.Machines(ctx, MachineFilter{Owners: []string{us}, Statuses: []inventory.Status{
		inventory.StatusAllocated, inventory.StatusReleasing, inventory.StatusFailedReleasing, inventory.StatusDiskErasing, inventory.StatusFailedDiskErasing,
	}})
	if err != nil {
		return nil, fmt.Errorf("look for machines that bear the mark of %s: %w", owner.maasMachine(), err)
	}
	return slices.DeleteFunc(found, func(m inventory.Machine) bool { return m.IsVM() || !heldFor(m, owner) }), nil
}

// heldFor says whether the mark of a machine that somebody holds is the owner's.
func heldFor(m inventory.Machine, owner Owner) bool {
	mark := ownerOf(m)
	return m.Owner != "" && mark != nil && mark.MachineUID == owner.MachineUID && mark.same(owner)
}

// releaseOne takes one machine a step towards being free; Busy where that is not its last step.
func (b *BareMetal) releaseOne(ctx context.Context, req ReleaseRequest, m inventory.Machine) error {
	if m.Locked {
		return fault.New(fault.Busy, fault.ReasonMachineLocked, "%s is locked in MAAS; unlock it to let it be released", m.SystemID)
	}
	comment := "released for " + req.Owner.maasMachine()
	switch stepOf(m.Status) {
	case stepFree:
		return nil
	case stepWait:
		after := retrySoon
		if m.Status == inventory.StatusDiskErasing {
			after = releaseLook
		}
		return fault.New(fault.Busy, fault.ReasonDeletionInProgress, "%s is %s", m.SystemID, m.StatusName).WithRetryAfter(after)
	case stepOperator:
		return fault.New(fault.Busy, fault.ReasonNotReady, "%s is %s, from which MAAS releases no machine; %s in MAAS to let it be released",
			m.SystemID, m.StatusName, wayOut(m.Status)).WithRetryAfter(releaseLook)
	case stepAbort:
		if err := b.cfg.MAAS.Abort(ctx, m.SystemID, comment); err != nil {
			return fmt.Errorf("abort %s: %w", m.SystemID, err)
		}
		return fault.New(fault.Busy, fault.ReasonDeletionInProgress, "%s was %s, which was aborted", m.SystemID, m.StatusName).WithRetryAfter(retrySoon)
	case stepRelease:
	}
	b.markForRelease(ctx, req.Owner, m)
	if _, err := b.cfg.MAAS.Release(ctx, m.SystemID, comment); err != nil {
		return fmt.Errorf("release %s: %w", m.SystemID, err)
	}
	b.watcher.forget(m.SystemID)
	b.cfg.Logger.InfoContext(ctx, "Released machine", "systemID", m.SystemID, "zone", m.Zone.Name, "maasMachine", req.Owner.maasMachine())
	return nil
}

// markForRelease makes sure that the machine bears the mark of its owner of today: where a release fails
// MAAS has taken the agent name away, and the mark alone still says whose it is. MAAS lets nobody but the
// machine's user write it, so a refusal is no failure.
func (b *BareMetal) markForRelease(ctx context.Context, owner Owner, m inventory.Machine) {
	if _, err := b.mark(ctx, owner, m); err != nil {
		b.cfg.Logger.InfoContext(ctx, "Releasing machine without its mark", "systemID", m.SystemID, "error", err)
	}
}

// verifyReleased reads a machine that is being given back. MAAS forgets the agent name when a release begins
// and the owner when it has ended: where the power driver doesn't answer, the machine is back in the state of
// before, held, and without an agent name.
func (b *BareMetal) verifyReleased(ctx context.Context, req ReleaseRequest, systemID string) error {
	m, err := b.cfg.MAAS.Machine(ctx, systemID)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("see whether %s is released: %w", systemID, err)
	}
	return b.settleReleased(ctx, req, m)
}

// settleReleased judges a machine that is being given back as it was just read; an empty one is gone.
func (b *BareMetal) settleReleased(ctx context.Context, req ReleaseRequest, m inventory.Machine) error {
	if !heldFor(m, req.Owner) || stepOf(m.Status) == stepFree {
		return nil
	}
	if err := b.releaseOne(ctx, req, m); err != nil {
		return err
	}
	return fault.New(fault.Busy, fault.ReasonDeletionInProgress, "%s was still held (%s) and is released once more", m.SystemID, m.StatusName).
		WithRetryAfter(releaseLook)
}
