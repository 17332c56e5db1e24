package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/kustomize/api/resmap"

	"github.com/capmaas/capmaas/test/apiserver"
)

// overlayBlock is the kustomization that a page shows.
var overlayBlock = regexp.MustCompile("(?s)```yaml\n(apiVersion: kustomize[^`]*)```")

func TestOverlay_of_the_documentation_changes_what_it_says(t *testing.T) {
	t.Parallel()
	root, err := apiserver.Tree()
	require.NoError(t, err)
	page, err := os.ReadFile(filepath.Join(root, "docs", "releasing.md"))
	require.NoError(t, err)
	shown := overlayBlock.FindSubmatch(page)
	require.NotNil(t, shown)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	base, err := filepath.Rel(dir, filepath.Join(root, "deploy", "namespaced"))
	require.NoError(t, err)
	text := strings.ReplaceAll(string(shown[1]), "../deploy/namespaced", base)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600))

	all := buildDir(t, dir)
	for _, d := range decode[appsv1.Deployment](t, all, "Deployment") {
		assert.Regexp(t, `^registry\.example\.com/capmaas/capmaas-[a-z]+:v0\.10\.0$`, d.Spec.Template.Spec.Containers[0].Image)
	}
	want := egressRules(t, build(t, "namespaced"))
	want["capmaas-controller-manager"]++
	assert.Equal(t, want, egressRules(t, all), "one rule more for the manager")
}

func egressRules(t *testing.T, built resmap.ResMap) map[string]int {
	t.Helper()
	count := map[string]int{}
	for _, p := range decode[networkingv1.NetworkPolicy](t, built, "NetworkPolicy") {
		count[p.Name] = len(p.Spec.Egress)
	}
	return count
}
