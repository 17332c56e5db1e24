package maascluster_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

func TestFailureDomains_R3_1_of_a_MAAS_with_more_zones_than_fit_are_those_with_hosts_first(t *testing.T) {
	t.Parallel()
	var zones []string
	for i := range 120 {
		zones = append(zones, fmt.Sprintf("az%03d", i))
	}
	bed := managertest.New(t, provisionertest.Config{
		Zones: zones,
		Hosts: []provisionertest.Host{{Name: "lxd-01", Zone: "az000", Pool: "lxd"}, {Name: "lxd-02", Zone: "az119", Pool: "lxd"}},
	})
	bed.ProvisionCluster(t)
	condition := bed.WaitCondition(t, bed.OfCluster, infrav1.FailureDomainsCompleteCondition, infrav1.TooManyZonesReason)
	assert.Equal(t, metav1.ConditionFalse, condition.Status)
	assert.Contains(t, condition.Message, "MAAS has 120 zones")
	bed.WaitCondition(t, bed.OfCluster, clusterv1.ReadyCondition, clusterv1.ReadyReason)
	infra := bed.Cluster(t)
	require.Len(t, infra.Status.FailureDomains, 100)
	var names, forControlPlanes []string
	for _, d := range infra.Status.FailureDomains {
		names = append(names, d.Name)
		if ptr.Deref(d.ControlPlane, false) {
			forControlPlanes = append(forControlPlanes, d.Name)
		}
	}
	assert.True(t, slices.IsSorted(names))
	assert.Equal(t, []string{"az000", "az119"}, forControlPlanes)

	before := infra.DeepCopy()
	infra.Spec.FailureDomains = []string{"az119"}
	require.NoError(t, bed.Client.Patch(t.Context(), infra, client.MergeFrom(before)))
	bed.WaitCondition(t, bed.OfCluster, infrav1.FailureDomainsCompleteCondition, infrav1.FailureDomainsCompleteReason)
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.Len(c, bed.Cluster(c).Status.FailureDomains, 1)
	}, "conditions are written apart from the rest of the status")
}
