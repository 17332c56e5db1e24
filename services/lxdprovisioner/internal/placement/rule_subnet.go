package placement

import (
	"fmt"
	"slices"
)

// subnetRule wants an interface in the VLAN of every subnet: whether the host has an address in the
// subnet does not matter, since the VM is linked to it.
var subnetRule = rule{
	reason: NetworkMissing,
	stage:  stageMatch,
	asked:  func(q *query) bool { return len(q.want.Subnets) > 0 },
	alike:  func(q *query, k *kind) bool { return missingSubnet(q, k.VLANs) >= 0 },
	explain: func(q *query, c *host) string {
		subnet := clip(q.want.Subnets[missingSubnet(q, c.VLANs)].Name, nameLimit)
		if len(c.VLANs) == 0 {
			return fmt.Sprintf("needs the network of subnet %q, MAAS knows no network there", subnet)
		}
		return fmt.Sprintf("needs the network of subnet %q, none of its interfaces is in that VLAN", subnet)
	},
}

// missingSubnet gives the index of the first subnet that is in none of the VLANs, -1 where all are.
func missingSubnet(q *query, vlans []int) int {
	return slices.IndexFunc(q.want.Subnets, func(s Subnet) bool { return !slices.Contains(vlans, s.VLANID) })
}
