package placement

import "slices"

// Excluded is EXCLUDED of the contract.
const Excluded Reason = "EXCLUDED"

// excludedRule keeps away from hosts that the caller has given up, for example because they refused
// an earlier attempt.
var excludedRule = rule{
	reason:  Excluded,
	phrase:  [2]string{"is excluded", "are excluded"},
	stage:   stageMatch,
	asked:   func(q *query) bool { return len(q.want.ExcludedHosts) > 0 },
	rejects: func(q *query, c *host) bool { return slices.Contains(q.want.ExcludedHosts, c.ID) },
	explain: func(_ *query, _ *host) string { return "is excluded by the request" },
}
