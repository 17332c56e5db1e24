package placement

import "github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"

// zonedRule wants a zone: a composition names its host's, or the VM lands in MAAS's default zone.
var zonedRule = rule{
	reason:  NotComposable,
	stage:   stageUsable,
	alone:   func(h *inventory.Host) bool { return h.Zone.Name == "" },
	explain: func(_ *query, _ *host) string { return "is in no zone: put the host into one in MAAS" },
}
