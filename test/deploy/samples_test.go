package deploy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/yaml"

	"github.com/capmaas/capmaas/test/apiserver"
)

// sampled decodes the objects of a kind in a file of deploy/samples, and refuses fields that the kind does not have.
func sampled[T any](t *testing.T, file, kind string) []T {
	t.Helper()
	root, err := apiserver.Root()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, "deploy", "samples", file))
	require.NoError(t, err)
	var all []T
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var of metav1.TypeMeta
		require.NoError(t, yaml.Unmarshal([]byte(document), &of))
		if of.Kind != kind {
			continue
		}
		var object T
		require.NoError(t, yaml.UnmarshalStrict([]byte(document), &object))
		all = append(all, object)
	}
	require.NotEmpty(t, all, kind)
	return all
}

// slowest is how long MAAS may take before a machine is Overdue: 15 minutes to make a VM and 30 to deploy (docs/conditions.md).
const slowest = 45 * time.Minute

func TestSamples_health_checks_select_each_machine_of_the_sample_cluster_once(t *testing.T) {
	t.Parallel()
	machines := map[string]labels.Set{"control plane": {clusterv1.MachineControlPlaneLabel: ""}}
	for _, d := range sampled[clusterv1.MachineDeployment](t, "cluster.yaml", "MachineDeployment") {
		// Cluster API gives the machines this label itself.
		machines[d.Name] = labels.Merge(d.Spec.Template.Labels, labels.Set{clusterv1.MachineDeploymentNameLabel: d.Name})
	}
	require.Len(t, machines, 3)
	cluster := sampled[clusterv1.Cluster](t, "cluster.yaml", "Cluster")[0]
	found := map[string]int{}
	for _, check := range sampled[clusterv1.MachineHealthCheck](t, "healthchecks.yaml", "MachineHealthCheck") {
		assert.Equal(t, cluster.Namespace, check.Namespace)
		assert.Equal(t, cluster.Name, check.Spec.ClusterName)
		selector, err := metav1.LabelSelectorAsSelector(&check.Spec.Selector)
		require.NoError(t, err)
		for name, set := range machines {
			if selector.Matches(labels.Merge(set, labels.Set{clusterv1.ClusterNameLabel: cluster.Name})) {
				found[name]++
			}
		}
		startup := time.Duration(ptr.Deref(check.Spec.Checks.NodeStartupTimeoutSeconds, 0)) * time.Second
		assert.Greater(t, startup, slowest, "%s takes machines down that MAAS deploys", check.Name)
		assert.Len(t, check.Spec.Checks.UnhealthyNodeConditions, 2, check.Name)
	}
	for name := range machines {
		assert.Equal(t, 1, found[name], name)
	}
}
