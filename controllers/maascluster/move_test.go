package maascluster_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

// controlPlane makes control planes of these names and waits until the record holds them all.
func controlPlane(t *testing.T, bed *managertest.Bed, names ...string) {
	t.Helper()
	for _, name := range names {
		bed.CreateMachine(t, name, managertest.LXD(), managertest.ControlPlane)
		bed.WaitProvisioned(t, name)
		bed.APIServers.Set(addressOf(t, bed, name), true)
		bed.WaitCondition(t, bed.OfMachine(name), infrav1.DNSAttachedCondition, infrav1.DNSAttachedReason)
	}
	require.Len(t, recordOf(t, bed), len(names))
}

func TestEndpoint_X8_2_a_lost_status_takes_no_address_out_of_the_record(t *testing.T) {
	t.Parallel()
	names := []string{"cp-0", "cp-1", "cp-2"}
	bed := managertest.NewWithoutManager(t, provisionertest.Config{})
	bed.StartManager(t)
	bed.ProvisionCluster(t)
	controlPlane(t, bed, names...)
	record := recordOf(t, bed)
	bed.StopManager()
	for _, name := range names {
		m := bed.Machine(t, name)
		before := m.DeepCopy()
		m.Status = infrav1.MaasMachineStatus{}
		require.NoError(t, bed.Client.Status().Patch(t.Context(), m, client.MergeFrom(before)))
	}
	bed.Fake.FailEvery("GetVM", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "MAAS is silent"))
	written := len(provisionertest.Requests[*lxdprovisionerv1.EnsureEndpointRequest](bed.Fake))
	bed.StartManager(t)
	for _, name := range names {
		bed.WaitCondition(t, bed.OfMachine(name), infrav1.MachineDeployedCondition, infrav1.MachineNotFoundReason)
	}
	managertest.Eventually(t, func(c *managertest.Check) {
		requests := provisionertest.Requests[*lxdprovisionerv1.EnsureEndpointRequest](bed.Fake)
		require.Greater(c, len(requests), written)
		for _, request := range requests[written:] {
			assert.ElementsMatch(t, record, request.GetAddresses())
		}
	}, "the record is written again")
	bed.Fake.Heal()
	bed.WaitCondition(t, bed.OfMachine("cp-2"), infrav1.DNSAttachedCondition, infrav1.DNSAttachedReason)
	assert.ElementsMatch(t, record, recordOf(t, bed))
}

func TestEndpoint_X8_2_a_machine_without_addresses_leaves_the_record_only_where_MAAS_has_it_no_more(t *testing.T) {
	t.Parallel()
	for reason, stays := range map[string]bool{
		infrav1.MachineDeployedReason: true, infrav1.MachineNotFoundReason: true, infrav1.HostLostReason: true,
		infrav1.VMMissingReason: false, infrav1.MachineTerminatedReason: false,
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			bed := managertest.New(t, provisionertest.Config{})
			bed.ProvisionCluster(t)
			controlPlane(t, bed, "cp-0", "cp-1")
			record := recordOf(t, bed)
			if !stays {
				record = []string{addressOf(t, bed, "cp-1")}
			}
			m := bed.Machine(t, "cp-0")
			before := m.DeepCopy()
			metav1.SetMetaDataAnnotation(&m.ObjectMeta, clusterv1.PausedAnnotation, "true")
			require.NoError(t, bed.Client.Patch(t.Context(), m, client.MergeFrom(before)))
			bed.WaitCondition(t, bed.OfMachine("cp-0"), clusterv1.PausedCondition, clusterv1.PausedReason)
			bed.StopManager()
			m = bed.Machine(t, "cp-0")
			before = m.DeepCopy()
			m.Status = infrav1.MaasMachineStatus{}
			conditions.Set(m, metav1.Condition{Type: infrav1.MachineDeployedCondition, Status: metav1.ConditionUnknown, Reason: reason})
			require.NoError(t, bed.Client.Status().Patch(t.Context(), m, client.MergeFrom(before)))
			written := len(provisionertest.Requests[*lxdprovisionerv1.EnsureEndpointRequest](bed.Fake))
			bed.StartManager(t)
			managertest.Eventually(t, func(c *managertest.Check) {
				assert.Greater(c, len(provisionertest.Requests[*lxdprovisionerv1.EnsureEndpointRequest](bed.Fake)), written)
			}, "the record is written again")
			assert.ElementsMatch(t, record, recordOf(t, bed))
		})
	}
}

func TestEndpoint_R6_2_a_machine_goes_though_no_address_is_in_the_preferred_subnets(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	controlPlane(t, bed, "cp-0", "cp-1")
	stays := addressOf(t, bed, "cp-1")
	require.NoError(t, bed.Client.Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: bed.Namespace, Name: infrav1.PreferredSubnetConfigMap},
		Data:       map[string]string{infrav1.PreferredSubnetKey: "192.0.2.0/24"},
	}))
	bed.DeleteMachine(t, "cp-0")
	bed.WaitGone(t, "cp-0")
	assert.Equal(t, []string{stays}, recordOf(t, bed))
}

func TestEndpoint_X8_2_control_planes_that_all_go_do_not_wait_for_each_other(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	controlPlane(t, bed, "cp-0", "cp-1")
	bed.DeleteMachine(t, "cp-0")
	bed.DeleteMachine(t, "cp-1")
	bed.WaitGone(t, "cp-0")
	bed.WaitGone(t, "cp-1")
	assert.Empty(t, bed.Fake.Leftovers())
}
