package placement

import (
	"fmt"
	"slices"
)

// OtherPool is OTHER_POOL of the contract.
const OtherPool Reason = "OTHER_POOL"

// poolRule keeps to the resource pools. They go by name: the id 0 is a pool, not the lack of one.
var poolRule = rule{
	reason: OtherPool,
	phrase: [2]string{"is in another pool", "are in another pool"},
	stage:  stagePool,
	asked:  func(q *query) bool { return len(q.want.Pools) > 0 },
	alike:  func(q *query, k *kind) bool { return !slices.Contains(q.want.Pools, k.Pool) },
	explain: func(q *query, c *host) string {
		return fmt.Sprintf("is in pool %q, not in %s", c.Pool.Name, anyOf(q.want.Pools))
	},
}
