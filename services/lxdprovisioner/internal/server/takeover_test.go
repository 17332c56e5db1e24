package server_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

func TestTakeOverMachine_tells_VMs_from_physical_machines(t *testing.T) {
	t.Parallel()
	d := newDesk()
	client := lxdprovisionerv1.NewRegionProvisionerClient(dial(t, d))
	request := &lxdprovisionerv1.TakeOverMachineRequest{
		SystemId: "abc123", AgentName: "capmaas/w-0-x7k2p", Names: []string{"vm-w-0"}, Owner: &lxdprovisionerv1.Owner{Machine: "w-0"},
	}

	d.taken = provision.Taken{Machine: &d.machine}
	answer, err := client.TakeOverMachine(t.Context(), request)
	require.NoError(t, err)
	assert.Equal(t, "maas:///az1/abc123", answer.GetMachine().GetProviderId())
	assert.Nil(t, answer.GetVm())
	assert.Equal(t, provision.TakeOverRequest{
		SystemID: "abc123", AgentName: "capmaas/w-0-x7k2p", Names: []string{"vm-w-0"}, Owner: provision.Owner{Machine: "w-0"},
	}, d.asked)

	d.taken = provision.Taken{VM: &d.vm}
	answer, err = client.TakeOverMachine(t.Context(), request)
	require.NoError(t, err)
	assert.Equal(t, d.vm.Hostname, answer.GetVm().GetName())
	assert.Nil(t, answer.GetMachine())
}
