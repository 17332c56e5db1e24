package placement

import (
	"fmt"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// HostNotDeployed is HOST_NOT_DEPLOYED of the contract.
const HostNotDeployed Reason = "HOST_NOT_DEPLOYED"

// deployedRule wants the host's own machine Deployed, where MAAS knows the machine.
var deployedRule = rule{
	reason: HostNotDeployed,
	phrase: [2]string{"is not deployed", "are not deployed"},
	stage:  stageUsable,
	alone: func(h *inventory.Host) bool {
		return h.Machine != nil && h.Machine.Status != inventory.StatusDeployed
	},
	explain: func(_ *query, c *host) string {
		word := c.Machine.Status.FilterWord()
		if word == "" {
			word = fmt.Sprintf("in status %d", c.Machine.Status)
		}
		return fmt.Sprintf("its machine %s is %s, not deployed", c.SystemID, word)
	},
}
