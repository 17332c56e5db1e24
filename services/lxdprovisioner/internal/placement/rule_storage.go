package placement

import "fmt"

// InsufficientStorage is INSUFFICIENT_STORAGE of the contract.
const InsufficientStorage Reason = "INSUFFICIENT_STORAGE"

// largestStorageRule wants storage pools that could hold the disks when empty.
var largestStorageRule = rule{
	reason:  InsufficientStorage,
	phrase:  [2]string{"lacks storage", "lack storage"},
	stage:   stageSize,
	counted: true,
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
	counted: true,
	rejects: func(_ *query, c *host) bool { return c.shortPool((*host).bytesLeft) != nil },
	explain: func(_ *query, c *host) string {
		need := c.shortPool((*host).bytesLeft)
		pool := &c.StoragePools[need.pool]
		promised := c.load.promisedIn(pool)
		return fmt.Sprintf("needs %s in storage pool %q, has %s%s", diskText(need.bytes), pool.Name,
			diskText(max(c.bytesLeft(need.pool), 0)), givenOut(promised, diskText(promised)))
	},
}

func (c *host) totalBytes(position int) int64 { return c.pool(position).total }

// shortPool gives the first need for which a storage pool has too little; nil where all have enough.
func (c *host) shortPool(has func(c *host, position int) int64) *poolNeed {
	for i := range c.answer.needs {
		if n := &c.answer.needs[i]; n.bytes > has(c, n.pool) {
			return n
		}
	}
	return nil
}
