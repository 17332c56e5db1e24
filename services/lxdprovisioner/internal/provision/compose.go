package provision

import (
	"context"
	"errors"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

// retrySoon is after how long a caller should ask again for something that MAAS does in seconds.
const retrySoon = 5 * time.Second

// ComposeVM makes the VM of one attempt on the attempt's host and, once it is Ready, claims, marks
// and links it. An attempt that was sent before is only looked for. A VM that failed before it was
// deployed is deleted, and the answer is Refused with VM_DEPLOYMENT_FAILED; so is, with
// VM_COMPOSITION_FAILED, one that MAAS imported under our name, which is never adopted.
func (l *LXD) ComposeVM(ctx context.Context, req ComposeRequest) (VM, error) {
	name := req.Attempt.Name
	run := l.compose
	if req.Attempt.Sent() {
		if err := l.refusals.of(req.Attempt); err != nil {
			return VM{}, err
		}
		run = l.findComposed
	}
	vm, err := l.composing.do(ctx, name, func(ctx context.Context) (VM, error) {
		vm, err := run(ctx, req)
		l.refusals.note(name, err)
		return vm, err
	})
	if errors.Is(err, errRunsOn) {
		l.owed.note(name, l.cfg.Clock())
		return VM{}, fault.New(fault.Busy, fault.ReasonCompositionInProgress, "%s is being composed on %s", name, req.Attempt.HostName).WithRetryAfter(retrySoon)
	}
	return vm, unproved(err)
}

// unproved makes an unknown outcome of MAAS's "not found": only one that comes together with the
// presence of the host proves an absence.
func unproved(err error) error {
	if fault.Is(err, fault.NotFound) && fault.ReasonOf(err) != fault.ReasonVMNotFound {
		return fault.Wrap(err, fault.Unavailable, fault.ReasonOutcomeUnknown, "MAAS lost sight of it meanwhile")
	}
	return err
}

// compose sends the composition and finishes what it made.
func (l *LXD) compose(ctx context.Context, req ComposeRequest) (VM, error) {
	spec, err := l.specify(ctx, req)
	if err != nil {
		l.unsent.note(req.Attempt.Name, err)
		return VM{}, err
	}
	host := spec.Host
	defer l.gate.checked(spec.Name)
	systemID, err := l.send(ctx, req, spec)
	if err != nil {
		return l.afterFailedSend(ctx, req, err)
	}
	l.cfg.Logger.InfoContext(ctx, "Composed VM", "vm", spec.Name, "host", host.Name, "zone", host.Zone.Name, "systemID", systemID,
		"attempt", req.Attempt.Number, "maasMachine", req.Owner.maasMachine(), sizeLog(spec.Size))
	if !spec.SkipCommissioning {
		m, err := l.cfg.MAAS.Machine(ctx, systemID)
		if err != nil {
			return VM{}, err
		}
		if m.Hostname != spec.Name {
			return VM{}, l.discardRenamed(ctx, m, spec.Name, req.Owner)
		}
		return l.settle(ctx, req, m)
	}
	made := inventory.Machine{SystemID: systemID, Hostname: spec.Name, HostID: host.ID, HostName: host.Name, Status: inventory.StatusReady}
	return l.claim(ctx, req, made)
}

// specify gathers what is sent to MAAS; until it has, nothing is.
func (l *LXD) specify(ctx context.Context, req ComposeRequest) (VMSpec, error) {
	host, err := l.composeHost(ctx, req.Attempt)
	if err != nil {
		return VMSpec{}, err
	}
	return l.vmSpec(ctx, host, req)
}

// composeHost gives the attempt's host; Refused where MAAS has no host of that id and name, since
// nothing can be made there.
func (l *LXD) composeHost(ctx context.Context, a Attempt) (inventory.Host, error) {
	snap, err := l.hosts.snapshot(ctx)
	if err != nil {
		return inventory.Host{}, err
	}
	host, ok := snap.Host(a.HostID)
	if !ok || host.Name != a.HostName {
		// It may have been added or renamed since.
		host, err = l.hosts.read(ctx, a.HostID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return inventory.Host{}, err
		}
	}
	if host.ID != a.HostID || host.Name != a.HostName {
		return inventory.Host{}, fault.New(fault.Refused, fault.ReasonLXDHostUnavailable, "MAAS has no VM host %s named %q", a.HostID, a.HostName)
	}
	return host, nil
}

// presentHost reads the attempt's host: absence of a VM counts only together with the presence of
// its host (docs/protocol-coverage.md 4.5).
func (l *LXD) presentHost(ctx context.Context, id inventory.HostID, name string) (inventory.Host, error) {
	host, err := l.hosts.read(ctx, id)
	return present(host, err, id, name)
}

// present judges the reading of a host. One that is gone or renamed counts as unreachable.
func present(host inventory.Host, err error, id inventory.HostID, name string) (inventory.Host, error) {
	if err != nil && !fault.Is(err, fault.NotFound) {
		return inventory.Host{}, err
	}
	if err != nil || host.Name != name {
		return inventory.Host{}, fault.New(fault.Unavailable, fault.ReasonHostUnreachable, "MAAS has no VM host %s named %q, so nothing is known of its VMs", id, name)
	}
	return host, nil
}

// send makes the one POST of an attempt.
func (l *LXD) send(ctx context.Context, req ComposeRequest, spec VMSpec) (string, error) {
	queued, cancel := context.WithTimeout(ctx, l.cfg.Timing.QueueLimit)
	leave, err := l.gate.compose(queued, spec.Host, spec.Name)
	cancel()
	if err != nil {
		l.unsent.note(spec.Name, err)
		return "", err
	}
	defer leave()
	l.ledger.compose(placement.Reservation{
		VM: spec.Name, Host: spec.Host.ID, Zone: spec.Host.Zone.Name, Group: req.GroupKey, Size: req.Size,
	})
	systemID, err := l.cfg.Backend.Make(ctx, spec)
	l.unsent.note(spec.Name, untaken(err))
	if err == nil || nothingMade(err) {
		l.ledger.answer(spec.Name)
	} else {
		l.ledger.lose(spec.Name)
	}
	if err != nil {
		// What was made is in the ledger until the check of the host has read it.
		l.hosts.drop(spec.Host.ID)
	}
	return systemID, err
}

// untaken is the error of a composition that MAAS did not take: it was too busy, or refused our key. Nil is any other outcome.
func untaken(err error) error {
	if kind := fault.KindOf(err); kind == fault.Busy || kind == fault.Denied {
		return err
	}
	return nil
}

// nothingMade says whether the error of a composition means that no VM was made.
func nothingMade(err error) bool {
	switch fault.KindOf(err) {
	case fault.Refused, fault.Invalid, fault.Denied, fault.Unsupported, fault.NoCandidate, fault.Busy:
		return true
	default:
		return false
	}
}

// lookAfter bounds the look for what a call with an unknown outcome left. The look has its own time,
// since the call may have used up all of its own.
const lookAfter = time.Minute

// afterFailedSend passes a refusal on. After an unknown outcome it looks for the VM: MAAS answers 500
// also where everything was made and only the power-on failed.
func (l *LXD) afterFailedSend(ctx context.Context, req ComposeRequest, cause error) (VM, error) {
	a := req.Attempt
	log := l.cfg.Logger.With("vm", a.Name, "host", a.HostName, "attempt", a.Number, "maasMachine", req.Owner.maasMachine())
	if nothingMade(cause) {
		log.InfoContext(ctx, "Composing VM refused", "reason", fault.ReasonOf(cause), "error", cause, sizeLog(req.Size))
		return VM{}, cause
	}
	log.WarnContext(ctx, "Composing VM ended without a known outcome", "reason", fault.ReasonOf(cause), "error", cause)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookAfter)
	defer cancel()
	m, found, err := l.names.byName(ctx, a.Name)
	if err != nil || !found {
		return VM{}, fault.Wrap(cause, fault.Busy, fault.ReasonCompositionInProgress, "it is not known whether %s was composed on %s", a.Name, a.HostName).
			WithRetryAfter(retrySoon)
	}
	return l.settle(ctx, req, m)
}

// findComposed looks for the VM of an attempt that was sent by an earlier call.
func (l *LXD) findComposed(ctx context.Context, req ComposeRequest) (VM, error) {
	a := req.Attempt
	if m, ok := l.proofs.lately(a.Name, req.Owner); ok && l.owed.take(a.Name) {
		claimed := true
		return l.view(m, &claimed), nil
	}
	m, found, err := l.names.byName(ctx, a.Name)
	if err != nil {
		return VM{}, err
	}
	if found {
		return l.settle(ctx, req, m)
	}
	if l.unsent.of(a) != nil {
		// It was not sent for want of something else, MAAS was too busy to take it, or refused our key: nothing can appear.
		return VM{}, l.notFound(ctx, a)
	}
	if l.cfg.Clock().Sub(a.SentAt) < l.cfg.Timing.DetachedLimit {
		return VM{}, fault.New(fault.Busy, fault.ReasonCompositionInProgress, "%s was sent to %s at %s and may still appear", a.Name, a.HostName, moment(a.SentAt)).
			WithRetryAfter(retrySoon)
	}
	return VM{}, l.notFound(ctx, a)
}

// notFound is the error of a VM that MAAS does not have, once its host was read.
func (l *LXD) notFound(ctx context.Context, a Attempt) error {
	if _, err := l.presentHost(ctx, a.HostID, a.HostName); err != nil {
		return err
	}
	return fault.New(fault.NotFound, fault.ReasonVMNotFound, "MAAS has no VM %s on %s", a.Name, a.HostName)
}
