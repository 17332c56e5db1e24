package placement

import (
	"fmt"
	"slices"
)

// networkRule wants all bridges. A host whose machine MAAS doesn't know has none that MAAS could
// attach a NIC to: interfaces are chosen among those of the machine.
var networkRule = rule{
	reason:  NetworkMissing,
	stage:   stageMatch,
	asked:   func(q *query) bool { return len(q.want.Bridges) > 0 },
	rejects: func(q *query, c *host) bool { return missingBridge(q, c) >= 0 },
	explain: func(q *query, c *host) string {
		bridge := q.want.Bridges[missingBridge(q, c)]
		if len(c.Bridges) == 0 {
			return fmt.Sprintf("needs the bridge %q, MAAS knows no bridge there", bridge)
		}
		return fmt.Sprintf("needs the bridge %q, has %s", bridge, allOf(c.Bridges))
	},
}

// missingBridge gives the index of the first bridge that the host lacks, -1 where it lacks none.
func missingBridge(q *query, c *host) int {
	for i, bridge := range q.want.Bridges {
		if !slices.Contains(c.Bridges, bridge) {
			return i
		}
	}
	return -1
}
