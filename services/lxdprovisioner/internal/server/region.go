package server

import (
	"context"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// EnsureEndpoint makes a DNS record hold exactly the addresses.
func (s *Server) EnsureEndpoint(
	ctx context.Context, req *lxdprovisionerv1.EnsureEndpointRequest,
) (*lxdprovisionerv1.EnsureEndpointResponse, error) {
	addresses, err := parseAddrs("addresses", req.GetAddresses())
	if err != nil {
		return nil, StatusOf(err)
	}
	endpoint, changed, err := s.cfg.Region.EnsureEndpoint(ctx, fromEndpointRef(req.GetRef()), addresses, fromTTL(req))
	if err != nil {
		return nil, StatusOf(err)
	}
	return &lxdprovisionerv1.EnsureEndpointResponse{Endpoint: toEndpoint(endpoint), Changed: changed}, nil
}

// GetEndpoint reads a DNS record.
func (s *Server) GetEndpoint(ctx context.Context, req *lxdprovisionerv1.GetEndpointRequest) (*lxdprovisionerv1.GetEndpointResponse, error) {
	endpoint, err := s.cfg.Region.GetEndpoint(ctx, fromEndpointRef(req.GetRef()))
	if err != nil {
		return nil, StatusOf(err)
	}
	return &lxdprovisionerv1.GetEndpointResponse{Endpoint: toEndpoint(endpoint)}, nil
}

// DeleteEndpoint removes a DNS record.
func (s *Server) DeleteEndpoint(
	ctx context.Context, req *lxdprovisionerv1.DeleteEndpointRequest,
) (*lxdprovisionerv1.DeleteEndpointResponse, error) {
	if err := s.cfg.Region.DeleteEndpoint(ctx, fromEndpointRef(req.GetRef())); err != nil {
		return nil, StatusOf(err)
	}
	return &lxdprovisionerv1.DeleteEndpointResponse{}, nil
}

// ListZones lists the availability zones.
func (s *Server) ListZones(ctx context.Context, _ *lxdprovisionerv1.ListZonesRequest) (*lxdprovisionerv1.ListZonesResponse, error) {
	zones, err := s.cfg.Region.Zones(ctx)
	if err != nil {
		return nil, StatusOf(err)
	}
	return &lxdprovisionerv1.ListZonesResponse{Zones: mapped(zones, toZone)}, nil
}

// ListResourcePools lists the resource pools.
func (s *Server) ListResourcePools(
	ctx context.Context, _ *lxdprovisionerv1.ListResourcePoolsRequest,
) (*lxdprovisionerv1.ListResourcePoolsResponse, error) {
	pools, err := s.cfg.Region.Pools(ctx)
	if err != nil {
		return nil, StatusOf(err)
	}
	return &lxdprovisionerv1.ListResourcePoolsResponse{ResourcePools: mapped(pools, toPool)}, nil
}

// ListSubnets lists the subnets.
func (s *Server) ListSubnets(ctx context.Context, _ *lxdprovisionerv1.ListSubnetsRequest) (*lxdprovisionerv1.ListSubnetsResponse, error) {
	subnets, err := s.cfg.Region.Subnets(ctx)
	if err != nil {
		return nil, StatusOf(err)
	}
	return &lxdprovisionerv1.ListSubnetsResponse{Subnets: mapped(subnets, toSubnet)}, nil
}

// ListImages lists the images that can be deployed.
func (s *Server) ListImages(ctx context.Context, _ *lxdprovisionerv1.ListImagesRequest) (*lxdprovisionerv1.ListImagesResponse, error) {
	images, err := s.cfg.Region.Images(ctx)
	if err != nil {
		return nil, StatusOf(err)
	}
	return &lxdprovisionerv1.ListImagesResponse{Images: mapped(images, toImage)}, nil
}

// GetRegion tells of the region and of what is wrong with it. It answers whatever MAAS does.
func (s *Server) GetRegion(ctx context.Context, _ *lxdprovisionerv1.GetRegionRequest) (*lxdprovisionerv1.GetRegionResponse, error) {
	response := toRegion(s.cfg.Region.Region(ctx))
	response.ServiceVersion = s.cfg.Version
	return response, nil
}
