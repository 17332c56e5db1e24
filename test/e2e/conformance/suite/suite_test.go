// Package suite_test calls Cluster API's own specs, as its package test/e2e has them, with this provider's templates. The management
// cluster runs already: its managers are processes, so that there is nothing to initialise and no pods whose logs could be read.
package suite_test

import (
	"context"
	_ "embed" // the configuration
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"
	"sigs.k8s.io/cluster-api/test/e2e"
	"sigs.k8s.io/cluster-api/test/framework"
	"sigs.k8s.io/cluster-api/test/framework/clusterctl"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/yaml"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/test/e2e/conformance/templates"
)

// release is said by make e2e-conformance; bin/e2e tells the rest in the environment.
var release = flag.String("release", "", "`directory` of a release's files")

// artifacts is where the specs leave what they have seen.
var artifacts = os.Getenv("ARTIFACTS")

// version is that which the release is called in clusterctl's repository.
const version = "v0.10.0"

// provider names the release: the management cluster has no inventory in which clusterctl could look it up.
var provider = new("maas:" + version)

// What every spec is given.
var (
	ctx              = context.Background()
	config           *clusterctl.E2EConfig
	clusters         framework.ClusterProxy
	clusterctlConfig string // the file of clusterctl's configuration
)

//go:embed config.yaml
var configuration []byte

func TestConformance(t *testing.T) {
	if *release == "" {
		t.Skip("make e2e-conformance runs this inside of bin/e2e")
	}
	ctrl.SetLogger(klog.Background())
	RegisterFailHandler(Fail)
	suite, reporter := GinkgoConfiguration()
	suite.Timeout = 12 * time.Hour // each spec bounds its waits itself
	reporter.Verbose, reporter.NoColor = true, true
	reporter.JUnitReport = filepath.Join(artifacts, "specs.xml")
	RunSpecs(t, "Cluster API's specs", suite, reporter)
}

var _ = BeforeSuite(func() {
	scheme := runtime.NewScheme()
	framework.TryAddDefaultSchemes(scheme)
	Expect(infrav1.AddToScheme(scheme)).To(Succeed())
	made, err := templates.Build(ctx, os.Getenv("KUBECTL"), *release, filepath.Join(artifacts, "templates"))
	Expect(err).NotTo(HaveOccurred())
	config = configure(made)
	Expect(config.Validate()).To(Succeed())
	clusterctlConfig = clusterctl.CreateRepository(ctx, clusterctl.CreateRepositoryInput{
		E2EConfig: config, RepositoryFolder: filepath.Join(artifacts, "repository"),
	})
	clusters = framework.NewClusterProxy("management", os.Getenv("KUBECONFIG"), scheme)
})

// configure reads the configuration and completes it with the files and versions of this run.
func configure(made []string) *clusterctl.E2EConfig {
	c := &clusterctl.E2EConfig{ManagementClusterName: "management"}
	Expect(yaml.UnmarshalStrict(configuration, c)).To(Succeed())
	for _, name := range []string{e2e.KubernetesVersion, e2e.KubernetesVersionUpgradeFrom, e2e.KubernetesVersionUpgradeTo, "MACHINE_IMAGE", "MACHINE_IMAGE_UPGRADE_FROM"} {
		Expect(os.Getenv(name)).NotTo(BeEmpty(), "the environment has no %s", name)
		c.Variables[name] = os.Getenv(name)
	}
	for _, name := range []string{"CONTROL_PLANE_MACHINE_IMAGE", "WORKER_MACHINE_IMAGE"} {
		c.Variables[name] = c.Variables["MACHINE_IMAGE"]
	}
	from := func(name, kind, manifests string, files ...string) clusterctl.ProviderConfig {
		v := clusterctl.ProviderVersionSource{Name: version, Value: manifests, Type: clusterctl.URLSource}
		for _, file := range files {
			v.Files = append(v.Files, clusterctl.Files{SourcePath: file})
		}
		return clusterctl.ProviderConfig{Name: name, Type: kind, Versions: []clusterctl.ProviderVersionSource{v}}
	}
	c.Providers = []clusterctl.ProviderConfig{
		from("cluster-api", "CoreProvider", filepath.Join(os.Getenv("CLUSTER_API_MANIFESTS"), "core.yaml")),
		from("kubeadm", "BootstrapProvider", filepath.Join(os.Getenv("CLUSTER_API_MANIFESTS"), "bootstrap.yaml")),
		from("kubeadm", "ControlPlaneProvider", filepath.Join(os.Getenv("CLUSTER_API_MANIFESTS"), "controlplane.yaml")),
		from("maas", "InfrastructureProvider", filepath.Join(*release, "infrastructure-components.yaml"),
			append(made, filepath.Join(*release, "metadata.yaml"))...),
	}
	c.Defaults()
	return c
}
