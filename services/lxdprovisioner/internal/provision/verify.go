package provision

import (
	"context"
	"slices"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// NoRefreshTag on a VM host keeps it from being refreshed.
const NoRefreshTag = "capmaas-no-refresh"

// prove proves that no VM of the attempt exists, refreshing the host where that is needed and
// allowed. Every other outcome is an error that says what is waited for. Who has to wait for the next
// refresh anyway does not read the host for that.
func (d *deletion) prove(ctx context.Context, a Attempt) (AbsenceProof, error) {
	host, err := d.hostToProveOn(ctx, a)
	if err != nil {
		return 0, err
	}
	if slices.Contains(host.Tags, NoRefreshTag) {
		return d.proveUnverified(ctx, a)
	}
	if due, proved := d.due(a); !proved {
		if wait := due.Sub(d.cfg.Clock()); wait > 0 {
			return 0, fault.New(fault.Busy, fault.ReasonDeletionInProgress, "whether %s appears late on %s is known at %s", a.Name, a.HostName, moment(due)).
				WithRetryAfter(wait)
		}
		// Somebody else's refresh may have proved it, whatever became of ours.
		err := d.refresh(ctx, host)
		switch _, proved := d.due(a); {
		case proved:
		case err != nil:
			return 0, err
		default:
			return 0, fault.New(fault.Busy, fault.ReasonDeletionInProgress, "%s needs another refresh of %s", a.Name, a.HostName).
				WithRetryAfter(max(d.cfg.Timing.SettleGap, d.cfg.Timing.RefreshGap))
		}
	}
	if err := d.stillAbsent(ctx, a); err != nil {
		return 0, err
	}
	d.refreshes.proved.note(a.Name, d.cfg.Clock())
	d.logProof(ctx, a, host, "refreshed")
	return Refreshed, nil
}

// hostToProveOn reads the attempt's host. Where it has to be refreshed, the reading waits until nothing is being deleted
// there any more, at most for as long as the next refresh would have to wait, and is shared by all who wait with it: one
// refresh then proves all that they have deleted.
func (d *deletion) hostToProveOn(ctx context.Context, a Attempt) (inventory.Host, error) {
	if due, proved := d.due(a); proved || due.After(d.cfg.Clock()) {
		return d.presentHost(ctx, a.HostID, a.HostName)
	}
	if err := d.refreshes.tooSoon(a.HostID, a.HostName); err != nil {
		return inventory.Host{}, err
	}
	host, err := d.proving.do(ctx, string(a.HostID), func(ctx context.Context) (inventory.Host, error) { return d.hosts.read(ctx, a.HostID) })
	return present(host, err, a.HostID, a.HostName)
}

// due says whether the refreshes so far prove the absence, and if not, when the next one may be. An
// attempt whose VM was seen needs one that began after the VM was gone; one that never showed needs
// two, since the VM may appear minutes after MAAS gave up (docs/protocol-coverage.md 1.5).
func (d *deletion) due(a Attempt) (time.Time, bool) {
	since := d.refreshes.gone(a.Name)
	if a.Settled || d.refreshes.wasThere(a.Name) {
		_, ok := d.refreshes.after(a.HostID, since)
		return since, ok
	}
	first := a.SentAt.Add(d.cfg.Timing.SettleFirst)
	one, ok := d.refreshes.after(a.HostID, first)
	if !ok {
		return first, false
	}
	second := one.began.Add(d.cfg.Timing.SettleGap)
	_, ok = d.refreshes.after(a.HostID, second)
	return second, ok
}

// refresh refreshes the host unless that would harm somebody (docs/protocol-coverage.md 4.4).
func (d *deletion) refresh(ctx context.Context, host inventory.Host) error {
	if d.cfg.Backend.Capabilities().RefreshIsHarmful {
		if err := d.mayRefresh(ctx, host); err != nil {
			return err
		}
	}
	return d.refreshes.refresh(ctx, host)
}

// mayRefresh holds a refresh back that would import a VM in the making or delete one that is alive.
func (d *deletion) mayRefresh(ctx context.Context, host inventory.Host) error {
	briefed := d.briefings.newest(deletionKey(d.req.Attempts))
	known, err := briefed.of(host.ID)
	if err != nil {
		return err
	}
	if err := d.gate.busy(host); err != nil {
		return err
	}
	for _, a := range append(slices.Clone(known.Unsettled), d.req.Attempts...) {
		if a.HostID != host.ID || !a.Sent() || a.Settled || d.refreshes.wasThere(a.Name) {
			continue
		}
		if wait := d.cfg.Timing.SettleFirst - d.cfg.Clock().Sub(a.SentAt); wait > 0 {
			return fault.New(fault.Busy, fault.ReasonDeletionInProgress, "%s may still appear on %s, which is refreshed afterwards", a.Name, host.Name).WithRetryAfter(wait)
		}
	}
	return d.checkDeployed(ctx, host, known.Deployed, briefed.at)
}

// checkDeployed looks for the VMs of which the caller knew at a time that they are deployed on the host: a refresh deletes
// those that MAAS has lost, or whose address another VM with the same MAC address has taken. One that is missing for longer
// than the caller knows of it is lost; before, its own deletion may have gone ahead of what the caller knows.
func (d *deletion) checkDeployed(ctx context.Context, host inventory.Host, names []string, at time.Time) error {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(d.req.Attempts, func(a Attempt) bool { return a.Name == name })
	})
	found, err := d.patient.byNames(ctx, names)
	if err != nil {
		return err
	}
	for _, name := range names {
		m, ok := found[name]
		missing := !ok || m.HostID != host.ID
		if !missing {
			d.missed.take(name)
		}
		switch {
		case missing && d.missed.first(name).After(at):
			return fault.New(fault.Busy, fault.ReasonDeletionInProgress, "VM %s was deployed on %s a moment ago and is missing in MAAS: it may be deleted as well", name, host.Name).
				WithRetryAfter(retrySoon)
		case missing:
			return lost("VM %s is deployed on %s but missing in MAAS: the host is not refreshed, since that would delete it", name, host.Name)
		case len(m.Interfaces) == 0 || len(m.Addresses) == 0:
			return lost("VM %s on %s has no interface or address in MAAS (a second VM with its MAC address?): the host is not refreshed, since that would delete it", name, host.Name)
		}
	}
	return nil
}

func lost(format, name, host string) error {
	return fault.New(fault.Busy, fault.ReasonMAASLostMachines, format, name, host).WithRetryAfter(time.Minute)
}

// proveUnverified is the proof for hosts that must not be refreshed: the VM was deleted while its
// host answered, and its name is absent.
func (d *deletion) proveUnverified(ctx context.Context, a Attempt) (AbsenceProof, error) {
	if !a.Settled && !d.refreshes.wasThere(a.Name) {
		known := a.SentAt.Add(d.cfg.Timing.SettleFirst + d.cfg.Timing.SettleGap)
		if wait := known.Sub(d.cfg.Clock()); wait > 0 {
			return 0, fault.New(fault.Busy, fault.ReasonDeletionInProgress, "whether %s appears late on %s is known at %s", a.Name, a.HostName, moment(known)).
				WithRetryAfter(wait)
		}
	}
	if err := d.stillAbsent(ctx, a); err != nil {
		return 0, err
	}
	d.logProof(ctx, a, inventory.Host{}, "unverified")
	return Unverified, nil
}

// stillAbsent looks once more: a refresh imports what a deletion left behind.
func (d *deletion) stillAbsent(ctx context.Context, a Attempt) error {
	m, found, err := d.patient.byName(ctx, a.Name)
	if err != nil || !found {
		return err
	}
	ours, err := d.ours(ctx, m, a)
	if err != nil || !ours {
		return err
	}
	d.refreshes.there(a.Name)
	d.cfg.Logger.WarnContext(ctx, "Deleted VM is there again", "vm", a.Name, "host", a.HostName, "systemID", m.SystemID,
		"attempt", a.Number, "maasMachine", d.req.Owner.maasMachine())
	return fault.New(fault.Busy, fault.ReasonDeletionInProgress, "%s was left on %s and MAAS has found it again; it is deleted once more", a.Name, a.HostName).
		WithRetryAfter(retrySoon)
}

func (d *deletion) logProof(ctx context.Context, a Attempt, host inventory.Host, proof string) {
	d.cfg.Logger.InfoContext(ctx, "Verified that VM is gone", "vm", a.Name, "host", a.HostName, "zone", host.Zone.Name,
		"attempt", a.Number, "reason", proof, "maasMachine", d.req.Owner.maasMachine())
}
