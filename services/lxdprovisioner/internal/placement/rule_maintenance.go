package placement

import "fmt"

// The tags by which operators take a host out of placement; on the VM host or on its machine.
const (
	TagMaintenance = "maas-lxd-host-maintenance"
	TagNoSchedule  = "maas-lxd-host-noschedule"
)

// maintenanceRule keeps hosts out that an operator works on.
var maintenanceRule = rule{
	reason:  HostMaintenance,
	stage:   stageUsable,
	rejects: func(_ *query, c *host) bool { return maintenanceTag(c) != "" },
	explain: func(_ *query, c *host) string { return fmt.Sprintf("has the tag %s", maintenanceTag(c)) },
}

// maintenanceTag gives the tag that takes the host out; empty where there is none.
func maintenanceTag(c *host) string {
	if tag := firstMaintenanceTag(c.Tags); tag != "" || c.Machine == nil {
		return tag
	}
	return firstMaintenanceTag(c.Machine.Tags)
}

func firstMaintenanceTag(tags []string) string {
	for _, tag := range tags {
		if tag == TagMaintenance || tag == TagNoSchedule {
			return tag
		}
	}
	return ""
}
