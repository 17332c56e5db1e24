package region

import "time"

// Zone is an availability zone to begin with.
type Zone struct{ Name, Description string }

// Pool is a resource pool to begin with; the pool "default" with id 0 is always there.
type Pool struct{ Name, Description string }

// Domain is a DNS domain to begin with; "maas" with id 0 is always there.
type Domain struct{ Name string }

// Range is a range of addresses of a subnet, both ends included.
type Range struct{ Start, End string }

// Subnet is a subnet to begin with. Subnets of one fabric and VID share a VLAN.
type Subnet struct {
	ID             int // 0: the next one
	Name, CIDR     string
	Gateway        string // empty for none
	DNS            []string
	Fabric         string // empty: "fabric-" and the subnet's name
	VID            int
	Space          string // empty: "undefined"
	NoDHCP         bool   // MAAS serves no DHCP on the VLAN
	Unmanaged      bool
	Dynamic        []Range
	ReservedRanges []Range
	// Neighbours are addresses that MAAS saw in use by something that it does not know; it hands them out last.
	Neighbours []string
}

// Bridge is a bridge of an LXD host that MAAS knows.
type Bridge struct {
	Name string
	// Subnet gives the VLAN of the bridge, and the subnet on which the host has an address.
	Subnet string
	// Address is the host's on that subnet; empty: a free one.
	Address string
	// NoAddress leaves the host without an address on the subnet: constraints by subnet then do not match the bridge.
	NoAddress bool
}

// StoragePool is a storage pool of an LXD host.
type StoragePool struct {
	Name    string
	Driver  string // empty: "zfs"
	Total   int64  // bytes
	Default bool   // used when a disk names no pool
	Endless bool   // takes every disk, whatever its size says
}

// Host is an LXD host that MAAS knows as a VM host.
type Host struct {
	Name         string
	Type         string // empty: "lxd"; "virsh" hosts are listed and cannot be composed on here
	Zone         string // empty: "default"
	Pool         string // empty: "default"
	Project      string // the LXD project that MAAS tracks; empty: "maas"
	LXDVersion   string // empty: that of Config
	Architecture string // empty: "amd64/generic"
	Cores        int    // physical
	MemoryMiB    int    // physical
	StoragePools []StoragePool
	// CPUOverCommit and MemoryOverCommit are the host's ratios; 0 means 1.
	CPUOverCommit, MemoryOverCommit float64
	Tags                            []string // besides pod-console-logging
	Bridges                         []Bridge // empty: br0 on the first subnet
	// NotInventoried hosts report zeros until they are refreshed.
	NotInventoried bool
	// NotComposable hosts have no capabilities, as a host that MAAS never reached.
	NotComposable bool
	// Unknown hosts have no machine of their own in MAAS (host.system_id is null).
	Unknown bool
	// Status of the host's own machine; empty: "deployed".
	Status string
	// Address is the power_address by which MAAS reaches it; empty: 10.20.0.1 and on, by its place in the list.
	Address string
	// Unregistered hosts are LXD servers that MAAS does not know yet: POST vm-hosts with their address makes a VM host of them.
	Unregistered bool
}

// Metal is a bare-metal machine, Ready at the start.
type Metal struct {
	Name         string
	Zone, Pool   string // empty: "default"
	Architecture string // empty: "amd64/generic"
	Cores        int
	MemoryMiB    int
	DiskGB       int // 10^9 bytes
	Tags         []string
	Subnet       string // of its NIC; empty: the first subnet
	Status       string // empty: "ready"
	Untested     bool   // it never passed commissioning, so that a release ends in New
}

// Image is a boot resource.
type Image struct {
	// Name is "ubuntu/jammy" for a synced image and "my-image" for an uploaded one.
	Name         string
	Architecture string // empty: "amd64/ga-22.04" when synced, "amd64/generic" when uploaded
	Uploaded     bool
	Title        string
	Version      string // its set's version; empty: "20261101"
}

// Durations are how long things take, in simulated time. 0 means: done before the next request is looked at.
type Durations struct {
	// Spread is how far each single duration may lie from what is set, as a part of it: 0.2 makes 10 s anything from 8 to 12 s. It is below 1.
	Spread float64

	Compose    time.Duration // the call takes this long
	Refresh    time.Duration // the call takes this long
	Delete     time.Duration // the call for a composed machine takes this long
	Commission time.Duration // from Commissioning to Ready
	Deploy     time.Duration // from Deploying to Deployed
	Release    time.Duration // from Releasing to Ready or New
	Test       time.Duration // from Testing to the status before; commissioning passes through Testing when it is not 0
	Erase      time.Duration // from Disk erasing to Releasing
	Rescue     time.Duration // into rescue mode, and out of it
	Inventory  time.Duration // from a discovery until MAAS knows what the host is made of
	Allocate   time.Duration // op=allocate takes this long, under MAAS's advisory lock
	DeployCall time.Duration // op=deploy takes this long until it commits
	Power      time.Duration // switching a machine takes this long, where MAAS waits for it
}

// Config is what a region is made of.
type Config struct {
	Version    string // of MAAS, for example "3.5.4"
	LXDVersion string // of hosts that name none
	Zones      []Zone
	Pools      []Pool
	Domains    []Domain
	Subnets    []Subnet
	Hosts      []Host
	Metal      []Metal
	Images     []Image
	Tags       []string // tags that exist without a machine
	Durations  Durations
	// VMHostsGone answers 410 to everything about VM hosts, as the MAAS after 3.8 does.
	VMHostsGone bool
	Seed        uint64 // of the spread of durations
}
