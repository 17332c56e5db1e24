package templates_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/e2e/conformance/templates"
)

// released are the templates of a release, as tools/release.sh copies them.
const released = "../../../../deploy/templates"

func TestBuild_makes_every_template_of_the_released_ones(t *testing.T) {
	t.Parallel()
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		t.Skip("KUBEBUILDER_ASSETS names no directory with kubectl")
	}
	made, err := templates.Build(t.Context(), filepath.Join(assets, "kubectl"), released, filepath.Join(t.TempDir(), "templates"))
	require.NoError(t, err)
	names := make([]string, 0, len(made))
	for _, file := range made {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".yaml"))
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if strings.Contains(string(text), "kubeadmConfigSpec") {
			assert.Contains(t, string(text), "criSocket: unix:///run/none.sock", "%s is changed for a machine without a container runtime", file)
		}
	}
	for _, name := range []string{"cluster-template", "cluster-template-lxd", "cluster-template-mixed", "cluster-template-topology", "clusterclass-maas"} {
		assert.Contains(t, names, name, "a template under the name that the release gives it")
	}
}

func TestBuild_says_which_template_a_release_lacks(t *testing.T) {
	t.Parallel()
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		t.Skip("KUBEBUILDER_ASSETS names no directory with kubectl")
	}
	_, err := templates.Build(t.Context(), filepath.Join(assets, "kubectl"), t.TempDir(), filepath.Join(t.TempDir(), "templates"))
	assert.ErrorContains(t, err, "cluster-template.yaml")
}
