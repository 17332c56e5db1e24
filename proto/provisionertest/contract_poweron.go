package provisionertest

import (
	"context"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

func (s *suite) powerOn() {
	ask := func(systemID, who string) (*lxdprovisionerv1.PowerOnMachineResponse, error) {
		return s.region.PowerOnMachine(s.ctx(), &lxdprovisionerv1.PowerOnMachineRequest{SystemId: systemID, Owner: ownerOf(who)})
	}
	_, err := ask("nosuch", "cp-0")
	s.fault(err, errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_MACHINE_NOT_FOUND)
	_, composed := s.composed("cp-1")
	_, err = ask(composed.GetSystemId(), "cp-1")
	s.fault(err, errorinfo.Busy, lxdprovisionerv1.Reason_REASON_NOT_READY)

	_, vm := s.deployed("cp-0")
	metal := s.deployedMachine("capmaas/w-0").GetSystemId()
	memory := s.allocated("capmaas/w-1")
	s.until("the machine runs from memory", func(ctx context.Context) (bool, error) {
		request := s.deployMachineRequest(memory)
		request.InMemory = true
		answer, err := s.metal.DeployMachine(ctx, request)
		return answer.GetMachine().GetStatus().GetState() == stateDeployed, err
	})
	for systemID, who := range map[string]string{vm.GetSystemId(): "cp-0", metal: "w"} {
		_, err = ask(systemID, "somebody")
		s.fault(err, errorinfo.Conflict, lxdprovisionerv1.Reason_REASON_NAME_TAKEN)
		answer, err := ask(systemID, who)
		s.checkf(!ok(s, answer, err).GetSent(), "one that is on is left alone: %v", answer)
	}
	if s.SwitchOff == nil {
		return
	}
	s.SwitchOff(s.t, memory.GetSystemId())
	_, err = ask(memory.GetSystemId(), "w")
	s.fault(err, errorinfo.Unsupported, lxdprovisionerv1.Reason_REASON_NOT_SUPPORTED)
	for systemID, who := range map[string]string{vm.GetSystemId(): "cp-0", metal: "w"} {
		s.SwitchOff(s.t, systemID)
		answer, err := ask(systemID, who)
		s.checkf(ok(s, answer, err).GetSent(), "one that is off is switched on: %v", answer)
		s.until("it is on", func(context.Context) (bool, error) {
			answer, err := ask(systemID, who)
			return err == nil && !answer.GetSent() && answer.GetStatus().GetPower() == lxdprovisionerv1.PowerState_POWER_STATE_ON, err
		})
	}
}
