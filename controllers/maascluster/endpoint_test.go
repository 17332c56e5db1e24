package maascluster_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/endpoint"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

func TestCluster_gets_its_endpoint_before_the_record_and_loses_both(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.Fake.FailNext("EnsureEndpoint", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "MAAS is silent"))
	bed.ProvisionCluster(t)
	infra := bed.Cluster(t)
	host := infra.Spec.ControlPlaneEndpoint.Host
	assert.Regexp(t, `^quay-[a-z0-9]{6}\.maas$`, host)
	assert.Equal(t, int32(6443), infra.Spec.ControlPlaneEndpoint.Port)
	assert.NotEmpty(t, infra.Annotations[infrav1.ClusterIDAnnotation])
	for _, request := range provisionertest.Requests[*lxdprovisionerv1.EnsureEndpointRequest](bed.Fake) {
		assert.Equal(t, host, request.GetRef().GetName()+"."+request.GetRef().GetDomain(), "every try is for the stored name")
		assert.Equal(t, int32(10), request.GetTtlSeconds())
	}
	require.NotNil(t, bed.Fake.Record(host))
	bed.WaitCondition(t, bed.OfCluster, infrav1.LoadBalancerReadyCondition, infrav1.LoadBalancerReadyReason)
	bed.WaitCondition(t, bed.OfCluster, infrav1.ProvisionerAvailableCondition, infrav1.ProvisionerAvailableReason)
	bed.WaitCondition(t, bed.OfCluster, clusterv1.ReadyCondition, clusterv1.ReadyReason)
	unknown := bed.WaitCondition(t, bed.OfCluster, infrav1.APIServerAvailableCondition, infrav1.APIServerNotReadyReason)
	assert.Equal(t, metav1.ConditionUnknown, unknown.Status, "an API server that nobody has seen blocks nothing")

	bed.CreateMachine(t, "cp-0", managertest.LXD(), managertest.ControlPlane)
	bed.WaitProvisioned(t, "cp-0")
	require.NoError(t, bed.Client.Delete(t.Context(), infra))
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.Equal(c, "waiting for 1 MaasMachines to be gone", ptr.Deref(conditions.Get(bed.Cluster(c), clusterv1.ReadyCondition), metav1.Condition{}).Message)
	}, "the cluster waits for its machine")
	assert.NotNil(t, bed.Fake.Record(host))
	bed.DeleteMachine(t, "cp-0")
	bed.WaitGone(t, "cp-0")
	managertest.Eventually(t, func(c *managertest.Check) {
		err := bed.Client.Get(t.Context(), bed.Key(managertest.ClusterName), &infrav1.MaasCluster{})
		assert.True(c, apierrors.IsNotFound(err))
	}, "the MaasCluster is gone")
	assert.Nil(t, bed.Fake.Record(host))
	assert.Empty(t, bed.Fake.Leftovers())
}

// recordOf gives the addresses of the cluster's record.
func recordOf(t require.TestingT, bed *managertest.Bed) []string {
	return bed.Fake.Record(bed.Cluster(t).Spec.ControlPlaneEndpoint.Host).GetAddresses()
}

// addressOf gives a machine's IP address.
func addressOf(t require.TestingT, bed *managertest.Bed, name string) string {
	for _, a := range bed.Machine(t, name).Status.Addresses {
		if a.Type == clusterv1.MachineExternalIP {
			return a.Address
		}
	}
	return ""
}

func TestEndpoint_X8_2_members_join_when_their_API_server_answers_and_leave_before_their_VM(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "cp-0", managertest.LXD(), managertest.ControlPlane)
	bed.WaitCondition(t, bed.OfMachine("cp-0"), infrav1.DNSAttachedCondition, infrav1.DNSAttachedReason)
	first := addressOf(t, bed, "cp-0")
	assert.Equal(t, []string{first}, recordOf(t, bed), "the first is believed without a probe")

	bed.CreateMachine(t, "cp-1", managertest.LXD(), managertest.ControlPlane)
	bed.CreateMachine(t, "cp-2", managertest.LXD(), managertest.ControlPlane)
	bed.CreateMachine(t, "worker", managertest.LXD())
	for _, name := range []string{"cp-1", "cp-2", "worker"} {
		bed.WaitProvisioned(t, name)
	}
	bed.WaitCondition(t, bed.OfMachine("cp-1"), infrav1.DNSAttachedCondition, infrav1.DNSAttachPendingReason)
	second, third := addressOf(t, bed, "cp-1"), addressOf(t, bed, "cp-2")
	bed.APIServers.Set(second, true)
	bed.WaitCondition(t, bed.OfMachine("cp-1"), infrav1.DNSAttachedCondition, infrav1.DNSAttachedReason)
	assert.ElementsMatch(t, []string{first, second}, recordOf(t, bed))

	// The control plane's provider says so of the third, which no probe reaches.
	owner := &clusterv1.Machine{}
	require.NoError(t, bed.Client.Get(t.Context(), bed.Key("cp-2"), owner))
	before := owner.DeepCopy()
	conditions.Set(owner, metav1.Condition{
		Type: controlplanev1.KubeadmControlPlaneMachineAPIServerPodHealthyCondition, Status: metav1.ConditionTrue, Reason: "Running",
	})
	require.NoError(t, bed.Client.Status().Patch(t.Context(), owner, client.MergeFrom(before)))
	bed.WaitCondition(t, bed.OfMachine("cp-2"), infrav1.DNSAttachedCondition, infrav1.DNSAttachedReason)
	assert.ElementsMatch(t, []string{first, second, third}, recordOf(t, bed))

	bed.APIServers.Set(second, false)
	bed.DeleteMachine(t, "cp-0")
	bed.WaitGone(t, "cp-0")
	assert.ElementsMatch(t, []string{second, third}, recordOf(t, bed), "a probe that fails removes nobody")
	requests := provisionertest.Requests[*lxdprovisionerv1.EnsureEndpointRequest](bed.Fake)
	assert.NotContains(t, requests[len(requests)-1].GetAddresses(), first)

	bed.DeleteMachine(t, "cp-1")
	bed.WaitGone(t, "cp-1")
	bed.DeleteMachine(t, "cp-2")
	bed.WaitGone(t, "cp-2")
	assert.Empty(t, bed.Fake.Leftovers(), "only addresses that machines hold are ever written")
}

// A machine of the existing provider counts as deployed once it was taken over, which comes after the first look at its cluster, or never
// where another MAAS user holds it.
func TestEndpoint_X8_2_what_the_existing_providers_record_holds_stays_in_it(t *testing.T) {
	t.Parallel()
	bed := managertest.NewWithoutManager(t, provisionertest.Config{})
	bed.CreateCluster(t, func(_ *clusterv1.Cluster, infra *infrav1.MaasCluster) {
		infra.Spec.ControlPlaneEndpoint = infrav1.APIEndpoint{Host: "quay-a1b2c3.maas", Port: 6443}
	})
	addresses := []string{"10.0.9.1", "10.0.9.2", "10.0.9.3"}
	_, err := bed.Fake.EnsureEndpoint(t.Context(), &lxdprovisionerv1.EnsureEndpointRequest{
		Ref: &lxdprovisionerv1.EndpointRef{Name: "quay-a1b2c3", Domain: "maas"}, Addresses: addresses,
	})
	require.NoError(t, err)
	bed.Fake.ForgetRequests()
	bed.Fake.FailEvery("TakeOverMachine", provisionertest.Fault(errorinfo.Conflict, lxdprovisionerv1.Reason_REASON_NAME_TAKEN, "somebody else holds it"))
	for i, address := range addresses {
		name := fmt.Sprintf("cp-%d", i)
		spec := managertest.Metal()
		spec.SystemID, spec.ProviderID = new("aaaaa"+name), new("maas:///az1/aaaaa"+name)
		bed.CreateMachine(t, name, spec, managertest.ControlPlane)
		m := bed.Machine(t, name)
		before := m.DeepCopy()
		m.Status.Addresses = []clusterv1.MachineAddress{{Type: clusterv1.MachineExternalIP, Address: address}}
		require.NoError(t, bed.Client.Status().Patch(t.Context(), m, client.MergeFrom(before)))
	}
	bed.Fake.FailNext("GetEndpoint", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "MAAS is silent"))
	bed.StartManager(t)
	bed.WaitCondition(t, bed.OfCluster, infrav1.LoadBalancerReadyCondition, infrav1.LoadBalancerReadyReason)
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.GreaterOrEqual(c, len(provisionertest.Requests[*lxdprovisionerv1.TakeOverMachineRequest](bed.Fake)), len(addresses))
		assert.ElementsMatch(c, addresses, endpoint.Recorded(bed.Cluster(c)))
	}, "all are refused, and the cluster was looked at")
	assert.Equal(t, addresses, recordOf(t, bed))
	for _, request := range provisionertest.Requests[*lxdprovisionerv1.EnsureEndpointRequest](bed.Fake) {
		assert.ElementsMatch(t, addresses, request.GetAddresses())
	}
}

func TestEndpoint_R6_1_a_custom_endpoint_is_nobody_of_ours(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t, func(_ *clusterv1.Cluster, infra *infrav1.MaasCluster) {
		metav1.SetMetaDataAnnotation(&infra.ObjectMeta, infrav1.CustomDNSProvidedAnnotation, "")
		infra.Spec.ControlPlaneEndpoint.Host = "api.elsewhere.example"
	})
	assert.Equal(t, infrav1.APIEndpoint{Host: "api.elsewhere.example", Port: 6443}, bed.Cluster(t).Spec.ControlPlaneEndpoint)
	bed.CreateMachine(t, "cp-0", managertest.LXD(), managertest.ControlPlane)
	bed.WaitProvisioned(t, "cp-0")
	bed.WaitCondition(t, bed.OfMachine("cp-0"), infrav1.DNSAttachedCondition, infrav1.CustomEndpointReason)
	bed.WaitCondition(t, bed.OfCluster, infrav1.LoadBalancerReadyCondition, infrav1.CustomEndpointReason)
	bed.DeleteMachine(t, "cp-0")
	bed.WaitGone(t, "cp-0")
	require.NoError(t, bed.Client.Delete(t.Context(), bed.Cluster(t)))
	managertest.Eventually(t, func(c *managertest.Check) {
		err := bed.Client.Get(t.Context(), bed.Key(managertest.ClusterName), &infrav1.MaasCluster{})
		assert.True(c, apierrors.IsNotFound(err))
	}, "the MaasCluster is gone")
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.EnsureEndpointRequest](bed.Fake))
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.DeleteEndpointRequest](bed.Fake))
}

func TestEndpoint_R6_2_preferred_subnets_choose_the_addresses(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	require.NoError(t, bed.Client.Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: bed.Namespace, Name: infrav1.PreferredSubnetConfigMap},
		Data:       map[string]string{infrav1.PreferredSubnetKey: "nonsense, fd00:10::/64"},
	}))
	bed.ProvisionCluster(t)
	spec := managertest.LXD()
	spec.LXDConfig = &infrav1.LXDConfig{Network: &infrav1.LXDNetwork{AddressFamilies: []infrav1.AddressFamily{infrav1.IPv4, infrav1.IPv6}}}
	bed.CreateMachine(t, "cp-0", spec, managertest.ControlPlane)
	bed.WaitCondition(t, bed.OfMachine("cp-0"), infrav1.DNSAttachedCondition, infrav1.DNSAttachedReason)
	record := recordOf(t, bed)
	require.Len(t, record, 1)
	assert.Contains(t, record[0], "fd00:10::")

	// No address of the machine is in the subnets any more: the record stays as it is.
	config := &corev1.ConfigMap{}
	key := client.ObjectKey{Namespace: bed.Namespace, Name: infrav1.PreferredSubnetConfigMap}
	require.NoError(t, bed.Client.Get(t.Context(), key, config))
	config.Data[infrav1.PreferredSubnetKey] = "192.0.2.0/24"
	require.NoError(t, bed.Client.Update(t.Context(), config))
	bed.CreateMachine(t, "cp-1", spec, managertest.ControlPlane)
	bed.WaitProvisioned(t, "cp-1")
	bed.APIServers.Set(addressOf(t, bed, "cp-1"), true)
	bed.WaitCondition(t, bed.OfMachine("cp-1"), infrav1.DNSAttachedCondition, infrav1.DNSAttachPendingReason)
	assert.Equal(t, record, recordOf(t, bed))
}

func TestEndpoint_R6_2_follows_a_change_of_the_preferred_subnets(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	spec := managertest.LXD()
	spec.LXDConfig = &infrav1.LXDConfig{Network: &infrav1.LXDNetwork{AddressFamilies: []infrav1.AddressFamily{infrav1.IPv4, infrav1.IPv6}}}
	bed.CreateMachine(t, "cp-0", spec, managertest.ControlPlane)
	bed.WaitCondition(t, bed.OfMachine("cp-0"), infrav1.DNSAttachedCondition, infrav1.DNSAttachedReason)
	require.Len(t, recordOf(t, bed), 1)
	require.NotContains(t, recordOf(t, bed)[0], "fd00:10::")
	require.NoError(t, bed.Client.Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: bed.Namespace, Name: infrav1.PreferredSubnetConfigMap},
		Data:       map[string]string{infrav1.PreferredSubnetKey: "fd00:10::/64"},
	}))
	managertest.Eventually(t, func(c *managertest.Check) {
		record := recordOf(t, bed)
		if assert.Len(c, record, 1) {
			assert.Contains(c, record[0], "fd00:10::")
		}
	}, "the record has the machine's address in the subnet that is preferred now")
}

func TestEndpoint_R6_4_the_port_is_the_Clusters_else_the_specs(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		cluster, spec, want int32
	}{
		"the_Cluster's_wins": {7443, 8443, 7443}, "else_the_spec's": {0, 8443, 8443},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bed := managertest.New(t, provisionertest.Config{})
			bed.ProvisionCluster(t, func(cluster *clusterv1.Cluster, infra *infrav1.MaasCluster) {
				cluster.Spec.ClusterNetwork.APIServerPort = row.cluster
				infra.Spec.ControlPlaneEndpoint.Port = row.spec
			})
			assert.Equal(t, row.want, bed.Cluster(t).Spec.ControlPlaneEndpoint.Port)
		})
	}
}

func TestProvisionerAvailable_P5_tells_what_is_wrong_with_MAAS(t *testing.T) {
	t.Parallel()
	bed := managertest.NewWithoutManager(t, provisionertest.Config{})
	bed.Fake.SetProblem(provisionertest.Fault(errorinfo.Denied, lxdprovisionerv1.Reason_REASON_MAAS_KEY_REFUSED, "MAAS refuses the key; give the service another one"))
	bed.StartManager(t)
	bed.CreateCluster(t)
	condition := bed.WaitCondition(t, bed.OfCluster, infrav1.ProvisionerAvailableCondition, "MAAS_KEY_REFUSED")
	assert.Equal(t, "MAAS refuses the key; give the service another one", condition.Message)
	bed.Fake.SetProblem(nil)
	bed.WaitCondition(t, bed.OfCluster, infrav1.ProvisionerAvailableCondition, infrav1.ProvisionerAvailableReason)
	bed.Fake.FailEvery("", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "MAAS is silent"))
	bed.WaitCondition(t, bed.OfCluster, infrav1.ProvisionerAvailableCondition, "MAAS_UNAVAILABLE")
	assert.NotEmpty(t, bed.Cluster(t).Status.FailureDomains, "an outage takes no zone away")
}
