package placement

import "fmt"

// NoStoragePool is STORAGE_POOL_MISSING of the contract.
const NoStoragePool Reason = "STORAGE_POOL_MISSING"

// storagePoolRule wants every storage pool that a disk names, and a default pool for disks that name
// none. MAAS drops a name that it doesn't know and takes another pool, without a word.
var storagePoolRule = rule{
	reason: NoStoragePool,
	phrase: [2]string{"lacks the storage pool", "lack the storage pool"},
	stage:  stageStoragePool,
	alike: func(q *query, k *kind) bool {
		for i := range q.disks {
			if k.storagePool(q.disks[i].pool) < 0 {
				return true
			}
		}
		return false
	},
	explain: func(q *query, c *host) string {
		names := make([]string, 0, len(c.StoragePools))
		for _, p := range c.StoragePools {
			names = append(names, p.Name)
		}
		pool := missingStoragePool(q, c)
		switch {
		case len(names) == 0:
			return "has no storage pool"
		case pool == "":
			return fmt.Sprintf("has no default storage pool, name %s", anyOf(names))
		default:
			return fmt.Sprintf("needs the storage pool %q, has %s", pool, allOf(names))
		}
	},
}

// missingStoragePool gives the first storage pool that is needed and not there, empty for the default.
func missingStoragePool(q *query, c *host) string {
	for i := range q.disks {
		if _, ok := c.StoragePool(q.disks[i].pool); !ok {
			return q.disks[i].pool
		}
	}
	return ""
}
