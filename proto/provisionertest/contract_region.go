package provisionertest

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

func (s *suite) ensureEndpoint() {
	_, first := s.deployed("cp-0")
	_, second := s.deployed("cp-1")
	one, two := first.GetStatus().GetAddresses()[0].GetIp(), second.GetStatus().GetAddresses()[0].GetIp()
	ref := &lxdprovisionerv1.EndpointRef{Name: "prod", Domain: s.Domain}
	ensure := func(addresses ...string) *lxdprovisionerv1.EnsureEndpointResponse {
		s.t.Helper()
		answer, err := s.region.EnsureEndpoint(s.ctx(), &lxdprovisionerv1.EnsureEndpointRequest{Ref: ref, Addresses: addresses})
		return ok(s, answer, err)
	}
	made := ensure(two, one)
	s.checkf(made.GetChanged() && made.GetEndpoint().GetFqdn() == "prod."+s.Domain, "the record is made: %v", made)
	s.checkf(slices.Equal(made.GetEndpoint().GetAddresses(), canonical([]string{one, two})), "both addresses are in: %v", made)
	s.checkf(made.GetEndpoint().GetTtlSeconds() == defaultTTL, "the time to live is %d s", made.GetEndpoint().GetTtlSeconds())
	s.checkf(!ensure(one, two).GetChanged(), "the same set in another order is no change")
	s.checkf(ensure(two).GetChanged(), "a smaller set is a change")
	got, err := s.region.GetEndpoint(s.ctx(), &lxdprovisionerv1.GetEndpointRequest{Ref: ref})
	s.checkf(slices.Equal(ok(s, got, err).GetEndpoint().GetAddresses(), []string{two}), "the set is replaced: %v", got)
	s.checkf(proto.Equal(got.GetEndpoint().GetRef(), ref), "the reference is %v", got.GetEndpoint().GetRef())

	for range 2 {
		_, err = s.region.DeleteEndpoint(s.ctx(), &lxdprovisionerv1.DeleteEndpointRequest{Ref: ref})
		ok(s, got, err)
	}
	_, err = s.region.GetEndpoint(s.ctx(), &lxdprovisionerv1.GetEndpointRequest{Ref: ref})
	s.fault(err, errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_ENDPOINT_NOT_FOUND)
	_, err = s.region.EnsureEndpoint(s.ctx(), &lxdprovisionerv1.EnsureEndpointRequest{
		Ref: &lxdprovisionerv1.EndpointRef{Name: "prod", Domain: "no-such.example"}, Addresses: []string{one},
	})
	s.fault(err, errorinfo.Invalid, lxdprovisionerv1.Reason_REASON_DOMAIN_NOT_FOUND)
}

func (s *suite) absentEndpoint() {
	ref := &lxdprovisionerv1.EndpointRef{Name: "absent", Domain: s.Domain}
	_, err := s.region.GetEndpoint(s.ctx(), &lxdprovisionerv1.GetEndpointRequest{Ref: ref})
	s.fault(err, errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_ENDPOINT_NOT_FOUND)
	gone, err := s.region.DeleteEndpoint(s.ctx(), &lxdprovisionerv1.DeleteEndpointRequest{Ref: ref})
	ok(s, gone, err)
}

func (s *suite) lists() {
	zones, err := s.region.ListZones(s.ctx(), &lxdprovisionerv1.ListZonesRequest{})
	withHosts := 0
	for _, z := range ok(s, zones, err).GetZones() {
		if z.GetHasLxdHosts() {
			withHosts++
		}
	}
	s.checkf(withHosts >= 2, "%d zones have LXD hosts", withHosts)
	hosts, err := s.lxd.ListHosts(s.ctx(), &lxdprovisionerv1.ListHostsRequest{})
	usable := map[string]bool{}
	for _, h := range ok(s, hosts, err).GetHosts() {
		usable[h.GetZone()] = usable[h.GetZone()] || h.GetUnusable() == nil
	}
	for _, z := range zones.GetZones() {
		s.checkf(z.GetLxdHostsUnusable() == (z.GetHasLxdHosts() && !usable[z.GetName()]), "ListHosts says the same of zone %v", z)
	}
	pools, err := s.region.ListResourcePools(s.ctx(), &lxdprovisionerv1.ListResourcePoolsRequest{})
	names := []string{}
	for _, p := range ok(s, pools, err).GetResourcePools() {
		names = append(names, p.GetName())
	}
	s.checkf(slices.IsSorted(names) && slices.Contains(names, "default") && slices.Contains(names, s.ResourcePool), "R2.3: the pools are %v", names)
	subnets, err := s.region.ListSubnets(s.ctx(), &lxdprovisionerv1.ListSubnetsRequest{})
	s.checkf(len(ok(s, subnets, err).GetSubnets()) > 0, "there are subnets")
	images, err := s.region.ListImages(s.ctx(), &lxdprovisionerv1.ListImagesRequest{})
	want := s.Image.GetOs() + "/" + s.Image.GetSeries()
	s.checkf(slices.ContainsFunc(ok(s, images, err).GetImages(), func(i *lxdprovisionerv1.AvailableImage) bool { return i.GetName() == want }), "the images %v have no %s", images, want)
	region, err := s.region.GetRegion(s.ctx(), &lxdprovisionerv1.GetRegionRequest{})
	ok(s, region, err)
	s.checkf(region.GetServiceVersion() != "" && region.GetMaasVersion() != "" && region.GetUser() != "" && region.GetAdmin(), "the region says who we are: %v", region)
	s.checkf(len(region.GetCapabilities()) == 3 && region.GetProblem() == "" && region.GetProblemReason() == "", "all is well: %v", region)
}

func (s *suite) silentMAAS() {
	if s.StopMAAS == nil {
		s.t.Skip("the harness can't silence MAAS")
	}
	attempt := s.attempt("cp-0")
	s.StopMAAS(s.t)
	_, err := s.lxd.GetVM(s.ctx(), &lxdprovisionerv1.GetVMRequest{Attempt: s.sent(attempt)})
	s.fault(err, errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE)
	_, err = s.metal.GetMachine(s.ctx(), &lxdprovisionerv1.GetMachineRequest{Machine: s.machineRef("capmaas/w-0")})
	s.fault(err, errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE)
	_, err = s.region.ListZones(s.ctx(), &lxdprovisionerv1.ListZonesRequest{})
	s.fault(err, errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE)
	region, err := s.region.GetRegion(s.ctx(), &lxdprovisionerv1.GetRegionRequest{})
	s.checkf(ok(s, region, err).GetProblem() != "" && region.GetProblemReason() == "MAAS_UNAVAILABLE", "GetRegion answers with the problem: %v", region)
	s.checkf(region.GetServiceVersion() != "", "GetRegion tells its version without MAAS")
}
