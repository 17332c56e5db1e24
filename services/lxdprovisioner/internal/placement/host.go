package placement

import "github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"

// host is a host of the snapshot as rules and scores see it.
type host struct {
	*inventory.Host
	*row

	index  *Index
	answer *kindAnswer
	load   *load
}

// host gives the host in that position of the index, with what it carries.
func (q *query) host(i int, l *load) host {
	r := &q.index.rows[i]
	return host{Host: &q.index.snapshot.Hosts[i], row: r, index: q.index, answer: &q.kinds[r.kind], load: l}
}

// coresLeft is what MAAS allows less what is used and given out; negative where that is more.
func (c *host) coresLeft() int64 { return c.freeCores - c.load.cores }

// memoryLeft is the same in MiB.
func (c *host) memoryLeft() int64 { return c.freeMemory - c.load.memoryMiB }

// pool gives the storage pool in that position of Host.StoragePools.
func (c *host) pool(position int) *room { return &c.index.rooms[int(c.rooms)+position] }

// bytesLeft is what is left of the storage pool in that position, what is given out taken off.
func (c *host) bytesLeft(position int) int64 {
	left := c.pool(position).free
	if len(c.load.disks) > 0 {
		left -= c.load.promisedIn(&c.StoragePools[position])
	}
	return left
}

// roomy says whether the host has room for what the request needs: in one go what the rules that
// are marked as counted ask one by one.
func (c *host) roomy(need *inventory.Resources) bool {
	if need.Cores > c.totalCores || need.Cores > c.coresLeft() || need.MemoryMiB > c.totalMemory || need.MemoryMiB > c.memoryLeft() {
		return false
	}
	for i := range c.answer.needs {
		n := &c.answer.needs[i]
		if n.bytes > c.pool(n.pool).total || n.bytes > c.bytesLeft(n.pool) {
			return false
		}
	}
	return true
}
