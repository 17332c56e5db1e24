package suite_test

import (
	"os"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/cluster-api/test/e2e"
	"sigs.k8s.io/controller-runtime/pkg/client"
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
	e2e.KCPInfraAdoptionSpec(ctx, func() e2e.KCPInfraAdoptionSpecInput {
		return e2e.KCPInfraAdoptionSpecInput{
			E2EConfig: config, ClusterctlConfigPath: clusterctlConfig, BootstrapClusterProxy: clusters, ArtifactFolder: artifacts,
			InfrastructureProvider: provider, Flavor: new("topology-no-workers"),
		}
	})
})

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
