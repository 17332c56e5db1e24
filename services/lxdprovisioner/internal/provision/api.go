// Package provision holds the use cases of the service: choosing hosts, composing, deploying,
// reading, watching and deleting VMs, bare-metal machines and DNS records, by the rules that let
// any process die at any line without losing or doubling a machine.
package provision

import (
	"net/netip"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// Owner says for whom a machine is made. It becomes the mark in MAAS's workload annotations.
type Owner struct {
	ClusterID  string
	Namespace  string
	Cluster    string
	Machine    string
	MachineUID string
	SpecDigest string
}

// Attempt is one stored try to make a VM. Its name belongs to its host for ever.
type Attempt struct {
	Number   int
	Name     string
	HostID   inventory.HostID
	HostName string
	SystemID string
	// SentAt is when the caller stored that it sends; zero on the call that is to send.
	SentAt  time.Time
	Settled bool
}

// Sent says whether an earlier call may have sent the composition.
func (a Attempt) Sent() bool { return !a.SentAt.IsZero() }

// HostExpectation is what the caller knows of one host, so that a refresh can be held back.
type HostExpectation struct {
	HostID inventory.HostID
	// Deployed are the names of the caller's VMs that are deployed there.
	Deployed []string
	// Unsettled are the attempts there, of any machine, that are not settled.
	Unsettled []Attempt
}

// Family is a family of addresses.
type Family int

// The families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// Network is what a VM's network must be.
type Network struct {
	Interfaces []NIC
	// PreferredSubnets are tried in their order where the boot NIC names no subnet.
	PreferredSubnets []netip.Prefix
	Families         []Family
	StaticIP         *StaticIP
}

// NIC is one NIC of a VM; empty fields are not asked for. Subnet is a name, a CIDR or a MAAS id.
type NIC struct {
	Name   string
	Bridge string
	Subnet string
}

// StaticIP is a fixed address. Invalid (zero) values of Subnet and Gateway are not asked for.
type StaticIP struct {
	Address    netip.Addr
	Subnet     netip.Prefix
	Gateway    netip.Addr
	DNSServers []netip.Addr
	Interface  string
}

// ComposeRequest carries one attempt. All but the attempt is the same on every repeat.
type ComposeRequest struct {
	Attempt      Attempt
	Owner        Owner
	Size         inventory.VMSize
	Network      Network
	Architecture string
	GroupKey     string
}

// Image names what is deployed.
type Image struct {
	OS     string
	Series string
}

// DeployRequest deploys a VM. UserData holds join tokens: it is never logged.
type DeployRequest struct {
	Attempt  Attempt
	Owner    Owner
	Image    Image
	UserData []byte
	Network  Network
}

// GetRequest names a VM. Owner is nil where the caller doesn't ask whether the claim is its own.
type GetRequest struct {
	Attempt Attempt
	Owner   *Owner
}

// ListRequest filters VMs; empty fields don't.
type ListRequest struct {
	ClusterID string
	Zone      string
	PageSize  int
	PageToken string
}

// DeleteRequest names everything that one MaasMachine may have made.
type DeleteRequest struct {
	Attempts []Attempt
	Owner    Owner
	Hosts    []HostExpectation
}

// AbsenceProof says how it is known that a VM is gone.
type AbsenceProof int

// The proofs.
const (
	NeverSent AbsenceProof = iota + 1
	Refreshed
	Unverified
)

// Absence is the proof for one attempt.
type Absence struct {
	Name  string
	Proof AbsenceProof
}

// VM is a VM as MAAS tells of it.
type VM struct {
	inventory.Machine
	// Project is the LXD project; empty where MAAS doesn't tell.
	Project string
	// Claimed says whether the claim is proved to be the caller's; nil where it was not asked.
	Claimed *bool
	// Owner is the mark; nil where there is none of ours.
	Owner *Owner
}

// WatchedVM is a VM that a caller waits for, with the status that the caller knows.
type WatchedVM struct {
	Attempt Attempt
	// Known are the statuses that the caller's state stands for; what has left them is reported.
	Known []inventory.Status
}

// VMEvent is one event of a watch: exactly one field is set.
type VMEvent struct {
	VM     *VM
	Gone   string
	Synced time.Time
}

// MachineRef names a bare-metal allocation.
type MachineRef struct {
	AgentName string
	SystemID  string
}

// Constraints say which bare-metal machines match; zero values are not asked for.
type Constraints struct {
	MinCores     int
	MinMemoryMiB int64
	MinDiskGB    int64
	Zone         string
	Pool         string
	Tags         []string
	Architecture string
	// Hostname names one machine.
	Hostname string
}

// AllocateRequest asks for a bare-metal machine.
type AllocateRequest struct {
	Machine     MachineRef
	Owner       Owner
	Constraints Constraints
	// SentAt is when the caller stored that it sends; zero on the call that is to send.
	SentAt time.Time
}

// DeployMachineRequest deploys a bare-metal machine. UserData holds join tokens: it is never logged.
type DeployMachineRequest struct {
	Machine  MachineRef
	Owner    Owner
	Image    Image
	UserData []byte
	InMemory bool
	KeepSwap bool
}

// ReleaseRequest names a bare-metal allocation.
type ReleaseRequest struct {
	Machine MachineRef
	Owner   Owner
	// SentAt is when an allocation was sent whose answer the caller never saw; else zero.
	SentAt time.Time
}

// BareMetalMachine is a physical machine as MAAS tells of it.
type BareMetalMachine struct {
	inventory.Machine
	Claimed *bool
	Owner   *Owner
}

// WatchedMachine is a bare-metal machine that a caller waits for.
type WatchedMachine struct {
	Machine MachineRef
	Known   []inventory.Status
}

// MachineEvent is one event of a watch: exactly one field is set.
type MachineEvent struct {
	Machine *BareMetalMachine
	Gone    string
	Synced  time.Time
}

// EndpointRef names a DNS record.
type EndpointRef struct {
	Name   string
	Domain string
}

// FQDN is the full name.
func (r EndpointRef) FQDN() string { return r.Name + "." + r.Domain }

// Endpoint is a DNS record; Addresses are sorted. TTL is in seconds, nil where it is the domain's.
type Endpoint struct {
	Ref       EndpointRef
	Addresses []netip.Addr
	TTL       *int
}

// Region describes the MAAS region.
type Region struct {
	MAASVersion string
	User        string
	Admin       bool
	LXDVMs      bool
	BareMetal   bool
	DNS         bool
	// Problem is what is wrong; nil where nothing is.
	Problem error
}

// ZoneInfo is a zone and whether an LXD host is in it.
type ZoneInfo struct {
	inventory.Zone
	HasLXDHosts bool
	// LXDHostsUnusable says that there are some and none can take a VM, whatever is asked for.
	LXDHostsUnusable bool
}
