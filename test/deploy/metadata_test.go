package deploy_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clusterctlv1 "sigs.k8s.io/cluster-api/cmd/clusterctl/api/v1alpha3"
	"sigs.k8s.io/yaml"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/capmaas/capmaas/test/apiserver"
)

func TestMetadata_knows_the_releases_of_the_existing_provider(t *testing.T) {
	t.Parallel()
	root, err := apiserver.Root()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, "deploy", "metadata.yaml"))
	require.NoError(t, err)
	var metadata clusterctlv1.Metadata
	require.NoError(t, yaml.UnmarshalStrict(text, &metadata))
	assert.Equal(t, clusterctlv1.GroupVersion.String(), metadata.APIVersion)
	contracts := map[int32]string{}
	for _, series := range metadata.ReleaseSeries {
		assert.Zero(t, series.Major)
		contracts[series.Minor] = series.Contract
	}
	for minor := int32(4); minor <= 8; minor++ {
		assert.Equal(t, "v1beta1", contracts[minor], "v0.%d", minor)
	}
	assert.Equal(t, clusterv1.GroupVersion.Version, contracts[9], "v0.9 keeps the contract of today, and so must what follows it")
	assert.Equal(t, clusterv1.GroupVersion.Version, contracts[10])
}
