package placement

import (
	"fmt"
	"slices"
)

// OtherZone is OTHER_ZONE of the contract.
const OtherZone Reason = "OTHER_ZONE"

// zoneRule keeps to the zone and to the zones; where both are named both must hold.
var zoneRule = rule{
	reason: OtherZone,
	phrase: [2]string{"is in another zone", "are in another zone"},
	stage:  stageZone,
	asked:  func(q *query) bool { return q.want.Zone != "" || len(q.want.Zones) > 0 },
	alike:  func(q *query, k *kind) bool { return q.outside(k.Zone) },
	explain: func(q *query, c *host) string {
		zones := q.want.Zones
		if outsideZone(q, c.Zone.Name) {
			zones = []string{q.want.Zone}
		}
		return fmt.Sprintf("is in zone %q, not in %s", c.Zone.Name, anyOf(zones))
	},
}

// outside says whether the request rules the zone out.
func (q *query) outside(zone string) bool {
	return outsideZone(q, zone) || len(q.want.Zones) > 0 && !slices.Contains(q.want.Zones, zone)
}

func outsideZone(q *query, zone string) bool { return q.want.Zone != "" && zone != q.want.Zone }

// zonesText words the zones that are asked for.
func (w *Constraints) zonesText() string {
	switch {
	case w.Zone == "":
		return anyOf(w.Zones)
	case len(w.Zones) == 0:
		return anyOf([]string{w.Zone})
	default:
		return fmt.Sprintf("%s with only %s allowed", anyOf([]string{w.Zone}), allOf(w.Zones))
	}
}
