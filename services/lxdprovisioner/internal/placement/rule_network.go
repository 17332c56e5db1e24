package placement

import (
	"fmt"
	"slices"
)

// NetworkMissing is NETWORK_MISSING of the contract.
const NetworkMissing Reason = "NETWORK_MISSING"

// networkRule wants all bridges. A host whose machine MAAS doesn't know has none that MAAS could
// attach a NIC to: interfaces are chosen among those of the machine.
var networkRule = rule{
	reason: NetworkMissing,
	phrase: [2]string{"lacks the network", "lack the network"},
	stage:  stageMatch,
	asked:  func(q *query) bool { return len(q.want.Bridges) > 0 },
	alike:  func(q *query, k *kind) bool { return lacksAny(k.Bridges, q.want.Bridges) },
	explain: func(q *query, c *host) string {
		missing := slices.IndexFunc(q.want.Bridges, func(b string) bool { return !slices.Contains(c.Bridges, b) })
		bridge := q.want.Bridges[missing]
		if len(c.Bridges) == 0 {
			return fmt.Sprintf("needs the bridge %q, MAAS knows no bridge there", bridge)
		}
		return fmt.Sprintf("needs the bridge %q, has %s", bridge, allOf(c.Bridges))
	},
}
