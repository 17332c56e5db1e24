package maasmachine_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

// connectWorkload makes the test's own API server the cluster's workload cluster, by the Secret that Cluster API's
// control planes make.
func connectWorkload(t *testing.T, bed *managertest.Bed) {
	t.Helper()
	to := managertest.Config()
	kubeconfig, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: to.Host, CertificateAuthorityData: to.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": {ClientCertificateData: to.CertData, ClientKeyData: to.KeyData}},
		Contexts:       map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u"}},
		CurrentContext: "x",
	})
	require.NoError(t, err)
	require.NoError(t, bed.Client.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: bed.Namespace, Name: managertest.ClusterName + "-kubeconfig",
			Labels: map[string]string{clusterv1.ClusterNameLabel: managertest.ClusterName},
		},
		Data: map[string][]byte{"value": kubeconfig},
	}))
}

// createNode registers a Node as the kubelet of a machine would.
func createNode(t *testing.T, bed *managertest.Bed, name, providerID string, ips ...string) {
	t.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{ProviderID: providerID}}
	require.NoError(t, bed.Client.Create(t.Context(), node))
	before := node.DeepCopy()
	for _, ip := range ips {
		node.Status.Addresses = append(node.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip})
	}
	require.NoError(t, bed.Client.Status().Patch(t.Context(), node, client.MergeFrom(before)))
}

func providerIDOf(t require.TestingT, bed *managertest.Bed, name string) string {
	node := &corev1.Node{}
	require.NoError(t, bed.Client.Get(context.Background(), client.ObjectKey{Name: name}, node))
	return node.Spec.ProviderID
}

func TestNode_X8_3_gets_the_provider_id_only_where_name_and_address_match(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	connectWorkload(t, bed)
	bed.ProvisionCluster(t)
	for _, name := range []string{"right", "other-address", "other-id"} {
		bed.CreateMachine(t, name, managertest.LXD())
	}
	bed.CreateMachine(t, "metal", managertest.Metal())
	machines := map[string]*infrav1.MaasMachine{}
	for _, name := range []string{"right", "other-address", "other-id", "metal"} {
		machines[name] = bed.WaitProvisioned(t, name)
	}
	ip := func(name string) string { return machines[name].Status.Addresses[2].Address }
	vm := func(name string) string { return machines[name].Status.VMName }
	createNode(t, bed, vm("other-address"), "", "192.0.2.1")
	createNode(t, bed, vm("other-id"), "maas:///az9/stranger", ip("other-id"))
	createNode(t, bed, vm("right"), "", "192.0.2.2", ip("right"))
	createNode(t, bed, *machines["metal"].Status.Hostname, "", ip("metal"))

	managertest.Eventually(t, func(c *managertest.Check) {
		assert.Equal(c, *machines["right"].Spec.ProviderID, providerIDOf(c, bed, vm("right")))
		assert.Equal(c, *machines["metal"].Spec.ProviderID, providerIDOf(c, bed, *machines["metal"].Status.Hostname), "P9 a physical machine's too")
	}, "the Node has the provider ID")
	condition := bed.WaitCondition(t, bed.OfMachine("other-id"), infrav1.MachineDeployedCondition, infrav1.NodeProviderIDMismatchReason)
	assert.Contains(t, condition.Message, "maas:///az9/stranger")
	assert.Contains(t, condition.Message, *machines["other-id"].Spec.ProviderID)
	assert.Equal(t, "maas:///az9/stranger", providerIDOf(t, bed, vm("other-id")), "another ID is never overwritten")
	assert.Empty(t, providerIDOf(t, bed, vm("other-address")))
	bed.WaitCondition(t, bed.OfCluster, infrav1.APIServerAvailableCondition, infrav1.APIServerAvailableReason)
}

func TestNode_X8_3_wakes_its_machine(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	connectWorkload(t, bed)
	bed.ProvisionCluster(t)
	machines := map[string]*infrav1.MaasMachine{}
	for _, name := range []string{"early", "late"} {
		bed.CreateMachine(t, name, managertest.LXD())
		machines[name] = bed.WaitProvisioned(t, name)
	}
	bed.StopManager()
	create := func(name string) {
		createNode(t, bed, machines[name].Status.VMName, "", machines[name].Status.Addresses[2].Address)
	}
	wait := func(name string) {
		managertest.Eventually(t, func(c *managertest.Check) {
			assert.Equal(c, *machines[name].Spec.ProviderID, providerIDOf(c, bed, machines[name].Status.VMName))
		}, "the Node of "+name+" has the provider ID")
	}
	create("early")
	options := bed.Options()
	options.TimeScale = 1000 // the next look at a machine without a Node is hours away
	bed.StartManagerWith(t, options)
	wait("early")

	create("late")

	wait("late")
}
