package server

import (
	"context"
	"strings"

	"google.golang.org/protobuf/proto"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// ListHosts lists the VM hosts that MAAS knows.
func (s *Server) ListHosts(ctx context.Context, req *lxdprovisionerv1.ListHostsRequest) (*lxdprovisionerv1.ListHostsResponse, error) {
	filter := provision.HostFilter{Zone: req.GetZone(), Pool: req.GetResourcePool(), Limit: int(req.GetPageSize())}
	if id, name, ok := strings.Cut(req.GetPageToken(), " "); ok {
		filter.AfterName, filter.AfterID = name, inventory.HostID(id)
	}
	list, err := s.cfg.Hosts.ListHosts(ctx, filter)
	if err != nil {
		return nil, StatusOf(err)
	}
	answer := &lxdprovisionerv1.ListHostsResponse{Hosts: toPage(list.Hosts), Snapshot: toSnapshot(list.Snapshot)}
	if n := len(answer.GetHosts()); n < len(list.Hosts) || list.More {
		last := answer.GetHosts()[n-1]
		answer.NextPageToken = last.GetId() + " " + last.GetName()
	}
	return answer, nil
}

// maxPageBytes is how large the hosts of an answer become. Clients take 4 MiB by default; the rest is
// for what else is in the message.
const maxPageBytes = 3 << 20

// toPage converts as many of the hosts as fit into an answer: one at least, or nobody would ever get
// beyond it.
func toPage(hosts []provision.HostView) []*lxdprovisionerv1.Host {
	var page []*lxdprovisionerv1.Host
	bytes := 0
	for _, h := range hosts {
		host := toHost(h)
		if bytes += proto.Size(host); bytes > maxPageBytes && len(page) > 0 {
			break
		}
		page = append(page, host)
	}
	return page
}

// SelectHost chooses a host for one VM.
func (s *Server) SelectHost(ctx context.Context, req *lxdprovisionerv1.SelectHostRequest) (*lxdprovisionerv1.SelectHostResponse, error) {
	network, err := fromNetwork(req.GetNetwork())
	if err != nil {
		return nil, StatusOf(err)
	}
	chosen, err := s.cfg.Hosts.SelectHost(ctx, provision.SelectRequest{
		Request: placement.Request{
			VM:          req.GetVmName(),
			Size:        fromResources(req.GetResources()),
			Constraints: fromPlacement(req.GetPlacement(), req.GetNetwork()),
			Group:       fromGroup(req.GetGroup()),
		},
		Network: network,
		DryRun:  req.GetDryRun(),
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
	network, err := fromNetwork(req.GetNetwork())
	if err != nil {
		return nil, StatusOf(err)
	}
	plan, err := s.cfg.Hosts.Distribute(ctx, provision.PlanRequest{
		PlanRequest: placement.PlanRequest{
			Request: placement.Request{
				Size:        fromResources(req.GetResources()),
				Constraints: fromPlacement(req.GetPlacement(), req.GetNetwork()),
				Group:       fromGroup(req.GetGroup()),
			},
			Count:       int(req.GetCount()),
			AsManyAsFit: req.GetAsManyAsFit(),
		},
		Network: network,
	})
	if err != nil {
		return nil, StatusOf(err)
	}
	return toPlan(plan), nil
}
