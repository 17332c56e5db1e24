package server_test

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/server"
)

// desk stands where the use cases do: it keeps what they are asked and answers what a test lays out.
type desk struct {
	mu    sync.Mutex
	asked any
	err   error

	hosts     provision.HostList
	selection provision.Selection
	plan      provision.PlanResult
	vm        provision.VM
	token     string
	vmEvents  []provision.VMEvent
	absences  []provision.Absence
	machine   provision.BareMetalMachine
	events    []provision.MachineEvent
	endpoint  provision.Endpoint
	zones     []provision.ZoneInfo
	pools     []inventory.Pool
	subnets   []inventory.Subnet
	images    []inventory.Image
	region    provision.Region
	taken     provision.Taken
	powered   provision.PoweredOn
}

// endpointRequest is what EnsureEndpoint is asked.
type endpointRequest struct {
	ref       provision.EndpointRef
	addresses []netip.Addr
	ttl       *int
}

func (d *desk) take(asked any) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = asked
	return d.err
}

func (d *desk) ListHosts(_ context.Context, f provision.HostFilter) (provision.HostList, error) {
	err := d.take(f)
	d.mu.Lock()
	defer d.mu.Unlock()
	list := d.hosts
	if f.AfterName != "" {
		list.Hosts = slices.DeleteFunc(slices.Clone(list.Hosts), func(h provision.HostView) bool {
			return cmp.Or(cmp.Compare(h.Name, f.AfterName), cmp.Compare(h.ID, f.AfterID)) <= 0
		})
	}
	if f.Limit > 0 && len(list.Hosts) > f.Limit {
		list.Hosts, list.More = list.Hosts[:f.Limit], true
	}
	return list, err
}

func (d *desk) SelectHost(_ context.Context, r provision.SelectRequest) (provision.Selection, error) {
	return d.selection, d.take(r)
}

func (d *desk) Distribute(_ context.Context, r provision.PlanRequest) (provision.PlanResult, error) {
	return d.plan, d.take(r)
}

func (d *desk) ComposeVM(_ context.Context, r provision.ComposeRequest) (provision.VM, error) {
	return d.vm, d.take(r)
}

func (d *desk) DeployVM(_ context.Context, r provision.DeployRequest) (provision.VM, error) {
	return d.vm, d.take(r)
}

func (d *desk) GetVM(_ context.Context, r provision.GetRequest) (provision.VM, error) {
	return d.vm, d.take(r)
}

func (d *desk) ListVMs(_ context.Context, r provision.ListRequest) ([]provision.VM, string, error) {
	return []provision.VM{d.vm}, d.token, d.take(r)
}

func (d *desk) WatchVMs(_ context.Context, vms []provision.WatchedVM, send func(provision.VMEvent) error) error {
	for _, e := range d.vmEvents {
		if err := send(e); err != nil {
			return err
		}
	}
	return d.take(vms)
}

func (d *desk) DeleteVM(_ context.Context, r provision.DeleteRequest) ([]provision.Absence, error) {
	return d.absences, d.take(r)
}

func (d *desk) AllocateMachine(_ context.Context, r provision.AllocateRequest) (provision.BareMetalMachine, error) {
	return d.machine, d.take(r)
}

func (d *desk) DeployMachine(_ context.Context, r provision.DeployMachineRequest) (provision.BareMetalMachine, error) {
	return d.machine, d.take(r)
}

func (d *desk) GetMachine(_ context.Context, r provision.MachineRef) (provision.BareMetalMachine, error) {
	return d.machine, d.take(r)
}

func (d *desk) WatchMachines(_ context.Context, machines []provision.WatchedMachine, send func(provision.MachineEvent) error) error {
	for _, e := range d.events {
		if err := send(e); err != nil {
			return err
		}
	}
	return d.take(machines)
}

func (d *desk) ReleaseMachine(_ context.Context, r provision.ReleaseRequest) error { return d.take(r) }

func (d *desk) EnsureEndpoint(_ context.Context, ref provision.EndpointRef, addresses []netip.Addr, ttl *int) (provision.Endpoint, bool, error) {
	return d.endpoint, true, d.take(endpointRequest{ref, addresses, ttl})
}

func (d *desk) GetEndpoint(_ context.Context, ref provision.EndpointRef) (provision.Endpoint, error) {
	return d.endpoint, d.take(ref)
}

func (d *desk) DeleteEndpoint(_ context.Context, ref provision.EndpointRef) error { return d.take(ref) }

func (d *desk) Zones(context.Context) ([]provision.ZoneInfo, error) { return d.zones, d.take(nil) }

func (d *desk) Pools(context.Context) ([]inventory.Pool, error) { return d.pools, d.take(nil) }

func (d *desk) Subnets(context.Context) ([]inventory.Subnet, error) { return d.subnets, d.take(nil) }

func (d *desk) Images(context.Context) ([]inventory.Image, error) { return d.images, d.take(nil) }

func (d *desk) Region(context.Context) provision.Region { return d.region }

func (d *desk) TakeOver(_ context.Context, r provision.TakeOverRequest) (provision.Taken, error) {
	return d.taken, d.take(r)
}

// powerOnRequest is what PowerOn is asked.
type powerOnRequest struct {
	systemID string
	owner    provision.Owner
}

func (d *desk) PowerOn(_ context.Context, systemID string, owner provision.Owner) (provision.PoweredOn, error) {
	return d.powered, d.take(powerOnRequest{systemID, owner})
}

// dial serves the desk and connects to it.
func dial(t *testing.T, d *desk) *grpc.ClientConn {
	t.Helper()
	s := grpc.NewServer()
	server.New(server.Config{Hosts: d, VMs: d, BareMetal: d, Region: d, Version: "v1.2.3"}).Register(s)
	return provisionertest.Serve(t, s)
}

// methods gives every method of the contract, whoever adds it.
func methods(t *testing.T) []protoreflect.MethodDescriptor {
	t.Helper()
	file := lxdprovisionerv1.File_lxdprovisioner_v1_lxd_provisioner_proto.Package()
	var all []protoreflect.MethodDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage(file, func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				all = append(all, f.Services().Get(i).Methods().Get(j))
			}
		}
		return true
	})
	require.Len(t, all, 24, "a new RPC is served, and counted here")
	return all
}

// message makes an empty message of the descriptor.
func message(t *testing.T, d protoreflect.MessageDescriptor) proto.Message {
	t.Helper()
	found, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	require.NoError(t, err)
	return found.New().Interface()
}

// call sends a request to any method and gives the answers: one, or a stream's.
func call(t *testing.T, conn *grpc.ClientConn, m protoreflect.MethodDescriptor, request proto.Message) ([]proto.Message, error) {
	t.Helper()
	name := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
	if !m.IsStreamingServer() {
		answer := message(t, m.Output())
		return []proto.Message{answer}, conn.Invoke(t.Context(), name, request, answer)
	}
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, name)
	require.NoError(t, err)
	require.NoError(t, stream.SendMsg(request))
	require.NoError(t, stream.CloseSend())
	var answers []proto.Message
	for {
		answer := message(t, m.Output())
		if err := stream.RecvMsg(answer); err != nil {
			return answers, err
		}
		answers = append(answers, answer)
	}
}

func TestServer_serves_every_method_of_the_contract(t *testing.T) {
	t.Parallel()
	s := grpc.NewServer()
	d := &desk{}
	server.New(server.Config{Hosts: d, VMs: d, BareMetal: d, Region: d}).Register(s)
	for _, m := range methods(t) {
		info, ok := s.GetServiceInfo()[string(m.Parent().FullName())]
		require.True(t, ok)
		var names []string
		for _, served := range info.Methods {
			names = append(names, served.Name)
		}
		assert.Contains(t, names, string(m.Name()))
	}
}
