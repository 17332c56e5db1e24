package provisionertest

import (
	"context"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// takeOver asks with machines that are held already: what another provider has made is no part of the contract's region.
func (s *suite) takeOver() {
	ask := func(systemID, who string, names ...string) (*lxdprovisionerv1.TakeOverMachineResponse, error) {
		return s.region.TakeOverMachine(s.ctx(), &lxdprovisionerv1.TakeOverMachineRequest{
			SystemId: systemID, AgentName: "capmaas/" + who + "-later", Owner: ownerOf(who), Names: names,
		})
	}
	_, err := ask("nosuch", "cp-0")
	s.fault(err, errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_MACHINE_NOT_FOUND)

	attempt, vm := s.deployed("cp-0")
	for range 2 {
		answer, err := ask(vm.GetSystemId(), "cp-0", "another", "CP-0.maas")
		taken := ok(s, answer, err).GetVm()
		s.checkf(taken.GetName() == "cp-0" && taken.GetHostId() == attempt.GetHostId() && taken.GetHostName() == attempt.GetHostName(), "the VM is told: %v", answer)
	}
	_, err = ask(vm.GetSystemId(), "cp-1")
	s.fault(err, errorinfo.Conflict, lxdprovisionerv1.Reason_REASON_NAME_TAKEN)
	_, err = ask(vm.GetSystemId(), "cp-1", "cp-0")
	s.fault(err, errorinfo.Conflict, lxdprovisionerv1.Reason_REASON_NAME_TAKEN)
	s.takeOverAnew(vm)
	s.deleted(attempt)

	ref := s.deployedMachine("capmaas/w-0")
	_, err = ask(ref.GetSystemId(), "w", "another")
	s.fault(err, errorinfo.Conflict, lxdprovisionerv1.Reason_REASON_NAME_TAKEN)
	answer, err := ask(ref.GetSystemId(), "w")
	s.checkf(ok(s, answer, err).GetMachine().GetSystemId() == ref.GetSystemId(), "the machine is told: %v", answer)
	later := &lxdprovisionerv1.MachineRef{AgentName: "capmaas/w-later", SystemId: ref.GetSystemId()}
	got, err := s.metal.GetMachine(s.ctx(), &lxdprovisionerv1.GetMachineRequest{Machine: later})
	s.checkf(ok(s, got, err).GetMachine().GetStatus().GetClaimed(), "it is known by the other agent name: %v", got)
	s.until("the machine is released", func(ctx context.Context) (bool, error) {
		_, err := s.metal.ReleaseMachine(ctx, &lxdprovisionerv1.ReleaseMachineRequest{Machine: later, Owner: ownerOf("w")})
		return err == nil, err
	})
	s.until("nobody holds the machine", func(ctx context.Context) (bool, error) {
		_, err = s.region.TakeOverMachine(ctx, &lxdprovisionerv1.TakeOverMachineRequest{SystemId: ref.GetSystemId(), AgentName: "capmaas/w-later", Owner: ownerOf("w")})
		info, _ := errorinfo.From(err)
		return info.Kind != errorinfo.Conflict, nil
	})
	s.fault(err, errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_MACHINE_NOT_FOUND)
}

// takeOverAnew asks for a VM of cp-0, none of whose names is known, as for a MaasMachine that was made anew.
func (s *suite) takeOverAnew(vm *lxdprovisionerv1.VM) {
	request := &lxdprovisionerv1.TakeOverMachineRequest{
		SystemId: vm.GetSystemId(), AgentName: "capmaas/cp-0-later", Owner: ownerOf("cp-0"), Names: []string{"another"},
	}
	request.Owner.MachineUid = "uid-of-another"
	request.Owner.ClusterId = "another"
	_, err := s.region.TakeOverMachine(s.ctx(), request)
	s.fault(err, errorinfo.Conflict, lxdprovisionerv1.Reason_REASON_NAME_TAKEN)
	request.Owner.ClusterId = ownerOf("cp-0").GetClusterId()
	answer, err := s.region.TakeOverMachine(s.ctx(), request)
	taken := ok(s, answer, err).GetVm()
	s.checkf(taken.GetName() == vm.GetName() && taken.GetHostId() == vm.GetHostId() && taken.GetStatus().GetClaimed(), "the VM is known by its mark: %v", answer)
	s.checkf(taken.GetStatus().GetOwner().GetMachineUid() == "uid-of-another", "the mark has the UID of today: %v", answer)
}
