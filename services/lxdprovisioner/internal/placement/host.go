package placement

import "github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"

// host is a host of the snapshot as rules and scores see it.
type host struct {
	*inventory.Host
	*row

	// pools are its storage pools, in the order of Host.StoragePools.
	pools []room
	// needs are the storage pools to which the request's disks go.
	needs []poolNeed
	load  *load
}

// show makes c the host in that position of the index.
func (q *query) show(c *host, i int, l *load) {
	r := &q.index.rows[i]
	c.Host, c.row, c.load = &q.index.snapshot.Hosts[i], r, l
	c.needs = q.kinds[r.kind].needs
	c.pools = q.index.rooms[r.rooms:]
}

// freeCores is what MAAS allows less what is used and given out; negative where that is more.
func (c *host) freeCores() int64 { return c.allowedCores - c.usedCores - c.load.cores }

// freeMemory is the same in MiB.
func (c *host) freeMemory() int64 { return c.allowedMemory - c.usedMemory - c.load.memoryMiB }

// freeBytes is what is left of the storage pool in that position, what is given out taken off.
func (c *host) freeBytes(pool int) int64 {
	if len(c.load.disks) == 0 {
		return c.pools[pool].free
	}
	return c.pools[pool].free - c.load.promisedIn(&c.StoragePools[pool])
}
