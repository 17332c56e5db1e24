package provisionertest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// DistributeAcrossZones plans one VM after the other, each as SelectHost would choose with those
// before it among its peers.
func (f *Fake) DistributeAcrossZones(
	_ context.Context, request *lxdprovisionerv1.DistributeAcrossZonesRequest,
) (*lxdprovisionerv1.DistributeAcrossZonesResponse, error) {
	return answer(f, "DistributeAcrossZones", request, f.distribute)
}

func (f *Fake) distribute(request *lxdprovisionerv1.DistributeAcrossZonesRequest) (*lxdprovisionerv1.DistributeAcrossZonesResponse, error) {
	noted := maps.Clone(f.choices)
	defer func() { f.choices = noted }()
	group := proto.CloneOf(request.GetGroup())
	if group == nil {
		group = &lxdprovisionerv1.Group{}
	}
	shares := map[string]*lxdprovisionerv1.ZoneShare{}
	for _, p := range group.GetPeers() {
		if h := f.host(p.GetHostId()); h != nil {
			zoneShare(shares, h.Zone).Existing++
		}
	}
	response := &lxdprovisionerv1.DistributeAcrossZonesResponse{Snapshot: f.snapshot()}
	for i := range request.GetCount() {
		w := wanted{
			name: fmt.Sprintf("plan-%d", i), size: request.GetResources(), where: request.GetPlacement(),
			group: group, network: request.GetNetwork(),
		}
		candidates, rejections, err := f.rank(w)
		if err != nil && (i == 0 || !request.GetAsManyAsFit()) {
			return nil, err
		}
		if err != nil {
			break
		}
		if i == 0 {
			response.Rejections = rejections
			for _, c := range candidates {
				zoneShare(shares, c.GetZone())
			}
		}
		best := candidates[0]
		zoneShare(shares, best.GetZone()).Planned++
		response.Vms = append(response.Vms, &lxdprovisionerv1.PlannedVM{Index: i, HostId: best.GetHostId(), HostName: best.GetHostName(), Zone: best.GetZone()})
		group.Peers = append(group.Peers, &lxdprovisionerv1.Peer{Name: w.name, HostId: best.GetHostId(), Zone: best.GetZone()})
		f.choices[w.name] = choice{hostID: best.GetHostId(), size: w.size, until: f.now().Add(choiceFor)}
	}
	f.sumUp(response, shares, request.GetCount())
	return response, nil
}

// sumUp adds the zones and whether they are even.
func (f *Fake) sumUp(response *lxdprovisionerv1.DistributeAcrossZonesResponse, shares map[string]*lxdprovisionerv1.ZoneShare, count int32) {
	for _, zone := range slices.Sorted(maps.Keys(shares)) {
		response.Zones = append(response.Zones, shares[zone])
	}
	total := func(s *lxdprovisionerv1.ZoneShare) int32 { return s.GetExisting() + s.GetPlanned() }
	most := int32(0)
	for _, s := range response.GetZones() {
		most = max(most, total(s))
	}
	response.Even = true
	for _, s := range response.GetZones() {
		if most-total(s) > 1 {
			response.Even = false
			s.Explanation = "no host of the zone has room for more"
		}
	}
	response.Summary = fmt.Sprintf("%d of %d VMs have a place in %d zones", len(response.GetVms()), count, len(shares))
}

func zoneShare(shares map[string]*lxdprovisionerv1.ZoneShare, zone string) *lxdprovisionerv1.ZoneShare {
	if shares[zone] == nil {
		shares[zone] = &lxdprovisionerv1.ZoneShare{Zone: zone}
	}
	return shares[zone]
}
