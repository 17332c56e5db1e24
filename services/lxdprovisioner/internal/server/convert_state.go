package server

import (
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// stateOf reduces MAAS's statuses to what a caller acts on. A status that is not here is OTHER.
var stateOf = map[inventory.Status]lxdprovisionerv1.MachineState{
	inventory.StatusNew:                 lxdprovisionerv1.MachineState_MACHINE_STATE_NEW,
	inventory.StatusCommissioning:       lxdprovisionerv1.MachineState_MACHINE_STATE_COMMISSIONING,
	inventory.StatusTesting:             lxdprovisionerv1.MachineState_MACHINE_STATE_COMMISSIONING,
	inventory.StatusReady:               lxdprovisionerv1.MachineState_MACHINE_STATE_READY,
	inventory.StatusAllocated:           lxdprovisionerv1.MachineState_MACHINE_STATE_ALLOCATED,
	inventory.StatusDeploying:           lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYING,
	inventory.StatusDeployed:            lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYED,
	inventory.StatusReleasing:           lxdprovisionerv1.MachineState_MACHINE_STATE_RELEASING,
	inventory.StatusDiskErasing:         lxdprovisionerv1.MachineState_MACHINE_STATE_RELEASING,
	inventory.StatusFailedCommissioning: lxdprovisionerv1.MachineState_MACHINE_STATE_FAILED,
	inventory.StatusFailedTesting:       lxdprovisionerv1.MachineState_MACHINE_STATE_FAILED,
	inventory.StatusFailedDeployment:    lxdprovisionerv1.MachineState_MACHINE_STATE_FAILED,
	inventory.StatusFailedReleasing:     lxdprovisionerv1.MachineState_MACHINE_STATE_FAILED,
	inventory.StatusFailedDiskErasing:   lxdprovisionerv1.MachineState_MACHINE_STATE_FAILED,
	inventory.StatusBroken:              lxdprovisionerv1.MachineState_MACHINE_STATE_BROKEN,
	inventory.StatusMissing:             lxdprovisionerv1.MachineState_MACHINE_STATE_BROKEN,
	inventory.StatusRetired:             lxdprovisionerv1.MachineState_MACHINE_STATE_BROKEN,
}

func toState(s inventory.Status) lxdprovisionerv1.MachineState {
	if state, ok := stateOf[s]; ok {
		return state
	}
	return lxdprovisionerv1.MachineState_MACHINE_STATE_OTHER
}

// fromState gives the statuses that a state stands for; none for a caller that knows no state.
func fromState(state lxdprovisionerv1.MachineState) []inventory.Status {
	var statuses []inventory.Status
	for s := inventory.StatusNew; s.FilterWord() != ""; s++ {
		if toState(s) == state {
			statuses = append(statuses, s)
		}
	}
	return statuses
}

func toPower(p inventory.Power) lxdprovisionerv1.PowerState {
	switch p {
	case inventory.PowerOn:
		return lxdprovisionerv1.PowerState_POWER_STATE_ON
	case inventory.PowerOff:
		return lxdprovisionerv1.PowerState_POWER_STATE_OFF
	case inventory.PowerError:
		return lxdprovisionerv1.PowerState_POWER_STATE_ERROR
	default:
		return lxdprovisionerv1.PowerState_POWER_STATE_UNSPECIFIED
	}
}
