package provision

import (
	"net/netip"
	"slices"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// wantedLink is a subnet that a NIC must be linked to; address is invalid for an automatic one.
type wantedLink struct {
	subnet  inventory.Subnet
	address netip.Addr
}

// wantedLinks gives the links that a NIC must have: the fixed address first, since its link replaces
// all others, then one managed subnet for every wanted family.
func wantedLinks(iface inventory.Interface, position int, nic NIC, want Network, subnets []inventory.Subnet) ([]wantedLink, error) {
	var wanted []wantedLink
	if want.staticOn(position) {
		s, err := staticSubnet(*want.StaticIP, subnets)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, wantedLink{subnet: s, address: want.StaticIP.Address})
	} else if nic.Subnet != "" {
		s, err := resolve(nic.Subnet, subnets)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, wantedLink{subnet: s})
	}
	if position > 0 {
		return wanted, nil
	}
	candidates := candidateSubnets(iface, wanted, want, subnets)
	if len(want.Families) == 0 {
		if len(wanted) == 0 && len(want.PreferredSubnets) > 0 && len(candidates) > 0 {
			wanted = append(wanted, wantedLink{subnet: candidates[0]})
		}
		return wanted, nil
	}
	for _, family := range want.Families {
		if slices.ContainsFunc(wanted, func(w wantedLink) bool { return family.of(w.subnet) }) {
			continue
		}
		i := slices.IndexFunc(candidates, family.of)
		if i < 0 {
			return nil, fault.New(fault.Refused, fault.ReasonNetworkRefused, "no managed IPv%d subnet is on the network of %s", family, iface.Name)
		}
		wanted = append(wanted, wantedLink{subnet: candidates[i]})
	}
	return wanted, nil
}

// candidateSubnets gives the managed subnets of the NIC's VLAN: preferred ones first, then those that
// it is linked to, then the rest. Where a subnet is named, the VLAN is that subnet's.
func candidateSubnets(iface inventory.Interface, wanted []wantedLink, want Network, subnets []inventory.Subnet) []inventory.Subnet {
	vlan := iface.VLANID
	if len(wanted) > 0 {
		vlan = wanted[0].subnet.VLANID
	}
	var out []inventory.Subnet
	add := func(s inventory.Subnet) {
		if s.Managed && s.VLANID == vlan && !slices.ContainsFunc(out, func(o inventory.Subnet) bool { return o.ID == s.ID }) {
			out = append(out, s)
		}
	}
	for _, s := range preferred(want.PreferredSubnets, subnets) {
		add(s)
	}
	if len(want.PreferredSubnets) > 0 && len(want.Families) == 0 {
		return out
	}
	for _, s := range subnets {
		if slices.ContainsFunc(iface.Links, func(l inventory.Link) bool { return l.SubnetID == s.ID }) {
			add(s)
		}
	}
	for _, s := range subnets {
		add(s)
	}
	return out
}

// of says whether the subnet is of the family.
func (f Family) of(s inventory.Subnet) bool {
	return s.CIDR.Addr().Is4() == (f == IPv4)
}

// differences gives the calls that make the NIC's links those that are wanted. A link without force
// is added, also a second one to the same subnet; with force VLAN and links are replaced, so that the
// first call of several clears the way and may be repeated.
func differences(iface inventory.Interface, wanted []wantedLink) []LinkRequest {
	var missing []wantedLink
	replace := false
	for _, w := range wanted {
		if slices.ContainsFunc(iface.Links, w.is) {
			continue
		}
		missing = append(missing, w)
		replace = replace || w.address.IsValid() || iface.VLANID != w.subnet.VLANID
	}
	if len(missing) == 0 {
		return nil
	}
	for _, l := range iface.Links {
		replace = replace || !slices.ContainsFunc(wanted, func(w wantedLink) bool { return w.is(l) })
	}
	if replace {
		missing = wanted
	}
	requests := make([]LinkRequest, 0, len(missing))
	for i, w := range missing {
		requests = append(requests, LinkRequest{
			InterfaceID: iface.ID, SubnetID: w.subnet.ID, Static: w.address, Force: replace && i == 0,
			DefaultGateway: w.address.IsValid() && w.subnet.Gateway.IsValid(),
		})
	}
	return requests
}

// is says whether the link is the wanted one.
func (w wantedLink) is(l inventory.Link) bool {
	if l.SubnetID != w.subnet.ID {
		return false
	}
	if w.address.IsValid() {
		return l.Mode == "static" && l.Address == w.address
	}
	return l.Mode == "auto" || l.Mode == "static"
}
