package provisionertest

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// validation sends each call that has rules one request that breaks one.
func (s *suite) validation() {
	ctx, empty, bad := s.ctx(), "", &lxdprovisionerv1.Attempt{Number: 1, Name: "Not A Name", HostId: "vmhost/1", HostName: "lxd-01"}
	errs := map[string]error{}
	_, errs["zone"] = s.lxd.ListHosts(ctx, &lxdprovisionerv1.ListHostsRequest{Zone: &empty})
	_, errs["resources"] = s.lxd.SelectHost(ctx, &lxdprovisionerv1.SelectHostRequest{VmName: "x"})
	_, errs["count"] = s.lxd.DistributeAcrossZones(ctx, &lxdprovisionerv1.DistributeAcrossZonesRequest{Resources: small()})
	_, errs["attempt.name"] = s.lxd.ComposeVM(ctx, s.composeRequest(bad))
	badNIC := s.composeRequest(&lxdprovisionerv1.Attempt{Number: 1, Name: "x", HostId: "vmhost/1", HostName: "lxd-01"})
	badNIC.Network = &lxdprovisionerv1.VMNetwork{Interfaces: []*lxdprovisionerv1.VMInterface{{Name: new("bond0.100")}}}
	_, errs["network.interfaces[0].name"] = s.lxd.ComposeVM(ctx, badNIC)
	noData := s.deployRequest(&lxdprovisionerv1.Attempt{Number: 1, Name: "x", HostId: "vmhost/1", HostName: "lxd-01"})
	noData.UserData = nil
	_, errs["user_data"] = s.lxd.DeployVM(ctx, noData)
	_, errs["attempt"] = s.lxd.GetVM(ctx, &lxdprovisionerv1.GetVMRequest{})
	pages := int32(0)
	_, errs["page_size"] = s.lxd.ListVMs(ctx, &lxdprovisionerv1.ListVMsRequest{PageSize: &pages})
	_, errs["page_token"] = s.lxd.ListHosts(ctx, &lxdprovisionerv1.ListHostsRequest{PageToken: "never-given"})
	_, errs["attempts"] = s.lxd.DeleteVM(ctx, &lxdprovisionerv1.DeleteVMRequest{Owner: ownerOf("x")})
	unknown := s.deleteRequest(s.sent(&lxdprovisionerv1.Attempt{Number: 1, Name: "x", HostId: "vmhost/1", HostName: "lxd-01"}))
	unknown.Hosts = nil
	_, errs["hosts"] = s.lxd.DeleteVM(ctx, unknown)
	_, errs["owner"] = s.metal.AllocateMachine(ctx, &lxdprovisionerv1.AllocateMachineRequest{Machine: s.machineRef("x")})
	_, errs["image"] = s.metal.DeployMachine(ctx, &lxdprovisionerv1.DeployMachineRequest{Machine: s.machineRef("x"), Owner: ownerOf("x"), UserData: []byte("x")})
	_, errs["machine"] = s.metal.GetMachine(ctx, &lxdprovisionerv1.GetMachineRequest{})
	_, errs["machine.agent_name"] = s.metal.ReleaseMachine(ctx, &lxdprovisionerv1.ReleaseMachineRequest{Machine: s.machineRef(""), Owner: ownerOf("x")})
	_, errs["ref.name"] = s.region.GetEndpoint(ctx, &lxdprovisionerv1.GetEndpointRequest{Ref: &lxdprovisionerv1.EndpointRef{Name: "a.b", Domain: s.Domain}})
	_, errs["ref"] = s.region.DeleteEndpoint(ctx, &lxdprovisionerv1.DeleteEndpointRequest{})
	_, errs["addresses[0]"] = s.region.EnsureEndpoint(ctx, &lxdprovisionerv1.EnsureEndpointRequest{
		Ref: &lxdprovisionerv1.EndpointRef{Name: "a", Domain: s.Domain}, Addresses: []string{"not-an-address"},
	})
	if stream, err := s.lxd.WatchVMs(ctx, &lxdprovisionerv1.WatchVMsRequest{}); ok(s, stream, err) != nil {
		_, errs["vms"] = stream.Recv()
	}
	if stream, err := s.metal.WatchMachines(ctx, &lxdprovisionerv1.WatchMachinesRequest{}); ok(s, stream, err) != nil {
		_, errs["machines"] = stream.Recv()
	}
	for field, err := range errs {
		info := s.fault(err, errorinfo.Invalid, lxdprovisionerv1.Reason_REASON_BAD_REQUEST)
		s.checkf(status.Code(err) == codes.InvalidArgument, "%s: code %s", field, status.Code(err))
		s.checkf(info.Fields[field] != "", "BadRequest names %s: %v", field, info.Fields)
	}
}
