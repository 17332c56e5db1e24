// Package server is the edge of the service towards its callers: it turns the contract's messages
// into the use cases' values and back, and faults into gRPC statuses. It decides nothing.
package server

import (
	"context"
	"net/netip"

	"google.golang.org/grpc"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// Hosts chooses hosts.
type Hosts interface {
	ListHosts(ctx context.Context, filter provision.HostFilter) (provision.HostList, error)
	SelectHost(ctx context.Context, req provision.SelectRequest) (provision.Selection, error)
	Distribute(ctx context.Context, req provision.PlanRequest) (provision.PlanResult, error)
}

// VMs makes, reads and removes VMs.
type VMs interface {
	ComposeVM(ctx context.Context, req provision.ComposeRequest) (provision.VM, error)
	DeployVM(ctx context.Context, req provision.DeployRequest) (provision.VM, error)
	GetVM(ctx context.Context, req provision.GetRequest) (provision.VM, error)
	ListVMs(ctx context.Context, req provision.ListRequest) ([]provision.VM, string, error)
	WatchVMs(ctx context.Context, vms []provision.WatchedVM, send func(provision.VMEvent) error) error
	DeleteVM(ctx context.Context, req provision.DeleteRequest) ([]provision.Absence, error)
}

// BareMetal takes, deploys, reads and releases physical machines.
type BareMetal interface {
	AllocateMachine(ctx context.Context, req provision.AllocateRequest) (provision.BareMetalMachine, error)
	DeployMachine(ctx context.Context, req provision.DeployMachineRequest) (provision.BareMetalMachine, error)
	GetMachine(ctx context.Context, ref provision.MachineRef) (provision.BareMetalMachine, error)
	WatchMachines(ctx context.Context, machines []provision.WatchedMachine, send func(provision.MachineEvent) error) error
	ReleaseMachine(ctx context.Context, req provision.ReleaseRequest) error
}

// Endpoints keeps DNS records.
type Endpoints interface {
	EnsureEndpoint(ctx context.Context, ref provision.EndpointRef, addresses []netip.Addr, ttl *int) (provision.Endpoint, bool, error)
	GetEndpoint(ctx context.Context, ref provision.EndpointRef) (provision.Endpoint, error)
	DeleteEndpoint(ctx context.Context, ref provision.EndpointRef) error
}

// Region keeps DNS records, tells what the region has, and takes over what others have deployed in it.
type Region interface {
	Endpoints

	Zones(ctx context.Context) ([]provision.ZoneInfo, error)
	Pools(ctx context.Context) ([]inventory.Pool, error)
	Subnets(ctx context.Context) ([]inventory.Subnet, error)
	Images(ctx context.Context) ([]inventory.Image, error)
	Region(ctx context.Context) provision.Region
	TakeOver(ctx context.Context, req provision.TakeOverRequest) (provision.Taken, error)
	PowerOn(ctx context.Context, systemID string, owner provision.Owner) (provision.PoweredOn, error)
}

// Config is what the server needs; all of it is required.
type Config struct {
	Hosts     Hosts
	VMs       VMs
	BareMetal BareMetal
	Region    Region
	// Version is what GetRegion calls the service's version.
	Version string
}

// Server serves LXDProvisioner, BareMetalProvisioner and RegionProvisioner. The requests that reach
// it have passed the rules of the .proto files (package interceptor).
type Server struct {
	lxdprovisionerv1.UnimplementedLXDProvisionerServer
	lxdprovisionerv1.UnimplementedBareMetalProvisionerServer
	lxdprovisionerv1.UnimplementedRegionProvisionerServer

	cfg Config
}

// New makes a server.
func New(cfg Config) *Server { return &Server{cfg: cfg} }

// Register adds the three services to r.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	lxdprovisionerv1.RegisterLXDProvisionerServer(r, s)
	lxdprovisionerv1.RegisterBareMetalProvisionerServer(r, s)
	lxdprovisionerv1.RegisterRegionProvisionerServer(r, s)
}
