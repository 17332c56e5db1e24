package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// DeleteVM deletes whatever the attempts made and proves that it is gone. VMs that are not ours by
// name, host and mark are left alone. Busy while that goes on, and Unavailable with HOST_UNREACHABLE where a host did not answer
// when it was asked last.
func (l *LXD) DeleteVM(ctx context.Context, req DeleteRequest) ([]Absence, error) {
	if len(req.Attempts) == 0 {
		return nil, fault.New(fault.Invalid, fault.ReasonBadRequest, "no attempt is named").WithField("attempts")
	}
	known := briefing{hosts: req.Hosts, at: l.cfg.Clock()}
	if err := l.provable(req.Attempts, known); err != nil {
		return nil, err
	}
	key := deletionKey(req.Attempts)
	l.briefings.take(key, known)
	absences, err := l.deleting.do(ctx, key, func(ctx context.Context) ([]Absence, error) { return l.delete(ctx, req) })
	if errors.Is(err, errRunsOn) {
		return nil, l.beingDeleted(key, req.Attempts)
	}
	return absences, unproved(err)
}

// provable refuses what could be deleted and never be proved: nothing is done then.
func (l *LXD) provable(attempts []Attempt, known briefing) error {
	if !l.cfg.Backend.Capabilities().RefreshIsHarmful {
		return nil
	}
	for _, a := range attempts {
		if !a.Sent() && !l.composing.runs(a.Name) {
			continue
		}
		if _, err := known.of(a.HostID); err != nil {
			return err
		}
	}
	return nil
}

// deletionKey names a deletion by all its attempts: one that names fewer does not answer for the rest.
func deletionKey(attempts []Attempt) string {
	names := make([]string, 0, len(attempts))
	for _, a := range attempts {
		names = append(names, a.Name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// delete removes every VM first and proves the absences then: what can be freed is freed even where
// another attempt's host is out of reach.
func (l *LXD) delete(ctx context.Context, req DeleteRequest) ([]Absence, error) {
	sent := map[string]bool{}
	var names []string
	for _, a := range req.Attempts {
		_, running, _ := l.composing.join(ctx, a.Name)
		sent[a.Name] = a.Sent() || running
		if sent[a.Name] {
			names = append(names, a.Name)
		}
		l.ledger.forget(a.Name)
	}
	d := deletion{LXD: l, req: req}
	if err := d.tooSoon(sent); err != nil {
		return nil, err
	}
	found, err := l.patient.byNames(ctx, names)
	if err != nil {
		return nil, err
	}
	var failures []error
	still := map[string]bool{}
	for _, a := range req.Attempts {
		if !sent[a.Name] {
			continue
		}
		if err := d.remove(ctx, a, found); err != nil {
			failures = append(failures, err)
			still[a.Name] = true
		}
	}
	absences := make([]Absence, 0, len(req.Attempts))
	for _, a := range req.Attempts {
		if still[a.Name] {
			continue
		}
		proof := NeverSent
		if sent[a.Name] {
			if proof, err = d.absence(ctx, a, found); err != nil {
				failures = append(failures, err)
				continue
			}
		}
		absences = append(absences, Absence{Name: a.Name, Proof: proof})
	}
	if len(failures) > 0 {
		// The first failure is the one to act on: a host that doesn't answer before the proofs that
		// wait for it.
		return nil, failures[0]
	}
	return absences, nil
}

// deletion is one pass over the attempts of a MaasMachine.
type deletion struct {
	*LXD

	req DeleteRequest
}

// tooSoon is the error of a deletion whose VMs were deleted already and whose proof has to wait for the next refresh of
// a host: MAAS need not be asked before. Nil where something may have to be done.
func (d *deletion) tooSoon(sent map[string]bool) error {
	var wait error
	for _, a := range d.req.Attempts {
		if !sent[a.Name] {
			continue
		}
		if !d.refreshes.isGone(a.Name) {
			return nil
		}
		if due, proved := d.due(a); !proved && !due.After(d.cfg.Clock()) {
			wait = cmp.Or(wait, d.refreshes.tooSoon(a.HostID, a.HostName))
		}
	}
	return wait
}

// absence proves that no VM of the attempt exists. What a pass has proved whose caller was gone when it ended stands while MAAS shows
// no VM of the name: one that proves everything anew may never end in time for its own caller.
func (d *deletion) absence(ctx context.Context, a Attempt, found map[string]inventory.Machine) (AbsenceProof, error) {
	if _, there := found[a.Name]; !there && d.refreshes.proved.was(a.Name) {
		return Refreshed, nil
	}
	return d.prove(ctx, a)
}

// remove deletes the attempt's VM where there is one of ours.
func (d *deletion) remove(ctx context.Context, a Attempt, found map[string]inventory.Machine) error {
	m, ok := found[a.Name]
	if !ok {
		d.refreshes.gone(a.Name)
		return nil
	}
	ours, err := d.ours(ctx, m, a)
	if err == nil && ours {
		if m, err = d.hold(ctx, m); fault.Is(err, fault.Conflict) {
			ours, err = false, nil
		}
	}
	if err != nil {
		return err
	}
	if !ours {
		d.refreshes.gone(a.Name)
		d.cfg.Logger.WarnContext(ctx, "Leaving machine alone: it is not ours by name, host and mark", "vm", a.Name, "host", m.HostName,
			"systemID", m.SystemID, "attempt", a.Number, "maasMachine", d.req.Owner.maasMachine())
		return nil
	}
	return d.LXD.remove(ctx, m, d.req.Owner, "deletion")
}

// hold claims a VM that is still Ready, and gives it as it is then. MAAS deletes whatever it shows under
// the system id: between a look and a deletion somebody else could allocate a VM that is anybody's. Conflict
// where somebody has.
func (d *deletion) hold(ctx context.Context, m inventory.Machine) (inventory.Machine, error) {
	if m.Status != inventory.StatusReady || m.Owner != "" {
		return m, nil
	}
	held, err := d.cfg.MAAS.Claim(ctx, m.SystemID, agentName(m.Hostname))
	if fault.Is(err, fault.Conflict) {
		held, err = d.claimedBefore(ctx, m)
	}
	switch {
	case fault.Is(err, fault.NotFound):
		// Gone in the meantime: deleting it will find nothing.
		return m, nil
	case err != nil:
		return m, fmt.Errorf("claim %s before it is deleted: %w", m.Hostname, err)
	}
	d.proofs.add(m.Hostname, m.SystemID)
	d.watcher.forget(m.SystemID)
	return held, nil
}

// ours says whether a machine of the attempt's name is the attempt's VM (docs/protocol-coverage.md 3.2): on its
// host and either without an owner, or marked for the same MaasMachine, or claimed by us. In some states
// an owner is no claim, and in others MAAS has taken the agent name away; where only time tells whose
// the VM will be, the answer is Busy.
func (d *deletion) ours(ctx context.Context, m inventory.Machine, a Attempt) (bool, error) {
	if !a.onHost(m) {
		return false, nil
	}
	if mark := ownerOf(m); mark != nil {
		return mark.same(d.req.Owner), nil
	}
	if m.Owner == "" || unclaimable(m.Status) {
		return true, nil
	}
	us, err := d.user.get(ctx)
	if err != nil {
		return false, err
	}
	switch m.Status {
	case inventory.StatusFailedTesting, inventory.StatusFailedReleasing, inventory.StatusFailedDiskErasing:
		if m.Owner == us {
			return true, nil
		}
	case inventory.StatusTesting, inventory.StatusReleasing, inventory.StatusDiskErasing:
		if m.Owner == us {
			return true, nil
		}
		return false, fault.New(fault.Busy, fault.ReasonDeletionInProgress, "%s on %s is %s for %q; whether it is ours shows when that has ended",
			m.Hostname, m.HostName, m.StatusName, m.Owner).WithRetryAfter(time.Minute)
	default:
	}
	return d.proved(ctx, m)
}

// unclaimable says whether nobody can have claimed a machine in this state: its owner, if there is one,
// is who composed, refreshed or commissioned (docs/protocol-coverage.md 5.1).
func unclaimable(s inventory.Status) bool {
	return s == inventory.StatusNew || s == inventory.StatusCommissioning || s == inventory.StatusFailedCommissioning
}
