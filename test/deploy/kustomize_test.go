package deploy_test

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/capmaas/capmaas/test/apiserver"
)

const secretName = "capmaas-manager-bootstrap-credentials"

// overlays are the ways to install the provider.
var overlays = []string{"default", "release", "development", "namespaced"}

func TestDefault_holds_everything_that_runs_the_provider(t *testing.T) {
	t.Parallel()
	built := build(t, "default")
	kinds := map[string]int{}
	for _, r := range built.Resources() {
		kinds[r.GetKind()]++
		if r.GetNamespace() != "" {
			assert.Equal(t, "capmaas-system", r.GetNamespace(), "%s %s", r.GetKind(), r.GetName())
		}
	}
	assert.Equal(t, 4, kinds["CustomResourceDefinition"], "MaasCluster, MaasClusterTemplate, MaasMachine, MaasMachineTemplate")
	assert.Equal(t, 1, kinds["Namespace"])
	assert.Equal(t, 2, kinds["Deployment"], "the manager and the service")
	assert.Equal(t, 1, kinds["Secret"])
	assert.Positive(t, kinds["ClusterRole"])
}

func TestSecret_of_MAAS_reaches_the_service_alone(t *testing.T) {
	t.Parallel()
	for _, overlay := range overlays {
		t.Run(overlay, func(t *testing.T) {
			t.Parallel()
			built := build(t, overlay)
			mounted := map[string]bool{}
			for _, d := range decode[appsv1.Deployment](t, built, "Deployment") {
				mounted[d.Name] = namesSecret(&d.Spec.Template.Spec)
			}
			assert.Len(t, mounted, 2)
			for name, has := range mounted {
				assert.Equal(t, strings.Contains(name, "lxdprovisioner"), has, "the Secret in Deployment %s", name)
			}
			for _, r := range built.Resources() {
				if !strings.HasSuffix(r.GetKind(), "Role") {
					continue
				}
				text, err := r.AsYAML()
				require.NoError(t, err)
				var role rbacv1.ClusterRole // a Role has the same rules
				require.NoError(t, yaml.Unmarshal(text, &role))
				for _, rule := range role.Rules {
					assert.NotContains(t, rule.Resources, "*", "%s reaches everything", role.Name)
					assert.NotContains(t, rule.ResourceNames, secretName, "%s names the Secret", role.Name)
				}
			}
		})
	}
}

// kustomizing keeps builds apart: kustomize has one schema for a process, which it fills while it builds.
var kustomizing sync.Mutex

func build(t *testing.T, overlay string) resmap.ResMap {
	t.Helper()
	root, err := apiserver.Root()
	require.NoError(t, err)
	return buildDir(t, filepath.Join(root, "deploy", overlay))
}

func buildDir(t *testing.T, dir string) resmap.ResMap {
	t.Helper()
	kustomizing.Lock()
	defer kustomizing.Unlock()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	require.NoError(t, err)
	return built
}

func decode[T any](t *testing.T, built resmap.ResMap, kind string) []T {
	t.Helper()
	var all []T
	for _, r := range built.Resources() {
		if r.GetKind() != kind {
			continue
		}
		text, err := r.AsYAML()
		require.NoError(t, err)
		var object T
		require.NoError(t, yaml.UnmarshalStrict(text, &object), "%s %s", kind, r.GetName())
		all = append(all, object)
	}
	require.NotEmpty(t, all, kind)
	return all
}

func namesSecret(pod *corev1.PodSpec) bool {
	for _, v := range pod.Volumes {
		if v.Secret != nil && v.Secret.SecretName == secretName {
			return true
		}
	}
	for _, c := range pod.Containers {
		for _, e := range c.EnvFrom {
			if e.SecretRef != nil && e.SecretRef.Name == secretName {
				return true
			}
		}
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && e.ValueFrom.SecretKeyRef.Name == secretName {
				return true
			}
		}
	}
	return false
}
