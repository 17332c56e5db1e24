package region

import (
	"container/heap"
	"fmt"
	"net/http"
	"time"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// transitions say into which statuses each may go (MAAS: NODE_TRANSITIONS).
var transitions = map[status][]status{
	statusNew: {statusCommissioning, statusTesting, statusMissing, statusReady, statusRetired, statusBroken, statusEnteringRescue},
	statusCommissioning: {
		statusFailedCommissioning, statusReady, statusRetired, statusMissing, statusNew, statusBroken, statusTesting,
	},
	statusFailedCommissioning: {statusCommissioning, statusMissing, statusRetired, statusBroken, statusEnteringRescue, statusTesting},
	statusReady: {
		statusEnteringRescue, statusCommissioning, statusAllocated, statusReserved, statusRetired, statusMissing, statusBroken, statusTesting,
	},
	statusReserved: {
		statusReady, statusAllocated, statusRetired, statusMissing, statusBroken, statusDiskErasing, statusReleasing, statusEnteringRescue,
		statusTesting,
	},
	statusAllocated: {
		statusReady, statusRetired, statusMissing, statusBroken, statusDeploying, statusDiskErasing, statusReleasing, statusEnteringRescue,
		statusTesting,
	},
	statusReleasing: {
		statusNew, statusAllocated, statusReserved, statusDeployed, statusReady, statusBroken, statusMissing, statusFailedDeployment,
		statusFailedDiskErasing, statusFailedReleasing,
	},
	statusDeploying: {
		statusAllocated, statusMissing, statusBroken, statusFailedDeployment, statusDeployed, statusReady, statusDiskErasing, statusReleasing,
	},
	statusFailedDeployment: {
		statusAllocated, statusMissing, statusBroken, statusReady, statusDiskErasing, statusReleasing, statusEnteringRescue, statusTesting,
	},
	statusDeployed: {
		statusAllocated, statusMissing, statusBroken, statusReady, statusDiskErasing, statusReleasing, statusEnteringRescue, statusTesting,
	},
	statusMissing: {
		statusNew, statusReady, statusAllocated, statusCommissioning, statusBroken, statusEnteringRescue, statusTesting,
	},
	statusRetired: {statusNew, statusReady, statusMissing, statusBroken, statusEnteringRescue, statusTesting},
	statusBroken: {
		statusCommissioning, statusReady, statusDiskErasing, statusReleasing, statusEnteringRescue, statusTesting, statusDeployed,
	},
	statusFailedReleasing: {statusReleasing, statusDiskErasing, statusReady, statusBroken, statusTesting},
	statusDiskErasing:     {statusBroken, statusFailedDiskErasing, statusReady, statusReleasing},
	statusFailedDiskErasing: {
		statusDiskErasing, statusReleasing, statusBroken, statusAllocated, statusReady, statusEnteringRescue, statusTesting,
	},
	statusEnteringRescue: {
		statusReady, statusBroken, statusDeployed, statusRescueMode, statusFailedEnteringRescue, statusExitingRescue,
	},
	statusFailedEnteringRescue: {statusBroken, statusEnteringRescue, statusExitingRescue, statusTesting},
	statusRescueMode:           {statusBroken, statusExitingRescue, statusTesting},
	statusExitingRescue: {
		statusNew, statusBroken, statusFailedCommissioning, statusReady, statusReserved, statusAllocated, statusFailedDeployment, statusDeployed,
		statusMissing, statusRetired, statusFailedReleasing, statusFailedDiskErasing, statusRescueMode, statusFailedEnteringRescue,
		statusFailedExitingRescue, statusFailedTesting,
	},
	statusFailedExitingRescue: {statusBroken, statusExitingRescue, statusTesting},
	statusTesting: {
		statusNew, statusReady, statusReserved, statusAllocated, statusDeployed, statusCommissioning, statusFailedDeployment, statusMissing,
		statusRetired, statusBroken, statusFailedReleasing, statusFailedDiskErasing, statusFailedEnteringRescue, statusFailedExitingRescue,
		statusFailedTesting,
	},
	statusFailedTesting: {
		statusCommissioning, statusBroken, statusMissing, statusEnteringRescue, statusTesting, statusReady, statusDeployed,
	},
}

// mayBecome reports whether MAAS lets a machine go from this status into the other; staying is always allowed.
func (s status) mayBecome(to status) bool { return s == to || to.in(transitions[s]...) }

// transition gives a machine a status, or answers the 409 of a change that MAAS does not allow.
func (r *Region) transition(m *machine, to status) error {
	if !m.status.mayBecome(to) {
		return rest.Text(http.StatusConflict, "Invalid transition: %s -> %s.", m.status, to)
	}
	r.machines.Touch(m)
	m.set(to)
	return nil
}

// releaseTimeout is how long MAAS waits for a released machine to be off, and for the end of rescue mode.
const releaseTimeout = 5 * time.Minute

// nodeTimeout is how long MAAS waits for a machine to report, by default (its setting node_timeout).
const nodeTimeout = 30 * time.Minute

// deployTimeout is how long a deployment may take; since 3.6 one workflow has twice the time.
func (r *Region) deployTimeout() time.Duration {
	if r.minor >= 6 {
		return 2 * nodeTimeout
	}
	return nodeTimeout
}

// expire plans that an operation fails when it has not ended in time.
func (r *Region) expire(d time.Duration, m *machine, failed status) {
	operation := m.status
	r.ids.plan++
	heap.Push(&r.agenda, planned{at: r.clock().Add(d), order: r.ids.plan, machine: m, epoch: m.epoch, timeout: true, do: func() {
		m.set(failed)
		r.failed(m, timedOut(operation, d))
	}})
}

// timedOut is MAAS's description of an operation that ran out of time (recording 571).
func timedOut(operation status, d time.Duration) string {
	return fmt.Sprintf("Node operation '%s' timed out after %d minutes.", operation, int(d.Minutes()))
}

// failedEvent is the type of the event of a machine that failed.
const failedEvent = "Marking node failed"

// failed notes why a machine failed.
func (r *Region) failed(m *machine, why string) {
	m.errorText = why
	r.note(m, "ERROR", failedEvent, why)
}
