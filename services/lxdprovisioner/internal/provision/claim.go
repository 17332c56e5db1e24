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

// claim takes a Ready VM, once its host is within its limit, and makes it ready to be deployed.
func (l *LXD) claim(ctx context.Context, req ComposeRequest, m inventory.Machine) (VM, error) {
	if err := l.checkHost(ctx, req, m); err != nil {
		return VM{}, err
	}
	claimed, err := l.cfg.MAAS.Claim(ctx, m.SystemID, agentName(m.Hostname))
	if fault.Is(err, fault.Conflict) {
		claimed, err = l.claimedBefore(ctx, m)
	}
	if err != nil {
		return VM{}, fmt.Errorf("claim %s: %w", m.Hostname, err)
	}
	if claimed.Hostname != m.Hostname {
		return VM{}, l.discardRenamed(ctx, claimed, m.Hostname, req.Owner)
	}
	l.proofs.add(m.Hostname, m.SystemID)
	l.watcher.forget(m.SystemID)
	l.cfg.Logger.InfoContext(ctx, "Claimed VM", "vm", m.Hostname, "host", claimed.HostName, "zone", claimed.Zone.Name,
		"systemID", m.SystemID, "attempt", req.Attempt.Number, "maasMachine", req.Owner.maasMachine())
	return l.prepare(ctx, req.Attempt, req.Owner, req.Network, claimed)
}

// claimedBefore reads a VM that is not Ready any more: by our own earlier claim, or by a stranger's.
func (l *LXD) claimedBefore(ctx context.Context, m inventory.Machine) (inventory.Machine, error) {
	claimed, err := l.cfg.MAAS.Claimed(ctx, m.SystemID, agentName(m.Hostname))
	if err == nil || !fault.Is(err, fault.NotFound) {
		return claimed, err
	}
	now, err := l.cfg.MAAS.Machine(ctx, m.SystemID)
	if err != nil {
		return inventory.Machine{}, err
	}
	if now.Owner == "" {
		return inventory.Machine{}, fault.New(fault.Busy, fault.ReasonNotReady, "%s is %s", m.Hostname, now.StatusName).WithRetryAfter(retrySoon)
	}
	return inventory.Machine{}, taken(now)
}

// prepare marks a claimed VM and links it to its network. Both may be repeated. A VM that can't have
// its network is deleted: it is of no use to anybody.
func (l *LXD) prepare(ctx context.Context, a Attempt, owner Owner, network Network, m inventory.Machine) (VM, error) {
	m, err := l.annotate(ctx, owner, m)
	if err != nil {
		return VM{}, err
	}
	m, linked, err := l.nets.link(ctx, m, network)
	cause, known := errors.AsType[*fault.Error](err)
	switch {
	case known && (cause.Kind() == fault.Refused || cause.Kind() == fault.Invalid):
		return VM{}, l.unusable(ctx, m, owner, cause)
	case err != nil:
		return VM{}, err
	case linked > 0:
		l.cfg.Logger.InfoContext(ctx, "Linked VM to its network", "vm", m.Hostname, "host", m.HostName, "zone", m.Zone.Name,
			"systemID", m.SystemID, "links", linked, "attempt", a.Number, "maasMachine", owner.maasMachine())
	}
	l.proofs.has(m, owner)
	claimed := true
	return l.view(m, &claimed), nil
}

// annotate writes the mark where it differs: at the claim, and after a move, which changes the UID.
func (l *LXD) annotate(ctx context.Context, owner Owner, m inventory.Machine) (inventory.Machine, error) {
	mark := owner.mark()
	if current := ownerOf(m); current != nil && maps.Equal(current.mark(), mark) {
		return m, nil
	}
	marked, err := l.cfg.MAAS.Annotate(ctx, m.SystemID, mark)
	if err != nil {
		return inventory.Machine{}, fmt.Errorf("mark %s: %w", m.Hostname, err)
	}
	l.cfg.Logger.InfoContext(ctx, "Marked VM", "vm", m.Hostname, "host", m.HostName, "zone", m.Zone.Name, "systemID", m.SystemID,
		"maasMachine", owner.maasMachine())
	return marked, nil
}

// checkHost waits until the VM's host is within its limit. MAAS lets two compositions share the same
// cores, so the youngest unclaimed VM yields and the others look again (docs/protocol-coverage.md 2.6).
// Compositions that end one after the other share a reading; so short a delay is little of the minutes that a deployment takes.
func (l *LXD) checkHost(ctx context.Context, req ComposeRequest, m inventory.Machine) error {
	check := l.checks.join(ctx, string(m.HostID), func(ctx context.Context) (inventory.Host, error) { return l.hosts.read(ctx, m.HostID) })
	l.gate.checked(m.Hostname)
	host, err := check()
	for err == nil && host.OverLimit() {
		var youngest inventory.Machine
		if host, youngest, err = l.yielding(ctx, host, m.Hostname); err != nil {
			break
		}
		if youngest.SystemID == m.SystemID {
			left := host.Available()
			return l.discard(ctx, youngest, req.Owner, fault.ReasonHostOvercommitted,
				fmt.Sprintf("the host was over its limit: %d cores and %d MiB left", left.Cores, left.MemoryMiB))
		}
		if !host.OverLimit() {
			return nil
		}
		if err := pause(ctx, l.cfg.Timing.YieldLook); err != nil {
			return fault.Wrap(err, fault.Busy, fault.ReasonCompositionInProgress, "%s waits until %s is within its limit", m.Hostname, host.Name)
		}
		host, err = l.hosts.read(ctx, m.HostID)
	}
	return err
}

// yielding gives the youngest unclaimed VM of a host over its limit, or none where that is not clear.
// The host is read between two equal lists: with a younger list and an older host every VM would be
// the youngest in turn, and all would yield.
func (l *LXD) yielding(ctx context.Context, host inventory.Host, name string) (inventory.Host, inventory.Machine, error) {
	before, err := l.unclaimed(ctx, host, name)
	if err != nil {
		return host, inventory.Machine{}, err
	}
	if host, err = l.hosts.read(ctx, host.ID); err != nil || !host.OverLimit() {
		return host, inventory.Machine{}, err
	}
	after, err := l.unclaimed(ctx, host, name)
	same := func(a, b inventory.Machine) bool { return a.SystemID == b.SystemID }
	if err != nil || len(after) == 0 || !slices.EqualFunc(before, after, same) {
		return host, inventory.Machine{}, err
	}
	return host, after[len(after)-1], nil
}

// unclaimed gives the host's Ready VMs that know the rule, the youngest last.
// Strangers' VMs don't: ours would wait for them for ever.
func (l *LXD) unclaimed(ctx context.Context, host inventory.Host, name string) ([]inventory.Machine, error) {
	ready, err := l.cfg.MAAS.Machines(ctx, MachineFilter{VMHosts: []string{host.Name}, Statuses: []inventory.Status{inventory.StatusReady}})
	if err != nil {
		return nil, fmt.Errorf("list the unclaimed VMs of %s: %w", host.Name, err)
	}
	ready = slices.DeleteFunc(ready, func(m inventory.Machine) bool {
		return m.HostID != host.ID || m.Owner != "" || m.Hostname != name && !vmName.MatchString(m.Hostname)
	})
	slices.SortFunc(ready, func(a, b inventory.Machine) int { return cmp.Compare(a.VirtualMachineID, b.VirtualMachineID) })
	return ready, nil
}

// pause waits for a time, or for ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
