package provisionertest

import (
	"net/netip"
	"slices"
	"strconv"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// checkNetwork refuses what can't be kept of a VM's network before the VM is made.
func (f *Fake) checkNetwork(network *lxdprovisionerv1.VMNetwork) error {
	if err := f.checkSubnets(network); err != nil || network.GetStaticIp() == nil {
		return err
	}
	return f.checkStaticIP(network.GetStaticIp())
}

// checkSubnets refuses subnets that MAAS does not have.
func (f *Fake) checkSubnets(network *lxdprovisionerv1.VMNetwork) error {
	for _, nic := range network.GetInterfaces() {
		if nic.Subnet == nil {
			continue
		}
		known := slices.ContainsFunc(f.config.Subnets, func(s *lxdprovisionerv1.Subnet) bool {
			return slices.Contains([]string{s.GetName(), s.GetCidr(), strconv.Itoa(int(s.GetId()))}, nic.GetSubnet())
		})
		if !known {
			return invalid(lxdprovisionerv1.Reason_REASON_SUBNET_NOT_FOUND, "network.interfaces", "MAAS has no subnet %q", nic.GetSubnet())
		}
	}
	if static := network.GetStaticIp(); static != nil && f.subnetWith(static) == nil {
		return invalid(lxdprovisionerv1.Reason_REASON_SUBNET_NOT_FOUND, staticField, "MAAS has no subnet for %s", static.GetAddress())
	}
	return nil
}

const staticField = "network.static_ip"

func (f *Fake) subnetWith(static *lxdprovisionerv1.StaticIP) *lxdprovisionerv1.Subnet {
	if static.Subnet != nil {
		return f.subnet(static.GetSubnet())
	}
	return f.subnet(f.cidrOf(static.GetAddress()))
}

func (f *Fake) checkStaticIP(static *lxdprovisionerv1.StaticIP) error {
	const field = staticField
	subnet := f.subnetWith(static)
	prefix, ip := netip.MustParsePrefix(subnet.GetCidr()), netip.MustParseAddr(static.GetAddress())
	switch {
	case !prefix.Contains(ip), ip == prefix.Masked().Addr(), ip.Is4() && !prefix.Contains(ip.Next()),
		static.GetAddress() == subnet.GetGateway(), slices.Contains(subnet.GetDnsServers(), static.GetAddress()):
		return invalid(lxdprovisionerv1.Reason_REASON_STATIC_IP_INVALID, field, "%s is no address for a VM in %s", ip, prefix)
	case static.Gateway != nil && static.GetGateway() != subnet.GetGateway():
		return invalid(lxdprovisionerv1.Reason_REASON_STATIC_IP_GATEWAY_MISMATCH, field, "the gateway of %s is %s", prefix, subnet.GetGateway())
	case len(static.GetDnsServers()) > 0 && !slices.Equal(static.GetDnsServers(), subnet.GetDnsServers()):
		return invalid(lxdprovisionerv1.Reason_REASON_STATIC_IP_DNS_MISMATCH, field, "the DNS servers of %s are %v", prefix, subnet.GetDnsServers())
	}
	for _, m := range f.machines {
		if slices.ContainsFunc(m.addresses, func(a *lxdprovisionerv1.Address) bool { return a.GetIp() == ip.String() }) {
			return invalid(lxdprovisionerv1.Reason_REASON_STATIC_IP_TAKEN, field, "%s is held by %s", ip, m.hostname)
		}
	}
	return nil
}

func (f *Fake) subnet(cidr string) *lxdprovisionerv1.Subnet {
	for _, s := range f.config.Subnets {
		if s.GetCidr() == cidr {
			return s
		}
	}
	return nil
}
