package placement

import "fmt"

// InsufficientCores is INSUFFICIENT_CORES of the contract.
const InsufficientCores Reason = "INSUFFICIENT_CORES"

// largestCoresRule keeps to MAAS's limit for one VM: the physical total, whatever the ratio.
var largestCoresRule = rule{
	reason:  InsufficientCores,
	phrase:  [2]string{"lacks cores", "lack cores"},
	stage:   stageSize,
	counted: true,
	rejects: func(q *query, c *host) bool { return q.need.Cores > c.totalCores },
	explain: func(q *query, c *host) string {
		return fmt.Sprintf("needs %s, one VM can have at most the host's %d", count(q.need.Cores, "core"), c.Total.Cores)
	},
}

// coresRule wants the cores free: total times over-commit ratio, less what is used and given out.
var coresRule = rule{
	reason:  InsufficientCores,
	stage:   stageRoom,
	counted: true,
	rejects: func(q *query, c *host) bool { return q.need.Cores > c.coresLeft() },
	explain: func(q *query, c *host) string {
		free := c.coresLeft()
		has := fmt.Sprintf("has %d", max(free, 0))
		if free < 0 {
			has = fmt.Sprintf("has none: the host is %d over its limit", -free)
		}
		return fmt.Sprintf("needs %s, %s%s", count(q.need.Cores, "core"), has, givenOut(c.load.cores, fmt.Sprint(c.load.cores)))
	},
}
