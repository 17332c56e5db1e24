package placement

// Class says what kind of failure it is that no host fits, by how far the best hosts came.
type Class int

// The classes, in the order in which hosts are looked at.
const (
	// NoHosts means that there is no LXD host at all.
	NoHosts Class = iota + 1
	// NoHostInPool means that no usable LXD host is in the resource pools that were asked for.
	NoHostInPool
	// NoHostInZone means that no usable LXD host of the pools is in the zones that were asked for.
	NoHostInZone
	// NoHostMatches means that no host may take the VM, whatever its size.
	NoHostMatches
	// ProfileMissing means that another LXD profile than MAAS's was asked for.
	ProfileMissing
	// ProjectMissing means that MAAS tracks the LXD project on no host that matches otherwise.
	ProjectMissing
	// StoragePoolMissing means that no host that matches otherwise has the storage pool.
	StoragePoolMissing
	// TooLarge means that the VM is above the physical total of every LXD host, matching or not, and that
	// MAAS knows those of all.
	TooLarge
	// NoRoom means that hosts match, but none has the cores, memory or disk.
	NoRoom
)

var classNames = map[Class]string{
	NoHosts: "NoHosts", NoHostInPool: "NoHostInPool", NoHostInZone: "NoHostInZone", NoHostMatches: "NoHostMatches",
	ProfileMissing: "ProfileMissing", ProjectMissing: "ProjectMissing", StoragePoolMissing: "StoragePoolMissing",
	TooLarge: "TooLarge", NoRoom: "NoRoom",
}

// Classes lists every class, for tests that walk them.
func Classes() []Class {
	return []Class{
		NoHosts, NoHostInPool, NoHostInZone, NoHostMatches, ProfileMissing, ProjectMissing, StoragePoolMissing, TooLarge, NoRoom,
	}
}

// String is the class's name.
func (c Class) String() string { return classNames[c] }

// NoFit says that no host fits, or that too few do for a plan.
type NoFit struct { //nolint:errname // it is an answer first: the name says what a caller reads
	// Class is the kind of failure.
	Class Class
	// Summary is one sentence of at most 200 characters.
	Summary string
	// Rejections is every host and why it is out, in the snapshot's order; empty for ProfileMissing.
	Rejections []Rejection
}

// Error is the summary.
func (e *NoFit) Error() string { return e.Summary }
