package release_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"

	"github.com/capmaas/capmaas/test/apiserver"
)

// clusterctlDir has the pinned clusterctl, which is built where it is not in the cache.
var clusterctlDir = sync.OnceValues(func() (string, error) { return tool("clusterctl") })

// clusterctl runs against a local repository with the release, offline. It knows no cluster.
func clusterctl(t *testing.T, env map[string]string, args ...string) string {
	t.Helper()
	dir, err := clusterctlDir()
	require.NoError(t, err)
	repository := filepath.Join(t.TempDir(), "infrastructure-maas", version)
	require.NoError(t, os.CopyFS(repository, os.DirFS(dist(t))))
	config := filepath.Join(t.TempDir(), "clusterctl.yaml")
	text := fmt.Sprintf("providers:\n- name: maas\n  type: InfrastructureProvider\n  url: %s/infrastructure-components.yaml\n", repository)
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	environment := []string{"GOPROXY=off", "CLUSTERCTL_DISABLE_VERSIONCHECK=true", "XDG_CONFIG_HOME=" + t.TempDir(), "KUBECONFIG="}
	for name, value := range env {
		environment = append(environment, name+"="+value)
	}
	return run(t, "", environment, filepath.Join(dir, "clusterctl"), append([]string{"--config", config}, args...)...)
}

// credentials are the variables of the components.
var credentials = map[string]string{"MAAS_ENDPOINT": "http://maas.example.com:5240/MAAS", "MAAS_API_KEY": "consumer:token:secret"}

func TestClusterctl_is_of_the_release_of_Cluster_API_that_the_manager_is_built_with(t *testing.T) {
	t.Parallel()
	root, err := apiserver.Tree()
	require.NoError(t, err)
	versions := map[string]string{}
	for _, module := range []string{"controllers", "tools/clusterctl", "tools/realcluster/managers"} {
		text, err := os.ReadFile(filepath.Join(root, module, "go.mod"))
		require.NoError(t, err)
		file, err := modfile.ParseLax("go.mod", text, nil)
		require.NoError(t, err)
		for _, require := range file.Require {
			if require.Mod.Path == "sigs.k8s.io/cluster-api" {
				versions[module] = require.Mod.Version
			}
		}
	}
	require.NotEmpty(t, versions["controllers"])
	for module, v := range versions {
		assert.Equal(t, versions["controllers"], v, module)
	}
}

func TestClusterctl_generates_the_provider_with_its_variables_filled_in(t *testing.T) {
	t.Parallel()
	asked := clusterctl(t, nil, "generate", "provider", "--infrastructure", "maas:"+version, "--describe")
	for name := range credentials {
		assert.Contains(t, asked, name, "clusterctl tells whoever installs it of the variable")
	}
	objects := decode(t, clusterctl(t, credentials, "generate", "provider", "--infrastructure", "maas:"+version))
	secret := find(t, objects, "Secret", "capmaas-manager-bootstrap-credentials")
	assert.Equal(t, map[string]any{"MAAS_ENDPOINT": credentials["MAAS_ENDPOINT"], "MAAS_API_KEY": credentials["MAAS_API_KEY"]}, secret.Object["stringData"])
	for _, object := range objects {
		assert.Equal(t, "infrastructure-maas", object.GetLabels()["cluster.x-k8s.io/provider"], "%s %s", object.GetKind(), object.GetName())
	}
}

// TestClusterctl_installs looks for what clusterctl does not follow when it moves the components to another namespace.
func TestClusterctl_installs_into_any_namespace(t *testing.T) {
	t.Parallel()
	text := clusterctl(t, credentials, "generate", "provider", "--infrastructure", "maas:"+version, "--target-namespace", "elsewhere")
	objects := decode(t, text)
	find(t, objects, "Namespace", "elsewhere")
	for _, object := range objects {
		if object.GetNamespace() != "" {
			assert.Equal(t, "elsewhere", object.GetNamespace(), "%s %s", object.GetKind(), object.GetName())
		}
		if object.GetKind() == "Deployment" {
			assert.NotContains(t, fmt.Sprint(object.Object["spec"]), "capmaas-system", object.GetName())
		}
	}
	for _, object := range objects {
		if strings.HasSuffix(object.GetKind(), "WebhookConfiguration") {
			assert.Contains(t, object.GetAnnotations()["cert-manager.io/inject-ca-from"], "elsewhere/", object.GetKind())
		}
	}
}

func tool(module string) (string, error) {
	root, err := apiserver.Tree()
	if err != nil {
		return "", err
	}
	return output(filepath.Join(root, "tools", "ensure.sh"), module)
}
