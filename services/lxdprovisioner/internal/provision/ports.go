package provision

import (
	"context"
	"net/netip"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// Backend makes and removes VMs on hosts. Its faults are typed; all methods may be repeated, except
// Make, whose repeats the use cases prevent where the back end can't.
type Backend interface {
	// Capabilities say what the back end guarantees; the use cases ask them, never its name.
	Capabilities() Capabilities
	// Hosts reads all hosts. Snapshot.Began is when the reading began.
	Hosts(ctx context.Context) (inventory.Snapshot, error)
	// Host reads one host; NotFound where it is gone.
	Host(ctx context.Context, id inventory.HostID) (inventory.Host, error)
	// Make sends one composition. Refused: nothing usable was made; any other error but Invalid,
	// Denied and Unsupported is an unknown outcome.
	Make(ctx context.Context, spec VMSpec) (systemID string, err error)
	// Find reads the machines of these host names, on whatever host they are.
	Find(ctx context.Context, names []string) ([]inventory.Machine, error)
	// Alive proves that the host of the VM answers; Unavailable where it doesn't, NotFound where there is
	// no such VM any more.
	Alive(ctx context.Context, vm inventory.Machine) error
	// Remove deletes the VM. Success proves nothing unless Capabilities.DeleteIsProof.
	Remove(ctx context.Context, vm inventory.Machine) error
	// Verify makes the back end compare its records with the host (for MAAS a refresh, with all
	// that a refresh does), and gives the host as it is afterwards.
	Verify(ctx context.Context, id inventory.HostID) (inventory.Host, error)
}

// Capabilities say what a back end guarantees.
type Capabilities struct {
	// SkipCommissioning says that a VM can be made Ready at once.
	SkipCommissioning bool
	// RefreshIsHarmful says that Verify imports strange VMs and deletes what the host doesn't
	// report, so that it is held back.
	RefreshIsHarmful bool
	// DeleteIsProof says that a successful Remove proves the VM gone.
	DeleteIsProof bool
}

// VMSpec is one composition, with everything that the back end is to be told.
type VMSpec struct {
	Name string
	Host inventory.Host
	Size inventory.VMSize
	// Architecture is literal, for example "amd64/generic".
	Architecture string
	// NICs are in order; none means the host's default bridge.
	NICs              []NICSpec
	SkipCommissioning bool
}

// NICSpec is one NIC of a composition. Bridge wins over VLANID; VLANID 0 is not asked for.
type NICSpec struct {
	Name   string
	Bridge string
	VLANID int
}

// MAAS is what the use cases need of the region beside the back end.
type MAAS interface {
	Machines
	Claims
	Deployments
	Networks
	Records
	Catalogue
}

// Machines reads and marks machines.
type Machines interface {
	// Machine reads one machine; NotFound with ReasonMachineNotFound where MAAS has none.
	Machine(ctx context.Context, systemID string) (inventory.Machine, error)
	// Machines lists what matches; a filter without any value is refused.
	Machines(ctx context.Context, filter MachineFilter) ([]inventory.Machine, error)
	// Annotate sets workload annotations of a machine that our user owns.
	Annotate(ctx context.Context, systemID string, annotations map[string]string) (inventory.Machine, error)
	// LastError gives MAAS's newest error about the machine; empty where there is none.
	LastError(ctx context.Context, systemID string) (string, error)
}

// Claims take machines and prove that they are taken.
type Claims interface {
	// Claim takes one Ready machine. Its success is a proof. Conflict means that the machine isn't
	// Ready.
	Claim(ctx context.Context, systemID, agentName string) (inventory.Machine, error)
	// Claimed reads the machine if it is allocated under the agent name, which is the other proof;
	// NotFound where it isn't.
	Claimed(ctx context.Context, systemID, agentName string) (inventory.Machine, error)
	// AllocateMetal takes a Ready physical machine; a repeat takes another one. NoRoom with
	// ReasonNoMachineAvailable where none matches.
	AllocateMetal(ctx context.Context, agentName string, c Constraints) (inventory.Machine, error)
}

// Deployments deploy and release machines.
type Deployments interface {
	// Deploy deploys an allocated machine. Busy with ReasonNotReady where its state is another one.
	Deploy(ctx context.Context, systemID string, d Deployment) (inventory.Machine, error)
	// DisableSwap makes the next deployment come without a swap file.
	DisableSwap(ctx context.Context, systemID string) error
	// PowerOn switches a Deployed machine on; a repeat does it again.
	PowerOn(ctx context.Context, systemID string) (inventory.Machine, error)
	// Abort ends a commissioning or deployment.
	Abort(ctx context.Context, systemID, comment string) error
	// Release releases a machine; may be repeated.
	Release(ctx context.Context, systemID, comment string) (inventory.Machine, error)
}

// MachineFilter selects machines; what is set must hold, several values of one field are
// alternatives.
type MachineFilter struct {
	SystemIDs  []string
	AgentNames []string
	Owners     []string
	Zones      []string
	Pools      []string
	// VMHosts are names of VM hosts. Some MAAS versions match parts of names: compare HostID.
	VMHosts  []string
	Statuses []inventory.Status
	// NotSystemIDs, NotStatuses, NotOwners and NotPowers exclude. Machines without an owner pass NotOwners. NotSystemIDs are some
	// hundreds at most, beside another filter.
	NotSystemIDs []string
	NotStatuses  []inventory.Status
	NotOwners    []string
	NotPowers    []inventory.Power
}

// Deployment is what is deployed. UserData is never logged.
type Deployment struct {
	Image    Image
	UserData []byte
	InMemory bool
}

// Networks reads subnets and links interfaces.
type Networks interface {
	Subnets(ctx context.Context) ([]inventory.Subnet, error)
	// ReservedRanges are the addresses of a subnet that are in use or set aside, with MAAS's purposes.
	ReservedRanges(ctx context.Context, subnetID int) ([]AddressRange, error)
	// AssignedAddresses are the addresses of a subnet that somebody holds. A larger answer than ReservedRanges.
	AssignedAddresses(ctx context.Context, subnetID int) ([]netip.Addr, error)
	// LinkSubnet links an interface. Invalid with ReasonStaticIPTaken where the address is taken.
	LinkSubnet(ctx context.Context, systemID string, link LinkRequest) (inventory.Interface, error)
}

// AddressRange is a range of a subnet that MAAS does not give out, with MAAS's purposes for it:
// "assigned-ip", "gateway-ip", "dns-server", "reserved", "dynamic".
type AddressRange struct {
	Start, End netip.Addr
	Purposes   []string
}

// LinkRequest ties an interface to a subnet.
type LinkRequest struct {
	InterfaceID int
	SubnetID    int
	// Static is the fixed address; the zero value asks for an automatic one.
	Static netip.Addr
	// Force replaces VLAN and links in one call, which makes the call repeatable.
	Force bool
	// DefaultGateway makes the subnet's gateway the machine's.
	DefaultGateway bool
}

// Records keeps DNS records.
type Records interface {
	// Record reads a record; NotFound with ReasonEndpointNotFound where there is none.
	Record(ctx context.Context, fqdn string) (inventory.DNSRecord, error)
	// CreateRecord makes a record; ttl is in seconds. Conflict where it exists.
	CreateRecord(ctx context.Context, fqdn string, ttl *int, addresses []netip.Addr) (inventory.DNSRecord, error)
	// ReplaceAddresses replaces the whole set; NotFound where the record has vanished.
	ReplaceAddresses(ctx context.Context, id int, ttl *int, addresses []netip.Addr) (inventory.DNSRecord, error)
	// DeleteRecord removes a record; NotFound where there is none.
	DeleteRecord(ctx context.Context, id int) error
	// ReleaseAddress frees a reservation of our user; NotFound where it is none of ours.
	ReleaseAddress(ctx context.Context, address netip.Addr) error
}

// Catalogue tells what the region has and who we are.
type Catalogue interface {
	Version(ctx context.Context) (string, error)
	WhoAmI(ctx context.Context) (Identity, error)
	Zones(ctx context.Context) ([]inventory.Zone, error)
	Pools(ctx context.Context) ([]inventory.Pool, error)
	Images(ctx context.Context) ([]inventory.Image, error)
	// CheckVMHosts gives nil where MAAS has VM hosts, Unsupported with ReasonMAASVMHostRemoved where it has not.
	CheckVMHosts(ctx context.Context) error
}

// Identity is MAAS's user for our key.
type Identity struct {
	Name  string
	Admin bool
}
