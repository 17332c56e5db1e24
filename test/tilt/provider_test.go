package tilt_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/yaml"
)

// provider is an entry of tilt-provider.yaml, as Cluster API's Tiltfile and its tilt-prepare read it.
type provider struct {
	Name   string `json:"name"`
	Config struct {
		Context                       string   `json:"context"`
		Image                         string   `json:"image"`
		KustomizeFolder               string   `json:"kustomize_folder"`
		GoMain                        string   `json:"go_main"`
		LiveReloadDeps                []string `json:"live_reload_deps"`
		ApplyProviderYAML             *bool    `json:"apply_provider_yaml"`
		AdditionalDockerBuildCommands string   `json:"additional_docker_build_commands"`
		Label                         string   `json:"label"`
	} `json:"config"`
}

func TestTiltProvider_lets_Cluster_APIs_Tiltfile_build_and_apply_everything(t *testing.T) {
	t.Parallel()
	a := run(t, nil)
	text, err := os.ReadFile(filepath.Join(a.root, "tilt-provider.yaml"))
	require.NoError(t, err)
	var providers []provider
	require.NoError(t, yaml.UnmarshalStrict(text, &providers))

	images, labels, contexts, applied := map[string]provider{}, map[string]bool{}, map[string]bool{}, ""
	for _, p := range providers {
		assert.False(t, labels[p.Config.Label], "Tilt's resources are named after the label %s", p.Config.Label)
		assert.False(t, contexts[p.Config.Context], "two binaries would be written to .tiltbuild of %q", p.Config.Context)
		labels[p.Config.Label], contexts[p.Config.Context], images[p.Config.Image] = true, true, p
		assert.Equal(t, "main", a.goPackage(p.Config.Context, p.Config.GoMain), p.Name)
		for _, dep := range p.Config.LiveReloadDeps {
			assert.True(t, a.exists(filepath.Join(p.Config.Context, dep)), "%s reloads by %s", p.Name, dep)
		}
		assert.Subset(t, p.Config.LiveReloadDeps, a.sources(p.Config.Context), "%s: a whole context can't be named, since .tiltbuild is in it", p.Name)
		if p.Config.ApplyProviderYAML == nil || *p.Config.ApplyProviderYAML {
			assert.Empty(t, applied, "one entry applies what all run in")
			applied = filepath.Join(p.Config.Context, p.Config.KustomizeFolder)
		}
	}
	require.NotEmpty(t, applied)

	built, err := a.kustomize(applied)
	require.NoError(t, err)
	decoded, err := decodeStream(built)
	require.NoError(t, err)
	first := ""
	for _, object := range decoded.([]any) {
		o := unstructured.Unstructured{Object: object.(map[string]any)}
		switch {
		case o.GetKind() == "Namespace":
			assert.Equal(t, "infrastructure-maas", o.GetLabels()[clusterv1.ProviderNameLabel], "by this the provider is named")
		case o.GetKind() == "Deployment":
			if first == "" && o.GetLabels()[clusterv1.ProviderNameLabel] != "" {
				first = o.GetName()
			}
			d := typed[appsv1.Deployment](t, o)
			container := d.Spec.Template.Spec.Containers[0]
			name, _, _ := strings.Cut(container.Image, ":")
			p, known := images[name]
			require.True(t, known, "no entry builds %s", container.Image)
			delete(images, name)
			// It gives a command to containers of this name alone; what it builds has none.
			assert.Equal(t, container.Name != "manager", strings.Contains(p.Config.AdditionalDockerBuildCommands, `ENTRYPOINT ["sh", "/start.sh", "/manager"]`), p.Name)
		}
	}
	assert.Equal(t, "capmaas-controller-manager", first, "the first Deployment of the provider becomes its resource")
	assert.Empty(t, images, "entries whose image nothing runs")
}

// sources are the Go files of a directory that are compiled into a program.
func (a *asked) sources(dir string) []string {
	a.t.Helper()
	files, err := filepath.Glob(filepath.Join(a.root, dir, "*.go"))
	require.NoError(a.t, err)
	var names []string
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			names = append(names, filepath.Base(file))
		}
	}
	return names
}
