package server_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

func TestRegionProvisioner_answers_faults(t *testing.T) {
	t.Parallel()
	answersFaults(t, "RegionProvisioner", "GetRegion")
}

func TestEnsureEndpoint_tells_an_unset_time_to_live_from_zero(t *testing.T) {
	t.Parallel()
	d := newDesk()
	client := lxdprovisionerv1.NewRegionProvisionerClient(dial(t, d))
	_, err := client.EnsureEndpoint(t.Context(), &lxdprovisionerv1.EnsureEndpointRequest{})
	require.NoError(t, err)
	asked, ok := d.asked.(endpointRequest)
	require.True(t, ok)
	assert.Nil(t, asked.ttl)
	zero := int32(0)
	_, err = client.EnsureEndpoint(t.Context(), &lxdprovisionerv1.EnsureEndpointRequest{TtlSeconds: &zero})
	require.NoError(t, err)
	asked, ok = d.asked.(endpointRequest)
	require.True(t, ok)
	require.NotNil(t, asked.ttl)
	assert.Zero(t, *asked.ttl)
}
