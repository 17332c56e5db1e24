package placement

import (
	"fmt"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// MinMemoryMiB is the least memory that MAAS gives a VM (MAAS: forms/pods.py, requested memory).
const MinMemoryMiB = 1024

// MAASProfile is the LXD profile that MAAS gives a VM where the host's project has it, and none otherwise; it can't be
// told to use another.
const MAASProfile = "maas"

// Policy ranks hosts that fit.
type Policy int

// The policies. The zero value is Balanced.
const (
	// Balanced prefers the host whose scarcest resource is used least after placing.
	Balanced Policy = iota
	// Pack prefers the fullest host that fits.
	Pack
	// Spread prefers the host with the fewest VMs. MAAS does not tell how many there are on a VM host:
	// its used cores then count in VMs of the size that is asked for.
	Spread
)

// AntiAffinity says how strictly the VMs of a group stay apart.
type AntiAffinity int

// The degrees of anti-affinity. The zero value is Preferred.
const (
	// Preferred takes other hosts and zones while there are any with room.
	Preferred AntiAffinity = iota
	// Required never puts two VMs of the group on one host.
	Required
)

// Constraints say which hosts may take a VM. All that are set must hold.
type Constraints struct {
	// Zone is the zone by name; any where empty.
	Zone string
	// Zones are the zones that are allowed, by name; any where empty.
	Zones []string
	// Pools are the resource pools that are allowed, by name; any where empty.
	Pools []string
	// Tags are the tags that the host must have, all of them.
	Tags []string
	// AllowedHosts are the only hosts allowed, by name or id; any where empty.
	AllowedHosts []string
	// PreferredHosts are taken first where they fit, by name or id.
	PreferredHosts []string
	// ExcludedHosts must not be taken, by id.
	ExcludedHosts []inventory.HostID
	// Project is the LXD project; a host's own, known or not, where empty.
	Project string
	// Profile is the LXD profile; empty or MAASProfile, else no host fits.
	Profile string
	// Architecture is "amd64" or "amd64/generic"; any where empty.
	Architecture string
	// Bridges must all be on the host, by name.
	Bridges []string
	// Subnets are those on whose VLANs the host must be, all of them.
	Subnets []Subnet
	// Policy ranks the hosts that fit.
	Policy Policy
}

// Subnet is a subnet that a NIC of the VM must be in.
type Subnet struct {
	// Name is the subnet's name, for people.
	Name string
	// VLANID is MAAS's id of its VLAN.
	VLANID int
}

// Peer is another VM of the group.
type Peer struct {
	// Name is the VM's name; a peer that is pending too is counted once.
	Name string
	// Host is the host's id.
	Host inventory.HostID
	// Zone is used where the host is gone from the snapshot.
	Zone string
}

// Group is a set of VMs that should not share a host or a zone. The zero value is no group.
type Group struct {
	// Key is the same for all VMs of the group; empty means no group.
	Key string
	// AntiAffinity says how strictly the VMs stay apart.
	AntiAffinity AntiAffinity
	// Peers are the group's other VMs.
	Peers []Peer
}

// Request asks for a host for one VM.
type Request struct {
	// VM is the VM's name. It breaks ties, and peers and reservations of this name are the VM itself
	// and not counted.
	VM string
	// Size is what the VM takes.
	Size inventory.VMSize
	// Constraints say which hosts may take it.
	Constraints Constraints
	// Group says from which VMs it should stay apart.
	Group Group
	// Pending is what the ledger gave out and MAAS does not show yet.
	Pending []Reservation
	// Keep is the host that was chosen for the VM before: it is chosen again while it fits. Empty
	// where there is none.
	Keep inventory.HostID
	// OwnShare says whether a host belongs to this replica's share; all do where nil.
	OwnShare func(inventory.HostID) bool
}

// PlanRequest asks for hosts for several VMs of one size.
type PlanRequest struct {
	// Request is the request of each VM; its Keep is not used.
	Request

	// Count is how many VMs, at least 1.
	Count int
	// AsManyAsFit says whether fewer VMs than Count are an answer too.
	AsManyAsFit bool
}

// Invalid is a request that no inventory could fulfil.
type Invalid struct { //nolint:errname // it is an answer first: the name says what a caller reads
	// Field is the path of the field in the contract, for example "resources.memory_mib".
	Field string
	// Message says what is wrong, with numbers.
	Message string
}

// Error is the message.
func (e *Invalid) Error() string { return e.Message }

func (r Request) validate() error {
	if r.Size.Cores < 1 {
		return &Invalid{"resources.cores", fmt.Sprintf("a VM needs at least 1 core, asked for %d", r.Size.Cores)}
	}
	if r.Size.MemoryMiB < MinMemoryMiB {
		return &Invalid{
			"resources.memory_mib",
			fmt.Sprintf("MAAS gives a VM at least %d MiB of memory, asked for %d MiB", MinMemoryMiB, r.Size.MemoryMiB),
		}
	}
	if len(r.Size.Disks) == 0 {
		return &Invalid{"resources.disks", "a VM needs a root disk"}
	}
	for i, d := range r.Size.Disks {
		if d.SizeGB < 1 {
			return &Invalid{
				fmt.Sprintf("resources.disks[%d].size_gb", i),
				fmt.Sprintf("a disk has at least 1 GB, asked for %d GB", d.SizeGB),
			}
		}
	}
	return nil
}
