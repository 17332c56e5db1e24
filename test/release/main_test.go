package release_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/capmaas/capmaas/test/apiserver"
	"github.com/capmaas/capmaas/test/scheme"
)

// The release that the tests make.
const (
	version  = "v0.10.0"
	registry = "registry.example.com/capmaas"
)

// server knows our kinds, Cluster API's and cert-manager's; scratch lasts as long as the tests.
var (
	server  *apiserver.Server
	scratch string
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "release")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	scratch = dir
	return apiserver.RunTests(m, func(s *apiserver.Server) { server = s })
}

// installForeign installs, once, the custom resources that the release refers to beside core's.
var installForeign = sync.OnceValue(func() error {
	core, err := apiserver.ModuleDir(context.Background(), "test", "sigs.k8s.io/cluster-api")
	if err != nil {
		return err
	}
	certManager, err := apiserver.ModuleDir(context.Background(), "tools/certmanager", "github.com/cert-manager/cert-manager")
	if err != nil {
		return err
	}
	crds, err := envtest.InstallCRDs(server.Config, envtest.CRDInstallOptions{ErrorIfPathMissing: true, Paths: []string{
		filepath.Join(core, "bootstrap", "kubeadm", "config", "crd", "bases"),
		filepath.Join(core, "controlplane", "kubeadm", "config", "crd", "bases"),
		filepath.Join(certManager, "deploy", "crds"),
	}})
	if err != nil {
		return err
	}
	return labelContract(crds)
})

// labelContract says of Cluster API's kinds which contract they keep, as its installation does.
func labelContract(crds []*apiextensionsv1.CustomResourceDefinition) error {
	api, err := client.New(server.Config, client.Options{Scheme: scheme.New()})
	if err != nil {
		return err
	}
	label := []byte(`{"metadata":{"labels":{"cluster.x-k8s.io/v1beta2":"v1beta2"}}}`)
	for _, crd := range crds {
		if !strings.HasSuffix(crd.Spec.Group, "cluster.x-k8s.io") {
			continue
		}
		// A kind that the client need not know.
		object := &metav1.PartialObjectMetadata{}
		object.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
		object.SetName(crd.Name)
		if err := api.Patch(context.Background(), object, client.RawPatch(types.MergePatchType, label)); err != nil {
			return err
		}
	}
	return nil
}

// made makes the release once for all tests.
var made = sync.OnceValues(func() (string, error) {
	root, err := apiserver.Tree()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(scratch, "dist")
	cmd := exec.CommandContext(context.Background(), filepath.Join(root, "tools", "release.sh"), version, registry, dir)
	cmd.Stderr = os.Stderr
	return dir, cmd.Run()
})

// dist gives the directory with the release.
func dist(t *testing.T) string {
	t.Helper()
	dir, err := made()
	require.NoError(t, err)
	return dir
}

// run gives what a program prints, without what it says on standard error.
func run(t *testing.T, stdin string, env []string, program string, args ...string) string {
	t.Helper()
	var complaints strings.Builder
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env, cmd.Stdin, cmd.Stderr = append(os.Environ(), env...), strings.NewReader(stdin), &complaints
	out, err := cmd.Output()
	require.NoError(t, err, "%s %s\n%s", program, strings.Join(args, " "), complaints.String())
	return string(out)
}
