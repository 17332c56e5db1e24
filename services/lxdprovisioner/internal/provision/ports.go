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
	// Alive proves that the host of the VM answers; Unavailable where it doesn't.
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
	Networks
	Records
	Catalogue
}

// Machines reads, claims, marks, deploys and releases machines.
type Machines interface {
	// Machine reads one machine; NotFound with ReasonMachineNotFound where MAAS has none.
	Machine(ctx context.Context, systemID string) (inventory.Machine, error)
	// Machines lists what matches; an empty filter is refused.
	Machines(ctx context.Context, filter MachineFilter) ([]inventory.Machine, error)
	// Allocate takes a Ready machine. NoRoom with ReasonNoMachineAvailable where none matches.
	Allocate(ctx context.Context, a Allocation) (inventory.Machine, error)
	// Annotate sets workload annotations; empty values remove.
	Annotate(ctx context.Context, systemID string, annotations map[string]string) (inventory.Machine, error)
	// Deploy deploys an allocated machine. Conflict of state is Busy with ReasonNotReady.
	Deploy(ctx context.Context, systemID string, d Deployment) (inventory.Machine, error)
	// Abort ends what runs.
	Abort(ctx context.Context, systemID, comment string) error
	// Release releases a machine; may be repeated.
	Release(ctx context.Context, systemID, comment string) error
}

// MachineFilter selects machines; what is set must hold, several values of one field are
// alternatives.
type MachineFilter struct {
	SystemIDs []string
	Hostnames []string
	AgentName string
	Owner     string
	Zone      string
	Pod       string
	Statuses  []inventory.Status
	// NotStatus asks for the machines that have left these statuses.
	NotStatus []inventory.Status
}

// Allocation asks for one machine.
type Allocation struct {
	// SystemID names the one machine that is wanted; empty for bare metal by constraints.
	SystemID    string
	AgentName   string
	Constraints Constraints
	// OnlyMetal keeps VMs out: without it MAAS composes a VM where nothing Ready matches.
	OnlyMetal bool
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
	Record(ctx context.Context, ref EndpointRef) (inventory.DNSRecord, error)
	CreateRecord(ctx context.Context, ref EndpointRef, addresses []netip.Addr, ttl int) (inventory.DNSRecord, error)
	// UpdateRecord replaces the whole set; NotFound where the record has vanished.
	UpdateRecord(ctx context.Context, id int, addresses []netip.Addr, ttl int) (inventory.DNSRecord, error)
	// DeleteRecord removes a record; absent is success.
	DeleteRecord(ctx context.Context, id int) error
	// ReleaseAddress frees a reservation of our user.
	ReleaseAddress(ctx context.Context, address netip.Addr) error
}

// Catalogue tells what the region has and who we are.
type Catalogue interface {
	Version(ctx context.Context) (string, error)
	WhoAmI(ctx context.Context) (Identity, error)
	Zones(ctx context.Context) ([]inventory.Zone, error)
	Pools(ctx context.Context) ([]inventory.Pool, error)
	Images(ctx context.Context) ([]inventory.Image, error)
}

// Identity is MAAS's user for our key.
type Identity struct {
	Name  string
	Admin bool
}
