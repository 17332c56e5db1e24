package server

import (
	"context"

	"google.golang.org/grpc"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// AllocateMachine takes one Ready physical machine.
func (s *Server) AllocateMachine(
	ctx context.Context, req *lxdprovisionerv1.AllocateMachineRequest,
) (*lxdprovisionerv1.AllocateMachineResponse, error) {
	machine, err := s.cfg.BareMetal.AllocateMachine(ctx, provision.AllocateRequest{
		Machine:     fromMachineRef(req.GetMachine()),
		Owner:       fromOwner(req.GetOwner()),
		Constraints: fromConstraints(req.GetConstraints()),
		SentAt:      fromTime(req.GetSentAt()),
	})
	if err != nil {
		return nil, StatusOf(err)
	}
	return &lxdprovisionerv1.AllocateMachineResponse{Machine: toMachine(machine)}, nil
}

// DeployMachine deploys an allocated machine.
func (s *Server) DeployMachine(
	ctx context.Context, req *lxdprovisionerv1.DeployMachineRequest,
) (*lxdprovisionerv1.DeployMachineResponse, error) {
	machine, err := s.cfg.BareMetal.DeployMachine(ctx, provision.DeployMachineRequest{
		Machine:  fromMachineRef(req.GetMachine()),
		Owner:    fromOwner(req.GetOwner()),
		Image:    fromImage(req.GetImage()),
		UserData: req.GetUserData(),
		InMemory: req.GetInMemory(),
		KeepSwap: req.GetKeepSwap(),
	})
	if err != nil {
		return nil, StatusOf(err)
	}
	return &lxdprovisionerv1.DeployMachineResponse{Machine: toMachine(machine)}, nil
}

// GetMachine reads one machine.
func (s *Server) GetMachine(ctx context.Context, req *lxdprovisionerv1.GetMachineRequest) (*lxdprovisionerv1.GetMachineResponse, error) {
	machine, err := s.cfg.BareMetal.GetMachine(ctx, fromMachineRef(req.GetMachine()))
	if err != nil {
		return nil, StatusOf(err)
	}
	return &lxdprovisionerv1.GetMachineResponse{Machine: toMachine(machine)}, nil
}

// WatchMachines streams the state of machines.
func (s *Server) WatchMachines(
	req *lxdprovisionerv1.WatchMachinesRequest, stream grpc.ServerStreamingServer[lxdprovisionerv1.WatchMachinesResponse],
) error {
	watched := mapped(req.GetMachines(), func(w *lxdprovisionerv1.WatchedMachine) provision.WatchedMachine {
		return provision.WatchedMachine{Machine: fromMachineRef(w.GetMachine()), Known: fromState(w.GetKnown())}
	})
	return StatusOf(s.cfg.BareMetal.WatchMachines(stream.Context(), watched, func(e provision.MachineEvent) error {
		return stream.Send(toMachineEvent(e))
	}))
}

// ReleaseMachine releases what is held under an agent name.
func (s *Server) ReleaseMachine(
	ctx context.Context, req *lxdprovisionerv1.ReleaseMachineRequest,
) (*lxdprovisionerv1.ReleaseMachineResponse, error) {
	err := s.cfg.BareMetal.ReleaseMachine(ctx, provision.ReleaseRequest{
		Machine: fromMachineRef(req.GetMachine()), Owner: fromOwner(req.GetOwner()), SentAt: fromTime(req.GetSentAt()),
	})
	if err != nil {
		return nil, StatusOf(err)
	}
	return &lxdprovisionerv1.ReleaseMachineResponse{}, nil
}
