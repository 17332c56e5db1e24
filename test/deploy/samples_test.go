package deploy_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/api/resmap"

	"github.com/capmaas/capmaas/test/apiserver"
)

// sample reads a file of deploy/samples.
func sample(t *testing.T, file string) resmap.ResMap {
	t.Helper()
	root, err := apiserver.Root()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, "deploy", "samples", file))
	require.NoError(t, err)
	kustomizing.Lock()
	defer kustomizing.Unlock()
	objects, err := resmap.NewFactory(provider.NewDefaultDepProvider().GetResourceFactory()).NewResMapFromBytes(text)
	require.NoError(t, err)
	return objects
}

// slowest is how long MAAS may take before a machine is Overdue: 15 minutes to make a VM and 30 to deploy (docs/conditions.md).
const slowest = 45 * time.Minute

func TestSamples_health_checks_select_each_machine_of_the_sample_cluster_once(t *testing.T) {
	t.Parallel()
	objects := sample(t, "cluster.yaml")
	machines := map[string]labels.Set{"control plane": {clusterv1.MachineControlPlaneLabel: ""}}
	for _, d := range decode[clusterv1.MachineDeployment](t, objects, "MachineDeployment") {
		// Cluster API gives the machines this label itself.
		machines[d.Name] = labels.Merge(d.Spec.Template.Labels, labels.Set{clusterv1.MachineDeploymentNameLabel: d.Name})
	}
	require.Len(t, machines, 3)
	cluster := decode[clusterv1.Cluster](t, objects, "Cluster")[0]
	found := map[string]int{}
	for _, check := range decode[clusterv1.MachineHealthCheck](t, sample(t, "healthchecks.yaml"), "MachineHealthCheck") {
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
