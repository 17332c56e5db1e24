package placement

import "fmt"

// InsufficientMemory is INSUFFICIENT_MEMORY of the contract.
const InsufficientMemory Reason = "INSUFFICIENT_MEMORY"

// largestMemoryRule keeps to MAAS's limit for one VM: the physical total, whatever the ratio.
var largestMemoryRule = rule{
	reason:  InsufficientMemory,
	phrase:  [2]string{"lacks memory", "lack memory"},
	stage:   stageSize,
	counted: true,
	rejects: func(q *query, c *host) bool { return q.need.MemoryMiB > c.totalMemory },
	explain: func(q *query, c *host) string {
		needs, has := memoryPair(q.need.MemoryMiB, c.Total.MemoryMiB)
		return fmt.Sprintf("needs %s, one VM can have at most the host's %s", needs, has)
	},
}

// memoryRule wants the memory free: total times over-commit ratio, less what is used and given out.
var memoryRule = rule{
	reason:  InsufficientMemory,
	stage:   stageRoom,
	counted: true,
	rejects: func(q *query, c *host) bool { return q.need.MemoryMiB > c.memoryLeft() },
	explain: func(q *query, c *host) string {
		free := c.memoryLeft()
		needs, has := memoryPair(q.need.MemoryMiB, max(free, 0))
		has = "has " + has
		if free < 0 {
			has = fmt.Sprintf("has none: the host is %s over its limit", memoryText(-free))
		}
		return fmt.Sprintf("needs %s, %s%s", needs, has, givenOut(c.load.memoryMiB, memoryText(c.load.memoryMiB)))
	},
}
