package provisionertest

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

func (s *suite) deployMachineRequest(ref *lxdprovisionerv1.MachineRef) *lxdprovisionerv1.DeployMachineRequest {
	return &lxdprovisionerv1.DeployMachineRequest{Machine: ref, Owner: ownerOf("w"), Image: s.Image, UserData: []byte("#cloud-config\n"), KeepSwap: true}
}

func (s *suite) allocateMachine() {
	answer, err := s.metal.AllocateMachine(s.ctx(), s.allocateRequest("capmaas/w-0"))
	machine := ok(s, answer, err).GetMachine()
	s.checkf(machine.GetStatus().GetState() == stateAllocated && machine.GetStatus().GetClaimed(), "the machine is allocated: %v", machine)
	s.checkf(machine.GetProviderId() == fmt.Sprintf("maas:///%s/%s", machine.GetZone(), machine.GetSystemId()), "provider id %q", machine.GetProviderId())
	s.checkf(proto.Equal(machine.GetStatus().GetOwner(), ownerOf("w")), "the mark is %v", machine.GetStatus().GetOwner())

	again := s.allocateRequest("capmaas/w-0")
	again.SentAt = timestamppb.New(s.Now())
	answer, err = s.metal.AllocateMachine(s.ctx(), again)
	s.checkf(ok(s, answer, err).GetMachine().GetSystemId() == machine.GetSystemId(), "a repeat finds the same machine")
	other := s.allocated("capmaas/w-1")
	s.checkf(other.GetSystemId() != machine.GetSystemId(), "another agent name gets another machine")

	unknown, many := "no-such", int32(100000)
	s.allocateFault(&lxdprovisionerv1.MachineConstraints{Zone: &unknown}, errorinfo.NoCandidate, lxdprovisionerv1.Reason_REASON_ZONE_NOT_FOUND)
	s.allocateFault(&lxdprovisionerv1.MachineConstraints{ResourcePool: &unknown}, errorinfo.NoCandidate, lxdprovisionerv1.Reason_REASON_POOL_NOT_FOUND)
	s.allocateFault(&lxdprovisionerv1.MachineConstraints{MinCores: &many}, errorinfo.NoRoom, lxdprovisionerv1.Reason_REASON_NO_MACHINE_AVAILABLE)
	s.checkf(len(s.vms()) == 0, "X3.9: no VM is composed for bare metal")
}

func (s *suite) allocateFault(c *lxdprovisionerv1.MachineConstraints, kind errorinfo.Kind, reason lxdprovisionerv1.Reason) {
	s.t.Helper()
	request := s.allocateRequest("capmaas/w-none")
	request.Constraints = c
	_, err := s.metal.AllocateMachine(s.ctx(), request)
	s.fault(err, kind, reason)
}

func (s *suite) allocateSurplus() {
	if s.AddAllocation == nil {
		s.t.Skip("the harness can't allocate behind the service's back")
	}
	s.AddAllocation(s.t, "capmaas/w-0")
	s.AddAllocation(s.t, "capmaas/w-0")
	request := s.allocateRequest("capmaas/w-0")
	request.SentAt = timestamppb.New(s.Now())
	answer, err := s.metal.AllocateMachine(s.ctx(), request)
	kept := ok(s, answer, err).GetMachine().GetSystemId()
	s.until("one machine is held", func(ctx context.Context) (bool, error) {
		answer, err := s.metal.GetMachine(ctx, &lxdprovisionerv1.GetMachineRequest{Machine: s.machineRef("capmaas/w-0")})
		return answer.GetMachine().GetSystemId() == kept, err
	})
}

// allocateSentBefore: with sent_at nothing is sent; an allocation may appear until it is old.
func (s *suite) allocateSentBefore() {
	young, old := timestamppb.New(s.Now()), timestamppb.New(s.Now().Add(-unknownFor-time.Second))
	allocate := s.allocateRequest("capmaas/w-0")
	allocate.SentAt = young
	_, err := s.metal.AllocateMachine(s.ctx(), allocate)
	s.fault(err, errorinfo.Busy, lxdprovisionerv1.Reason_REASON_ALLOCATION_IN_PROGRESS)
	allocate.SentAt = old
	_, err = s.metal.AllocateMachine(s.ctx(), allocate)
	s.fault(err, errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_MACHINE_NOT_FOUND)

	release := &lxdprovisionerv1.ReleaseMachineRequest{Machine: s.machineRef("capmaas/w-0"), Owner: ownerOf("w"), SentAt: young}
	_, err = s.metal.ReleaseMachine(s.ctx(), release)
	s.fault(err, errorinfo.Busy, lxdprovisionerv1.Reason_REASON_DELETION_IN_PROGRESS)
	release.SentAt = old
	answer, err := s.metal.ReleaseMachine(s.ctx(), release)
	ok(s, answer, err)
	_, err = s.metal.GetMachine(s.ctx(), &lxdprovisionerv1.GetMachineRequest{Machine: s.machineRef("capmaas/w-0")})
	s.fault(err, errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_MACHINE_NOT_FOUND)
}

// deployedMachine allocates and deploys a machine.
func (s *suite) deployedMachine(agent string) *lxdprovisionerv1.MachineRef {
	s.t.Helper()
	ref := s.allocated(agent)
	s.until("the machine is deployed", func(ctx context.Context) (bool, error) {
		answer, err := s.metal.DeployMachine(ctx, s.deployMachineRequest(ref))
		return answer.GetMachine().GetStatus().GetState() == stateDeployed, err
	})
	return ref
}

func (s *suite) deployMachine() {
	s.deployedMachine("capmaas/w-0")
	second := s.allocated("capmaas/w-1")
	request := s.deployMachineRequest(second)
	request.Image = &lxdprovisionerv1.Image{Os: "ubuntu", Series: "no-such"}
	_, err := s.metal.DeployMachine(s.ctx(), request)
	s.fault(err, errorinfo.Invalid, lxdprovisionerv1.Reason_REASON_IMAGE_NOT_FOUND)
	request = s.deployMachineRequest(second)
	request.UserData = make([]byte, maxUserData+1)
	_, err = s.metal.DeployMachine(s.ctx(), request)
	s.fault(err, errorinfo.Invalid, lxdprovisionerv1.Reason_REASON_BAD_USER_DATA)
	_, err = s.metal.DeployMachine(s.ctx(), s.deployMachineRequest(&lxdprovisionerv1.MachineRef{AgentName: "capmaas/w-2", SystemId: second.GetSystemId()}))
	s.fault(err, errorinfo.Conflict, lxdprovisionerv1.Reason_REASON_NAME_TAKEN)
	_, err = s.metal.DeployMachine(s.ctx(), s.deployMachineRequest(&lxdprovisionerv1.MachineRef{AgentName: "capmaas/w-2", SystemId: "nosuch"}))
	s.fault(err, errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_MACHINE_NOT_FOUND)
}

func (s *suite) getMachine() {
	ref := s.allocated("capmaas/w-0")
	answer, err := s.metal.GetMachine(s.ctx(), &lxdprovisionerv1.GetMachineRequest{Machine: s.machineRef("capmaas/w-0")})
	machine := ok(s, answer, err).GetMachine()
	s.checkf(machine.GetSystemId() == ref.GetSystemId() && machine.GetStatus().GetClaimed(), "found by agent name: %v", machine)
	s.checkf(machine.GetCores() > 0 && machine.GetMemoryMib() > 0, "the size is told: %v", machine)
	_, err = s.metal.GetMachine(s.ctx(), &lxdprovisionerv1.GetMachineRequest{Machine: s.machineRef("capmaas/w-9")})
	s.fault(err, errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_MACHINE_NOT_FOUND)
}

func (s *suite) releaseMachine() {
	ref := s.allocated("capmaas/w-0")
	request := &lxdprovisionerv1.ReleaseMachineRequest{Machine: s.machineRef("capmaas/w-0"), Owner: ownerOf("w")}
	released := func() {
		s.until("the machine is released", func(ctx context.Context) (bool, error) {
			_, err := s.metal.ReleaseMachine(ctx, request)
			return err == nil, err
		})
	}
	released()
	released()
	_, err := s.metal.GetMachine(s.ctx(), &lxdprovisionerv1.GetMachineRequest{Machine: ref})
	s.fault(err, errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_MACHINE_NOT_FOUND)

	if s.LockMachine == nil {
		return
	}
	locked := s.deployedMachine("capmaas/w-1")
	s.LockMachine(s.t, locked.GetSystemId(), true)
	_, err = s.metal.ReleaseMachine(s.ctx(), &lxdprovisionerv1.ReleaseMachineRequest{Machine: locked, Owner: ownerOf("w")})
	s.fault(err, errorinfo.Busy, lxdprovisionerv1.Reason_REASON_MACHINE_LOCKED)
}
