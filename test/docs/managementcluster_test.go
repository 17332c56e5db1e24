package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"

	"github.com/capmaas/capmaas/test/apiserver"
)

const clusterAPI = "sigs.k8s.io/cluster-api"

// startManagementCluster gives an API server with nothing in it but cert-manager's kinds: no kubelet, no controllers. That
// suffices for clusterctl to find cert-manager: it makes an Issuer and a Certificate and takes them away again.
func startManagementCluster(t *testing.T) *apiserver.Server {
	t.Helper()
	certManager, err := apiserver.ModuleDir(t.Context(), "tools/certmanager", "github.com/cert-manager/cert-manager")
	require.NoError(t, err)
	server, err := apiserver.StartWith(filepath.Join(certManager, "deploy", "crds"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	return server
}

// repository writes what clusterctl would fetch of Cluster API itself from the Internet, rendered from the module that the
// manager is built with, and gives the lines of clusterctl.yaml that say where it is.
func repository(t *testing.T, kubectl string) string {
	t.Helper()
	source, err := apiserver.ModuleDir(t.Context(), "controllers", clusterAPI)
	require.NoError(t, err)
	metadata, err := os.ReadFile(filepath.Join(source, "metadata.yaml"))
	require.NoError(t, err)
	base, release := t.TempDir(), clusterAPIVersion(t)
	var lines strings.Builder
	for _, p := range []struct{ name, kind, label, manifests, file string }{
		{"cluster-api", "CoreProvider", "cluster-api", "core", "core-components.yaml"},
		{"kubeadm", "BootstrapProvider", "bootstrap-kubeadm", "bootstrap/kubeadm", "bootstrap-components.yaml"},
		{"kubeadm", "ControlPlaneProvider", "control-plane-kubeadm", "controlplane/kubeadm", "control-plane-components.yaml"},
	} {
		dir := filepath.Join(base, p.label, release)
		require.NoError(t, os.MkdirAll(dir, 0o750))
		components := output(t, kubectl, "kustomize", filepath.Join(source, filepath.FromSlash(p.manifests), "config", "default"))
		require.NoError(t, os.WriteFile(filepath.Join(dir, p.file), []byte(components), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "metadata.yaml"), metadata, 0o600))
		_, _ = fmt.Fprintf(&lines, "- name: %s\n  type: %s\n  url: %s\n", p.name, p.kind, filepath.Join(dir, p.file))
	}
	return lines.String()
}

// clusterAPIVersion is the release of Cluster API that the manager is built with.
func clusterAPIVersion(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top(t), "controllers", "go.mod"))
	require.NoError(t, err)
	file, err := modfile.ParseLax("go.mod", text, nil)
	require.NoError(t, err)
	for _, require := range file.Require {
		if require.Mod.Path == clusterAPI {
			return require.Mod.Version
		}
	}
	require.Failf(t, "not required", "controllers/go.mod has no %s", clusterAPI)
	return ""
}
