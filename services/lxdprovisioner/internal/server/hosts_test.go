package server_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

func TestSelectHost_tells_the_choice_the_rest_and_every_rejection(t *testing.T) {
	t.Parallel()
	answer, err := lxdprovisionerv1.NewLXDProvisionerClient(dial(t, newDesk())).SelectHost(t.Context(), &lxdprovisionerv1.SelectHostRequest{VmName: "cp-0"})
	require.NoError(t, err)
	assert.Equal(t, "lxd-1", answer.GetChosen().GetHostName())
	assert.Equal(t, "vmhost/12", answer.GetCandidates()[0].GetHostId())
	assert.NotEmpty(t, answer.GetChosen().GetTerms())
	require.Len(t, answer.GetRejections(), 1)
	assert.Equal(t, "lxd-2", answer.GetRejections()[0].GetHostName())
	assert.Equal(t, int32(2), answer.GetSnapshot().GetHosts())
	assert.Equal(t, readAt, answer.GetSnapshot().GetReadAt().AsTime())
}
