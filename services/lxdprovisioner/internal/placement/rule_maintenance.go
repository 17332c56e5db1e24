package placement

import (
	"fmt"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// The tags by which operators take a host out of placement; on the VM host or on its machine.
const (
	TagMaintenance = "maas-lxd-host-maintenance"
	TagNoSchedule  = "maas-lxd-host-noschedule"
)

// HostMaintenance is HOST_MAINTENANCE of the contract.
const HostMaintenance Reason = "HOST_MAINTENANCE"

// maintenanceRule keeps hosts out that an operator works on.
var maintenanceRule = rule{
	reason:  HostMaintenance,
	phrase:  [2]string{"is under maintenance", "are under maintenance"},
	stage:   stageUsable,
	alone:   func(h *inventory.Host) bool { return maintenanceTag(h) != "" },
	explain: func(_ *query, c *host) string { return fmt.Sprintf("has the tag %s", maintenanceTag(c.Host)) },
}

// maintenanceTag gives the tag that takes the host out; empty where there is none.
func maintenanceTag(h *inventory.Host) string {
	if tag := firstMaintenanceTag(h.Tags); tag != "" || h.Machine == nil {
		return tag
	}
	return firstMaintenanceTag(h.Machine.Tags)
}

func firstMaintenanceTag(tags []string) string {
	for _, tag := range tags {
		if tag == TagMaintenance || tag == TagNoSchedule {
			return tag
		}
	}
	return ""
}
