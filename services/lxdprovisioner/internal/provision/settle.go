package provision

import (
	"context"
	"fmt"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// settle takes a VM that was found under an attempt's name as far as it goes: claimed, marked and
// linked where it is Ready, deleted where it must not be adopted.
func (l *LXD) settle(ctx context.Context, req ComposeRequest, m inventory.Machine) (VM, error) {
	if err := foreign(m, req.Attempt); err != nil {
		return VM{}, err
	}
	switch m.Status {
	case inventory.StatusNew, inventory.StatusCommissioning:
		return l.settleCommissioning(ctx, req, m)
	case inventory.StatusTesting:
		// Somebody may test a machine that is claimed, by us or by others.
		claimed, err := l.mayBeClaimed(ctx, m)
		if err != nil {
			return VM{}, err
		}
		if !claimed {
			return l.settleCommissioning(ctx, req, m)
		}
	case inventory.StatusReady:
		host, err := l.homeOf(ctx, m)
		if err != nil {
			return VM{}, err
		}
		if m.Zone.ID == 0 || host.Zone.ID == 0 {
			return VM{}, fault.New(fault.Unavailable, fault.ReasonMAASUnavailable, "MAAS does not tell the zones of %s and %s", m.Hostname, host.Name)
		}
		if m.Zone.ID != host.Zone.ID {
			return VM{}, l.discard(ctx, m, req.Owner, fault.ReasonVMCompositionFailed,
				fmt.Sprintf("it is in zone %s, its host in %s, so MAAS imported it", m.Zone.Name, host.Zone.Name))
		}
		return l.claim(ctx, req, m)
	case inventory.StatusFailedCommissioning, inventory.StatusFailedTesting:
		claimed, err := l.mayBeClaimed(ctx, m)
		if err != nil {
			return VM{}, err
		}
		if !claimed {
			return VM{}, l.discard(ctx, m, req.Owner, fault.ReasonVMDeploymentFailed, l.why(ctx, m))
		}
	default:
	}
	return l.settleClaimed(ctx, req.Attempt, req.Owner, req.Network, m)
}

// mayBeClaimed says whether the owner of a VM that MAAS commissions or tests may stand for a claim. It
// does not where it is the user that composed, or where nobody can claim a machine in that state.
func (l *LXD) mayBeClaimed(ctx context.Context, m inventory.Machine) (bool, error) {
	if ownerOf(m) != nil {
		return true, nil
	}
	if m.Owner == "" || unclaimable(m.Status) {
		return false, nil
	}
	us, err := l.user.get(ctx)
	return m.Owner != us, err
}

// settleCommissioning tells a VM that we let MAAS commission from one that a refresh imported: where
// we skip commissioning, only an imported one is in such a state.
func (l *LXD) settleCommissioning(ctx context.Context, req ComposeRequest, m inventory.Machine) (VM, error) {
	host, err := l.homeOf(ctx, m)
	if err != nil {
		return VM{}, err
	}
	nics, err := l.nicSpecs(ctx, host, req.Network)
	if err == nil && l.skipsCommissioning(host, nics) {
		return VM{}, l.discard(ctx, m, req.Owner, fault.ReasonVMCompositionFailed, "MAAS imported it, it is "+m.StatusName)
	}
	return l.view(m, nil), nil
}

// settleClaimed goes on with a VM that somebody has allocated, once it is proved that it was us, for
// this owner: the agent name tells the VM, the mark tells whose it is.
func (l *LXD) settleClaimed(ctx context.Context, a Attempt, owner Owner, network Network, m inventory.Machine) (VM, error) {
	proved, err := l.proved(ctx, m)
	if err != nil {
		return VM{}, err
	}
	if mark := ownerOf(m); !proved || mark != nil && !mark.same(owner) {
		return VM{}, taken(m)
	}
	switch m.Status {
	case inventory.StatusAllocated:
		return l.prepare(ctx, a, owner, network, m)
	case inventory.StatusFailedDeployment:
		return VM{}, l.discard(ctx, m, owner, fault.ReasonVMDeploymentFailed, l.why(ctx, m))
	case inventory.StatusDeploying, inventory.StatusDeployed:
		if m, err = l.annotate(ctx, owner, m); err != nil {
			return VM{}, err
		}
	default:
	}
	return l.view(m, &proved), nil
}

// onHost says whether the machine of the attempt's name is a VM on the attempt's host. The id decides:
// an operator may rename a VM host, and its VMs stay ours.
func (a Attempt) onHost(m inventory.Machine) bool {
	return m.IsVM() && m.HostID == a.HostID
}

// homeOf gives the host that a VM of the attempt is on, under the name that the host has today.
func (l *LXD) homeOf(ctx context.Context, m inventory.Machine) (inventory.Host, error) {
	return l.composeHost(ctx, Attempt{HostID: m.HostID, HostName: m.HostName})
}

// foreign is the error of a machine of the attempt's name that is not on the attempt's host, or no VM.
func foreign(m inventory.Machine, a Attempt) error {
	if a.onHost(m) {
		return nil
	}
	return fault.New(fault.Conflict, fault.ReasonNameTaken, "the name %s belongs to machine %s, which is not on %s", a.Name, m.SystemID, a.HostName)
}

func taken(m inventory.Machine) error {
	return fault.New(fault.Conflict, fault.ReasonNameTaken, "%s (%s) is %s and its claim is not ours; owner %q", m.Hostname, m.SystemID, m.StatusName, m.Owner)
}

// proved says whether the claim of a VM is ours: by allocate's own answer, or by a read with our
// agent name, since a machine does not tell its agent name.
func (l *LXD) proved(ctx context.Context, m inventory.Machine) (bool, error) {
	if m.Owner == "" {
		return false, nil
	}
	if known, ok := l.proofs.of(m.Hostname); ok && known.systemID == m.SystemID {
		// What is remembered was true once: MAAS's present owner overrules it.
		us, err := l.user.get(ctx)
		if err != nil || m.Owner == us {
			return err == nil, err
		}
	}
	_, err := l.cfg.MAAS.Claimed(ctx, m.SystemID, agentName(m.Hostname))
	switch {
	case err == nil:
		l.proofs.add(m.Hostname, m.SystemID)
		return true, nil
	case fault.Is(err, fault.NotFound):
		return false, nil
	default:
		return false, fmt.Errorf("prove the claim of %s: %w", m.Hostname, err)
	}
}

// discard deletes a VM that can't be used and gives the refusal that lets the caller open another
// attempt. Where the VM can't be deleted that error is the answer: the call comes back.
func (l *LXD) discard(ctx context.Context, m inventory.Machine, owner Owner, reason fault.Reason, why string) error {
	return l.unusable(ctx, m, owner, fault.New(fault.Refused, reason, "%s on %s is of no use: %s", m.Hostname, m.HostName, why))
}

// discardRenamed deletes a VM to which MAAS gave another name than it was asked for, which it does where somebody
// took the name in the meantime: nobody would find it again by its attempt. Its name in LXD is the one that was
// asked for, and by that its absence is proved.
func (l *LXD) discardRenamed(ctx context.Context, m inventory.Machine, name string, owner Owner) error {
	why := "MAAS calls it " + m.Hostname
	m.Hostname = name
	return l.discard(ctx, m, owner, fault.ReasonVMCompositionFailed, why)
}

// unusable deletes a VM for a cause and gives the cause, which names the VM: MAAS says that it deleted a VM also where
// that lives on, and only DeleteVM, which knows what else is on the host, can prove that it is gone (docs/protocol-coverage.md 4.3).
func (l *LXD) unusable(ctx context.Context, m inventory.Machine, owner Owner, cause *fault.Error) error {
	if err := l.remove(ctx, m, owner, string(cause.Reason())); err != nil {
		return err
	}
	return fault.Wrap(cause, cause.Kind(), cause.Reason(), "%s (%s) was deleted", m.Hostname, m.SystemID).WithField(cause.Field()).WithLeft(m.SystemID)
}

// remove deletes a VM of ours. Its host is proved alive first: with the host off MAAS answers 204,
// frees the address and leaves the VM running (docs/protocol-coverage.md 4.2).
func (l *LXD) remove(ctx context.Context, m inventory.Machine, owner Owner, reason string) error {
	if m.Locked {
		return fault.New(fault.Busy, fault.ReasonMachineLocked, "%s (%s) is locked in MAAS; unlock it to let it be deleted", m.Hostname, m.SystemID)
	}
	defer l.gate.remove(m.HostID)()
	if err := l.hostAlive(ctx, m); err != nil {
		if fault.ReasonOf(err) == fault.ReasonHostUnreachable {
			l.markDoomed(ctx, m, owner)
		}
		return fmt.Errorf("prove the host of %s alive: %w", m.Hostname, err)
	}
	if err := l.stillNobodys(ctx, m); err != nil {
		return err
	}
	l.refreshes.there(m.Hostname)
	err := l.cfg.Backend.Remove(ctx, m)
	l.watcher.forget(m.SystemID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("delete %s: %w", m.Hostname, err)
	}
	l.refreshes.gone(m.Hostname)
	l.proofs.forget(m.Hostname)
	l.ledger.forget(m.Hostname)
	l.hosts.drop(m.HostID)
	l.cfg.Logger.InfoContext(ctx, "Deleted VM", "vm", m.Hostname, "host", m.HostName, "zone", m.Zone.Name, "systemID", m.SystemID,
		"reason", reason, "maasMachine", owner.maasMachine())
	return nil
}

// stillNobodys reads a VM that anybody may have claimed since it was seen. What a deletion holds is not
// read; a VM that yields is not held, since the others on its host would take the next one for the youngest.
func (l *LXD) stillNobodys(ctx context.Context, m inventory.Machine) error {
	if m.Status != inventory.StatusReady || m.Owner != "" {
		return nil
	}
	now, err := l.cfg.MAAS.Machine(ctx, m.SystemID)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil
	case err != nil:
		return fmt.Errorf("see whether %s is still nobody's: %w", m.Hostname, err)
	case now.Owner != "":
		return taken(now)
	default:
		return nil
	}
}

// markDoomed notes on the row of a VM that can't be deleted whose it is and since when it is to be deleted: its
// caller may hand the deletion over and go (docs/protocol-coverage.md 4.6), and an operator who finds the row sees
// what it is. MAAS takes annotations of claimed machines alone, so a mark that is refused is no failure.
func (l *LXD) markDoomed(ctx context.Context, m inventory.Machine, owner Owner) {
	if m.Annotations[markDelete] != "" || m.Owner == "" || unclaimable(m.Status) {
		return
	}
	mark := owner.mark()
	mark[markDelete] = l.cfg.Clock().UTC().Format(time.RFC3339)
	if _, err := l.cfg.MAAS.Annotate(ctx, m.SystemID, mark); err != nil {
		l.cfg.Logger.InfoContext(ctx, "Not marking VM as to be deleted", "vm", m.Hostname, "systemID", m.SystemID, "error", err)
	}
}

// why says what MAAS says of a failure; MAAS's log has the cause, the machine often only the state.
func (l *LXD) why(ctx context.Context, m inventory.Machine) string {
	event, err := l.cfg.MAAS.LastError(ctx, m.SystemID)
	switch {
	case err == nil && event != "":
		return m.StatusName + ": " + event
	case m.Message != "":
		return m.StatusName + ": " + m.Message
	default:
		return m.StatusName
	}
}

// view makes the answer of a machine. The project is told where the inventory knows it.
func (l *LXD) view(m inventory.Machine, claimed *bool) VM {
	return VM{Machine: m, Project: l.hosts.project(m.HostID), Claimed: claimed, Owner: ownerOf(m)}
}
