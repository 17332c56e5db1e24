package provision

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

// Placement is how one selection of a host ended, as metrics see it. Dry runs and plans are none.
type Placement struct {
	// Outcome is "OK", or the reason of the fault.
	Outcome string
	// Rejections is every host and why it is out, where none was chosen.
	Rejections []placement.Rejection
}

// placed tells the observer how a selection ended.
func (l *LXD) placed(req SelectRequest, err error) {
	if req.DryRun {
		return
	}
	if err == nil {
		l.cfg.Placed(Placement{Outcome: "OK"})
		return
	}
	ended := Placement{Outcome: string(fault.ReasonOf(err))}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		if noFit, ok := f.Detail().(*placement.NoFit); ok {
			ended.Rejections = noFit.Rejections
		}
	}
	l.cfg.Placed(ended)
}

// ZoneCapacity is what the LXD hosts of one zone have.
type ZoneCapacity struct {
	// Zone is the zone's name.
	Zone string
	// Usable is how many hosts can take a VM, Unusable how many can't, whatever is asked for.
	Usable, Unusable int
	// Total is what MAAS lets be used of the usable hosts, over-commit ratios counted in; Free is what is left of it, the
	// ledger taken off. What is over its limit counts as full.
	Total, Free inventory.Resources
}

// Capacity sums the inventory by zone, in the order of their names, and says when it was read. MAAS is asked only where the
// last reading is older than Timing.CapacityMaxAge; where that does not end with ctx, or MAAS does not answer, the last one counts. The time
// is zero where there is none.
func (l *LXD) Capacity(ctx context.Context) ([]ZoneCapacity, time.Time) {
	snap := l.hosts.last()
	if l.cfg.Clock().Sub(snap.ReadAt) > l.cfg.Timing.CapacityMaxAge {
		if err := l.hosts.renew(ctx); err != nil {
			l.cfg.Logger.DebugContext(ctx, "Telling the capacity as it was read last", "readAt", snap.ReadAt, "error", err)
		}
	}
	// The ledger first: what is seen on a host leaves it only once the host is in the inventory.
	usage := placement.NewUsage(l.ledger.pending())
	snap = l.hosts.last()
	zones := map[string]*ZoneCapacity{}
	for _, h := range snap.Hosts {
		if h.Type != "lxd" {
			continue
		}
		zone := zones[h.Zone.Name]
		if zone == nil {
			zone = &ZoneCapacity{Zone: h.Zone.Name}
			zones[h.Zone.Name] = zone
		}
		zone.add(h, usage)
	}
	all := make([]ZoneCapacity, 0, len(zones))
	for _, zone := range zones {
		all = append(all, *zone)
	}
	slices.SortFunc(all, func(a, b ZoneCapacity) int { return cmp.Compare(a.Zone, b.Zone) })
	return all, snap.ReadAt
}

func (z *ZoneCapacity) add(h inventory.Host, usage placement.Usage) {
	if _, out := placement.Unusable(h); out {
		z.Unusable++
		return
	}
	z.Usable++
	z.Total = z.Total.Add(h.Allowed())
	free := usage.Available(h)
	z.Free = z.Free.Add(inventory.Resources{
		Cores: max(free.Cores, 0), MemoryMiB: max(free.MemoryMiB, 0), DiskBytes: max(free.DiskBytes, 0),
	})
}

// LedgerCounts is how many VMs the ledger holds, by how far they are.
type LedgerCounts struct {
	// Chosen VMs have a host and are not being composed; Composing ones are; Unseen ones were composed, or refused, and their host was not read
	// since.
	Chosen, Composing, Unseen int
}

// Ledger counts what was given out and MAAS does not show yet.
func (l *LXD) Ledger() LedgerCounts { return l.ledger.counts() }

// WatchCounts is what a watcher has to do.
type WatchCounts struct {
	// Streams is how many callers are told of changes, Machines how many machines somebody waits for.
	Streams, Machines int
}

// Watched counts the open streams of VMs.
func (l *LXD) Watched() WatchCounts { return l.watcher.counts() }

// Watched counts the open streams of physical machines.
func (b *BareMetal) Watched() WatchCounts { return b.watcher.counts() }
