package node_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestRun_keeps_the_conditions_that_others_set_on_the_node(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	controlPlane(t, c, "judged")
	awaitNode(t, c, "judged")
	judged := `{"status":{"conditions":[{"type":"e2e.remediation.condition","status":"False"},{"type":"Ready","status":"Unknown"}]}}`
	_, err := c.admin.CoreV1().Nodes().Patch(t.Context(), "judged", types.StrategicMergePatchType, []byte(judged), metav1.PatchOptions{}, "status")
	require.NoError(t, err)

	node := awaitNode(t, c, "judged")

	states := make(map[corev1.NodeConditionType]corev1.ConditionStatus)
	for _, condition := range node.Status.Conditions {
		states[condition.Type] = condition.Status
	}
	assert.Equal(t, corev1.ConditionFalse, states["e2e.remediation.condition"])
}

func TestRun_ends_a_pod_that_is_to_go_and_keeps_what_others_say_of_it(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	controlPlane(t, c, "drained")
	awaitNode(t, c, "drained")
	pods := c.admin.CoreV1().Pods("default")
	_, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "held", Finalizers: []string{"test.cluster.x-k8s.io/block"}},
		Spec:       corev1.PodSpec{NodeName: "drained", Containers: []corev1.Container{{Name: "held", Image: "none"}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	awaitPod(t, c, "default", "held", corev1.ConditionTrue)

	require.NoError(t, pods.EvictV1(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "held"}}))

	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		pod, err := pods.Get(t.Context(), "held", metav1.GetOptions{})
		if !assert.NoError(collect, err, "a finalizer holds it") {
			return
		}
		assert.Equal(collect, corev1.PodSucceeded, pod.Status.Phase)
		states := make(map[corev1.PodConditionType]corev1.ConditionStatus)
		for _, condition := range pod.Status.Conditions {
			states[condition.Type] = condition.Status
		}
		assert.Equal(collect, corev1.ConditionTrue, states[corev1.DisruptionTarget], "it was evicted")
		assert.Equal(collect, corev1.ConditionFalse, states[corev1.PodReady])
	}, patience, rhythm)
	_, err = pods.Patch(t.Context(), "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	awaitGone(t, c, "default", "held")
}
