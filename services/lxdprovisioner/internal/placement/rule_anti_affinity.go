package placement

import "fmt"

// GroupOnHost is ANTI_AFFINITY of the contract.
const GroupOnHost Reason = "ANTI_AFFINITY"

// antiAffinityRule keeps a second VM of the group off a host where that is required. It fails
// closed: what was given out counts like what is there.
var antiAffinityRule = rule{
	reason:  GroupOnHost,
	phrase:  [2]string{"has a VM of the group", "have a VM of the group"},
	stage:   stageMatch,
	asked:   func(q *query) bool { return q.apart == Required },
	rejects: func(q *query, c *host) bool { return c.load.group > 0 },
	explain: func(_ *query, c *host) string {
		return fmt.Sprintf("has %s of the group, which must not share a host", count(c.load.group, "VM"))
	},
}
