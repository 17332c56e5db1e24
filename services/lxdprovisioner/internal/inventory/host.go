// Package inventory holds the nouns of the service: hosts, VMs, machines, sizes, and the snapshot
// of what MAAS said of them at one moment. It has arithmetic and no I/O.
package inventory

import "time"

// BytesPerGB is MAAS's and the contract's GB: 10^9 bytes.
const BytesPerGB = 1_000_000_000

// HostID names a host, for example "vmhost/12". Only the back end that made it reads it.
type HostID string

// Resources is an amount of cores, memory and disk. Values are negative where MAAS over-committed.
type Resources struct {
	Cores     int64
	MemoryMiB int64
	DiskBytes int64
}

// Add gives the sum.
func (r Resources) Add(o Resources) Resources {
	return Resources{Cores: r.Cores + o.Cores, MemoryMiB: r.MemoryMiB + o.MemoryMiB, DiskBytes: r.DiskBytes + o.DiskBytes}
}

// Sub gives the difference.
func (r Resources) Sub(o Resources) Resources {
	return Resources{Cores: r.Cores - o.Cores, MemoryMiB: r.MemoryMiB - o.MemoryMiB, DiskBytes: r.DiskBytes - o.DiskBytes}
}

// StoragePool is an LXD storage pool of a host. Sizes are bytes. UsedBytes counts only the disks
// that MAAS knows.
type StoragePool struct {
	Name           string
	Driver         string
	TotalBytes     int64
	UsedBytes      int64
	AvailableBytes int64
	Default        bool
}

// Host is an LXD host as MAAS tells of it.
type Host struct {
	ID   HostID
	Name string
	// Type is MAAS's type of VM host: "lxd" or "virsh".
	Type string
	// SystemID is the host's own machine; empty where MAAS has none.
	SystemID string
	Zone     Ref
	Pool     Ref
	Tags     []string
	// Capabilities are MAAS's words; without "composable" nothing can be made there.
	Capabilities  []string
	Architectures []string
	LXDVersion    string
	// Project is the LXD project that MAAS tracks; empty where it is not known.
	Project string
	// Total is the physical total. MAAS caps one VM at it, whatever the ratios.
	Total Resources
	// Used counts the VMs that MAAS knows.
	Used Resources
	// CPURatio and MemoryRatio are the over-commit ratios, 1 where MAAS names none.
	CPURatio     float64
	MemoryRatio  float64
	StoragePools []StoragePool
	// Bridges are the names of the machine's bridges; empty where MAAS doesn't know the machine.
	Bridges []string
	// VLANs are MAAS's ids of the VLANs that the machine's interfaces are in, in order; empty where MAAS
	// doesn't know the machine.
	VLANs []int
	// Machine is what MAAS says of the host's own machine; nil where it was not read or there is none.
	Machine *HostMachine
	// VMs is how many VMs MAAS knows there; -1 where it was not counted.
	VMs int
}

// HostMachine is the part of a host's own machine that decides whether the host can take VMs.
type HostMachine struct {
	Status Status
	Power  Power
	Tags   []string
}

// Ref is a MAAS object that forms name by id and people by name. Id 0 is a real id: the built-in
// resource pool has it.
type Ref struct {
	ID   int
	Name string
}

// Allowed is what MAAS lets be used of the host in all: the total times the over-commit ratios.
func (h Host) Allowed() Resources {
	return Resources{
		Cores:     int64(float64(h.Total.Cores) * h.CPURatio),
		MemoryMiB: int64(float64(h.Total.MemoryMiB) * h.MemoryRatio),
		DiskBytes: h.Total.DiskBytes,
	}
}

// Available is what is left of Allowed.
func (h Host) Available() Resources { return h.Allowed().Sub(h.Used) }

// OverLimit says whether more cores or memory are used than MAAS allows.
func (h Host) OverLimit() bool {
	left := h.Available()
	return left.Cores < 0 || left.MemoryMiB < 0
}

// StoragePool gives the pool of the name, or the default pool for the empty name.
func (h Host) StoragePool(name string) (StoragePool, bool) {
	for _, p := range h.StoragePools {
		if p.Name == name || name == "" && p.Default {
			return p, true
		}
	}
	return StoragePool{}, false
}

// Snapshot is what MAAS said of its hosts at one moment. It is a value: nobody changes it.
type Snapshot struct {
	Hosts []Host
	// Began is when the reading began; whatever ended before it is seen in the snapshot.
	Began time.Time
	// ReadAt is when the reading ended.
	ReadAt time.Time
}

// Host gives the host of the id.
func (s Snapshot) Host(id HostID) (Host, bool) {
	for _, h := range s.Hosts {
		if h.ID == id {
			return h, true
		}
	}
	return Host{}, false
}
