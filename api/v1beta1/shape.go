package v1beta1

import (
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// What a VM gets where the spec leaves a value out or gives 0.
const (
	DefaultCores     int32 = 2
	DefaultMemoryMiB int32 = 4096
	DefaultDiskGB    int32 = 60
)

// customImageSystem is what MAAS calls the operating system of uploaded images.
const customImageSystem = "custom"

// Shape is the size of a VM.
// +kubebuilder:object:generate=false
type Shape struct {
	// Cores is the number of processor cores.
	Cores int32
	// MemoryMiB is the memory in MiB.
	MemoryMiB int32
	// DiskGB is the size of the disk in GB (10^9 bytes).
	DiskGB int32
}

// Mode returns what the machine becomes: ModeLXD if provisioningMode or lxd.enabled asks for it, else ModeBareMetal. A
// contradiction of the two is refused at admission; where one got past it, no bare metal is taken for somebody who asked for
// a VM.
func (s *MaasMachineSpec) Mode() ProvisioningMode {
	if s.ProvisioningMode == ModeLXD || s.lxdEnabled() {
		return ModeLXD
	}
	return ModeBareMetal
}

// ModeContradicts says whether lxd.enabled asks for a VM while provisioningMode asks for bare metal. The reverse is no
// contradiction: the API server writes lxd.enabled: false wherever the field is left out.
func (s *MaasMachineSpec) ModeContradicts() bool {
	return s.lxdEnabled() && (s.ProvisioningMode == ModeBareMetal || s.ProvisioningMode == modeBareMetalAlias)
}

func (s *MaasMachineSpec) lxdEnabled() bool {
	return s.LXD != nil && s.LXD.Enabled != nil && *s.LXD.Enabled
}

// Shape returns the size of the VM. For each value the first of these that is more than 0 holds:
//
//	cores   lxdConfig.resourceAllocation.cpu, minCPU, 2
//	memory  lxdConfig.resourceAllocation.memory, minMemory, 4096 MiB
//	disk    lxdConfig.resourceAllocation.disk, lxdConfig.storage.size, lxd.vmConfig.diskSize, minDiskSize, 60 GB
//
// A lxd.vmConfig.diskSize of 60 does not make the disk smaller than minDiskSize: the API server writes 60 wherever the field
// is left out, so it is nobody's wish.
func (s *MaasMachineSpec) Shape() Shape {
	var allocation LXDResourceAllocation
	config := s.lxdConfig()
	if config.ResourceAllocation != nil {
		allocation = *config.ResourceAllocation
	}
	return Shape{
		Cores:     firstPositive(allocation.CPU, s.MinCPU, new(DefaultCores)),
		MemoryMiB: firstPositive(allocation.Memory, s.MinMemory, new(DefaultMemoryMiB)),
		DiskGB:    firstPositive(allocation.Disk, config.storageSize(), s.vmDiskSize(), s.MinDiskSize, new(DefaultDiskGB)),
	}
}

// vmDiskSize is lxd.vmConfig.diskSize, or nil where minDiskSize is to be asked.
func (s *MaasMachineSpec) vmDiskSize() *int32 {
	size := s.vmConfig().DiskSize
	if size != nil && *size == DefaultDiskGB && s.MinDiskSize != nil && *s.MinDiskSize > DefaultDiskGB {
		return nil
	}
	return size
}

// StoragePool returns the LXD storage pool of the VM's disk, or "" for the host's default pool: lxdConfig.storage.pool, else
// lxdConfig.storageConfig.storagePool, else lxd.vmConfig.storagePool.
func (s *MaasMachineSpec) StoragePool() string {
	config := s.lxdConfig()
	if config.Storage != nil && config.Storage.Pool != "" {
		return config.Storage.Pool
	}
	if config.StorageConfig != nil && config.StorageConfig.StoragePool != "" {
		return config.StorageConfig.StoragePool
	}
	return s.vmConfig().StoragePool
}

// Network returns the network of the VM, merged field by field from lxdConfig.network, lxdConfig.networkConfig, the first
// subnet of lxd.vmConfig.network, and StaticIP. It is a copy.
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
	subnet, _, _ := strings.Cut(s.vmConfig().Network, ",")
	network.Subnet = firstSet(network.Subnet, strings.TrimSpace(subnet))
	network.StaticIPConfig = s.StaticIPConfig()
	return network
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

// HostPools returns the MAAS resource pools of which the VM's host may be taken, or none for all: resourcePool alone where it
// is set, else lxdConfig.hostSelection.resourcePools.
func (s *MaasMachineSpec) HostPools() []string {
	if s.ResourcePool != nil && *s.ResourcePool != "" {
		return []string{*s.ResourcePool}
	}
	if selection := s.lxdConfig().HostSelection; selection != nil {
		return slices.Clone(selection.ResourcePools)
	}
	return nil
}

// HostTags returns the MAAS tags that the VM's host must have: those of tags and of lxdConfig.hostSelection.tags, each once.
func (s *MaasMachineSpec) HostTags() []string {
	tags := slices.Clone(s.Tags)
	if selection := s.lxdConfig().HostSelection; selection != nil {
		tags = append(tags, selection.Tags...)
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

// ImageParts splits the image into MAAS's operating system and series at the first slash. A bare name is a custom image.
func (s *MaasMachineSpec) ImageParts() (system, series string) {
	system, series, found := strings.Cut(s.Image, "/")
	if !found {
		return customImageSystem, s.Image
	}
	return system, series
}

func (s *MaasMachineSpec) lxdConfig() *LXDConfig {
	if s.LXDConfig == nil {
		return &LXDConfig{}
	}
	return s.LXDConfig
}

func (s *MaasMachineSpec) vmConfig() *VMConfig {
	if s.LXD == nil || s.LXD.VMConfig == nil {
		return &VMConfig{}
	}
	return s.LXD.VMConfig
}

// storageSize is storage.size, or nil where it is missing. The schema admits no string that is not a number of 32 bits.
func (c *LXDConfig) storageSize() *int32 {
	if c.Storage == nil || c.Storage.Size == nil {
		return nil
	}
	if c.Storage.Size.Type == intstr.Int {
		return &c.Storage.Size.IntVal
	}
	size, err := strconv.ParseInt(c.Storage.Size.StrVal, 10, 32)
	if err != nil {
		return nil
	}
	return new(int32(size))
}

func firstPositive(values ...*int32) int32 {
	for _, value := range values {
		if value != nil && *value > 0 {
			return *value
		}
	}
	return 0
}

func firstSet(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}
