package placement

import (
	"encoding/binary"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// Index is a snapshot made ready for many requests: what no request changes is worked out once.
// Nobody changes it, so that any number of requests may use it at once.
type Index struct {
	snapshot inventory.Snapshot
	// rows are the hosts in the snapshot's order.
	rows []row
	// rooms are the storage pools of all hosts, those of one host together and in its order.
	rooms []room
	kinds []kind
	// zones are the names of the zones; a kind knows its zone by the position here.
	zones []string
	// positions are the hosts' positions in rows.
	positions map[inventory.HostID]int
}

// row is what every request looks at of a host, close together in memory: cores and MiB in all, as
// many as MAAS allows, and what is left of these, and where the rest is found.
type row struct {
	totalCores, allowedCores, freeCores    int64
	totalMemory, allowedMemory, freeMemory int64
	// rooms is where the host's storage pools begin in Index.rooms.
	rooms int32
	kind  int32
	// alone is the verdict of the rules that look at the host alone.
	alone verdict
}

// room is the size of a storage pool and what is left of it, in bytes.
type room struct{ total, free int64 }

// kind is what many hosts have in common. Rules that look at nothing else are asked once for all of
// them.
type kind struct {
	Zone, Pool, Project string

	Tags, Architectures, Bridges []string
	StoragePools                 []kindPool
	VLANs                        []int

	zone int
}

// kindPool is a storage pool that all hosts of a kind have in the same position.
type kindPool struct {
	Name    string
	Default bool
}

// NewIndex works through the snapshot, which must not change afterwards. It costs about as much as
// ten calls of Index.Place.
func NewIndex(snap inventory.Snapshot) *Index {
	x := &Index{
		snapshot: snap, rows: make([]row, len(snap.Hosts)), positions: make(map[inventory.HostID]int, len(snap.Hosts)),
	}
	n := 0
	for i := range snap.Hosts {
		n += len(snap.Hosts[i].StoragePools)
	}
	x.rooms = make([]room, 0, n)
	kinds := kindFinder{index: x, kinds: make(map[string]int32), zones: make(map[string]int)}
	alone := rulesAlone()
	for i := range snap.Hosts {
		h := &snap.Hosts[i]
		x.positions[h.ID] = i
		allowed := h.Allowed()
		free := allowed.Sub(h.Used)
		x.rows[i] = row{
			totalCores: h.Total.Cores, allowedCores: allowed.Cores, freeCores: free.Cores,
			totalMemory: h.Total.MemoryMiB, allowedMemory: allowed.MemoryMiB, freeMemory: free.MemoryMiB,
			rooms: int32(len(x.rooms)), kind: kinds.of(h), alone: judgeAlone(alone, h), //nolint:gosec // no region has so many storage pools
		}
		for j := range h.StoragePools {
			x.rooms = append(x.rooms, room{h.StoragePools[j].TotalBytes, h.StoragePools[j].AvailableBytes})
		}
	}
	return x
}

// Snapshot is what the index was made from.
func (x *Index) Snapshot() inventory.Snapshot { return x.snapshot }

// kindFinder sorts hosts into kinds.
type kindFinder struct {
	index *Index
	kinds map[string]int32
	zones map[string]int
	key   []byte
}

// of gives the position of the host's kind, a new one where no host before was like it.
func (f *kindFinder) of(h *inventory.Host) int32 {
	f.key = f.key[:0]
	f.word(h.Zone.Name)
	f.word(h.Pool.Name)
	f.word(h.Project)
	f.list(h.Tags)
	f.list(h.Architectures)
	f.list(h.Bridges)
	f.key = binary.AppendUvarint(f.key, uint64(len(h.VLANs)))
	for _, id := range h.VLANs {
		f.key = binary.AppendVarint(f.key, int64(id))
	}
	for i := range h.StoragePools {
		f.word(h.StoragePools[i].Name)
		if h.StoragePools[i].Default {
			f.key = append(f.key, 1)
		} else {
			f.key = append(f.key, 0)
		}
	}
	if position, ok := f.kinds[string(f.key)]; ok {
		return position
	}
	position := int32(len(f.index.kinds)) //nolint:gosec // there are no more kinds than hosts
	f.kinds[string(f.key)] = position
	f.index.kinds = append(f.index.kinds, f.make(h))
	return position
}

func (f *kindFinder) make(h *inventory.Host) kind {
	zone, ok := f.zones[h.Zone.Name]
	if !ok {
		zone = len(f.index.zones)
		f.zones[h.Zone.Name] = zone
		f.index.zones = append(f.index.zones, h.Zone.Name)
	}
	k := kind{
		Zone: h.Zone.Name, Pool: h.Pool.Name, Project: h.Project,
		Tags: h.Tags, Architectures: h.Architectures, Bridges: h.Bridges, VLANs: h.VLANs, zone: zone,
	}
	for i := range h.StoragePools {
		k.StoragePools = append(k.StoragePools, kindPool{h.StoragePools[i].Name, h.StoragePools[i].Default})
	}
	return k
}

// word adds a text to the key, with its length, so that two lists never make the same key.
func (f *kindFinder) word(s string) {
	f.key = append(binary.AppendUvarint(f.key, uint64(len(s))), s...)
}

func (f *kindFinder) list(words []string) {
	f.key = binary.AppendUvarint(f.key, uint64(len(words)))
	for _, w := range words {
		f.word(w)
	}
}
