package server

import (
	"fmt"
	"net/netip"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// mapped converts each element; nil for none, as an unset repeated field is.
func mapped[A, B any](from []A, convert func(A) B) []B {
	if len(from) == 0 {
		return nil
	}
	to := make([]B, len(from))
	for i, a := range from {
		to[i] = convert(a)
	}
	return to
}

func fromTime(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func fromOwner(o *lxdprovisionerv1.Owner) provision.Owner {
	return provision.Owner{
		ClusterID: o.GetClusterId(), Namespace: o.GetNamespace(), Cluster: o.GetCluster(),
		Machine: o.GetMachine(), MachineUID: o.GetMachineUid(), SpecDigest: o.GetSpecDigest(),
	}
}

func fromAttempt(a *lxdprovisionerv1.Attempt) provision.Attempt {
	return provision.Attempt{
		Number: int(a.GetNumber()), Name: a.GetName(), HostID: inventory.HostID(a.GetHostId()), HostName: a.GetHostName(),
		SystemID: a.GetSystemId(), SentAt: fromTime(a.GetSentAt()), Settled: a.GetSettled(),
	}
}

func fromExpectation(h *lxdprovisionerv1.HostExpectation) provision.HostExpectation {
	return provision.HostExpectation{
		HostID: inventory.HostID(h.GetHostId()), Deployed: h.GetDeployed(), Unsettled: mapped(h.GetUnsettled(), fromAttempt),
	}
}

func fromResources(r *lxdprovisionerv1.VMResources) inventory.VMSize {
	return inventory.VMSize{
		Cores: int(r.GetCores()), MemoryMiB: r.GetMemoryMib(),
		Disks: mapped(r.GetDisks(), func(d *lxdprovisionerv1.Disk) inventory.Disk {
			return inventory.Disk{SizeGB: d.GetSizeGb(), StoragePool: d.GetStoragePool()}
		}),
	}
}

// fromPlacement takes of the network what decides over a host: the bridges that it must have.
func fromPlacement(p *lxdprovisionerv1.Placement, network *lxdprovisionerv1.VMNetwork) placement.Constraints {
	c := placement.Constraints{
		Zone: p.GetZone(), Zones: p.GetZones(), Pools: p.GetResourcePools(), Tags: p.GetTags(),
		AllowedHosts: p.GetAllowedHosts(), PreferredHosts: p.GetPreferredHosts(),
		ExcludedHosts: mapped(p.GetExcludedHosts(), func(id string) inventory.HostID { return inventory.HostID(id) }),
		Project:       p.GetProject(), Profile: p.GetProfile(), Architecture: p.GetArchitecture(), Policy: fromPolicy(p.GetPolicy()),
	}
	for _, nic := range network.GetInterfaces() {
		if nic.GetBridge() != "" {
			c.Bridges = append(c.Bridges, nic.GetBridge())
		}
	}
	return c
}

func fromPolicy(p lxdprovisionerv1.PlacementPolicy) placement.Policy {
	switch p {
	case lxdprovisionerv1.PlacementPolicy_PLACEMENT_POLICY_PACK:
		return placement.Pack
	case lxdprovisionerv1.PlacementPolicy_PLACEMENT_POLICY_SPREAD:
		return placement.Spread
	default:
		return placement.Balanced
	}
}

func fromGroup(g *lxdprovisionerv1.Group) placement.Group {
	group := placement.Group{
		Key: g.GetKey(),
		Peers: mapped(g.GetPeers(), func(p *lxdprovisionerv1.Peer) placement.Peer {
			return placement.Peer{Name: p.GetName(), Host: inventory.HostID(p.GetHostId()), Zone: p.GetZone()}
		}),
	}
	if g.GetAntiAffinity() == lxdprovisionerv1.AntiAffinity_ANTI_AFFINITY_REQUIRED {
		group.AntiAffinity = placement.Required
	}
	return group
}

func fromImage(i *lxdprovisionerv1.Image) provision.Image {
	return provision.Image{OS: i.GetOs(), Series: i.GetSeries()}
}

func fromNetwork(n *lxdprovisionerv1.VMNetwork) (provision.Network, error) {
	network := provision.Network{
		Interfaces: mapped(n.GetInterfaces(), func(i *lxdprovisionerv1.VMInterface) provision.NIC {
			return provision.NIC{Name: i.GetName(), Bridge: i.GetBridge(), Subnet: i.GetSubnet()}
		}),
		Families: mapped(n.GetFamilies(), fromFamily),
	}
	for i, text := range n.GetPreferredSubnets() {
		prefix, err := parsePrefix(fmt.Sprintf("network.preferred_subnets[%d]", i), text)
		if err != nil {
			return provision.Network{}, err
		}
		network.PreferredSubnets = append(network.PreferredSubnets, prefix)
	}
	if n.GetStaticIp() == nil {
		return network, nil
	}
	static, err := fromStaticIP(n.GetStaticIp())
	network.StaticIP = &static
	return network, err
}

func fromFamily(f lxdprovisionerv1.AddressFamily) provision.Family {
	if f == lxdprovisionerv1.AddressFamily_ADDRESS_FAMILY_IPV6 {
		return provision.IPv6
	}
	return provision.IPv4
}

func fromStaticIP(s *lxdprovisionerv1.StaticIP) (provision.StaticIP, error) {
	const path = "network.static_ip."
	static := provision.StaticIP{Interface: s.GetInterface()}
	var err error
	if static.Address, err = parseAddr(path+"address", s.GetAddress()); err != nil {
		return static, err
	}
	if s.Gateway != nil {
		if static.Gateway, err = parseAddr(path+"gateway", s.GetGateway()); err != nil {
			return static, err
		}
	}
	if s.Subnet != nil {
		if static.Subnet, err = parsePrefix(path+"subnet", s.GetSubnet()); err != nil {
			return static, err
		}
	}
	static.DNSServers, err = parseAddrs(path+"dns_servers", s.GetDnsServers())
	return static, err
}

// parseAddr reads an address. MAAS knows no zones ("fe80::1%eth0"), which the rule of the contract
// lets pass.
func parseAddr(path, text string) (netip.Addr, error) {
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" {
		return netip.Addr{}, fault.New(fault.Invalid, fault.ReasonBadRequest, "%q is no IP address", text).WithField(path)
	}
	return ip.Unmap(), nil
}

func parseAddrs(path string, texts []string) ([]netip.Addr, error) {
	var addresses []netip.Addr
	for i, text := range texts {
		ip, err := parseAddr(fmt.Sprintf("%s[%d]", path, i), text)
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, ip)
	}
	return addresses, nil
}

func parsePrefix(path, text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fault.New(fault.Invalid, fault.ReasonBadRequest, "%q is no CIDR", text).WithField(path)
	}
	return prefix.Masked(), nil
}

func fromMachineRef(r *lxdprovisionerv1.MachineRef) provision.MachineRef {
	return provision.MachineRef{AgentName: r.GetAgentName(), SystemID: r.GetSystemId()}
}

func fromConstraints(c *lxdprovisionerv1.MachineConstraints) provision.Constraints {
	return provision.Constraints{
		MinCores: int(c.GetMinCores()), MinMemoryMiB: c.GetMinMemoryMib(), MinDiskGB: c.GetMinDiskGb(),
		Zone: c.GetZone(), Pool: c.GetResourcePool(), Tags: c.GetTags(), Architecture: c.GetArchitecture(),
	}
}

func fromEndpointRef(r *lxdprovisionerv1.EndpointRef) provision.EndpointRef {
	return provision.EndpointRef{Name: r.GetName(), Domain: r.GetDomain()}
}

func fromTTL(req *lxdprovisionerv1.EnsureEndpointRequest) *int {
	if req.TtlSeconds == nil {
		return nil
	}
	return new(int(req.GetTtlSeconds()))
}
