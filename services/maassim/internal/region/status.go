package region

import "slices"

// status is a machine's status (MAAS: NODE_STATUS).
type status int

const (
	statusNew                  status = 0
	statusCommissioning        status = 1
	statusFailedCommissioning  status = 2
	statusMissing              status = 3
	statusReady                status = 4
	statusReserved             status = 5
	statusDeployed             status = 6
	statusRetired              status = 7
	statusBroken               status = 8
	statusDeploying            status = 9
	statusAllocated            status = 10
	statusFailedDeployment     status = 11
	statusReleasing            status = 12
	statusFailedReleasing      status = 13
	statusDiskErasing          status = 14
	statusFailedDiskErasing    status = 15
	statusRescueMode           status = 16
	statusEnteringRescue       status = 17
	statusFailedEnteringRescue status = 18
	statusExitingRescue        status = 19
	statusFailedExitingRescue  status = 20
	statusTesting              status = 21
	statusFailedTesting        status = 22
)

// statusNames are the names used by filters and the names shown to people.
var statusNames = [...]struct{ filter, label string }{
	statusNew:                  {"new", "New"},
	statusCommissioning:        {"commissioning", "Commissioning"},
	statusFailedCommissioning:  {"failed_commissioning", "Failed commissioning"},
	statusMissing:              {"missing", "Missing"},
	statusReady:                {"ready", "Ready"},
	statusReserved:             {"reserved", "Reserved"},
	statusDeployed:             {"deployed", "Deployed"},
	statusRetired:              {"retired", "Retired"},
	statusBroken:               {"broken", "Broken"},
	statusDeploying:            {"deploying", "Deploying"},
	statusAllocated:            {"allocated", "Allocated"},
	statusFailedDeployment:     {"failed_deployment", "Failed deployment"},
	statusReleasing:            {"releasing", "Releasing"},
	statusFailedReleasing:      {"failed_releasing", "Releasing failed"},
	statusDiskErasing:          {"disk_erasing", "Disk erasing"},
	statusFailedDiskErasing:    {"failed_disk_erasing", "Failed disk erasing"},
	statusRescueMode:           {"rescue_mode", "Rescue mode"},
	statusEnteringRescue:       {"entering_rescue_mode", "Entering rescue mode"},
	statusFailedEnteringRescue: {"failed_entering_rescue_mode", "Failed to enter rescue mode"},
	statusExitingRescue:        {"exiting_rescue_mode", "Exiting rescue mode"},
	statusFailedExitingRescue:  {"failed_exiting_rescue_mode", "Failed to exit rescue mode"},
	statusTesting:              {"testing", "Testing"},
	statusFailedTesting:        {"failed_testing", "Failed testing"},
}

func (s status) String() string { return statusNames[s].label }

// parseStatus reads a status by its filter name.
func parseStatus(name string) (status, bool) {
	for i, n := range statusNames {
		if n.filter == name {
			return status(i), true
		}
	}
	return 0, false
}

// in reports whether the status is one of those.
func (s status) in(list ...status) bool {
	return slices.Contains(list, s)
}

// releasable are the statuses that op=release accepts (MAAS: RELEASABLE_STATUSES).
var releasable = []status{
	statusAllocated, statusReserved, statusBroken, statusDeploying, statusDeployed, statusFailedDeployment,
	statusFailedDiskErasing, statusFailedReleasing,
}

// commissionable are the statuses from which a machine may be commissioned.
var commissionable = []status{statusNew, statusReady, statusFailedCommissioning, statusBroken}

// linkable are the statuses in which links may be changed.
var linkable = []status{statusNew, statusReady, statusAllocated, statusBroken, statusFailedTesting}
