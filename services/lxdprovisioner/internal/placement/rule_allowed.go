package placement

import (
	"fmt"
	"slices"
)

// NotAllowed is NOT_ALLOWED of the contract.
const NotAllowed Reason = "NOT_ALLOWED"

// allowedRule keeps to the hosts that the request names, by name or id.
var allowedRule = rule{
	reason: NotAllowed,
	phrase: [2]string{"is not allowed", "are not allowed"},
	stage:  stageMatch,
	asked:  func(q *query) bool { return len(q.want.AllowedHosts) > 0 },
	rejects: func(q *query, c *host) bool {
		return !named(q.want.AllowedHosts, c)
	},
	explain: func(q *query, _ *host) string {
		return fmt.Sprintf("is not %s", anyOf(q.want.AllowedHosts))
	},
}

// named says whether the list holds the host's name or id.
func named(list []string, c *host) bool {
	return slices.Contains(list, c.Name) || slices.Contains(list, string(c.ID))
}
