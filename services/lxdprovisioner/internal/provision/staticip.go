package provision

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

const staticField = "network.static_ip"

// The purposes by which MAAS says why it does not give an address out.
const (
	purposeAssigned = "assigned-ip"
	purposeDynamic  = "dynamic"
)

// checkStatic refuses a fixed address that can't be had, before anything is made. Whether it is still
// free when it is linked, only MAAS decides (docs/protocol-coverage.md 3.5).
func (n *networks) checkStatic(ctx context.Context, want Network) error {
	if want.StaticIP == nil {
		return nil
	}
	ip := *want.StaticIP
	if ip.Interface != "" && !slices.ContainsFunc(want.nics(), func(nic NIC) bool { return nic.Name == ip.Interface }) {
		return invalidIP(fault.ReasonStaticIPInvalid, "the VM has no NIC %q for the address %s", ip.Interface, ip.Address)
	}
	subnets, err := n.all(ctx)
	if err != nil {
		return err
	}
	subnet, err := staticSubnet(ip, subnets)
	if err != nil {
		return err
	}
	if err := checkInSubnet(ip, subnet); err != nil {
		return err
	}
	ranges, err := n.reserved(ctx, subnet)
	if err != nil {
		return err
	}
	mixed, err := checkRanges(ip.Address, subnet, ranges)
	if err != nil || !mixed {
		return err
	}
	assigned, err := n.maas.AssignedAddresses(ctx, subnet.ID)
	if err != nil {
		return fmt.Errorf("read the addresses of %s that are in use: %w", subnet.CIDR, err)
	}
	if slices.Contains(assigned, ip.Address) {
		return addressTaken(ip.Address)
	}
	return nil
}

// staticSubnet finds the subnet of a fixed address: the one that is named, else the narrowest that
// holds it.
func staticSubnet(ip StaticIP, subnets []inventory.Subnet) (inventory.Subnet, error) {
	var best inventory.Subnet
	for _, s := range subnets {
		if ip.Subnet.IsValid() && s.CIDR != ip.Subnet.Masked() {
			continue
		}
		if s.CIDR.Contains(ip.Address) && (!best.CIDR.IsValid() || s.CIDR.Bits() > best.CIDR.Bits()) {
			best = s
		}
	}
	switch {
	case best.CIDR.IsValid():
		return best, nil
	case ip.Subnet.IsValid() && slices.ContainsFunc(subnets, func(s inventory.Subnet) bool { return s.CIDR == ip.Subnet.Masked() }):
		return best, invalidIP(fault.ReasonStaticIPInvalid, "%s is not in %s", ip.Address, ip.Subnet.Masked())
	case ip.Subnet.IsValid():
		return best, invalidIP(fault.ReasonSubnetNotFound, "MAAS has no subnet %s", ip.Subnet.Masked())
	default:
		return best, invalidIP(fault.ReasonSubnetNotFound, "no subnet of MAAS holds %s", ip.Address)
	}
}

// checkInSubnet refuses the addresses that MAAS would hand out although the subnet needs them itself,
// and a gateway or DNS servers that MAAS can't keep.
func checkInSubnet(ip StaticIP, s inventory.Subnet) error {
	switch {
	case ip.Gateway.IsValid() && ip.Gateway != s.Gateway:
		return invalidIP(fault.ReasonStaticIPGatewayMismatch, "the gateway of %s is %s in MAAS, asked for %s", s.CIDR, orNone(s.Gateway), ip.Gateway)
	case len(ip.DNSServers) > 0 && !sameSet(ip.DNSServers, s.DNSServers):
		return invalidIP(fault.ReasonStaticIPDNSMismatch, "the DNS servers of %s are %v in MAAS, asked for %v", s.CIDR, s.DNSServers, ip.DNSServers)
	case ip.Address == s.Gateway:
		return invalidIP(fault.ReasonStaticIPInvalid, "%s is the gateway of %s", ip.Address, s.CIDR)
	case slices.Contains(s.DNSServers, ip.Address):
		return invalidIP(fault.ReasonStaticIPInvalid, "%s is a DNS server of %s", ip.Address, s.CIDR)
	case !hostAddress(ip.Address, s.CIDR):
		return invalidIP(fault.ReasonStaticIPInvalid, "%s is the network or broadcast address of %s", ip.Address, s.CIDR)
	default:
		return nil
	}
}

// checkRanges looks the address up in what MAAS knows of the subnet. A plain reserved range is
// allowed: it is what keeps automatic addresses away from fixed ones. MAAS joins it with the addresses
// in it that are in use into one range of both purposes (MAAS: MAASIPSet), which is then mixed: it does
// not say which of its addresses are.
func checkRanges(address netip.Addr, s inventory.Subnet, ranges []AddressRange) (mixed bool, err error) {
	for _, r := range ranges {
		if address.Compare(r.Start) < 0 || address.Compare(r.End) > 0 {
			continue
		}
		switch {
		case slices.Contains(r.Purposes, purposeDynamic):
			return false, invalidIP(fault.ReasonStaticIPInvalid, "%s is in the dynamic range %s-%s of %s", address, r.Start, r.End, s.CIDR)
		case !slices.Contains(r.Purposes, purposeAssigned):
		case len(r.Purposes) == 1 || r.Start == r.End:
			return false, addressTaken(address)
		default:
			mixed = true
		}
	}
	return mixed, nil
}

func addressTaken(address netip.Addr) error {
	return invalidIP(fault.ReasonStaticIPTaken, "%s is in use in MAAS", address)
}

// hostAddress says whether a host may have the address: not the network's, nor, in IPv4, the
// broadcast address. Networks of one or two addresses have neither.
func hostAddress(address netip.Addr, cidr netip.Prefix) bool {
	if cidr.Addr().BitLen()-cidr.Bits() < 2 {
		return true
	}
	if address == cidr.Masked().Addr() {
		return false
	}
	return !address.Is4() || cidr.Contains(address.Next())
}

func sameSet(a, b []netip.Addr) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortFunc(a, netip.Addr.Compare)
	slices.SortFunc(b, netip.Addr.Compare)
	return slices.Equal(a, b)
}

func orNone(a netip.Addr) string {
	if !a.IsValid() {
		return "none"
	}
	return a.String()
}

func invalidIP(reason fault.Reason, format string, args ...any) error {
	return fault.New(fault.Invalid, reason, format, args...).WithField(staticField)
}
