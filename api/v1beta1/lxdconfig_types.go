package v1beta1

import "k8s.io/apimachinery/pkg/util/intstr"

// AntiAffinity says how firmly the VMs of one group are kept on different hosts.
// +kubebuilder:validation:Enum=preferred;required
type AntiAffinity string

const (
	// AntiAffinityPreferred puts VMs of a group on different hosts while there are enough of them.
	AntiAffinityPreferred AntiAffinity = "preferred"
	// AntiAffinityRequired makes no VM rather than put it on a host that has one of its group.
	AntiAffinityRequired AntiAffinity = "required"
)

// PlacementPolicy says which of several suitable hosts is the best.
// +kubebuilder:validation:Enum=Balanced;Pack;Spread
type PlacementPolicy string

const (
	// PlacementBalanced takes the host whose scarcest resource has the most left afterwards.
	PlacementBalanced PlacementPolicy = "Balanced"
	// PlacementPack fills hosts before it takes the next.
	PlacementPack PlacementPolicy = "Pack"
	// PlacementSpread takes the host with the fewest VMs. MAAS tells of no number of VMs on a host, so its used cores count
	// as VMs of the size that is asked for.
	PlacementSpread PlacementPolicy = "Spread"
)

// AddressFamily is a version of the Internet Protocol.
// +kubebuilder:validation:Enum=IPv4;IPv6
type AddressFamily string

// The address families that a VM can be given.
const (
	IPv4 AddressFamily = "IPv4"
	IPv6 AddressFamily = "IPv6"
)

// LXDConfig refines a VM and the choice of its host.
type LXDConfig struct {
	// profile is the LXD profile of the VM. MAAS uses the profile maas where the host's project has one, and none otherwise,
	// and does not tell which it was. Left out, or maas: that. No VM is made while it is another one.
	// +optional
	Profile string `json:"profile,omitempty"`

	// project is the LXD project that the host must be registered with. Left out: the host's own, whatever it is.
	// +optional
	Project string `json:"project,omitempty"`

	// vmHost is the name or system id of the one host on which the VM may be made. Left out: the best host is chosen.
	// +optional
	VMHost string `json:"vmHost,omitempty"`

	// hostSelection narrows the hosts down.
	// +optional
	HostSelection *LXDHostSelection `json:"hostSelection,omitempty"`

	// antiAffinity says how firmly VMs of one group (a control plane, or the machines of one MachineDeployment) are kept on
	// different hosts: preferred (the default) or required.
	// +optional
	AntiAffinity AntiAffinity `json:"antiAffinity,omitempty"`

	// placementPolicy says which of several suitable hosts is taken: Balanced (the default) the one whose scarcest resource
	// has the most left, Pack the fullest, Spread the one with the fewest VMs, where the used cores of a host count as VMs
	// of the size that is asked for, since MAAS tells of no number of VMs.
	// +optional
	PlacementPolicy PlacementPolicy `json:"placementPolicy,omitempty"`

	// resourceAllocation is the size of the VM. It wins over minCPU, minMemory and all other disk sizes.
	// +optional
	ResourceAllocation *LXDResourceAllocation `json:"resourceAllocation,omitempty"`

	// storage is the disk of the VM.
	// +optional
	Storage *LXDStorage `json:"storage,omitempty"`

	// storageConfig is another spelling of storage, which wins.
	// +optional
	StorageConfig *LXDStorageConfig `json:"storageConfig,omitempty"`

	// network is the network of the VM.
	// +optional
	Network *LXDNetwork `json:"network,omitempty"`

	// networkConfig is another spelling of network, which wins field by field.
	// +optional
	NetworkConfig *LXDNetworkConfig `json:"networkConfig,omitempty"`
}

// LXDHostSelection narrows down the hosts on which a VM may be made.
type LXDHostSelection struct {
	// preferredHosts are the names or system ids of hosts that are tried before all others.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:items:MinLength=1
	PreferredHosts []string `json:"preferredHosts,omitempty"`

	// availabilityZones are the MAAS zones of which the host is taken, where no failure domain says so.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:items:MinLength=1
	AvailabilityZones []string `json:"availabilityZones,omitempty"`

	// resourcePools are the MAAS resource pools of which the host is taken, where resourcePool does not say so.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:items:MinLength=1
	ResourcePools []string `json:"resourcePools,omitempty"`

	// tags are MAAS tags that the host must have besides those of spec.tags.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:items:MinLength=1
	Tags []string `json:"tags,omitempty"`
}

// LXDResourceAllocation is the size of a VM.
type LXDResourceAllocation struct {
	// cpu is the number of processor cores.
	// +optional
	// +kubebuilder:validation:Minimum=1
	CPU *int32 `json:"cpu,omitempty"`

	// memory is the memory in MiB.
	// +optional
	// +kubebuilder:validation:Minimum=512
	Memory *int32 `json:"memory,omitempty"`

	// disk is the size of the disk in GB.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Disk *int32 `json:"disk,omitempty"`
}

// LXDStorage is the disk of a VM.
type LXDStorage struct {
	// size is the size of the disk in GB, as a number or as a string of digits.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:Pattern=`^[1-9][0-9]{0,5}$`
	// +kubebuilder:validation:XValidation:rule="type(self) == string || self >= 1",message="size is at least 1 GB"
	Size *intstr.IntOrString `json:"size,omitempty"`

	// pool is the LXD storage pool that holds the disk. Left out: the host's default pool.
	// +optional
	Pool string `json:"pool,omitempty"`
}

// LXDStorageConfig is another spelling of LXDStorage.
type LXDStorageConfig struct {
	// storagePool is the LXD storage pool that holds the disk.
	// +optional
	StoragePool string `json:"storagePool,omitempty"`
}

// LXDNetwork is the network of a VM.
type LXDNetwork struct {
	// bridge is the host's bridge to which the VM's interface is attached. Left out: the one that MAAS chooses.
	// +optional
	// +kubebuilder:validation:MaxLength=15
	Bridge string `json:"bridge,omitempty"`

	// subnet is the MAAS subnet, by name or CIDR, of which the VM gets its address.
	// +optional
	Subnet string `json:"subnet,omitempty"`

	// macAddress is the MAC address that the VM's interface should have. MAAS lets LXD draw it, so a VM for which it is set is
	// not made; a condition says so.
	// +optional
	// +kubebuilder:validation:MaxLength=17
	// +kubebuilder:validation:XValidation:rule="self == '' || self.matches('^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$')",message="must be six pairs of hexadecimal digits, for example 00:16:3e:12:34:56"
	MACAddress string `json:"macAddress,omitempty"`

	// devices are further bridges of the host; the VM gets one more interface on each.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=15
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=15
	Devices []string `json:"devices,omitempty"`

	// addressFamilies are the families of which the VM gets an address, the first being that of the Node. Left out: those of
	// the VM's subnet.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=2
	AddressFamilies []AddressFamily `json:"addressFamilies,omitempty"`

	// staticIPConfig gives the VM a fixed address. Left out: MAAS hands one out.
	// +optional
	StaticIPConfig *LXDStaticIPConfig `json:"staticIPConfig,omitempty"`
}

// LXDNetworkConfig is another spelling of LXDNetwork.
type LXDNetworkConfig struct {
	// bridge is the host's bridge to which the VM's interface is attached.
	// +optional
	// +kubebuilder:validation:MaxLength=15
	Bridge string `json:"bridge,omitempty"`

	// macAddress is the MAC address that the VM's interface should have. MAAS lets LXD draw it, so a VM for which it is set is
	// not made; a condition says so.
	// +optional
	// +kubebuilder:validation:MaxLength=17
	// +kubebuilder:validation:XValidation:rule="self == '' || self.matches('^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$')",message="must be six pairs of hexadecimal digits, for example 00:16:3e:12:34:56"
	MACAddress string `json:"macAddress,omitempty"`

	// staticIPConfig gives the VM a fixed address.
	// +optional
	StaticIPConfig *LXDStaticIPConfig `json:"staticIPConfig,omitempty"`
}

// LXDStaticIPConfig gives a VM a fixed address, IPv4 or IPv6.
type LXDStaticIPConfig struct {
	// ipAddress is the address.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=45
	// +kubebuilder:validation:XValidation:rule="isIP(self)",message="must be an IP address, for example 10.0.0.5 or fd00::5"
	IPAddress string `json:"ipAddress"`

	// gateway is the default gateway. Left out: that of the MAAS subnet, and no other is possible.
	// +optional
	// +kubebuilder:validation:MaxLength=45
	// +kubebuilder:validation:XValidation:rule="self == '' || isIP(self)",message="must be an IP address, for example 10.0.0.5 or fd00::5"
	Gateway string `json:"gateway,omitempty"`

	// subnet is the subnet of the address: a mask (255.255.255.0), a prefix length (/24) or a CIDR (10.0.0.0/24). Left out:
	// the MAAS subnet that holds the address.
	// +optional
	Subnet string `json:"subnet,omitempty"`

	// dnsServers are the name servers. Left out: those of the MAAS subnet, and no others are possible.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=45
	// +kubebuilder:validation:XValidation:rule="self.all(server, isIP(server))",message="must be IP addresses, for example 10.0.0.2"
	DNSServers []string `json:"dnsServers,omitempty"`

	// interface is the name of the VM's interface that gets the address. Left out: the first.
	// +optional
	Interface string `json:"interface,omitempty"`
}

// MachineLXDConfig asks for a VM.
type MachineLXDConfig struct {
	// enabled asks for a VM: true means provisioningMode: lxd.
	// +optional
	// +kubebuilder:default=false
	Enabled *bool `json:"enabled,omitempty"`

	// vmConfig refines the VM.
	// +optional
	VMConfig *VMConfig `json:"vmConfig,omitempty"`
}

// VMConfig refines a VM.
type VMConfig struct {
	// diskSize is the size of the disk in GB.
	// +optional
	// +kubebuilder:default=60
	// +kubebuilder:validation:Minimum=0
	DiskSize *int32 `json:"diskSize,omitempty"`

	// storagePool is the LXD storage pool that holds the disk. lxdConfig.storage.pool wins.
	// +optional
	StoragePool string `json:"storagePool,omitempty"`

	// network is the MAAS subnet of the VM's interface, or several, separated by commas, one for each interface.
	// lxdConfig.network.subnet wins for the first.
	// +optional
	Network string `json:"network,omitempty"`

	// interfaceLinkModes is MAAS's link mode of each interface by name (eth0, eth1, ...). It has no effect, as in the provider
	// that brought it: interfaces are linked as their subnets and addressFamilies ask.
	// +optional
	InterfaceLinkModes map[string]string `json:"interfaceLinkModes,omitempty"`

	// autoStart asks for the VM to be started with its host. It has no effect, as in the provider that brought it.
	// +optional
	// +kubebuilder:default=true
	AutoStart *bool `json:"autoStart,omitempty"`
}

// StaticIPConfig gives a VM a fixed address.
type StaticIPConfig struct {
	// ip is the address. While it is empty the VM waits for somebody to fill it in.
	// +optional
	// +kubebuilder:validation:MaxLength=45
	// +kubebuilder:validation:XValidation:rule="self == '' || isIP(self)",message="must be an IP address, for example 10.0.0.5 or fd00::5"
	IP string `json:"ip,omitempty"`

	// cidr is the subnet of the address, for example 10.0.0.0/24.
	// +optional
	CIDR string `json:"cidr,omitempty"`

	// gateway is the default gateway.
	// +optional
	// +kubebuilder:validation:MaxLength=45
	// +kubebuilder:validation:XValidation:rule="self == '' || isIP(self)",message="must be an IP address, for example 10.0.0.5 or fd00::5"
	Gateway string `json:"gateway,omitempty"`

	// nameservers are the name servers.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=45
	// +kubebuilder:validation:XValidation:rule="self.all(server, isIP(server))",message="must be IP addresses, for example 10.0.0.2"
	Nameservers []string `json:"nameservers,omitempty"`
}
