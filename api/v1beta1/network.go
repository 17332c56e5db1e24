package v1beta1

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Interface is one network interface of a VM. What is empty is left to MAAS.
// +kubebuilder:object:generate=false
type Interface struct {
	// Bridge is the host's bridge.
	Bridge string
	// Subnet is the MAAS subnet, by name or CIDR.
	Subnet string
}

// Network returns the network of the VM, merged field by field from lxdConfig.network, lxdConfig.networkConfig, the first
// subnet of lxd.vmConfig.network, and StaticIPConfig. It is a copy.
func (s *MaasMachineSpec) Network() LXDNetwork {
	var network LXDNetwork
	config := s.lxdConfig()
	if config.Network != nil {
		network = *config.Network.DeepCopy()
	}
	if alias := config.NetworkConfig; alias != nil {
		network.Bridge = firstSet(network.Bridge, alias.Bridge)
		network.MACAddress = firstSet(network.MACAddress, alias.MACAddress)
	}
	if subnets := s.vmSubnets(); len(subnets) > 0 {
		network.Subnet = firstSet(network.Subnet, subnets[0])
	}
	network.StaticIPConfig = s.StaticIPConfig()
	return network
}

// Interfaces returns the network interfaces of the VM, the first being the one that boots it; none means one interface that
// is left to MAAS. Bridges come from Network's bridge and devices, subnets from its subnet and the further ones of
// lxd.vmConfig.network, matched by position.
func (s *MaasMachineSpec) Interfaces() []Interface {
	network := s.Network()
	bridges := append([]string{network.Bridge}, network.Devices...)
	subnets := []string{network.Subnet}
	if further := s.vmSubnets(); len(further) > 1 {
		subnets = append(subnets, further[1:]...)
	}
	interfaces := make([]Interface, max(len(bridges), len(subnets)))
	for i := range interfaces {
		if i < len(bridges) {
			interfaces[i].Bridge = bridges[i]
		}
		if i < len(subnets) {
			interfaces[i].Subnet = subnets[i]
		}
	}
	if len(interfaces) == 1 && interfaces[0] == (Interface{}) {
		return nil
	}
	return interfaces
}

// vmSubnets are the subnets of lxd.vmConfig.network.
func (s *MaasMachineSpec) vmSubnets() []string {
	if strings.TrimSpace(s.vmConfig().Network) == "" {
		return nil
	}
	subnets := strings.Split(s.vmConfig().Network, ",")
	for i := range subnets {
		subnets[i] = strings.TrimSpace(subnets[i])
	}
	return subnets
}

// StaticIPConfig returns the VM's fixed address, or nil for none: lxdConfig.network.staticIPConfig, else
// lxdConfig.networkConfig.staticIPConfig, else spec.staticIP; the first that is given holds as a whole. It is a copy. An empty
// IPAddress means that somebody is still to fill in spec.staticIP.ip.
func (s *MaasMachineSpec) StaticIPConfig() *LXDStaticIPConfig {
	config := s.lxdConfig()
	if config.Network != nil && config.Network.StaticIPConfig != nil {
		return config.Network.StaticIPConfig.DeepCopy()
	}
	if config.NetworkConfig != nil && config.NetworkConfig.StaticIPConfig != nil {
		return config.NetworkConfig.StaticIPConfig.DeepCopy()
	}
	if s.StaticIP == nil {
		return nil
	}
	return &LXDStaticIPConfig{
		IPAddress:  s.StaticIP.IP,
		Gateway:    s.StaticIP.Gateway,
		Subnet:     s.StaticIP.CIDR,
		DNSServers: slices.Clone(s.StaticIP.Nameservers),
	}
}

// Prefix returns the subnet of the address: Subnet where it is a CIDR, else what a mask or a prefix length makes of IPAddress.
// It is the zero Prefix where Subnet is empty. An error says why there is none.
func (c *LXDStaticIPConfig) Prefix() (netip.Prefix, error) {
	if c.Subnet == "" {
		return netip.Prefix{}, nil
	}
	if prefix, err := netip.ParsePrefix(c.Subnet); err == nil {
		return prefix.Masked(), nil
	}
	ip, err := netip.ParseAddr(c.IPAddress)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("the static address %q is no IP address", c.IPAddress)
	}
	bits, err := strconv.Atoi(strings.TrimPrefix(c.Subnet, "/"))
	if err != nil {
		ones, size := net.IPMask(net.ParseIP(c.Subnet).To4()).Size()
		if size == 0 {
			return netip.Prefix{}, fmt.Errorf("the subnet %q is neither a mask nor a prefix length nor a CIDR", c.Subnet)
		}
		bits = ones
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("the subnet %q does not fit the address %s", c.Subnet, c.IPAddress)
	}
	return prefix, nil
}

func firstSet(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}
