package integration_test

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/services/maassim"
)

// awaitProvisioned waits until so many MaasMachines are provisioned and gives them.
func (s *stack) awaitProvisioned(t *testing.T, want int) []infrav1.MaasMachine {
	t.Helper()
	var machines infrav1.MaasMachineList
	s.eventually(t, func(c *assert.CollectT) {
		require.NoError(c, s.client.List(t.Context(), &machines, client.InNamespace(s.namespace)))
		assert.Len(c, machines.Items, want)
		for _, m := range machines.Items {
			assert.True(c, ptr.Deref(m.Status.Initialization.Provisioned, false), "%s: %s", m.Name, conditionsOf(m.Status.Conditions))
		}
	})
	return machines.Items
}

// awaitCondition waits for a condition of a MaasMachine. An empty reason or message is not compared.
func (s *stack) awaitCondition(t *testing.T, name, kind string, status metav1.ConditionStatus, reason, message string) {
	t.Helper()
	s.eventually(t, func(c *assert.CollectT) {
		m := &infrav1.MaasMachine{}
		require.NoError(c, s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, m))
		assertCondition(c, m.Status.Conditions, kind, status, reason, message)
	})
}

// awaitClusterCondition does the same for the MaasCluster.
func (s *stack) awaitClusterCondition(t *testing.T, kind string, status metav1.ConditionStatus, reason string) {
	t.Helper()
	s.eventually(t, func(c *assert.CollectT) {
		m := &infrav1.MaasCluster{}
		require.NoError(c, s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: clusterName}, m))
		assertCondition(c, m.Status.Conditions, kind, status, reason, "")
	})
}

func assertCondition(c *assert.CollectT, all []metav1.Condition, kind string, status metav1.ConditionStatus, reason, message string) {
	got := meta.FindStatusCondition(all, kind)
	if !assert.NotNil(c, got, "no condition %s among %s", kind, conditionsOf(all)) {
		return
	}
	assert.Equal(c, status, got.Status, got.Message)
	if reason != "" {
		assert.Equal(c, reason, got.Reason, got.Message)
	}
	assert.Contains(c, got.Message, message)
}

func conditionsOf(all []metav1.Condition) string {
	text, _ := json.Marshal(all) // conditions are strings and times
	return string(text)
}

// instance gives the VM as LXD has it.
func (s *stack) instance(t *testing.T, name string) maassim.Instance {
	t.Helper()
	for _, i := range s.sim.LXD() {
		if i.Name == name {
			return i
		}
	}
	require.Fail(t, "not in LXD", name)
	return maassim.Instance{}
}

// userData gives what MAAS stored for the machine, decoded.
func (s *stack) userData(t *testing.T, systemID string) string {
	t.Helper()
	encoded, ok := s.sim.UserData(systemID)
	require.True(t, ok, "MAAS has no user data for %s", systemID)
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	require.NoError(t, err)
	return string(decoded)
}

// deleteCluster deletes the Cluster and waits until all of it is gone from Kubernetes.
func (s *stack) deleteCluster(t *testing.T) {
	t.Helper()
	cluster := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: clusterName}}
	require.NoError(t, s.client.Delete(t.Context(), cluster))
	s.eventually(t, func(c *assert.CollectT) {
		var machines infrav1.MaasMachineList
		require.NoError(c, s.client.List(t.Context(), &machines, client.InNamespace(s.namespace)))
		for _, m := range machines.Items {
			assert.Fail(c, "still there", "%s: %s", m.Name, conditionsOf(m.Status.Conditions))
		}
		err := s.client.Get(t.Context(), client.ObjectKeyFromObject(cluster), &clusterv1.Cluster{})
		assert.True(c, apierrors.IsNotFound(err), "the Cluster is still there")
	})
}

// assertNothingLeft compares the truth of LXD, MAAS and DNS with nothing.
func (s *stack) assertNothingLeft(t *testing.T) {
	t.Helper()
	assert.Empty(t, s.sim.LXD(), "LXD")
	assert.Empty(t, s.sim.DNSRecords(), "DNS")
	assert.Empty(t, s.sim.Reservations(), "reserved addresses")
	s.eventually(t, func(c *assert.CollectT) {
		for _, m := range s.sim.Machines() {
			if !m.VMHost {
				assert.Empty(c, m.Owner, "%s is held", m.Hostname)
				assert.Empty(c, m.Instance, "%s is a VM", m.Hostname)
			}
		}
	})
}

// assertNoSecrets looks for keys and join tokens where people and machines look.
func (s *stack) assertNoSecrets(t *testing.T) {
	t.Helper()
	var events corev1.EventList
	require.NoError(t, s.client.List(t.Context(), &events, client.InNamespace(s.namespace)))
	var machines infrav1.MaasMachineList
	require.NoError(t, s.client.List(t.Context(), &machines, client.InNamespace(s.namespace)))
	var clusters infrav1.MaasClusterList
	require.NoError(t, s.client.List(t.Context(), &clusters, client.InNamespace(s.namespace)))
	objects, err := json.Marshal([]any{events.Items, machines.Items, clusters.Items})
	require.NoError(t, err)
	require.NotEmpty(t, s.logs.String())
	require.Contains(t, managerLogs.String(), s.namespace)
	logs := s.logs.String() + managerLogs.String()
	for _, secret := range []string{joinToken, base64.StdEncoding.EncodeToString([]byte("#cloud-config"))[:16], "SimTokenSecretForAdmin", "WrongSecretWrongSecret", s.key} {
		assert.NotContains(t, logs, secret, "the logs")
		assert.NotContains(t, string(objects), secret, "events and objects")
	}
}
