package placement

import (
	"slices"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// NotComposable is NOT_COMPOSABLE of the contract.
const NotComposable Reason = "NOT_COMPOSABLE"

// composableRule wants MAAS's word that it can make VMs there; a host that MAAS has never reached,
// or that never trusted MAAS, has no capabilities at all.
var composableRule = rule{
	reason: NotComposable,
	phrase: [2]string{"is not composable", "are not composable"},
	stage:  stageUsable,
	alone:  func(h *inventory.Host) bool { return !slices.Contains(h.Capabilities, "composable") },
	explain: func(_ *query, _ *host) string {
		return "is not composable: MAAS has not reached its LXD, or LXD does not trust MAAS"
	},
}
