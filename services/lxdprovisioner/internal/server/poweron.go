package server

import (
	"context"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// PowerOnMachine switches on a machine that was deployed.
func (s *Server) PowerOnMachine(
	ctx context.Context, req *lxdprovisionerv1.PowerOnMachineRequest,
) (*lxdprovisionerv1.PowerOnMachineResponse, error) {
	done, err := s.cfg.Region.PowerOn(ctx, req.GetSystemId(), fromOwner(req.GetOwner()))
	if err != nil {
		return nil, StatusOf(err)
	}
	return &lxdprovisionerv1.PowerOnMachineResponse{Sent: done.Sent, Status: toStatus(done.Machine, new(true), done.Owner)}, nil
}
