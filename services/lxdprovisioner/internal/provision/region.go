package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

// MAASRegion are the use cases of DNS records and of what the region has.
type MAASRegion struct {
	cfg     Config
	writing *flights[written]
	// starting switches machines on.
	starting *flights[PoweredOn]
	// records lets one write of a record run at a time.
	records *lanes
	// wishes tell apart who asks for the same again.
	wishes wishes
}

// NewMAASRegion makes the use cases of the region. Writes of one record come one after the other within
// the process: make one.
func NewMAASRegion(cfg Config) *MAASRegion {
	cfg = cfg.withDefaults()
	if cfg.Snapshot == nil {
		cfg.Snapshot = cfg.Backend.Hosts
	}
	return &MAASRegion{cfg: cfg, writing: newFlights[written](cfg), starting: newFlights[PoweredOn](cfg), records: newLanes(), wishes: wishes{last: map[string]wish{}}}
}

// Drain waits for changes that run on without their caller, at most Timing.DrainLimit.
func (r *MAASRegion) Drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timing.DrainLimit)
	defer cancel()
	return errors.Join(r.writing.drain(ctx), r.starting.drain(ctx))
}

// Zones lists the availability zones by name, and which of them have LXD hosts, usable or not. A MAAS without VM
// hosts has none.
func (r *MAASRegion) Zones(ctx context.Context) ([]ZoneInfo, error) {
	zones, err := r.cfg.MAAS.Zones(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the zones: %w", err)
	}
	snap, err := r.cfg.Snapshot(ctx)
	if err != nil && fault.ReasonOf(err) != fault.ReasonMAASVMHostRemoved {
		return nil, fmt.Errorf("list the hosts of the zones: %w", err)
	}
	all, usable := make(map[int]bool), make(map[int]bool)
	for _, h := range snap.Hosts {
		if h.Type != "lxd" {
			continue
		}
		_, out := placement.Unusable(h)
		all[h.Zone.ID], usable[h.Zone.ID] = true, usable[h.Zone.ID] || !out
	}
	out := make([]ZoneInfo, 0, len(zones))
	for _, z := range zones {
		out = append(out, ZoneInfo{Zone: z, HasLXDHosts: all[z.ID], LXDHostsUnusable: all[z.ID] && !usable[z.ID]})
	}
	slices.SortFunc(out, func(a, b ZoneInfo) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// Pools lists the resource pools by name.
func (r *MAASRegion) Pools(ctx context.Context) ([]inventory.Pool, error) {
	pools, err := r.cfg.MAAS.Pools(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the resource pools: %w", err)
	}
	slices.SortFunc(pools, func(a, b inventory.Pool) int { return cmp.Compare(a.Name, b.Name) })
	return pools, nil
}

// Subnets lists the subnets by CIDR.
func (r *MAASRegion) Subnets(ctx context.Context) ([]inventory.Subnet, error) {
	subnets, err := r.cfg.MAAS.Subnets(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the subnets: %w", err)
	}
	slices.SortFunc(subnets, func(a, b inventory.Subnet) int {
		return cmp.Or(a.CIDR.Addr().Compare(b.CIDR.Addr()), cmp.Compare(a.CIDR.Bits(), b.CIDR.Bits()))
	})
	return subnets, nil
}

// Images lists the images that can be deployed, each architecture once, by name and architecture.
func (r *MAASRegion) Images(ctx context.Context) ([]inventory.Image, error) {
	images, err := r.cfg.MAAS.Images(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the images: %w", err)
	}
	order := func(a, b inventory.Image) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Architecture, b.Architecture))
	}
	slices.SortStableFunc(images, order)
	return slices.CompactFunc(images, func(a, b inventory.Image) bool { return order(a, b) == 0 }), nil
}

// Region describes the region. It answers even where MAAS does not: Problem then says why.
func (r *MAASRegion) Region(ctx context.Context) Region {
	var out Region
	if out.MAASVersion, out.Problem = r.cfg.MAAS.Version(ctx); out.Problem != nil {
		return out
	}
	who, err := r.cfg.MAAS.WhoAmI(ctx)
	if err != nil {
		out.Problem = err
		return out
	}
	out.User, out.Admin = who.Name, who.Admin
	out.BareMetal = true
	out.DNS = who.Admin
	err = r.cfg.MAAS.CheckVMHosts(ctx)
	out.LXDVMs = who.Admin && err == nil
	switch {
	case !who.Admin:
		out.Problem = fault.New(fault.Denied, fault.ReasonMAASRightsMissing,
			"MAAS user %q is not an administrator, which composing VMs and writing DNS records need", who.Name)
	case err != nil:
		out.Problem = err
	}
	return out
}
