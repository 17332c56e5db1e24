package server

import (
	"context"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// TakeOverMachine makes a machine its owner's that was deployed and of which nothing is stored.
func (s *Server) TakeOverMachine(
	ctx context.Context, req *lxdprovisionerv1.TakeOverMachineRequest,
) (*lxdprovisionerv1.TakeOverMachineResponse, error) {
	taken, err := s.cfg.Region.TakeOver(ctx, provision.TakeOverRequest{
		SystemID: req.GetSystemId(), AgentName: req.GetAgentName(), Owner: fromOwner(req.GetOwner()), Names: req.GetNames(),
	})
	if err != nil {
		return nil, StatusOf(err)
	}
	answer := &lxdprovisionerv1.TakeOverMachineResponse{}
	if taken.VM != nil {
		answer.Vm = toVM(*taken.VM)
	}
	if taken.Machine != nil {
		answer.Machine = toMachine(*taken.Machine)
	}
	return answer, nil
}
