package inventory

import (
	"net/netip"
	"time"
)

// Status is MAAS's status of a machine, by MAAS's own number (maasserver/enum.py NODE_STATUS).
type Status int

// MAAS's statuses. The numbers are MAAS's.
const (
	StatusNew                  Status = 0
	StatusCommissioning        Status = 1
	StatusFailedCommissioning  Status = 2
	StatusMissing              Status = 3
	StatusReady                Status = 4
	StatusReserved             Status = 5
	StatusDeployed             Status = 6
	StatusRetired              Status = 7
	StatusBroken               Status = 8
	StatusDeploying            Status = 9
	StatusAllocated            Status = 10
	StatusFailedDeployment     Status = 11
	StatusReleasing            Status = 12
	StatusFailedReleasing      Status = 13
	StatusDiskErasing          Status = 14
	StatusFailedDiskErasing    Status = 15
	StatusRescueMode           Status = 16
	StatusEnteringRescueMode   Status = 17
	StatusFailedEnteringRescue Status = 18
	StatusExitingRescueMode    Status = 19
	StatusFailedExitingRescue  Status = 20
	StatusTesting              Status = 21
	StatusFailedTesting        Status = 22
	statusCount                       = 23
)

// statusFilter are the words by which MAAS's list filters name the statuses.
var statusFilter = [statusCount]string{
	"new", "commissioning", "failed_commissioning", "missing", "ready", "reserved", "deployed", "retired", "broken",
	"deploying", "allocated", "failed_deployment", "releasing", "failed_releasing", "disk_erasing", "failed_disk_erasing",
	"rescue_mode", "entering_rescue_mode", "failed_entering_rescue_mode", "exiting_rescue_mode", "failed_exiting_rescue_mode",
	"testing", "failed_testing",
}

// FilterWord is the word by which MAAS's list filters name the status; empty where MAAS has no such status.
func (s Status) FilterWord() string {
	if s < 0 || int(s) >= len(statusFilter) {
		return ""
	}
	return statusFilter[s]
}

// Power is MAAS's last sight of a machine's power: "on", "off", "unknown" or "error".
type Power string

// MAAS's power states.
const (
	PowerOn      Power = "on"
	PowerOff     Power = "off"
	PowerUnknown Power = "unknown"
	PowerError   Power = "error"
)

// Disk is a disk that a VM is to have.
type Disk struct {
	SizeGB int64
	// StoragePool is the LXD storage pool; the host's default pool where empty.
	StoragePool string
}

// VMSize is the size of a VM. The first disk is the root disk.
type VMSize struct {
	Cores     int
	MemoryMiB int64
	Disks     []Disk
}

// Resources gives what the VM takes of a host.
func (s VMSize) Resources() Resources {
	r := Resources{Cores: int64(s.Cores), MemoryMiB: s.MemoryMiB}
	for _, d := range s.Disks {
		r.DiskBytes += d.SizeGB * BytesPerGB
	}
	return r
}

// Machine is a MAAS machine, VM or metal.
type Machine struct {
	SystemID string
	Hostname string
	FQDN     string
	Status   Status
	// StatusName is MAAS's label, for example "Failed deployment".
	StatusName string
	// Message is MAAS's last message or error; empty where there is none.
	Message string
	Power   Power
	// Owner is the MAAS user; empty where nobody owns the machine.
	Owner  string
	Locked bool
	Zone   Ref
	Pool   Ref
	Tags   []string
	// HostID and HostName name the VM host; empty for metal.
	HostID   HostID
	HostName string
	// VirtualMachineID is MAAS's number of the VM, growing with time; 0 for metal.
	VirtualMachineID int64
	Architecture     string
	Cores            int
	MemoryMiB        int64
	DiskBytes        int64
	InMemory         bool
	// PowerType is MAAS's power driver, "lxd" for VMs.
	PowerType       string
	Addresses       []netip.Addr
	Interfaces      []Interface
	BootInterfaceID int
	// Annotations are MAAS's workload annotations.
	Annotations map[string]string
	// ReadAt is when MAAS was asked.
	ReadAt time.Time
}

// IsVM says whether MAAS made the machine on a VM host; only such a machine may ever be deleted.
func (m Machine) IsVM() bool { return m.HostID != "" && m.VirtualMachineID != 0 }

// BootInterface gives the interface from which the machine boots.
func (m Machine) BootInterface() (Interface, bool) {
	for _, i := range m.Interfaces {
		if i.ID == m.BootInterfaceID {
			return i, true
		}
	}
	return Interface{}, false
}

// Interface is a NIC of a machine.
type Interface struct {
	ID   int
	Name string
	MAC  string
	// Type is MAAS's type: "physical", "bridge", "bond", "vlan".
	Type string
	// VLANID is MAAS's id of the VLAN, 0 where it has none. HasVLAN tells the two apart.
	VLANID  int
	HasVLAN bool
	Links   []Link
}

// Link ties an interface to a subnet.
type Link struct {
	ID int
	// Mode is MAAS's mode in lower case: "auto", "dhcp", "static" or "link_up".
	Mode     string
	SubnetID int
	CIDR     string
	// Address is invalid (netip.Addr{}) until MAAS has given one.
	Address netip.Addr
}

// Subnet is a MAAS subnet.
type Subnet struct {
	ID         int
	Name       string
	CIDR       netip.Prefix
	Gateway    netip.Addr
	DNSServers []netip.Addr
	VLANID     int
	Managed    bool
	Space      string
}

// Zone is a MAAS availability zone.
type Zone struct {
	Ref
	Description string
}

// Pool is a MAAS resource pool.
type Pool struct {
	Ref
	Description string
}

// Image is an image that MAAS can deploy.
type Image struct {
	// Name is "os/series", "custom/name" for uploaded ones.
	Name         string
	Architecture string
	Title        string
	Custom       bool
}

// DNSRecord is a MAAS DNS resource.
type DNSRecord struct {
	ID   int
	FQDN string
	// TTL is in seconds; nil where it is the domain's.
	TTL       *int
	Addresses []DNSAddress
}

// DNSAddress is an address of a DNS record.
type DNSAddress struct {
	IP netip.Addr
	// Reserved says that no machine holds the address: MAAS made a user reservation of it.
	Reserved bool
}
