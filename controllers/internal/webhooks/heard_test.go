package webhooks_test

import (
	"maps"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/webhooks"
)

// heard lists the fields of a MaasCluster that do something, with the test that shows it. MaasMachines' fields are walked in
// package maasmachine, which makes requests of them.
var heard = map[string]string{
	"DNSDomain":            "maascluster.TestCluster_gets_its_endpoint_before_the_record_and_loses_both",
	"ControlPlaneEndpoint": "maascluster.TestEndpoint_R6_4_the_port_is_the_Clusters_else_the_specs",
	"FailureDomains":       "maascluster.TestFailureDomains_R3_1_are_MAASs_zones_unless_the_spec_names_some",
	"OnHostLost":           "maasmachine.TestDelete_X4_6_a_cluster_may_rather_wait_for_its_lost_hosts",
}

func TestMaasCluster_P8_no_field_is_taken_and_ignored(t *testing.T) {
	t.Parallel()
	said := func(spec infrav1.MaasClusterSpec) []string {
		spec.DNSDomain = "maas"
		warnings, err := (&webhooks.MaasCluster{}).ValidateCreate(t.Context(), &infrav1.MaasCluster{Spec: spec})
		require.NoError(t, err)
		return warnings
	}
	assert.Empty(t, said(infrav1.MaasClusterSpec{}))
	spec, known := reflect.TypeFor[infrav1.MaasClusterSpec](), maps.Clone(heard)
	for i := range spec.NumField() {
		name := spec.Field(i).Name
		if _, ok := known[name]; ok {
			delete(known, name)
			continue
		}
		// Nothing below it is heard either, so one warning speaks for all of it.
		value := reflect.New(spec).Elem()
		require.Equal(t, reflect.Pointer, value.Field(i).Kind(), "%s does nothing, and must be a block that can be told of", name)
		value.Field(i).Set(reflect.New(value.Field(i).Type().Elem()))
		one, ok := reflect.TypeAssert[infrav1.MaasClusterSpec](value)
		require.True(t, ok)
		assert.NotEmpty(t, said(one), "who sets %s is told nothing of it", name)
	}
	assert.Empty(t, known, "listed and no field any more")
}
