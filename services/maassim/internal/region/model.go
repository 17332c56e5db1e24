package region

import (
	"net/netip"
	"slices"
	"time"

	"github.com/capmaas/capmaas/services/maassim/internal/index"
	"github.com/capmaas/capmaas/services/maassim/internal/lxd"
	"github.com/capmaas/capmaas/services/maassim/internal/network"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

type zone struct {
	id                int
	name, description string
}

type pool struct {
	id                int
	name, description string
}

type domain struct {
	id      int
	name    string
	ttl     *int // seconds; nil: inherited
	foreign bool // MAAS is not authoritative for it
}

type tag struct{ name, definition, comment, kernelOpts string }

type image struct {
	Image
	id    int
	base  string
	files []imageFile
}

// vmHost is a VM host ("pod") as MAAS knows it.
type vmHost struct {
	id                 int
	name, kind         string
	zone               *zone
	pool               *pool
	project, version   string
	arch               string
	capabilities       []string
	cores, memory      int // what MAAS knows of the host, 0 before its inventory is there
	physical           [2]int
	cpuRatio, memRatio float64
	pools              []StoragePool
	tags               []string
	machine            *machine // the host's own machine, if MAAS knows it
	macvlan            *string

	server           string   // its name among the LXD servers; one that is not there cannot be reached
	address          string   // power_address as it was given
	power            *address // that, as one in use
	certificate, key string   // PEM, as it was given; empty for the one that MAAS makes
	defaultPool      string   // name of the storage pool for disks that name none; empty for LXD's own default
	foreign          []*vmRow
}

// vmRow is a VM of a project that MAAS does not track: it knows that it is there and makes no machine of it.
type vmRow struct {
	id   int
	inst lxd.Instance
}

// machine is a machine record of MAAS, whether it is bare metal, a VM or a VM host.
type machine struct {
	id                 int
	systemID, hostname string
	domain             *domain
	zone               *zone
	pool               *pool
	status             status
	previous           status // before the operation in progress
	returnTo           status // before testing or rescue mode
	owner              *rest.User
	agent              string
	locked             bool
	description        string
	arch               string
	cores, memory      int // MiB
	swap               *int64
	disks              []disk
	laidOut            bool // has its storage layout, which commissioning makes
	interfaces         []*iface
	tags               []string
	powerType          string
	powerOn            bool
	powerUnknown       bool

	cpuSpeed  int   // MHz; 0 is shown as the simulator's usual one
	pinned    []int // host cores that its cores are pinned to
	hugepages bool  // its memory is backed by huge pages
	// hardwareUUID is what the firmware of a bare-metal machine calls it; the recorded VMs have none.
	hardwareUUID string
	minKernel    *string           // min_hwe_kernel: null until it is first set
	parameters   map[string]string // power parameters of a machine that was added by hand
	scripts      scripts

	host        *vmHost  // the VM host it was composed on
	parent      *machine // the host's machine of before, if a discovery found it on another
	parentless  bool     // it was no VM before a discovery took it for one
	hostOf      *vmHost  // the VM host that it is
	vmID        int
	instance    string // its name in LXD
	dynamic     bool   // made by allocate, deleted by release
	tested      bool   // has passed commissioning: a release ends in Ready
	uefi        bool   // it is known to boot by UEFI; every VM does
	diskTwice   bool   // MAAS counts its disks twice
	discovered  bool   // a discovery has written it: its disks name no storage pool
	skipNetwork bool   // commissioning keeps the network as composed

	osystem, series, kernel string
	ephemeral               bool
	netboot                 bool
	hwSync, crashDump       bool
	userData                *string // verbatim
	annotations             map[string]string
	message                 *string // type of the last event
	errorText               string

	epoch int // counts status changes, so that a planned one knows when it is stale
	// rev is the region's revision at which the row last changed, born the one at which it was made; by them a transaction that began before
	// notices the change.
	rev, born int
	revisions *int // the region's
	rows      *index.Table[*machine]
}

// scripts are the ids of a machine's sets of script results; 0 means none.
type scripts struct{ commissioning, testing, installation int }

type disk struct {
	id         int
	name, pool string
	tags       []string // as asked for when it was composed
	size       int64
	hardware   hardware
	uuids      [4]string
}

// hardware is what a disk says of itself.
type hardware struct {
	model, serial, link string // link is its name below /dev/disk/by-id
	firmware            string // empty: it does not say
}

// kindPhysical is the kind of an interface that is no bridge.
const kindPhysical = "physical"

// iface is a network interface of a machine.
type iface struct {
	id      int
	machine *machine
	name    string
	kind    string // kindPhysical or bridge
	mac     string
	vlan    *network.VLAN
	parents []string
	child   string // the bridge over it, if any
	links   []*link
}

// link ties an interface to a subnet.
type link struct {
	id      int
	iface   *iface
	mode    string // one of modeAuto and its like
	subnet  *network.Subnet
	address *address // nil while an AUTO link has none
	gateway bool     // its subnet's gateway is the machine's default
}

// Allocation types of addresses (MAAS: IPADDRESS_TYPE).
const (
	allocAuto     = 0
	allocSticky   = 1
	allocReserved = 4
)

// address is an address that something holds: a link, or a user's reservation.
type address struct {
	id      int
	ip      netip.Addr
	alloc   int
	owner   *rest.User
	subnet  *network.Subnet // nil outside every subnet
	link    *link           // nil for a reservation
	stray   *stray          // the interface of no machine that it is reserved for, if any
	created time.Time
	updated time.Time
}

// record is a dnsresource.
type record struct {
	id        int
	name      string
	domain    *domain
	ttl       *int
	addresses []*address
	data      []*recordData
}

// recordData is a dnsresourcerecord: what a name holds besides addresses.
type recordData struct {
	id             int
	ttl            *int // seconds; nil: inherited
	rrtype, rrdata string
}

type event struct {
	id                    int
	systemID, hostname    string
	level, kind, describe string
	at                    time.Time
}

func (m *machine) fqdn() string { return m.hostname + "." + m.domain.name }

func (m *machine) ownerName() string {
	if m.owner == nil {
		return ""
	}
	return m.owner.Name
}

// storage returns the size of all disks in bytes.
func (m *machine) storage() int64 {
	var sum int64
	for _, d := range m.disks {
		sum += d.size
	}
	return sum
}

func (m *machine) links() []*link {
	var all []*link
	for _, i := range m.interfaces {
		all = append(all, i.links...)
	}
	return all
}

func (m *machine) hasTag(name string) bool { return slices.Contains(m.tags, name) }
