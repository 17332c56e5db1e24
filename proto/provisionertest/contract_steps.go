package provisionertest

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

func (s *suite) sameCode(err error, kind errorinfo.Kind) {
	s.t.Helper()
	want, got := codeOf[kind], status.Code(err)
	s.checkf(want == got && want != codes.OK, "kind %s has code %s, got %s: %v", kind, want, got, err)
}

func (s *suite) ctx() context.Context { return s.t.Context() }

func small() *lxdprovisionerv1.VMResources {
	return &lxdprovisionerv1.VMResources{Cores: 2, MemoryMib: 4096, Disks: []*lxdprovisionerv1.Disk{{SizeGb: 20}}}
}

func ownerOf(machine string) *lxdprovisionerv1.Owner {
	return &lxdprovisionerv1.Owner{
		ClusterId: "7d1c", Namespace: "default", Cluster: "prod", Machine: machine, MachineUid: "uid-of-" + machine, SpecDigest: "d1",
	}
}

// attempt chooses a host for a VM of the name and gives the attempt, not sent yet.
func (s *suite) attempt(name string) *lxdprovisionerv1.Attempt {
	s.t.Helper()
	answer, err := s.lxd.SelectHost(s.ctx(), &lxdprovisionerv1.SelectHostRequest{VmName: name, Resources: small()})
	chosen := ok(s, answer, err).GetChosen()
	return &lxdprovisionerv1.Attempt{Number: 1, Name: name, HostId: chosen.GetHostId(), HostName: chosen.GetHostName()}
}

// hosts gives the inventory.
func (s *suite) hosts() []*lxdprovisionerv1.Host {
	s.t.Helper()
	answer, err := s.lxd.ListHosts(s.ctx(), &lxdprovisionerv1.ListHostsRequest{})
	return ok(s, answer, err).GetHosts()
}

// attemptOn gives an attempt on the host, without asking.
func attemptOn(h *lxdprovisionerv1.Host, name string) *lxdprovisionerv1.Attempt {
	return &lxdprovisionerv1.Attempt{Number: 1, Name: name, HostId: h.GetId(), HostName: h.GetName()}
}

// sent gives the attempt as it is stored once it is sent.
func (s *suite) sent(a *lxdprovisionerv1.Attempt) *lxdprovisionerv1.Attempt {
	a = proto.CloneOf(a)
	a.SentAt = timestamppb.New(s.Now())
	return a
}

func (s *suite) composeRequest(a *lxdprovisionerv1.Attempt) *lxdprovisionerv1.ComposeVMRequest {
	return &lxdprovisionerv1.ComposeVMRequest{Attempt: a, Owner: ownerOf(a.GetName()), Resources: small()}
}

// composed makes the VM of a new attempt and repeats until it is claimed. The attempt that it gives
// is stored as sent and settled, with the system id.
func (s *suite) composed(name string) (*lxdprovisionerv1.Attempt, *lxdprovisionerv1.VM) {
	s.t.Helper()
	return s.compose(s.attempt(name))
}

func (s *suite) compose(attempt *lxdprovisionerv1.Attempt) (*lxdprovisionerv1.Attempt, *lxdprovisionerv1.VM) {
	s.t.Helper()
	next, vm := attempt, (*lxdprovisionerv1.VM)(nil)
	sent := s.sent(attempt)
	s.until(attempt.GetName()+" is claimed", func(ctx context.Context) (bool, error) {
		answer, err := s.lxd.ComposeVM(ctx, s.composeRequest(next))
		next, vm = sent, answer.GetVm()
		return vm.GetStatus().GetState() == stateAllocated && vm.GetStatus().GetClaimed(), err
	})
	sent.SystemId, sent.Settled = vm.GetSystemId(), true
	return sent, vm
}

func (s *suite) deployRequest(a *lxdprovisionerv1.Attempt) *lxdprovisionerv1.DeployVMRequest {
	return &lxdprovisionerv1.DeployVMRequest{
		Attempt: a, Owner: ownerOf(a.GetName()), Image: s.Image, UserData: []byte("#cloud-config\nhostname: " + a.GetName() + "\n"),
	}
}

// deployed makes and deploys a VM.
func (s *suite) deployed(name string) (*lxdprovisionerv1.Attempt, *lxdprovisionerv1.VM) {
	s.t.Helper()
	attempt, vm := s.composed(name)
	s.until(name+" is deployed", func(ctx context.Context) (bool, error) {
		answer, err := s.lxd.DeployVM(ctx, s.deployRequest(attempt))
		vm = answer.GetVm()
		return vm.GetStatus().GetState() == stateDeployed && len(vm.GetStatus().GetAddresses()) > 0, err
	})
	return attempt, vm
}

// deleted repeats DeleteVM until it proves that nothing is left.
func (s *suite) deleted(attempt *lxdprovisionerv1.Attempt) *lxdprovisionerv1.DeleteVMResponse {
	s.t.Helper()
	var answer *lxdprovisionerv1.DeleteVMResponse
	s.until(attempt.GetName()+" is gone", func(ctx context.Context) (bool, error) {
		var err error
		answer, err = s.lxd.DeleteVM(ctx, s.deleteRequest(attempt))
		return err == nil, err
	})
	return answer
}

func (s *suite) deleteRequest(a *lxdprovisionerv1.Attempt) *lxdprovisionerv1.DeleteVMRequest {
	return &lxdprovisionerv1.DeleteVMRequest{
		Attempts: []*lxdprovisionerv1.Attempt{a}, Owner: ownerOf(a.GetName()),
		Hosts: []*lxdprovisionerv1.HostExpectation{{HostId: a.GetHostId()}},
	}
}

// vms lists all VMs of ours.
func (s *suite) vms() []*lxdprovisionerv1.VM {
	s.t.Helper()
	answer, err := s.lxd.ListVMs(s.ctx(), &lxdprovisionerv1.ListVMsRequest{})
	return ok(s, answer, err).GetVms()
}

func (s *suite) machineRef(agent string) *lxdprovisionerv1.MachineRef {
	return &lxdprovisionerv1.MachineRef{AgentName: agent}
}

// allocated allocates a bare-metal machine and gives its reference.
func (s *suite) allocated(agent string) *lxdprovisionerv1.MachineRef {
	s.t.Helper()
	answer, err := s.metal.AllocateMachine(s.ctx(), s.allocateRequest(agent))
	ref := s.machineRef(agent)
	ref.SystemId = ok(s, answer, err).GetMachine().GetSystemId()
	return ref
}

func (s *suite) allocateRequest(agent string) *lxdprovisionerv1.AllocateMachineRequest {
	return &lxdprovisionerv1.AllocateMachineRequest{Machine: s.machineRef(agent), Owner: ownerOf("w")}
}
