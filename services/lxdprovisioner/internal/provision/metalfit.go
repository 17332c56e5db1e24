package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// namedOffers is how many machines are asked for by name before an allocation is given up.
const namedOffers = 3

// errUnfit says that MAAS offered a machine that does not fit and that it was given back.
var errUnfit = errors.New("the machine does not fit")

// take allocates a machine that fits. MAAS can't be asked for the sum of a machine's disks and offers the
// cheapest machine each time: where that one has too little, those with enough are asked for by name.
func (b *BareMetal) take(ctx context.Context, req AllocateRequest) (inventory.Machine, error) {
	m, err := b.offer(ctx, req)
	if !errors.Is(err, errUnfit) {
		return m, err
	}
	names, listErr := b.fitting(ctx, req.Constraints)
	if listErr != nil {
		return inventory.Machine{}, listErr
	}
	for _, name := range names[:min(len(names), namedOffers)] {
		req.Constraints.Hostname = name
		if m, err = b.offer(ctx, req); !fault.Is(err, fault.NoRoom) {
			return m, err
		}
	}
	return inventory.Machine{}, err
}

// offer sends one allocation and gives back what does not fit, which is NoRoom with errUnfit.
func (b *BareMetal) offer(ctx context.Context, req AllocateRequest) (inventory.Machine, error) {
	m, err := b.cfg.MAAS.AllocateMetal(ctx, req.Machine.AgentName, req.Constraints)
	if err != nil {
		return inventory.Machine{}, err
	}
	why := unfit(m, req.Constraints)
	if why == "" {
		return m, nil
	}
	if err := b.giveBack(ctx, m, why); err != nil {
		return inventory.Machine{}, err
	}
	return inventory.Machine{}, fault.Wrap(errUnfit, fault.NoRoom, fault.ReasonNoMachineAvailable, "MAAS offered %s, which %s", m.Hostname, why)
}

func (b *BareMetal) giveBack(ctx context.Context, m inventory.Machine, why string) error {
	if _, err := b.cfg.MAAS.Release(ctx, m.SystemID, why); err != nil {
		return perhapsHeld(fmt.Errorf("release %s, which %s: %w", m.SystemID, why, err))
	}
	b.cfg.Logger.InfoContext(ctx, "Released machine that does not fit", "systemID", m.SystemID, "reason", why)
	return nil
}

// fitting names the Ready machines that have what is asked, the cheapest first. Tags and architecture
// are MAAS's to judge when it is asked for one of them.
func (b *BareMetal) fitting(ctx context.Context, c Constraints) ([]string, error) {
	filter := MachineFilter{Statuses: []inventory.Status{inventory.StatusReady}}
	if c.Zone != "" {
		filter.Zones = []string{c.Zone}
	}
	if c.Pool != "" {
		filter.Pools = []string{c.Pool}
	}
	ready, err := b.cfg.MAAS.Machines(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("list the Ready machines: %w", err)
	}
	ready = slices.DeleteFunc(ready, func(m inventory.Machine) bool {
		return m.Owner != "" || m.Cores < c.MinCores || m.MemoryMiB < c.MinMemoryMiB || unfit(m, c) != ""
	})
	slices.SortFunc(ready, func(a, b inventory.Machine) int {
		return cmp.Or(cmp.Compare(a.Cores, b.Cores), cmp.Compare(a.MemoryMiB, b.MemoryMiB), cmp.Compare(a.SystemID, b.SystemID))
	})
	names := make([]string, 0, len(ready))
	for _, m := range ready {
		names = append(names, m.Hostname)
	}
	return names, nil
}

// unfit says what a machine lacks that MAAS was not asked for; empty where nothing.
func unfit(m inventory.Machine, c Constraints) string {
	if m.IsVM() || m.PowerType == "lxd" || m.PowerType == "virsh" {
		return "is a VM"
	}
	if m.DiskBytes < c.MinDiskGB*inventory.BytesPerGB {
		return fmt.Sprintf("has %d GB of disk, less than %d GB", m.DiskBytes/inventory.BytesPerGB, c.MinDiskGB)
	}
	return ""
}

// adopt goes on with a machine that an earlier allocation took. One that does not fit is given back:
// the call that took it did not come so far.
func (b *BareMetal) adopt(ctx context.Context, req AllocateRequest, m inventory.Machine) (BareMetalMachine, error) {
	if why := unfit(m, req.Constraints); why != "" && m.Status == inventory.StatusAllocated {
		if err := b.giveBack(ctx, m, why); err != nil {
			return BareMetalMachine{}, err
		}
		return BareMetalMachine{}, noMachine(req.Machine)
	}
	return b.markAllocated(ctx, req.Owner, m)
}
