package placement

// inventoriedRule wants totals: a host that MAAS has not refreshed since it was added reports zeros.
var inventoriedRule = rule{
	reason:  HostNotInventoried,
	stage:   stageUsable,
	rejects: func(_ *query, c *host) bool { return c.Total.Cores <= 0 || c.Total.MemoryMiB <= 0 },
	explain: func(_ *query, _ *host) string {
		return "MAAS does not know its cores and memory yet: refresh the host in MAAS"
	},
}
