package placement

import (
	"fmt"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// NotLXD is NOT_LXD of the contract.
const NotLXD Reason = "NOT_LXD"

// lxdRule keeps VM hosts of other types out: on virsh hosts MAAS makes other VMs.
var lxdRule = rule{
	reason:  NotLXD,
	phrase:  [2]string{"is not LXD", "are not LXD"},
	stage:   stageLXD,
	alone:   func(h *inventory.Host) bool { return h.Type != "lxd" },
	explain: func(_ *query, c *host) string { return fmt.Sprintf("is a VM host of type %q, not lxd", c.Type) },
}
