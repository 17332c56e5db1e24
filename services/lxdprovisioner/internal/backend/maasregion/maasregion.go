// Package maasregion gives the use cases what they need of MAAS beside the making of VMs: claims,
// networks, deployments, DNS and what the region has. It translates; MAAS's ways are in package maas.
package maasregion

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// Region is a provision.MAAS over the HTTP client. What needs no translation is the client's own.
type Region struct {
	*maas.Client

	clock func() time.Time

	mu sync.Mutex
	// vmHosts says whether this MAAS has VM hosts, as of askedAt.
	vmHosts bool
	askedAt time.Time
}

// vmHostsHold is how long the answer whether MAAS has VM hosts is believed. A MAAS that is upgraded, or
// restored, under a running service changes it; an allocation without the filters may make a VM.
const vmHostsHold = 5 * time.Minute

var _ provision.MAAS = (*Region)(nil)

// New makes the region of a client.
func New(client *maas.Client, clock func() time.Time) *Region {
	return &Region{Client: client, clock: clock}
}

// Machines lists what matches.
func (r *Region) Machines(ctx context.Context, f provision.MachineFilter) ([]inventory.Machine, error) {
	return r.Client.Machines(ctx, maas.MachineFilter{
		SystemIDs: f.SystemIDs, AgentNames: f.AgentNames, Owners: f.Owners, Zones: f.Zones, Pools: f.Pools, VMHosts: f.VMHosts,
		Statuses: f.Statuses, NotSystemIDs: f.NotSystemIDs, NotStatuses: f.NotStatuses, NotOwners: f.NotOwners, NotPowers: f.NotPowers,
	})
}

// LastError gives MAAS's newest error about the machine.
func (r *Region) LastError(ctx context.Context, systemID string) (string, error) {
	event, ok, err := r.Client.LastError(ctx, systemID)
	if err != nil || !ok {
		return "", err
	}
	return event.Description, nil
}

// AllocateMetal takes a Ready physical machine.
func (r *Region) AllocateMetal(ctx context.Context, agentName string, c provision.Constraints) (inventory.Machine, error) {
	hasHosts, err := r.hasVMHosts(ctx)
	if err != nil {
		return inventory.Machine{}, err
	}
	return r.Client.AllocateMetal(ctx, agentName, maas.MetalConstraints{
		Zone: c.Zone, Pool: c.Pool, Tags: c.Tags, Cores: c.MinCores, MemoryMiB: c.MinMemoryMiB, Architecture: c.Architecture,
		Hostname: c.Hostname, NoVMHosts: !hasHosts,
	})
}

// hasVMHosts says whether this MAAS has VM hosts, and with them the filters that keep VMs out of an
// allocation. The end of VM hosts is told by MAAS's answer, never by its version.
func (r *Region) hasVMHosts(ctx context.Context) (bool, error) {
	asked := r.clock()
	r.mu.Lock()
	has, known := r.vmHosts, !r.askedAt.IsZero() && asked.Sub(r.askedAt) < vmHostsHold
	r.mu.Unlock()
	if known {
		return has, nil
	}
	_, err := r.VMHosts(ctx)
	if err != nil && fault.ReasonOf(err) != fault.ReasonMAASVMHostRemoved {
		return false, fmt.Errorf("ask whether MAAS has VM hosts: %w", err)
	}
	has = err == nil
	r.mu.Lock()
	r.vmHosts, r.askedAt = has, asked
	r.mu.Unlock()
	return has, nil
}

// Deploy deploys an allocated machine.
func (r *Region) Deploy(ctx context.Context, systemID string, d provision.Deployment) (inventory.Machine, error) {
	return r.Client.Deploy(ctx, systemID, maas.DeployForm{Image: d.Image.OS + "/" + d.Image.Series, UserData: d.UserData, InMemory: d.InMemory})
}

// ReservedRanges are the addresses of a subnet that MAAS doesn't give out.
func (r *Region) ReservedRanges(ctx context.Context, subnetID int) ([]provision.AddressRange, error) {
	found, err := r.Client.ReservedRanges(ctx, subnetID)
	if err != nil {
		return nil, err
	}
	ranges := make([]provision.AddressRange, 0, len(found))
	for _, f := range found {
		ranges = append(ranges, provision.AddressRange{Start: f.Start, End: f.End, Purposes: f.Purposes})
	}
	return ranges, nil
}

// AssignedAddresses are the addresses of a subnet that somebody holds.
func (r *Region) AssignedAddresses(ctx context.Context, subnetID int) ([]netip.Addr, error) {
	return r.Client.AssignedAddresses(ctx, subnetID)
}

// LinkSubnet links an interface, with a fixed address or an automatic one.
func (r *Region) LinkSubnet(ctx context.Context, systemID string, l provision.LinkRequest) (inventory.Interface, error) {
	form := maas.LinkForm{
		InterfaceID: l.InterfaceID, SubnetID: l.SubnetID, Mode: maas.LinkAuto, Force: l.Force, DefaultGateway: l.DefaultGateway,
	}
	if l.Static.IsValid() {
		form.Mode, form.Address = maas.LinkStatic, l.Static
	}
	return r.Client.LinkSubnet(ctx, systemID, form)
}

// Version is MAAS's version, for example "3.5.2".
func (r *Region) Version(ctx context.Context) (string, error) {
	v, err := r.Client.Version(ctx)
	return v.Text, err
}

// WhoAmI says whose key we have.
func (r *Region) WhoAmI(ctx context.Context) (provision.Identity, error) {
	who, err := r.Whoami(ctx)
	return provision.Identity{Name: who.Name, Admin: who.Admin}, err
}
