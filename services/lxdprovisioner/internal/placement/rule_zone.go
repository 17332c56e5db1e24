package placement

import (
	"fmt"
	"slices"
)

// zoneRule keeps to the zone and to the zones; where both are named both must hold.
var zoneRule = rule{
	reason: OtherZone,
	stage:  stageZone,
	rejects: func(q *query, c *host) bool {
		return q.want.Zone != "" && c.Zone.Name != q.want.Zone ||
			len(q.want.Zones) > 0 && !slices.Contains(q.want.Zones, c.Zone.Name)
	},
	explain: func(q *query, c *host) string {
		return fmt.Sprintf("is in zone %q, not in %s", c.Zone.Name, anyOf(q.want.zones()))
	},
}

// zones gives the zones that are asked for, the must before the allowed ones.
func (w *Constraints) zones() []string {
	if w.Zone != "" {
		return []string{w.Zone}
	}
	return w.Zones
}
