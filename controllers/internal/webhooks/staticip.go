package webhooks

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// fixedAddress is one of the places where a spec can ask for a fixed address, with the names that its fields have there.
type fixedAddress struct {
	at                                *field.Path
	config                            infrav1.LXDStaticIPConfig
	address, subnet, gateway, servers string
}

// fixedAddresses are all that are given. Only the first holds, but a second one that is wrong is told all the same.
func fixedAddresses(s *infrav1.MaasMachineSpec, at *field.Path) []fixedAddress {
	var all []fixedAddress
	add := func(at *field.Path, config *infrav1.LXDStaticIPConfig) {
		if config != nil {
			all = append(all, fixedAddress{at, *config, "ipAddress", "subnet", "gateway", "dnsServers"})
		}
	}
	if s.LXDConfig != nil && s.LXDConfig.Network != nil {
		add(at.Child("lxdConfig", "network", "staticIPConfig"), s.LXDConfig.Network.StaticIPConfig)
	}
	if s.LXDConfig != nil && s.LXDConfig.NetworkConfig != nil {
		add(at.Child("lxdConfig", "networkConfig", "staticIPConfig"), s.LXDConfig.NetworkConfig.StaticIPConfig)
	}
	if s.StaticIP != nil {
		all = append(all, fixedAddress{at.Child("staticIP"), infrav1.LXDStaticIPConfig{
			IPAddress: s.StaticIP.IP, Subnet: s.StaticIP.CIDR, Gateway: s.StaticIP.Gateway, DNSServers: s.StaticIP.Nameservers,
		}, "ip", "cidr", "gateway", "nameservers"})
	}
	return all
}

// checkAddresses says what is wrong with the fixed addresses, before any VM is made.
func checkAddresses(s *infrav1.MaasMachineSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, fixed := range fixedAddresses(s, at) {
		errs = append(errs, fixed.check(interfaceNames(s))...)
	}
	families := s.Network().AddressFamilies
	if address := addressOf(s); address.IsValid() && len(families) > 0 && !slices.Contains(families, familyOf(address)) {
		errs = append(errs, field.Invalid(at.Child("lxdConfig", "network", "addressFamilies"), families,
			fmt.Sprintf("must hold %s, the family of the fixed address %s", familyOf(address), address)))
	}
	return errs
}

func (f *fixedAddress) check(interfaces []string) field.ErrorList {
	var errs field.ErrorList
	wrong := func(name string, value any, detail string) {
		errs = append(errs, field.Invalid(f.at.Child(name), value, detail))
	}
	address, ok := hostAddress(f.config.IPAddress)
	if f.config.IPAddress != "" && !ok {
		wrong(f.address, f.config.IPAddress, "must be the IPv4 or IPv6 address of one host, for example 10.0.0.5 or fd00::5")
	}
	var subnet netip.Prefix
	if f.config.IPAddress == "" || ok {
		subnet = f.checkSubnet(address, wrong)
	}
	f.checkGateway(address, subnet, wrong)
	for i, server := range f.config.DNSServers {
		if ip, ok := hostAddress(server); !ok || ip == address {
			errs = append(errs, field.Invalid(f.at.Child(f.servers).Index(i), server, "must be the IP address of another host"))
		}
	}
	if name := f.config.Interface; name != "" && !slices.Contains(interfaces, name) {
		errs = append(errs, field.NotSupported(f.at.Child("interface"), name, interfaces))
	}
	return errs
}

// checkSubnet reads the subnet, which is not valid where none is named, and says whether the address may be in it.
func (f *fixedAddress) checkSubnet(address netip.Addr, wrong func(string, any, string)) netip.Prefix {
	if f.config.IPAddress == "" && f.config.Subnet == "" {
		return netip.Prefix{}
	}
	subnet, err := f.config.Prefix()
	switch {
	case err != nil && f.config.IPAddress == "":
		wrong(f.subnet, f.config.Subnet, "must be a CIDR, for example 10.0.0.0/24")
	case err != nil:
		wrong(f.subnet, f.config.Subnet, "must be a CIDR, a prefix length or a mask, for example 10.0.0.0/24, /24 or 255.255.255.0")
	case !subnet.IsValid() || !address.IsValid():
	case !subnet.Contains(address):
		wrong(f.address, f.config.IPAddress, fmt.Sprintf("must be in the subnet %s", subnet))
	case !isHostOf(subnet, address):
		wrong(f.address, f.config.IPAddress, fmt.Sprintf("must not be the first or the broadcast address of the subnet %s", subnet))
	}
	return subnet
}

func (f *fixedAddress) checkGateway(address netip.Addr, subnet netip.Prefix, wrong func(string, any, string)) {
	if f.config.Gateway == "" {
		return
	}
	gateway, err := netip.ParseAddr(f.config.Gateway)
	switch {
	case err != nil || gateway.Zone() != "":
		wrong(f.gateway, f.config.Gateway, "must be an IP address, for example 10.0.0.1")
	case gateway == address:
		wrong(f.gateway, f.config.Gateway, "must be another address than the machine's own")
	case address.IsValid() && gateway.Is4() != address.Is4():
		wrong(f.gateway, f.config.Gateway, fmt.Sprintf("must be of the family of %s", address))
	case subnet.IsValid() && !subnet.Contains(gateway) && !gateway.IsLinkLocalUnicast():
		wrong(f.gateway, f.config.Gateway, fmt.Sprintf("must be in the subnet %s", subnet))
	}
}

// interfaceNames are the names of the VM's interfaces: eth0 and on, by position.
func interfaceNames(s *infrav1.MaasMachineSpec) []string {
	names := make([]string, 0, 1)
	for i := range max(1, len(s.Interfaces())) {
		names = append(names, fmt.Sprintf("eth%d", i))
	}
	return names
}

// hostAddress reads the address of one host.
func hostAddress(text string) (netip.Addr, bool) {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, false
	}
	return ip, ip.Zone() == "" && !ip.Is4In6() && !ip.IsUnspecified() && !ip.IsLoopback() && !ip.IsMulticast() && !ip.IsLinkLocalUnicast()
}

// isHostOf says whether a host may have the address: not the subnet's first, and not the broadcast address of IPv4. Subnets of
// one or two addresses have neither.
func isHostOf(subnet netip.Prefix, address netip.Addr) bool {
	if subnet.Bits() >= subnet.Addr().BitLen()-1 {
		return true
	}
	last := !subnet.Contains(address.Next())
	return address != subnet.Addr() && (!last || address.Is6())
}

func familyOf(address netip.Addr) infrav1.AddressFamily {
	if address.Is4() {
		return infrav1.IPv4
	}
	return infrav1.IPv6
}

// addressOf is the fixed address that holds, not valid where there is none.
func addressOf(s *infrav1.MaasMachineSpec) netip.Addr {
	fixed := s.StaticIPConfig()
	if fixed == nil || s.Mode() != infrav1.ModeLXD {
		return netip.Addr{}
	}
	address, _ := hostAddress(fixed.IPAddress)
	return address
}

// checkTaken refuses a fixed address that another MaasMachine asks for or has. One that is being deleted gives its address
// back, so it takes none. MAAS is asked again when the VM is made: this look only spares the VM. Where it can't be made the
// user is told, and MAAS alone decides.
func (w *MaasMachine) checkTaken(ctx context.Context, m *infrav1.MaasMachine, v *verdict) {
	address := addressOf(&m.Spec)
	if !address.IsValid() {
		return
	}
	var others infrav1.MaasMachineList
	if err := w.Reader.List(ctx, &others); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing MaasMachines to compare their addresses")
		v.warnings = append(v.warnings, fmt.Sprintf("the address %s was not compared with those of other MaasMachines", address))
		return
	}
	for i := range others.Items {
		other := &others.Items[i]
		if other.Namespace == m.Namespace && other.Name == m.Name || !other.DeletionTimestamp.IsZero() || !holds(other, address) {
			continue
		}
		at := field.NewPath("spec")
		for _, fixed := range fixedAddresses(&m.Spec, at)[:1] {
			v.errs = append(v.errs, field.Invalid(fixed.at.Child(fixed.address), address.String(),
				fmt.Sprintf("must be free: MaasMachine %s/%s has it", other.Namespace, other.Name)))
		}
		return
	}
}

// holds says whether a MaasMachine asks for the address or has it.
func holds(m *infrav1.MaasMachine, address netip.Addr) bool {
	if addressOf(&m.Spec) == address {
		return true
	}
	return slices.ContainsFunc(m.Status.Addresses, func(a clusterv1.MachineAddress) bool {
		ip, err := netip.ParseAddr(a.Address)
		return err == nil && ip == address
	})
}
