package provision

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

// HostFilter selects hosts by the names of their zone and pool, after one host and up to a number;
// empty fields don't.
type HostFilter struct {
	Zone string
	Pool string
	// AfterName and AfterID are of the last host that is known already. It need not exist any more.
	AfterName string
	AfterID   inventory.HostID
	// Limit is how many hosts at most.
	Limit int
}

// HostView is a host and what may still be placed on it.
type HostView struct {
	inventory.Host

	// Available counts over-commit ratios in and takes the ledger off.
	Available inventory.Resources
	// PoolsAvailable are the bytes left in each storage pool, by name, the ledger taken off.
	PoolsAvailable map[string]int64
	// Unusable says why the host can take no VM at all; nil where it can.
	Unusable *placement.Rejection
}

// HostList is the inventory, by host name and id.
type HostList struct {
	Hosts []HostView
	// More says whether Limit left hosts out.
	More     bool
	Snapshot inventory.Snapshot
}

// SelectRequest asks for a host for one VM.
type SelectRequest struct {
	placement.Request

	// Network is the VM's; the subnets that it can't do without go into the request's constraints.
	Network Network
	// DryRun chooses without noting the choice.
	DryRun bool
}

// PlanRequest asks for hosts for several VMs of one size.
type PlanRequest struct {
	placement.PlanRequest

	// Network is that of each VM.
	Network Network
}

// Selection is the choice and what it was made from.
type Selection struct {
	placement.Decision

	Snapshot inventory.Snapshot
}

// PlanResult is a plan and what it was made from.
type PlanResult struct {
	placement.Plan

	Snapshot inventory.Snapshot
}

// Snapshot gives the inventory, no older than seconds.
func (l *LXD) Snapshot(ctx context.Context) (inventory.Snapshot, error) { return l.hosts.snapshot(ctx) }

// ListHosts lists the hosts that MAAS knows, usable or not.
func (l *LXD) ListHosts(ctx context.Context, filter HostFilter) (HostList, error) {
	if err := l.hosts.renew(ctx); err != nil {
		return HostList{}, err
	}
	usage := placement.NewUsage(l.ledger.pending())
	snap := l.hosts.indexed().Snapshot()
	list := HostList{Snapshot: snap}
	hosts := filter.of(snap.Hosts)
	if filter.Limit > 0 && len(hosts) > filter.Limit {
		hosts, list.More = hosts[:filter.Limit], true
	}
	for _, h := range hosts {
		list.Hosts = append(list.Hosts, viewOf(h, usage))
	}
	return list, nil
}

// of gives those of the hosts that the filter lets through, by name and id, whatever its limit.
func (f HostFilter) of(hosts []inventory.Host) []inventory.Host {
	var through []inventory.Host
	for _, h := range hosts {
		known := cmp.Or(cmp.Compare(h.Name, f.AfterName), cmp.Compare(h.ID, f.AfterID)) <= 0
		if !known && (f.Zone == "" || h.Zone.Name == f.Zone) && (f.Pool == "" || h.Pool.Name == f.Pool) {
			through = append(through, h)
		}
	}
	slices.SortFunc(through, func(a, b inventory.Host) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return through
}

func viewOf(h inventory.Host, usage placement.Usage) HostView {
	v := HostView{Host: h, Available: usage.Available(h), PoolsAvailable: make(map[string]int64, len(h.StoragePools))}
	for _, p := range h.StoragePools {
		v.PoolsAvailable[p.Name] = usage.StoragePoolAvailable(h, p)
	}
	if r, out := placement.Unusable(h); out {
		v.Unusable = &r
	}
	return v
}

// SelectHost chooses a host for one VM and, unless it is a dry run, notes the choice in the ledger.
// Faults are PlacementFault's, MAAS's, and Invalid for a subnet that MAAS does not have.
func (l *LXD) SelectHost(ctx context.Context, req SelectRequest) (Selection, error) {
	if err := l.hosts.renew(ctx); err != nil {
		return Selection{}, err
	}
	var err error
	if req.Constraints.Subnets, err = l.nets.demanded(ctx, req.Network); err != nil {
		return Selection{}, err
	}
	decision, snap, err := l.choose(req)
	if err != nil {
		err = l.refuse(ctx, req.VM, req.Size, req.Constraints, err)
	}
	l.placed(req, err)
	if err != nil {
		return Selection{}, err
	}
	l.cfg.Logger.DebugContext(ctx, "Selected host", "vm", req.VM, "host", decision.Chosen.HostName,
		"zone", decision.Chosen.Zone, "summary", decision.Summary, "dryRun", req.DryRun)
	return Selection{Decision: decision, Snapshot: snap}, nil
}

// choose places the VM among the hosts that were read last and what is given out, and notes the
// choice in one step with that.
func (l *LXD) choose(req SelectRequest) (placement.Decision, inventory.Snapshot, error) {
	l.choosing.Lock()
	defer l.choosing.Unlock()
	req.Pending = l.ledger.pending()
	req.Keep = l.ledger.kept(req.VM)
	req.OwnShare = l.cfg.OwnShare()
	index := l.hosts.indexed()
	decision, err := index.Place(req.Request)
	if err != nil || req.DryRun {
		return decision, index.Snapshot(), err
	}
	l.ledger.note(placement.Reservation{
		VM: req.VM, Host: decision.Chosen.HostID, Zone: decision.Chosen.Zone, Group: req.Group.Key, Size: req.Size,
	})
	return decision, index.Snapshot(), nil
}

// Distribute plans n VMs over zones and hosts. Nothing is noted.
func (l *LXD) Distribute(ctx context.Context, req PlanRequest) (PlanResult, error) {
	if err := l.hosts.renew(ctx); err != nil {
		return PlanResult{}, err
	}
	var err error
	if req.Constraints.Subnets, err = l.nets.demanded(ctx, req.Network); err != nil {
		return PlanResult{}, err
	}
	req.Pending = l.ledger.pending()
	req.OwnShare = l.cfg.OwnShare()
	index := l.hosts.indexed()
	plan, err := index.Distribute(req.PlanRequest)
	if err != nil {
		return PlanResult{}, l.refuse(ctx, req.VM, req.Size, req.Constraints, err)
	}
	return PlanResult{Plan: plan, Snapshot: index.Snapshot()}, nil
}

// refuse makes a fault of a placement error and logs what was asked and why nothing fits.
func (l *LXD) refuse(ctx context.Context, vm string, size inventory.VMSize, want placement.Constraints, err error) error {
	f := PlacementFault(err)
	if f.Kind() == fault.NoCandidate {
		f = l.sharpen(ctx, want, f)
	}
	l.cfg.Logger.InfoContext(ctx, "Refused host selection", "vm", vm, "reason", f.Reason(), "summary", f.Error(), sizeLog(size))
	if noFit, ok := f.Detail().(*placement.NoFit); ok {
		for _, r := range noFit.Rejections {
			l.cfg.Logger.DebugContext(ctx, "Rejected host", "vm", vm, "host", r.HostName, "zone", r.Zone, "reason", r.Reason, "message", r.Message)
		}
	}
	return f
}

// sharpen tells "no host in the zone" from "no such zone", which needs MAAS's lists. Where they can't
// be read the fault stays as it is: the refusal holds either way.
func (l *LXD) sharpen(ctx context.Context, want placement.Constraints, f *fault.Error) *fault.Error {
	switch f.Reason() {
	case fault.ReasonNoHostInZone:
		zones, err := l.cfg.MAAS.Zones(ctx)
		if err != nil {
			return f
		}
		for _, name := range append(slices.Clone(want.Zones), want.Zone) {
			if name != "" && !slices.ContainsFunc(zones, func(z inventory.Zone) bool { return z.Name == name }) {
				return fault.Wrap(f, fault.NoCandidate, fault.ReasonZoneNotFound, "MAAS has no zone %q", name).WithDetail(f.Detail())
			}
		}
	case fault.ReasonNoHostInPool:
		pools, err := l.cfg.MAAS.Pools(ctx)
		if err != nil {
			return f
		}
		for _, name := range want.Pools {
			if !slices.ContainsFunc(pools, func(p inventory.Pool) bool { return p.Name == name }) {
				return fault.Wrap(f, fault.NoCandidate, fault.ReasonPoolNotFound, "MAAS has no resource pool %q", name).WithDetail(f.Detail())
			}
		}
	default:
	}
	return f
}

// classes maps placement's classes to the contract's kinds and reasons.
var classes = map[placement.Class]struct {
	kind   fault.Kind
	reason fault.Reason
}{
	placement.NoHosts:            {fault.NoCandidate, fault.ReasonNoHosts},
	placement.NoHostInPool:       {fault.NoCandidate, fault.ReasonNoHostInPool},
	placement.NoHostInZone:       {fault.NoCandidate, fault.ReasonNoHostInZone},
	placement.NoHostMatches:      {fault.NoCandidate, fault.ReasonNoHostMatches},
	placement.ProfileMissing:     {fault.NoCandidate, fault.ReasonProfileNotFound},
	placement.ProjectMissing:     {fault.NoCandidate, fault.ReasonProjectNotFound},
	placement.StoragePoolMissing: {fault.NoCandidate, fault.ReasonStoragePoolNotFound},
	placement.TooLarge:           {fault.Invalid, fault.ReasonBadResources},
	placement.NoRoom:             {fault.NoRoom, fault.ReasonInsufficientResources},
}

// PlacementFault makes a fault of an error of package placement. A NoFit is its detail, so that the
// server can tell every rejection.
func PlacementFault(err error) *fault.Error {
	if invalid, ok := errors.AsType[*placement.Invalid](err); ok {
		return fault.New(fault.Invalid, fault.ReasonBadResources, "%s", invalid.Message).WithField(invalid.Field)
	}
	noFit, ok := errors.AsType[*placement.NoFit](err)
	if !ok {
		return fault.Wrap(err, fault.Internal, fault.ReasonInternal, "choose a host")
	}
	class, ok := classes[noFit.Class]
	if !ok {
		return fault.Wrap(err, fault.Internal, fault.ReasonInternal, "choose a host")
	}
	return fault.New(class.kind, class.reason, "%s", noFit.Summary).WithDetail(noFit)
}

// sizeLog words a VM's size for a log line.
func sizeLog(s inventory.VMSize) slog.Attr {
	return slog.Group("size", "cores", s.Cores, "memoryMiB", s.MemoryMiB, "diskGB", s.Resources().DiskBytes/inventory.BytesPerGB)
}
