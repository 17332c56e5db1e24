package placement

import "github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"

// Reservation is one entry of the ledger: what was given out on a host and MAAS does not show yet.
type Reservation struct {
	// VM is the VM's name.
	VM string
	// Host is where it was placed.
	Host inventory.HostID
	// Zone is the host's zone by name.
	Zone string
	// Group is the key of the VM's group; empty where it has none.
	Group string
	// Size is what it takes. Disks without a storage pool count on the host's default pool.
	Size inventory.VMSize
}

// Usage is what reservations take, by host. The zero value is no usage.
type Usage struct {
	hosts map[inventory.HostID]*load
}

// load is what a host carries besides what MAAS shows of it.
type load struct {
	cores     int64
	memoryMiB int64
	disks     []poolBytes
	vms       int
	// group is how many VMs of the request's group are there, those that MAAS shows too.
	group int
}

// poolBytes is an amount of disk in the storage pool of a name; empty for the default pool.
type poolBytes struct {
	pool  string
	bytes int64
}

// noLoad is the load of a host that carries nothing more than MAAS shows.
var noLoad = &load{}

// NewUsage sums the reservations.
func NewUsage(pending []Reservation) Usage {
	u := Usage{hosts: make(map[inventory.HostID]*load, len(pending))}
	for i := range pending {
		loadOf(u.hosts, pending[i].Host).add(pending[i].Size)
	}
	return u
}

// Available gives what may still be placed on the host in all: over-commit ratios counted in,
// reservations taken off. Values are negative where the host is over its limit.
func (u Usage) Available(h inventory.Host) inventory.Resources {
	l := u.of(h.ID)
	promised := inventory.Resources{Cores: l.cores, MemoryMiB: l.memoryMiB}
	for _, d := range l.disks {
		promised.DiskBytes += d.bytes
	}
	return h.Available().Sub(promised)
}

// StoragePoolAvailable gives the bytes that may still be placed in one storage pool of the host.
func (u Usage) StoragePoolAvailable(h inventory.Host, pool inventory.StoragePool) int64 {
	return pool.AvailableBytes - u.of(h.ID).promisedIn(&pool)
}

func (u Usage) of(id inventory.HostID) *load {
	if len(u.hosts) == 0 {
		return noLoad
	}
	if l, ok := u.hosts[id]; ok {
		return l
	}
	return noLoad
}

// loadOf gives the load of a host, by its id or position, a new one where it has none yet.
func loadOf[K comparable](loads map[K]*load, host K) *load {
	l, ok := loads[host]
	if !ok {
		l = &load{}
		loads[host] = l
	}
	return l
}

func (l *load) add(size inventory.VMSize) {
	l.cores += int64(size.Cores)
	l.memoryMiB += size.MemoryMiB
	l.vms++
	l.disks = addDisks(l.disks, size.Disks)
}

// promisedIn gives the bytes promised in the pool, by its name or because it is the default.
func (l *load) promisedIn(pool *inventory.StoragePool) int64 {
	var sum int64
	for _, d := range l.disks {
		if d.pool == pool.Name || d.pool == "" && pool.Default {
			sum += d.bytes
		}
	}
	return sum
}

// addDisks adds disks to sums by the pool's name.
func addDisks(sums []poolBytes, disks []inventory.Disk) []poolBytes {
next:
	for _, d := range disks {
		bytes := d.SizeGB * inventory.BytesPerGB
		for i := range sums {
			if sums[i].pool == d.StoragePool {
				sums[i].bytes += bytes
				continue next
			}
		}
		sums = append(sums, poolBytes{pool: d.StoragePool, bytes: bytes})
	}
	return sums
}
