package provision

import (
	"context"
	"net/netip"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

var errUnbuilt = fault.New(fault.Unsupported, fault.ReasonNotSupported, "not built")

// LXD are the use cases of LXD VMs.
type LXD struct{ cfg Config }

// NewLXD makes the use cases of LXD VMs.
func NewLXD(cfg Config) *LXD { return &LXD{cfg: cfg.withDefaults()} }

// BareMetal are the use cases of physical machines.
type BareMetal struct{ cfg Config }

// NewBareMetal makes the use cases of physical machines.
func NewBareMetal(cfg Config) *BareMetal { return &BareMetal{cfg: cfg.withDefaults()} }

// MAASRegion are the use cases of DNS records and of what the region has.
type MAASRegion struct{ cfg Config }

// NewMAASRegion makes the use cases of the region.
func NewMAASRegion(cfg Config) *MAASRegion { return &MAASRegion{cfg: cfg.withDefaults()} }

// ComposeVM makes the VM of one attempt.
func (l *LXD) ComposeVM(context.Context, ComposeRequest) (VM, error) { return VM{}, errUnbuilt }

// DeployVM deploys a VM that is claimed.
func (l *LXD) DeployVM(context.Context, DeployRequest) (VM, error) { return VM{}, errUnbuilt }

// GetVM reads one VM.
func (l *LXD) GetVM(context.Context, GetRequest) (VM, error) { return VM{}, errUnbuilt }

// ListVMs lists composed VMs; the second value is the token of the next page.
func (l *LXD) ListVMs(context.Context, ListRequest) ([]VM, string, error) { return nil, "", errUnbuilt }

// WatchVMs sends each VM once, then Synced, then every change, until ctx ends or send fails.
func (l *LXD) WatchVMs(context.Context, []WatchedVM, func(VMEvent) error) error { return errUnbuilt }

// DeleteVM deletes whatever the attempts made and proves that it is gone.
func (l *LXD) DeleteVM(context.Context, DeleteRequest) ([]Absence, error) { return nil, errUnbuilt }

// Drain waits for calls that run on without their caller.
func (l *LXD) Drain(context.Context) error { return errUnbuilt }

// AllocateMachine takes one Ready physical machine.
func (b *BareMetal) AllocateMachine(context.Context, AllocateRequest) (BareMetalMachine, error) {
	return BareMetalMachine{}, errUnbuilt
}

// DeployMachine deploys a machine that is allocated under the agent name.
func (b *BareMetal) DeployMachine(context.Context, DeployMachineRequest) (BareMetalMachine, error) {
	return BareMetalMachine{}, errUnbuilt
}

// GetMachine reads one machine by agent name.
func (b *BareMetal) GetMachine(context.Context, MachineRef) (BareMetalMachine, error) {
	return BareMetalMachine{}, errUnbuilt
}

// WatchMachines streams as WatchVMs does.
func (b *BareMetal) WatchMachines(context.Context, []WatchedMachine, func(MachineEvent) error) error {
	return errUnbuilt
}

// ReleaseMachine releases every machine that is held under the agent name.
func (b *BareMetal) ReleaseMachine(context.Context, ReleaseRequest) error { return errUnbuilt }

// Drain waits for calls that run on without their caller.
func (b *BareMetal) Drain(context.Context) error { return errUnbuilt }

// EnsureEndpoint makes the record hold exactly the addresses; ttl is in seconds, nil means the
// default. It says whether anything was written.
func (r *MAASRegion) EnsureEndpoint(context.Context, EndpointRef, []netip.Addr, *int) (Endpoint, bool, error) {
	return Endpoint{}, false, errUnbuilt
}

// GetEndpoint reads the record.
func (r *MAASRegion) GetEndpoint(context.Context, EndpointRef) (Endpoint, error) {
	return Endpoint{}, errUnbuilt
}

// DeleteEndpoint removes the record; absent is success.
func (r *MAASRegion) DeleteEndpoint(context.Context, EndpointRef) error { return errUnbuilt }

// Zones lists the availability zones by name.
func (r *MAASRegion) Zones(context.Context) ([]ZoneInfo, error) { return nil, errUnbuilt }

// Pools lists the resource pools by name.
func (r *MAASRegion) Pools(context.Context) ([]inventory.Pool, error) { return nil, errUnbuilt }

// Subnets lists the subnets by CIDR.
func (r *MAASRegion) Subnets(context.Context) ([]inventory.Subnet, error) { return nil, errUnbuilt }

// Images lists the images that can be deployed.
func (r *MAASRegion) Images(context.Context) ([]inventory.Image, error) { return nil, errUnbuilt }

// Region describes the region; it answers even where MAAS does not.
func (r *MAASRegion) Region(context.Context) Region { return Region{} }
