package provisionertest

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

func (s *suite) listHosts() {
	hosts := s.hosts()
	if len(hosts) < 2 {
		s.t.Fatalf("the harness has %d hosts, too few for the contract", len(hosts))
	}
	s.checkf(slices.IsSortedFunc(hosts, func(a, b *lxdprovisionerv1.Host) int { return strings.Compare(a.GetName(), b.GetName()) }), "hosts come by name")
	for _, h := range hosts {
		s.checkf(h.GetId() != "" && h.GetZone() != "" && h.GetResourcePool() != "", "host %s lacks id, zone or pool", h.GetName())
		s.checkf(h.GetTotal().GetCores() > 0 && h.GetTotal().GetMemoryMib() > 0, "host %s has no size", h.GetName())
		s.checkf(len(h.GetStoragePools()) > 0, "host %s has no storage pool", h.GetName())
	}
	zone := hosts[0].GetZone()
	answer, err := s.lxd.ListHosts(s.ctx(), &lxdprovisionerv1.ListHostsRequest{Zone: &zone, ResourcePool: &s.ResourcePool})
	some := ok(s, answer, err)
	s.checkf(len(some.GetHosts()) > 0 && len(some.GetHosts()) < len(hosts), "zone %s in pool %s has %d of %d hosts", zone, s.ResourcePool, len(some.GetHosts()), len(hosts))
	for _, h := range some.GetHosts() {
		s.checkf(h.GetZone() == zone && h.GetResourcePool() == s.ResourcePool, "host %s is in %s and %s", h.GetName(), h.GetZone(), h.GetResourcePool())
	}
	s.checkf(some.GetSnapshot().GetReadAt().IsValid(), "the answer says when MAAS was read")
}

func (s *suite) listHostPages() {
	all, size, token := s.hosts(), int32(1), ""
	for i, want := range all {
		answer, err := s.lxd.ListHosts(s.ctx(), &lxdprovisionerv1.ListHostsRequest{PageSize: &size, PageToken: token})
		page := ok(s, answer, err)
		s.checkf(len(page.GetHosts()) == 1 && page.GetHosts()[0].GetId() == want.GetId(), "page %d has %v, not %s", i+1, page.GetHosts(), want.GetId())
		s.checkf(int(page.GetSnapshot().GetHosts()) == len(all), "every page is made from all hosts")
		token = page.GetNextPageToken()
		s.checkf((token == "") == (i == len(all)-1), "page %d of %d has the token %q", i+1, len(all), token)
	}
	zone := all[0].GetZone()
	answer, err := s.lxd.ListHosts(s.ctx(), &lxdprovisionerv1.ListHostsRequest{Zone: &zone, PageSize: &size})
	first := ok(s, answer, err)
	size = 1000
	answer, err = s.lxd.ListHosts(s.ctx(), &lxdprovisionerv1.ListHostsRequest{Zone: &zone, PageSize: &size, PageToken: first.GetNextPageToken()})
	for _, h := range ok(s, answer, err).GetHosts() {
		s.checkf(h.GetZone() == zone, "the filter holds on every page: %s", h.GetName())
	}
	s.checkf(first.GetNextPageToken() == "" || len(answer.GetHosts()) > 0 && answer.GetNextPageToken() == "", "the last page has the rest")
}

func (s *suite) selectHost() {
	request := &lxdprovisionerv1.SelectHostRequest{VmName: "cp-0", Resources: small(), Placement: &lxdprovisionerv1.Placement{ResourcePools: []string{s.ResourcePool}}}
	answer, err := s.lxd.SelectHost(s.ctx(), request)
	first := ok(s, answer, err)
	s.checkf(first.GetSummary() != "" && len([]rune(first.GetSummary())) <= 200, "the summary is one sentence: %q", first.GetSummary())
	s.checkf(len(first.GetCandidates()) > 0 && proto.Equal(first.GetCandidates()[0], first.GetChosen()), "the first candidate is the chosen one")
	s.checkf(len(first.GetCandidates())+len(first.GetRejections()) == len(s.hosts()), "every host is a candidate or rejected")

	for range 3 {
		answer, err := s.lxd.SelectHost(s.ctx(), request)
		s.checkf(ok(s, answer, err).GetChosen().GetHostId() == first.GetChosen().GetHostId(), "a repeat answers the same host")
	}
	s.checkf(len(s.vms()) == 0, "SelectHost makes nothing")

	peer := &lxdprovisionerv1.Peer{Name: "cp-0", HostId: first.GetChosen().GetHostId(), Zone: first.GetChosen().GetZone()}
	second, err := s.lxd.SelectHost(s.ctx(), &lxdprovisionerv1.SelectHostRequest{
		VmName: "cp-1", Resources: small(), DryRun: true,
		Group: &lxdprovisionerv1.Group{Key: "cp", AntiAffinity: lxdprovisionerv1.AntiAffinity_ANTI_AFFINITY_REQUIRED, Peers: []*lxdprovisionerv1.Peer{peer}},
	})
	s.checkf(ok(s, second, err).GetChosen().GetZone() != first.GetChosen().GetZone(), "a peer's zone is not taken while another has room")
	s.checkf(slices.ContainsFunc(second.GetRejections(), func(r *lxdprovisionerv1.Rejection) bool {
		return r.GetHostId() == peer.GetHostId() && r.GetReason() == lxdprovisionerv1.RejectionReason_REJECTION_REASON_ANTI_AFFINITY
	}), "required anti-affinity rejects the peer's host: %v", second.GetRejections())

	excluded := []string{first.GetChosen().GetHostId()}
	third, err := s.lxd.SelectHost(s.ctx(), &lxdprovisionerv1.SelectHostRequest{
		VmName: "cp-2", Resources: small(), DryRun: true,
		Placement: &lxdprovisionerv1.Placement{Zone: &first.GetChosen().Zone, ExcludedHosts: excluded},
	})
	if err == nil {
		s.checkf(third.GetChosen().GetZone() == first.GetChosen().GetZone() && third.GetChosen().GetHostId() != excluded[0], "zone and exclusion hold: %v", third.GetChosen())
	} else {
		s.fault(err, errorinfo.NoCandidate)
	}

	nowhere := "no-such"
	for _, network := range []*lxdprovisionerv1.VMNetwork{
		{Interfaces: []*lxdprovisionerv1.VMInterface{{Subnet: &nowhere}}},
		{StaticIp: &lxdprovisionerv1.StaticIP{Address: "203.0.113.9"}},
	} {
		_, err := s.lxd.SelectHost(s.ctx(), &lxdprovisionerv1.SelectHostRequest{VmName: "cp-3", Resources: small(), Network: network})
		s.fault(err, errorinfo.Invalid, lxdprovisionerv1.Reason_REASON_SUBNET_NOT_FOUND)
	}
}

func (s *suite) selectHostFaults() {
	size := small()
	with := func(change func(*lxdprovisionerv1.SelectHostRequest)) error {
		request := &lxdprovisionerv1.SelectHostRequest{VmName: "x", Resources: proto.CloneOf(size), Placement: &lxdprovisionerv1.Placement{}}
		change(request)
		_, err := s.lxd.SelectHost(s.ctx(), request)
		return err
	}
	unknown := "no-such"
	s.fault(with(func(r *lxdprovisionerv1.SelectHostRequest) { r.Placement.Zone = &unknown }), errorinfo.NoCandidate, lxdprovisionerv1.Reason_REASON_ZONE_NOT_FOUND)
	s.fault(with(func(r *lxdprovisionerv1.SelectHostRequest) { r.Placement.ResourcePools = []string{unknown} }), errorinfo.NoCandidate, lxdprovisionerv1.Reason_REASON_POOL_NOT_FOUND)
	s.fault(with(func(r *lxdprovisionerv1.SelectHostRequest) { r.Placement.Profile = &unknown }), errorinfo.NoCandidate, lxdprovisionerv1.Reason_REASON_PROFILE_NOT_FOUND)
	s.fault(with(func(r *lxdprovisionerv1.SelectHostRequest) { r.Placement.Project = &unknown }), errorinfo.NoCandidate, lxdprovisionerv1.Reason_REASON_PROJECT_NOT_FOUND)
	s.fault(with(func(r *lxdprovisionerv1.SelectHostRequest) { r.Resources.Disks[0].StoragePool = &unknown }), errorinfo.NoCandidate, lxdprovisionerv1.Reason_REASON_STORAGE_POOL_NOT_FOUND)
	s.fault(with(func(r *lxdprovisionerv1.SelectHostRequest) { r.Placement.Tags = []string{unknown} }), errorinfo.NoCandidate, lxdprovisionerv1.Reason_REASON_NO_HOST_MATCHES)
	s.fault(with(func(r *lxdprovisionerv1.SelectHostRequest) { r.Resources.Cores = 1024 }), errorinfo.Invalid, lxdprovisionerv1.Reason_REASON_BAD_RESOURCES)
	s.fault(with(func(r *lxdprovisionerv1.SelectHostRequest) { r.Resources.MemoryMib = 100 }), errorinfo.Invalid, lxdprovisionerv1.Reason_REASON_BAD_RESOURCES)

	// A choice counts as used, so the same host has no room left for a VM of its full size.
	attempt := s.attempt("noted")
	host := s.host(attempt.GetHostId())
	err := with(func(r *lxdprovisionerv1.SelectHostRequest) {
		r.Placement.AllowedHosts = []string{host.GetName()}
		r.Resources.Cores = int32(host.GetTotal().GetCores()) //nolint:gosec // a host has few cores
	})
	info := s.fault(err, errorinfo.NoRoom, lxdprovisionerv1.Reason_REASON_INSUFFICIENT_RESOURCES)
	if info.Placement == nil || len(info.Placement.GetRejections()) != len(s.hosts()) {
		s.t.Errorf("the fault says of every host why it is out: %v", info.Placement)
	}
}

func (s *suite) host(id string) *lxdprovisionerv1.Host {
	s.t.Helper()
	for _, h := range s.hosts() {
		if h.GetId() == id {
			return h
		}
	}
	s.t.Fatalf("ListHosts has no host %s", id)
	return nil
}

func (s *suite) distributeAcrossZones() {
	zones := map[string]bool{}
	for _, h := range s.hosts() {
		zones[h.GetZone()] = true
	}
	count := int32(len(zones) + 1) //nolint:gosec // a harness has few zones
	answer, err := s.lxd.DistributeAcrossZones(s.ctx(), &lxdprovisionerv1.DistributeAcrossZonesRequest{Count: count, Resources: small()})
	plan := ok(s, answer, err)
	s.checkf(len(plan.GetVms()) == int(count), "%d of %d VMs have a place", len(plan.GetVms()), count)
	s.checkf(plan.GetEven() && len(plan.GetZones()) == len(zones), "the plan is even over all zones: %v", plan)
	planned := map[string]int32{}
	for i, vm := range plan.GetVms() {
		s.checkf(vm.GetIndex() == int32(i), "VM %d has index %d", i, vm.GetIndex())
		planned[vm.GetZone()]++
	}
	for _, z := range plan.GetZones() {
		s.checkf(z.GetPlanned() == planned[z.GetZone()] && z.GetPlanned() >= 1 && z.GetPlanned() <= 2, "zone %s has %d, planned %d", z.GetZone(), planned[z.GetZone()], z.GetPlanned())
	}
	s.checkf(len(s.vms()) == 0, "DistributeAcrossZones makes nothing")

	const tooMany = 10000
	_, err = s.lxd.DistributeAcrossZones(s.ctx(), &lxdprovisionerv1.DistributeAcrossZonesRequest{Count: tooMany, Resources: small()})
	s.fault(err, errorinfo.NoRoom, lxdprovisionerv1.Reason_REASON_INSUFFICIENT_RESOURCES)
	answer, err = s.lxd.DistributeAcrossZones(s.ctx(), &lxdprovisionerv1.DistributeAcrossZonesRequest{Count: tooMany, Resources: small(), AsManyAsFit: true})
	short := ok(s, answer, err)
	s.checkf(len(short.GetVms()) > 0 && len(short.GetVms()) < tooMany && short.GetSummary() != "", "as many as fit are %d: %s", len(short.GetVms()), short.GetSummary())
	unknown := "no-such"
	_, err = s.lxd.DistributeAcrossZones(s.ctx(), &lxdprovisionerv1.DistributeAcrossZonesRequest{
		Count: 1, Resources: small(), Placement: &lxdprovisionerv1.Placement{Zone: &unknown},
	})
	s.fault(err, errorinfo.NoCandidate, lxdprovisionerv1.Reason_REASON_ZONE_NOT_FOUND)
}
