package suite_test

import (
	"context"
	"maps"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/test/e2e"
	"sigs.k8s.io/cluster-api/test/framework"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

var _ = Describe("ClusterUpgradeConformanceSpec without Kubernetes' conformance", func() {
	e2e.ClusterUpgradeConformanceSpec(ctx, func() e2e.ClusterUpgradeConformanceSpecInput {
		return e2e.ClusterUpgradeConformanceSpecInput{
			E2EConfig: config, ClusterctlConfigPath: clusterctlConfig, BootstrapClusterProxy: clusters, ArtifactFolder: artifacts,
			InfrastructureProvider: provider, Flavor: new("topology-by-version"), WorkerMachineCount: new(int64(1)), SkipConformanceTests: true,
		}
	})
})

var _ = Describe("ClusterClassChangesSpec", func() {
	e2e.ClusterClassChangesSpec(ctx, func() e2e.ClusterClassChangesSpecInput {
		return e2e.ClusterClassChangesSpecInput{
			E2EConfig: config, ClusterctlConfigPath: clusterctlConfig, BootstrapClusterProxy: clusters, ArtifactFolder: artifacts,
			InfrastructureProvider: provider, Flavor: "topology",
			ModifyControlPlaneFields:                                   map[string]any{"spec.kubeadmConfigSpec.verbosity": int64(4)},
			ModifyMachineDeploymentBootstrapConfigTemplateFields:       map[string]any{"spec.template.spec.verbosity": int64(4)},
			ModifyMachineDeploymentInfrastructureMachineTemplateFields: map[string]any{"spec.template.spec.minDiskSize": int64(30)},
		}
	})
})

var _ = Describe("ClusterClassRolloutSpec", func() {
	e2e.ClusterClassRolloutSpec(ctx, func() e2e.ClusterClassRolloutSpecInput {
		return e2e.ClusterClassRolloutSpecInput{
			E2EConfig: config, ClusterctlConfigPath: clusterctlConfig, BootstrapClusterProxy: clusters, ArtifactFolder: artifacts,
			InfrastructureProvider: provider, Flavor: "topology-taints", FilterMetadataBeforeValidation: inherited,
		}
	})
})

// inherited is the metadata of an object but for what this provider's controllers note on their own objects.
func inherited(object client.Object) clusterv1.ObjectMeta {
	annotations := maps.Clone(object.GetAnnotations())
	maps.DeleteFunc(annotations, func(key, _ string) bool {
		return key == infrav1.VMNameAnnotation || strings.HasPrefix(key, infrav1.GroupVersion.Group+"/")
	})
	return clusterv1.ObjectMeta{Labels: object.GetLabels(), Annotations: annotations}
}

var _ = Describe("ClusterDeletionSpec", func() {
	e2e.ClusterDeletionSpec(ctx, func() e2e.ClusterDeletionSpecInput {
		return e2e.ClusterDeletionSpecInput{
			E2EConfig: config, ClusterctlConfigPath: clusterctlConfig, BootstrapClusterProxy: clusters, ArtifactFolder: artifacts,
			InfrastructureProvider: provider, Flavor: new("topology"), ControlPlaneMachineCount: new(int64(3)),
			ClusterDeletionPhases: []e2e.ClusterDeletionPhase{
				phase("Machine", []string{"MachineDeployment", "MachineSet"}, "MachineDeployment", "MachineSet"),
				phase("Machine", []string{"KubeadmControlPlane"}, "KubeadmControlPlane"),
				phase("MaasCluster", nil),
			},
		}
	})
})

// phase is one in which the objects of the blocking kind go that have one of the owners, and all of the other kinds.
func phase(blocking string, owners []string, others ...string) e2e.ClusterDeletionPhase {
	return e2e.ClusterDeletionPhase{
		ObjectFilter: func(object corev1.ObjectReference, got []metav1.OwnerReference) bool {
			owned := owners == nil || slices.ContainsFunc(got, func(o metav1.OwnerReference) bool { return slices.Contains(owners, o.Kind) })
			return object.Kind == blocking && owned || slices.Contains(others, object.Kind)
		},
		BlockingObjectFilter: func(object corev1.ObjectReference, _ []metav1.OwnerReference) bool { return object.Kind == blocking },
	}
}

var _ = Describe("NodeDrainTimeoutSpec", func() {
	e2e.NodeDrainTimeoutSpec(ctx, func() e2e.NodeDrainTimeoutSpecInput {
		return e2e.NodeDrainTimeoutSpecInput{
			E2EConfig: config, ClusterctlConfigPath: clusterctlConfig, BootstrapClusterProxy: clusters, ArtifactFolder: artifacts,
			InfrastructureProvider: provider, Flavor: new("topology"), VerifyNodeVolumeDetach: true, CreateAdditionalResources: attachVolumes,
		}
	})
})

// attachVolumes says of every node that a volume is attached to it, which nobody detaches.
func attachVolumes(ctx context.Context, proxy framework.ClusterProxy, cluster *clusterv1.Cluster) {
	workload := proxy.GetWorkloadCluster(ctx, cluster.Namespace, cluster.Name).GetClient()
	nodes := &corev1.NodeList{}
	Expect(workload.List(ctx, nodes)).To(Succeed())
	for _, node := range nodes.Items {
		attachment := &storagev1.VolumeAttachment{
			ObjectMeta: metav1.ObjectMeta{Name: "va-" + node.Name, Finalizers: []string{"test.cluster.x-k8s.io/block"}},
			Spec: storagev1.VolumeAttachmentSpec{
				Attacher: "manual", NodeName: node.Name, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: new("foo")},
			},
		}
		Expect(workload.Create(ctx, attachment)).To(Succeed())
		attachment.Status.Attached = true
		Expect(workload.Status().Update(ctx, attachment)).To(Succeed())
	}
}

var _ = Describe("ScaleSpec with two clusters", func() {
	e2e.ScaleSpec(ctx, func() e2e.ScaleSpecInput {
		return e2e.ScaleSpecInput{
			E2EConfig: config, ClusterctlConfigPath: clusterctlConfig, BootstrapClusterProxy: clusters, ArtifactFolder: artifacts,
			InfrastructureProvider: provider, Flavor: new("topology-scale"), DumpResources: true,
			ClusterCount: new(int64(2)), Concurrency: new(int64(2)), ControlPlaneMachineCount: new(int64(1)),
			MachineDeploymentCount: new(int64(2)), WorkerPerMachineDeploymentCount: new(int64(1)),
			AdditionalClusterClassCount: new(int64(1)), ClusterClassName: "maas-by-version",
		}
	})
})
