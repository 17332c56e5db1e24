package server_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

func TestBareMetalProvisioner_answers_faults(t *testing.T) {
	t.Parallel()
	answersFaults(t, "BareMetalProvisioner")
}

func TestGetMachine_R8_4_has_the_provider_id_of_bare_metal(t *testing.T) {
	t.Parallel()
	answer, err := lxdprovisionerv1.NewBareMetalProvisionerClient(dial(t, newDesk())).GetMachine(t.Context(), &lxdprovisionerv1.GetMachineRequest{})
	require.NoError(t, err)
	assert.Equal(t, "maas:///az1/abc123", answer.GetMachine().GetProviderId())
	assert.Equal(t, int64(60), answer.GetMachine().GetDiskGb())
}
