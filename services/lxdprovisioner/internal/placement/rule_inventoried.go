package placement

import (
	"fmt"
	"path"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// HostNotInventoried is HOST_NOT_INVENTORIED of the contract.
const HostNotInventoried Reason = "HOST_NOT_INVENTORIED"

// inventoriedRule wants totals: a host that MAAS has not refreshed since it was added reports zeros.
// It is left to the operator to refresh it: a refresh makes machines of all VMs that it finds in the
// LXD project, and commissions them.
var inventoriedRule = rule{
	reason: HostNotInventoried,
	phrase: [2]string{"is not inventoried", "are not inventoried"},
	stage:  stageUsable,
	alone:  func(h *inventory.Host) bool { return h.Total.Cores <= 0 || h.Total.MemoryMiB <= 0 },
	explain: func(_ *query, c *host) string {
		return fmt.Sprintf("MAAS does not know its cores and memory yet: refresh it, for example with \"maas $PROFILE vm-host refresh %s\"; MAAS then also takes over the VMs that it finds in the LXD project",
			path.Base(string(c.ID)))
	},
}
