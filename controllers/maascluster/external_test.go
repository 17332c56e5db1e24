package maascluster_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

// A MaasCluster that somebody else manages is left alone, also when its machines come and go.
func TestCluster_that_is_externally_managed_is_not_touched(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.CreateCluster(t, func(_ *clusterv1.Cluster, infra *infrav1.MaasCluster) {
		infra.Annotations = map[string]string{clusterv1.ManagedByAnnotation: "somebody"}
		infra.Spec.ControlPlaneEndpoint = infrav1.APIEndpoint{Host: "api.elsewhere.net", Port: 443}
	})
	bed.PatchCluster(t, func(cluster *clusterv1.Cluster) { cluster.Status.Initialization.InfrastructureProvisioned = new(true) })
	before := bed.Cluster(t).ResourceVersion
	bed.CreateMachine(t, "cp-0", managertest.LXD(), managertest.ControlPlane)
	bed.WaitProvisioned(t, "cp-0")
	bed.WaitCondition(t, bed.OfMachine("cp-0"), clusterv1.ReadyCondition, clusterv1.ReadyReason)
	bed.WaitCondition(t, bed.OfMachine("cp-0"), infrav1.DNSAttachedCondition, infrav1.CustomEndpointReason)
	assert.Equal(t, before, bed.Cluster(t).ResourceVersion)
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.EnsureEndpointRequest](bed.Fake))

	host := ptr.Deref(bed.Machine(t, "cp-0").Status.LXDHost, "")
	bed.Fake.SetHostOnline(host, false)
	bed.DeleteMachine(t, "cp-0")
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.NotEmpty(c, bed.Machine(c, "cp-0").Annotations[infrav1.HostUnreachableSinceAnnotation])
	}, "its host does not answer")
	bed.Fake.SetHostOnline(host, true)
	bed.WaitGone(t, "cp-0")
	assert.Empty(t, bed.Fake.VMs())
	assert.Equal(t, before, bed.Cluster(t).ResourceVersion, "no list is left where nobody waits for it")
}
