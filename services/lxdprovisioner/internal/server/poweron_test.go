package server_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

func TestPowerOnMachine_says_whether_it_was_sent(t *testing.T) {
	t.Parallel()
	d := newDesk()
	client := lxdprovisionerv1.NewRegionProvisionerClient(dial(t, d))
	for _, sent := range []bool{true, false} {
		d.powered = provision.PoweredOn{Machine: inventory.Machine{Hostname: "w-0", Power: inventory.PowerOff}, Owner: &mark, Sent: sent}
		answer, err := client.PowerOnMachine(t.Context(), &lxdprovisionerv1.PowerOnMachineRequest{SystemId: "abc123", Owner: &lxdprovisionerv1.Owner{Machine: "w-0"}})
		require.NoError(t, err)
		assert.Equal(t, sent, answer.GetSent())
		assert.Equal(t, lxdprovisionerv1.PowerState_POWER_STATE_OFF, answer.GetStatus().GetPower())
		assert.Equal(t, mark.Machine, answer.GetStatus().GetOwner().GetMachine())
		assert.Equal(t, powerOnRequest{"abc123", provision.Owner{Machine: "w-0"}}, d.asked)
	}
}
