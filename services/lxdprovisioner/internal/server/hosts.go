package server

import (
	"context"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// ListHosts lists the VM hosts that MAAS knows.
func (s *Server) ListHosts(ctx context.Context, req *lxdprovisionerv1.ListHostsRequest) (*lxdprovisionerv1.ListHostsResponse, error) {
	list, err := s.cfg.Hosts.ListHosts(ctx, provision.HostFilter{Zone: req.GetZone(), Pool: req.GetResourcePool()})
	if err != nil {
		return nil, StatusOf(err)
	}
	return &lxdprovisionerv1.ListHostsResponse{Hosts: mapped(list.Hosts, toHost), Snapshot: toSnapshot(list.Snapshot)}, nil
}

// SelectHost chooses a host for one VM.
func (s *Server) SelectHost(ctx context.Context, req *lxdprovisionerv1.SelectHostRequest) (*lxdprovisionerv1.SelectHostResponse, error) {
	chosen, err := s.cfg.Hosts.SelectHost(ctx, provision.SelectRequest{
		Request: placement.Request{
			VM:          req.GetVmName(),
			Size:        fromResources(req.GetResources()),
			Constraints: fromPlacement(req.GetPlacement(), req.GetNetwork()),
			Group:       fromGroup(req.GetGroup()),
		},
		DryRun: req.GetDryRun(),
	})
	if err != nil {
		return nil, StatusOf(err)
	}
	return toSelection(chosen), nil
}

// DistributeAcrossZones plans several VMs.
func (s *Server) DistributeAcrossZones(
	ctx context.Context, req *lxdprovisionerv1.DistributeAcrossZonesRequest,
) (*lxdprovisionerv1.DistributeAcrossZonesResponse, error) {
	plan, err := s.cfg.Hosts.Distribute(ctx, placement.PlanRequest{
		Request: placement.Request{
			Size:        fromResources(req.GetResources()),
			Constraints: fromPlacement(req.GetPlacement(), req.GetNetwork()),
			Group:       fromGroup(req.GetGroup()),
		},
		Count:       int(req.GetCount()),
		AsManyAsFit: req.GetAsManyAsFit(),
	})
	if err != nil {
		return nil, StatusOf(err)
	}
	return toPlan(plan), nil
}
