package server

import (
	"context"

	"google.golang.org/grpc"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// ComposeVM makes the VM of one attempt.
func (s *Server) ComposeVM(ctx context.Context, req *lxdprovisionerv1.ComposeVMRequest) (*lxdprovisionerv1.ComposeVMResponse, error) {
	network, err := fromNetwork(req.GetNetwork())
	if err != nil {
		return nil, StatusOf(err)
	}
	vm, err := s.cfg.VMs.ComposeVM(ctx, provision.ComposeRequest{
		Attempt:      fromAttempt(req.GetAttempt()),
		Owner:        fromOwner(req.GetOwner()),
		Size:         fromResources(req.GetResources()),
		Network:      network,
		Architecture: req.GetArchitecture(),
		GroupKey:     req.GetGroupKey(),
	})
	if err != nil {
		return nil, StatusOf(err)
	}
	return &lxdprovisionerv1.ComposeVMResponse{Vm: toVM(vm)}, nil
}

// DeployVM deploys a VM.
func (s *Server) DeployVM(ctx context.Context, req *lxdprovisionerv1.DeployVMRequest) (*lxdprovisionerv1.DeployVMResponse, error) {
	network, err := fromNetwork(req.GetNetwork())
	if err != nil {
		return nil, StatusOf(err)
	}
	vm, err := s.cfg.VMs.DeployVM(ctx, provision.DeployRequest{
		Attempt:  fromAttempt(req.GetAttempt()),
		Owner:    fromOwner(req.GetOwner()),
		Image:    fromImage(req.GetImage()),
		UserData: req.GetUserData(),
		Network:  network,
	})
	if err != nil {
		return nil, StatusOf(err)
	}
	return &lxdprovisionerv1.DeployVMResponse{Vm: toVM(vm)}, nil
}

// GetVM reads one VM.
func (s *Server) GetVM(ctx context.Context, req *lxdprovisionerv1.GetVMRequest) (*lxdprovisionerv1.GetVMResponse, error) {
	get := provision.GetRequest{Attempt: fromAttempt(req.GetAttempt())}
	if req.GetOwner() != nil {
		owner := fromOwner(req.GetOwner())
		get.Owner = &owner
	}
	vm, err := s.cfg.VMs.GetVM(ctx, get)
	if err != nil {
		return nil, StatusOf(err)
	}
	return &lxdprovisionerv1.GetVMResponse{Vm: toVM(vm)}, nil
}

// ListVMs lists VMs of ours.
func (s *Server) ListVMs(ctx context.Context, req *lxdprovisionerv1.ListVMsRequest) (*lxdprovisionerv1.ListVMsResponse, error) {
	vms, next, err := s.cfg.VMs.ListVMs(ctx, provision.ListRequest{
		ClusterID: req.GetClusterId(), Zone: req.GetZone(), PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(),
	})
	if err != nil {
		return nil, StatusOf(err)
	}
	return &lxdprovisionerv1.ListVMsResponse{Vms: mapped(vms, toVM), NextPageToken: next}, nil
}

// WatchVMs streams the state of VMs.
func (s *Server) WatchVMs(req *lxdprovisionerv1.WatchVMsRequest, stream grpc.ServerStreamingServer[lxdprovisionerv1.WatchVMsResponse]) error {
	watched := mapped(req.GetVms(), func(w *lxdprovisionerv1.WatchedVM) provision.WatchedVM {
		return provision.WatchedVM{Attempt: fromAttempt(w.GetAttempt()), Known: fromState(w.GetKnown())}
	})
	return StatusOf(s.cfg.VMs.WatchVMs(stream.Context(), watched, func(e provision.VMEvent) error {
		return stream.Send(toVMEvent(e))
	}))
}

// DeleteVM deletes whatever the attempts made.
func (s *Server) DeleteVM(ctx context.Context, req *lxdprovisionerv1.DeleteVMRequest) (*lxdprovisionerv1.DeleteVMResponse, error) {
	absences, err := s.cfg.VMs.DeleteVM(ctx, provision.DeleteRequest{
		Attempts: mapped(req.GetAttempts(), fromAttempt),
		Owner:    fromOwner(req.GetOwner()),
		Hosts:    mapped(req.GetHosts(), fromExpectation),
	})
	if err != nil {
		return nil, StatusOf(err)
	}
	return &lxdprovisionerv1.DeleteVMResponse{Absences: mapped(absences, toAbsence)}, nil
}
