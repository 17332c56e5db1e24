package placement

import (
	"fmt"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// largestStorageRule wants storage pools that could hold the disks when empty.
var largestStorageRule = rule{
	reason: InsufficientStorage,
	stage:  stageSize,
	rejects: func(q *query, c *host) bool {
		return shortPool(q, c, totalBytes) >= 0
	},
	explain: func(q *query, c *host) string {
		pool := &c.StoragePools[shortPool(q, c, totalBytes)]
		return fmt.Sprintf("needs %s in storage pool %q, which has %s in all",
			diskText(q.neededIn(pool)), pool.Name, diskText(pool.TotalBytes))
	},
}

// storageRule wants the room of all disks that go to one storage pool together; MAAS never checks
// it when it composes.
var storageRule = rule{
	reason: InsufficientStorage,
	stage:  stageRoom,
	rejects: func(q *query, c *host) bool {
		return shortPool(q, c, freeBytes) >= 0
	},
	explain: func(q *query, c *host) string {
		pool := &c.StoragePools[shortPool(q, c, freeBytes)]
		promised := c.load.promisedIn(pool)
		return fmt.Sprintf("needs %s in storage pool %q, has %s%s", diskText(q.neededIn(pool)), pool.Name,
			diskText(max(freeBytes(c, pool), 0)), givenOut(promised, diskText(promised)))
	},
}

func totalBytes(_ *host, pool *inventory.StoragePool) int64 { return pool.TotalBytes }

func freeBytes(c *host, pool *inventory.StoragePool) int64 {
	return pool.AvailableBytes - c.load.promisedIn(pool)
}

// shortPool gives the index of the first storage pool that has too little for the disks that go
// there, -1 where all have enough.
func shortPool(q *query, c *host, has func(*host, *inventory.StoragePool) int64) int {
	for i := range c.StoragePools {
		pool := &c.StoragePools[i]
		if needed := q.neededIn(pool); needed > 0 && needed > has(c, pool) {
			return i
		}
	}
	return -1
}
