package placement

import "fmt"

// largestStorageRule wants storage pools that could hold the disks when empty.
var largestStorageRule = rule{
	reason:  InsufficientStorage,
	stage:   stageSize,
	rejects: func(_ *query, c *host) bool { return c.shortPool((*host).totalBytes) != nil },
	explain: func(_ *query, c *host) string {
		need := c.shortPool((*host).totalBytes)
		pool := &c.StoragePools[need.pool]
		return fmt.Sprintf("needs %s in storage pool %q, which has %s in all", diskText(need.bytes), pool.Name, diskText(pool.TotalBytes))
	},
}

// storageRule wants the room of all disks that go to one storage pool together; MAAS never checks
// it when it composes.
var storageRule = rule{
	reason:  InsufficientStorage,
	stage:   stageRoom,
	rejects: func(_ *query, c *host) bool { return c.shortPool((*host).freeBytes) != nil },
	explain: func(_ *query, c *host) string {
		need := c.shortPool((*host).freeBytes)
		pool := &c.StoragePools[need.pool]
		promised := c.load.promisedIn(pool)
		return fmt.Sprintf("needs %s in storage pool %q, has %s%s", diskText(need.bytes), pool.Name,
			diskText(max(c.freeBytes(need.pool), 0)), givenOut(promised, diskText(promised)))
	},
}

func (c *host) totalBytes(pool int) int64 { return c.pools[pool].total }

// shortPool gives the first need for which a storage pool has too little; nil where all have enough.
func (c *host) shortPool(has func(c *host, pool int) int64) *poolNeed {
	for i := range c.needs {
		if n := &c.needs[i]; n.bytes > has(c, n.pool) {
			return n
		}
	}
	return nil
}
