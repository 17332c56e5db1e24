package placement

import (
	"fmt"
	"path"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// HostNotInventoried is HOST_NOT_INVENTORIED of the contract.
const HostNotInventoried Reason = "HOST_NOT_INVENTORIED"

// inventoriedRule wants totals: a host that MAAS has not refreshed since it was added reports zeros.
// It is left to the operator to refresh it: a refresh imports what else runs on the host.
var inventoriedRule = rule{
	reason: HostNotInventoried,
	phrase: [2]string{"is not inventoried", "are not inventoried"},
	stage:  stageUsable,
	alone:  func(h *inventory.Host) bool { return h.Total.Cores <= 0 || h.Total.MemoryMiB <= 0 },
	explain: func(_ *query, c *host) string {
		return fmt.Sprintf("MAAS does not know its cores and memory yet: refresh the host in MAAS, for example with \"maas $PROFILE vm-host refresh %s\"",
			path.Base(string(c.ID)))
	},
}
