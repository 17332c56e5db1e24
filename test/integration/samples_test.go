package integration_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/test/apiserver"
	"github.com/capmaas/capmaas/test/scheme"
)

// TestSamples decodes every sample strictly, and lets the API server judge those whose kinds it has:
// Cluster API's core and ours. The kubeadm providers' kinds are judged by their types.
func TestSamples_apply_as_they_are(t *testing.T) {
	t.Parallel()
	root, err := apiserver.Root()
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(root, "deploy", "samples", "*.yaml"))
	require.NoError(t, err)
	demo, err := filepath.Glob(filepath.Join(root, "deploy", "samples", "demo", "[^k]*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	require.NotEmpty(t, demo)
	kinds := scheme.New()
	c, err := client.New(api.Config, client.Options{Scheme: kinds})
	require.NoError(t, err)
	strict := serializer.NewCodecFactory(kinds, serializer.EnableStrict).UniversalDeserializer()
	judged := 0
	for _, file := range append(files, demo...) {
		for _, text := range documents(t, file) {
			object, kind, err := strict.Decode(text, nil, nil)
			require.NoError(t, err, "%s", file)
			applied, ok := object.(client.Object)
			require.True(t, ok, "%s: %s", file, kind)
			if _, err := c.RESTMapper().RESTMapping(kind.GroupKind(), kind.Version); meta.IsNoMatchError(err) {
				continue
			}
			assert.NoError(t, c.Create(t.Context(), applied, client.DryRunAll), "%s: %s %s", file, kind.Kind, applied.GetName())
			judged++
		}
	}
	assert.Greater(t, judged, 10)
}

func documents(t *testing.T, file string) [][]byte {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var all [][]byte
	for decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		raw := runtime.RawExtension{}
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			require.NoError(t, err, "%s", file)
		}
		if len(raw.Raw) > 0 && string(raw.Raw) != "null" {
			all = append(all, raw.Raw)
		}
	}
}
