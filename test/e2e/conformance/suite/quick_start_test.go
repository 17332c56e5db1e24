package suite_test

import (
	. "github.com/onsi/ginkgo/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	clusterctlcluster "sigs.k8s.io/cluster-api/cmd/clusterctl/client/cluster"
	"sigs.k8s.io/cluster-api/test/e2e"
	"sigs.k8s.io/cluster-api/test/framework"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

var _ = Describe("QuickStartSpec on physical machines", func() { quickStart(nil, false) })

var _ = Describe("QuickStartSpec with a control plane in VMs", func() { quickStart(new("lxd"), false) })

var _ = Describe("QuickStartSpec with every kind of machine", func() { quickStart(new("mixed"), false) })

var _ = Describe("QuickStartSpec with a ClusterClass", func() { quickStart(new("topology"), true) })

// quickStart wants owners, finalizers and resource versions besides, as Cluster API wants them of its own provider.
func quickStart(flavor *string, topology bool) {
	e2e.QuickStartSpec(ctx, func() e2e.QuickStartSpecInput {
		return e2e.QuickStartSpecInput{
			E2EConfig: config, ClusterctlConfigPath: clusterctlConfig, BootstrapClusterProxy: clusters, ArtifactFolder: artifacts,
			InfrastructureProvider: provider, Flavor: flavor,
			PostMachinesProvisioned: func(proxy framework.ClusterProxy, namespace, name string) {
				checkObjects(proxy, namespace, name, topology)
			},
		}
	})
}

func checkObjects(proxy framework.ClusterProxy, namespace, name string, topology bool) {
	ofCluster := clusterctlcluster.FilterClusterObjectsWithNameFilter(name)
	owners := []map[string]func(types.NamespacedName, []metav1.OwnerReference) error{
		framework.CoreOwnerReferenceAssertion, framework.ExpOwnerReferenceAssertions, framework.KubernetesReferenceAssertions,
		framework.KubeadmBootstrapOwnerReferenceAssertions, framework.KubeadmControlPlaneOwnerReferenceAssertions(topology), owned(topology),
	}
	By("Checking that owner references are resilient")
	framework.ValidateOwnerReferencesResilience(ctx, proxy, namespace, name, ofCluster, owners...)
	By("Checking that owner references are updated to the correct API version")
	framework.ValidateOwnerReferencesOnUpdate(ctx, proxy, namespace, name, ofCluster, owners...)
	By("Checking that finalizers are resilient")
	core := framework.CoreFinalizersAssertionWithLegacyClusters
	if topology {
		core = framework.CoreFinalizersAssertionWithClassyClusters
	}
	framework.ValidateFinalizersResilience(ctx, proxy, namespace, name, ofCluster, core, framework.KubeadmControlPlaneFinalizersAssertion, finalizers)
	By("Checking that resourceVersions are stable")
	framework.ValidateResourceVersionStable(ctx, framework.ValidateResourceVersionStableInput{
		ClusterProxy: proxy, Namespace: namespace, OwnerGraphFilterFunction: ofCluster,
		WaitToBecomeStable: config.GetIntervals("quick-start", "wait-resource-versions-become-stable"),
		WaitToRemainStable: config.GetIntervals("quick-start", "wait-resource-versions-remain-stable"),
	})
}

// owned says who owns this provider's kinds.
func owned(topology bool) map[string]func(types.NamespacedName, []metav1.OwnerReference) error {
	by := func(kind string, controller bool) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: clusterv1.GroupVersion.String(), Kind: kind, Controller: &controller}
	}
	cluster, class := by("Cluster", false), by("ClusterClass", false)
	return map[string]func(types.NamespacedName, []metav1.OwnerReference) error{
		"MaasMachine": func(_ types.NamespacedName, got []metav1.OwnerReference) error {
			return framework.HasExactOwners(got, by("Machine", true))
		},
		"MaasMachineTemplate": func(_ types.NamespacedName, got []metav1.OwnerReference) error {
			return framework.HasOneOfExactOwners(got, []metav1.OwnerReference{cluster}, []metav1.OwnerReference{class})
		},
		"MaasCluster": func(_ types.NamespacedName, got []metav1.OwnerReference) error {
			return framework.HasExactOwners(got, by("Cluster", topology))
		},
		"MaasClusterTemplate": func(_ types.NamespacedName, got []metav1.OwnerReference) error {
			return framework.HasExactOwners(got, class)
		},
	}
}

// finalizers are those of this provider's kinds.
var finalizers = map[string]func(types.NamespacedName) []string{
	"MaasMachine": func(types.NamespacedName) []string { return []string{infrav1.MachineFinalizer} },
	"MaasCluster": func(types.NamespacedName) []string { return []string{infrav1.ClusterFinalizer} },
}
