package provisionertest

import (
	"context"
	"math/big"
	"net/netip"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// defaultTTL is the time to live of a record in seconds where a request names none.
const defaultTTL = 10

// EnsureEndpoint makes the record hold exactly the addresses.
func (f *Fake) EnsureEndpoint(
	_ context.Context, request *lxdprovisionerv1.EnsureEndpointRequest,
) (*lxdprovisionerv1.EnsureEndpointResponse, error) {
	return answer(f, "EnsureEndpoint", request, func(request *lxdprovisionerv1.EnsureEndpointRequest) (*lxdprovisionerv1.EnsureEndpointResponse, error) {
		ref := request.GetRef()
		if !slices.Contains(f.config.Domains, ref.GetDomain()) {
			return nil, invalid(lxdprovisionerv1.Reason_REASON_DOMAIN_NOT_FOUND, "ref.domain", "MAAS has no domain %q", ref.GetDomain())
		}
		ttl := int32(defaultTTL)
		if request.TtlSeconds != nil {
			ttl = request.GetTtlSeconds()
		}
		want := &lxdprovisionerv1.Endpoint{Ref: ref, Fqdn: fqdn(ref), Addresses: canonical(request.GetAddresses()), TtlSeconds: &ttl}
		changed := !proto.Equal(f.records[want.GetFqdn()], want)
		if changed {
			f.write(want)
		}
		return &lxdprovisionerv1.EnsureEndpointResponse{Endpoint: want, Changed: changed}, nil
	})
}

// write stores the record and notes the addresses that no machine holds.
func (f *Fake) write(record *lxdprovisionerv1.Endpoint) {
	f.records[record.GetFqdn()] = proto.CloneOf(record)
	for _, ip := range record.GetAddresses() {
		held := slices.ContainsFunc(f.machines, func(m *machine) bool {
			return slices.ContainsFunc(m.addresses, func(a *lxdprovisionerv1.Address) bool { return a.GetIp() == ip })
		})
		if !held {
			f.leftover = append(f.leftover, ip)
		}
	}
}

// GetEndpoint reads the record.
func (f *Fake) GetEndpoint(_ context.Context, request *lxdprovisionerv1.GetEndpointRequest) (*lxdprovisionerv1.GetEndpointResponse, error) {
	return answer(f, "GetEndpoint", request, func(request *lxdprovisionerv1.GetEndpointRequest) (*lxdprovisionerv1.GetEndpointResponse, error) {
		name := fqdn(request.GetRef())
		record := f.records[name]
		if record == nil {
			return nil, Fault(errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_ENDPOINT_NOT_FOUND, "MAAS has no DNS record %s", name)
		}
		return &lxdprovisionerv1.GetEndpointResponse{Endpoint: record}, nil
	})
}

// DeleteEndpoint removes the record.
func (f *Fake) DeleteEndpoint(
	_ context.Context, request *lxdprovisionerv1.DeleteEndpointRequest,
) (*lxdprovisionerv1.DeleteEndpointResponse, error) {
	return answer(f, "DeleteEndpoint", request, func(request *lxdprovisionerv1.DeleteEndpointRequest) (*lxdprovisionerv1.DeleteEndpointResponse, error) {
		delete(f.records, fqdn(request.GetRef()))
		return &lxdprovisionerv1.DeleteEndpointResponse{}, nil
	})
}

// ListZones lists the zones by name.
func (f *Fake) ListZones(_ context.Context, request *lxdprovisionerv1.ListZonesRequest) (*lxdprovisionerv1.ListZonesResponse, error) {
	return answer(f, "ListZones", request, func(*lxdprovisionerv1.ListZonesRequest) (*lxdprovisionerv1.ListZonesResponse, error) {
		response := &lxdprovisionerv1.ListZonesResponse{}
		for _, name := range slices.Sorted(slices.Values(f.config.Zones)) {
			zone := &lxdprovisionerv1.Zone{Name: name}
			usable := false
			for _, h := range f.hosts {
				zone.HasLxdHosts = zone.GetHasLxdHosts() || h.Zone == name
				usable = usable || h.Zone == name && h.Unusable == lxdprovisionerv1.RejectionReason_REJECTION_REASON_UNSPECIFIED
			}
			zone.LxdHostsUnusable = zone.GetHasLxdHosts() && !usable
			response.Zones = append(response.Zones, zone)
		}
		return response, nil
	})
}

// ListResourcePools lists the resource pools by name.
func (f *Fake) ListResourcePools(
	_ context.Context, request *lxdprovisionerv1.ListResourcePoolsRequest,
) (*lxdprovisionerv1.ListResourcePoolsResponse, error) {
	return answer(f, "ListResourcePools", request, func(*lxdprovisionerv1.ListResourcePoolsRequest) (*lxdprovisionerv1.ListResourcePoolsResponse, error) {
		response := &lxdprovisionerv1.ListResourcePoolsResponse{}
		for _, name := range slices.Sorted(slices.Values(f.config.Pools)) {
			response.ResourcePools = append(response.ResourcePools, &lxdprovisionerv1.ResourcePool{Name: name})
		}
		return response, nil
	})
}

// ListSubnets lists the subnets by CIDR.
func (f *Fake) ListSubnets(_ context.Context, request *lxdprovisionerv1.ListSubnetsRequest) (*lxdprovisionerv1.ListSubnetsResponse, error) {
	return answer(f, "ListSubnets", request, func(*lxdprovisionerv1.ListSubnetsRequest) (*lxdprovisionerv1.ListSubnetsResponse, error) {
		return &lxdprovisionerv1.ListSubnetsResponse{Subnets: slices.SortedFunc(slices.Values(f.config.Subnets), func(a, b *lxdprovisionerv1.Subnet) int {
			return strings.Compare(a.GetCidr(), b.GetCidr())
		})}, nil
	})
}

// ListImages lists the images by name.
func (f *Fake) ListImages(_ context.Context, request *lxdprovisionerv1.ListImagesRequest) (*lxdprovisionerv1.ListImagesResponse, error) {
	return answer(f, "ListImages", request, func(*lxdprovisionerv1.ListImagesRequest) (*lxdprovisionerv1.ListImagesResponse, error) {
		return &lxdprovisionerv1.ListImagesResponse{Images: slices.SortedFunc(slices.Values(f.config.Images), func(a, b *lxdprovisionerv1.AvailableImage) int {
			return strings.Compare(a.GetName()+" "+a.GetArchitecture(), b.GetName()+" "+b.GetArchitecture())
		})}, nil
	})
}

// GetRegion tells of the region, or of the problem that SetProblem left.
func (f *Fake) GetRegion(_ context.Context, request *lxdprovisionerv1.GetRegionRequest) (*lxdprovisionerv1.GetRegionResponse, error) {
	return answer(f, "GetRegion", request, func(*lxdprovisionerv1.GetRegionRequest) (*lxdprovisionerv1.GetRegionResponse, error) {
		if f.problem != nil {
			return f.problem, nil
		}
		return &lxdprovisionerv1.GetRegionResponse{
			ServiceVersion: f.config.Version, MaasVersion: "3.5.2", User: "capmaas", Admin: true,
			Capabilities: []lxdprovisionerv1.Capability{
				lxdprovisionerv1.Capability_CAPABILITY_LXD_VMS, lxdprovisionerv1.Capability_CAPABILITY_BARE_METAL, lxdprovisionerv1.Capability_CAPABILITY_DNS,
			},
		}, nil
	})
}

func fqdn(ref *lxdprovisionerv1.EndpointRef) string { return ref.GetName() + "." + ref.GetDomain() }

// canonical gives the addresses sorted, in their canonical form, each once.
func canonical(addresses []string) []string {
	var parsed []netip.Addr
	for _, a := range addresses {
		if ip, err := netip.ParseAddr(a); err == nil {
			parsed = append(parsed, ip)
		}
	}
	slices.SortFunc(parsed, netip.Addr.Compare)
	var texts []string
	for _, ip := range slices.Compact(parsed) {
		texts = append(texts, ip.String())
	}
	return texts
}

// cidrOf gives the subnet that holds the address; empty where none does.
func (f *Fake) cidrOf(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	for _, s := range f.config.Subnets {
		if prefix, err := netip.ParsePrefix(s.GetCidr()); err == nil && prefix.Contains(ip) {
			return s.GetCidr()
		}
	}
	return ""
}

// subnetOf gives a subnet of the family, a preferred one where there is.
func (f *Fake) subnetOf(family lxdprovisionerv1.AddressFamily, preferred []string) *lxdprovisionerv1.Subnet {
	var found *lxdprovisionerv1.Subnet
	for _, s := range f.config.Subnets {
		v6 := strings.Contains(s.GetCidr(), ":")
		if v6 != (family == lxdprovisionerv1.AddressFamily_ADDRESS_FAMILY_IPV6) {
			continue
		}
		if found == nil || slices.Contains(preferred, s.GetCidr()) {
			found = s
		}
	}
	return found
}

// nthAddress gives the address at position n of the subnet.
func nthAddress(cidr string, n int) string {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		return ""
	}
	first := prefix.Masked().Addr()
	sum := new(big.Int).Add(new(big.Int).SetBytes(first.AsSlice()), big.NewInt(int64(n)))
	ip, _ := netip.AddrFromSlice(sum.FillBytes(make([]byte, first.BitLen()/8)))
	return ip.String()
}
