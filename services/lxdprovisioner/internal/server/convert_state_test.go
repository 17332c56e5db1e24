package server_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

func TestStates_every_status_of_MAAS_is_in_exactly_one_state(t *testing.T) {
	t.Parallel()
	d := &desk{}
	client := lxdprovisionerv1.NewLXDProvisionerClient(dial(t, d))
	seen := map[inventory.Status]lxdprovisionerv1.MachineState{}
	for number := range lxdprovisionerv1.MachineState_name {
		state := lxdprovisionerv1.MachineState(number)
		stream, err := client.WatchVMs(t.Context(), &lxdprovisionerv1.WatchVMsRequest{Vms: []*lxdprovisionerv1.WatchedVM{{Known: state}}})
		require.NoError(t, err)
		_, err = stream.Recv()
		require.Error(t, err)
		watched, ok := d.asked.([]provision.WatchedVM)
		require.True(t, ok)
		if state == lxdprovisionerv1.MachineState_MACHINE_STATE_UNSPECIFIED {
			assert.Empty(t, watched[0].Known, "a caller that knows no state is told everything")
			continue
		}
		assert.NotEmpty(t, watched[0].Known, "%s stands for no status of MAAS", state)
		for _, status := range watched[0].Known {
			assert.NotContains(t, seen, status)
			seen[status] = state
		}
	}
	for status := inventory.StatusNew; status.FilterWord() != ""; status++ {
		require.Contains(t, seen, status, "status %s of MAAS is in no state", status.FilterWord())
		answer, err := lxdprovisionerv1.NewLXDProvisionerClient(dial(t, &desk{vm: provision.VM{Machine: inventory.Machine{Status: status}}})).
			GetVM(t.Context(), &lxdprovisionerv1.GetVMRequest{})
		require.NoError(t, err)
		assert.Equal(t, seen[status], answer.GetVm().GetStatus().GetState(), "there and back for %s", status.FilterWord())
	}
}

func TestStates_of_statuses_on_which_callers_act(t *testing.T) {
	t.Parallel()
	for status, want := range map[inventory.Status]lxdprovisionerv1.MachineState{
		inventory.StatusTesting:          lxdprovisionerv1.MachineState_MACHINE_STATE_COMMISSIONING,
		inventory.StatusReady:            lxdprovisionerv1.MachineState_MACHINE_STATE_READY,
		inventory.StatusAllocated:        lxdprovisionerv1.MachineState_MACHINE_STATE_ALLOCATED,
		inventory.StatusDeployed:         lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYED,
		inventory.StatusDiskErasing:      lxdprovisionerv1.MachineState_MACHINE_STATE_RELEASING,
		inventory.StatusFailedDeployment: lxdprovisionerv1.MachineState_MACHINE_STATE_FAILED,
		inventory.StatusMissing:          lxdprovisionerv1.MachineState_MACHINE_STATE_BROKEN,
		inventory.StatusRescueMode:       lxdprovisionerv1.MachineState_MACHINE_STATE_OTHER,
		inventory.Status(99):             lxdprovisionerv1.MachineState_MACHINE_STATE_OTHER,
	} {
		answer, err := lxdprovisionerv1.NewLXDProvisionerClient(dial(t, &desk{vm: provision.VM{Machine: inventory.Machine{Status: status}}})).
			GetVM(t.Context(), &lxdprovisionerv1.GetVMRequest{})
		require.NoError(t, err)
		assert.Equal(t, want, answer.GetVm().GetStatus().GetState(), "status %d", status)
	}
}

func TestStates_of_power(t *testing.T) {
	t.Parallel()
	for power, want := range map[inventory.Power]lxdprovisionerv1.PowerState{
		inventory.PowerOn:      lxdprovisionerv1.PowerState_POWER_STATE_ON,
		inventory.PowerOff:     lxdprovisionerv1.PowerState_POWER_STATE_OFF,
		inventory.PowerError:   lxdprovisionerv1.PowerState_POWER_STATE_ERROR,
		inventory.PowerUnknown: lxdprovisionerv1.PowerState_POWER_STATE_UNSPECIFIED,
	} {
		answer, err := lxdprovisionerv1.NewLXDProvisionerClient(dial(t, &desk{vm: provision.VM{Machine: inventory.Machine{Power: power}}})).
			GetVM(t.Context(), &lxdprovisionerv1.GetVMRequest{})
		require.NoError(t, err)
		assert.Equal(t, want, answer.GetVm().GetStatus().GetPower())
	}
}
