package suite_test

import (
	"context"
	"fmt"
	"os"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/test/e2e"
	"sigs.k8s.io/cluster-api/test/framework"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

var _ = Describe("KCPRemediationSpec in VMs", func() {
	BeforeEach(publishServer)

	e2e.KCPRemediationSpec(ctx, func() e2e.KCPRemediationSpecInput {
		return e2e.KCPRemediationSpecInput{
			E2EConfig: config, ClusterctlConfigPath: clusterctlConfig, BootstrapClusterProxy: clusters, ArtifactFolder: artifacts,
			InfrastructureProvider: provider,
		}
	})
})

var _ = Describe("KCPAdoptionSpec of a VM", func() {
	e2e.KCPAdoptionSpec(ctx, func() e2e.KCPAdoptionSpecInput {
		return e2e.KCPAdoptionSpecInput{
			E2EConfig: config, ClusterctlConfigPath: clusterctlConfig, BootstrapClusterProxy: clusters, ArtifactFolder: artifacts,
			InfrastructureProvider: provider,
		}
	})
})

var _ = Describe("KCPInfraAdoptionSpec of a VM", func() {
	var id string
	e2e.KCPInfraAdoptionSpec(ctx, func() e2e.KCPInfraAdoptionSpecInput {
		return e2e.KCPInfraAdoptionSpecInput{
			E2EConfig: config, ClusterctlConfigPath: clusterctlConfig, BootstrapClusterProxy: clusters, ArtifactFolder: artifacts,
			InfrastructureProvider: provider, Flavor: new("topology-no-workers"),
			BeforeForceDelete: func(_ context.Context, _ framework.ClusterProxy, _ *clusterv1.Cluster, objects e2e.ClusterObjects) error {
				id = objects.InfrastructureCluster.GetAnnotations()[infrav1.ClusterIDAnnotation]
				return nil
			},
			BeforeAdoption: func(ctx context.Context, proxy framework.ClusterProxy, cluster *clusterv1.Cluster) (framework.ClusterProxy, error) {
				return proxy, keepID(ctx, proxy.GetClient(), cluster, id)
			},
		}
	})
})

// keepID lets the MaasCluster that is made anew have the id of the one that was lost: by it the VMs in MAAS are the cluster's own.
func keepID(ctx context.Context, c client.Client, cluster *clusterv1.Cluster, id string) error {
	template := &infrav1.MaasClusterTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: cluster.Namespace, Name: "maas"}}
	patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{%q:%q}}}}}`, infrav1.ClusterIDAnnotation, id)
	return c.Patch(ctx, template, client.RawPatch(types.MergePatchType, []byte(patch)))
}

// publishServer says at which URL machines reach the management cluster, where kubeadm says it of clusters that it has made.
func publishServer() {
	kubeconfig, err := clientcmd.Write(clientcmdapi.Config{Clusters: map[string]*clientcmdapi.Cluster{
		"": {Server: os.Getenv("MANAGEMENT_SERVER"), InsecureSkipTLSVerify: true},
	}})
	Expect(err).NotTo(HaveOccurred())
	info := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespacePublic, Name: "cluster-info"}, Data: map[string]string{"kubeconfig": string(kubeconfig)},
	}
	Expect(client.IgnoreAlreadyExists(clusters.GetClient().Create(ctx, info))).To(Succeed())
}
