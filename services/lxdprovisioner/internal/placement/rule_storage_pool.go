package placement

import "fmt"

// storagePoolRule wants every storage pool that a disk names, and a default pool for disks that name
// none. MAAS drops a name that it doesn't know and takes another pool, without a word.
var storagePoolRule = rule{
	reason:  NoStoragePool,
	stage:   stageStoragePool,
	rejects: func(q *query, c *host) bool { return missingStoragePool(q, c) >= 0 },
	explain: func(q *query, c *host) string {
		names := make([]string, 0, len(c.StoragePools))
		for _, p := range c.StoragePools {
			names = append(names, p.Name)
		}
		pool := q.disks[missingStoragePool(q, c)].pool
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

// missingStoragePool gives the index of the first need that no pool answers, -1 where there is none.
func missingStoragePool(q *query, c *host) int {
	for i := range q.disks {
		if !hasStoragePool(c, q.disks[i].pool) {
			return i
		}
	}
	return -1
}

func hasStoragePool(c *host, name string) bool {
	for i := range c.StoragePools {
		if p := &c.StoragePools[i]; p.Name == name || name == "" && p.Default {
			return true
		}
	}
	return false
}
