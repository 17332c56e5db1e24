package placement

import (
	"fmt"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// HostPoweredOff is HOST_POWERED_OFF of the contract.
const HostPoweredOff Reason = "HOST_POWERED_OFF"

// poweredOnRule keeps hosts out whose machine MAAS saw powered off. A state that MAAS does not know
// passes: many hosts are deployed with the power type manual.
var poweredOnRule = rule{
	reason: HostPoweredOff,
	phrase: [2]string{"is powered off", "are powered off"},
	stage:  stageUsable,
	alone: func(h *inventory.Host) bool {
		return h.Machine != nil && h.Machine.Power == inventory.PowerOff
	},
	explain: func(_ *query, c *host) string { return fmt.Sprintf("its machine %s is powered off", c.SystemID) },
}
