package v1beta1_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// readYAML decodes one YAML document of testdata or deploy into out.
func readYAML(t *testing.T, path string, out any) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096).Decode(out))
}

// typed decodes an object strictly into its Go type: a field that the type does not know is an error.
func typed(t *testing.T, object map[string]any) runtime.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, infrav1.AddToScheme(scheme))
	source := unstructured.Unstructured{Object: object}
	out, err := scheme.New(source.GroupVersionKind())
	require.NoError(t, err)
	data, err := json.Marshal(object)
	require.NoError(t, err)
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(out))
	return out
}

// assertKept fails for each value of want that got does not have; got may have more.
func assertKept(t *testing.T, path string, want, got any) {
	t.Helper()
	fields, ok := want.(map[string]any)
	if !ok {
		assert.Equal(t, want, got, path)
		return
	}
	gotFields, ok := got.(map[string]any)
	if !assert.Truef(t, ok, "%s is %v", path, got) {
		return
	}
	for name, value := range fields {
		assertKept(t, path+"."+name, value, gotFields[name])
	}
}

func TestObjects_keep_every_field_of_stored_manifests(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		if filepath.Base(file) == "v0.8-maascluster.yaml" || filepath.Base(file) == "v0.9-maascluster-new.yaml" {
			continue // These change on the way, on purpose: the tests below say how.
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			var stored map[string]any
			readYAML(t, file, &stored)
			object := typed(t, stored)

			assert.Equal(t, object, object.DeepCopyObject())

			viaJSON, err := json.Marshal(object)
			require.NoError(t, err)
			var again map[string]any
			require.NoError(t, json.Unmarshal(viaJSON, &again))
			var asStored map[string]any
			data, err := json.Marshal(stored)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(data, &asStored))
			assertKept(t, filepath.Base(file), asStored, again)

			converted, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
			require.NoError(t, err)
			back := object.DeepCopyObject()
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(converted, back))
			assert.Equal(t, object, back, "the converter that Cluster API's patch helper uses agrees")
		})
	}
}

func TestMaasCluster_leaves_out_what_is_empty(t *testing.T) {
	t.Parallel()
	var stored map[string]any
	readYAML(t, "testdata/v0.9-maascluster-new.yaml", &stored)
	cluster, ok := typed(t, stored).(*infrav1.MaasCluster)
	require.True(t, ok)
	assert.True(t, cluster.Spec.ControlPlaneEndpoint.IsZero())
	assert.False(t, cluster.Spec.ControlPlaneEndpoint.IsValid())

	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(cluster)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"dnsDomain": "maas"}, object["spec"])
	assert.Equal(t, map[string]any{"ready": false}, object["status"])
}

func TestFailureDomains_accepts_the_map_of_older_objects(t *testing.T) {
	t.Parallel()
	var stored map[string]any
	readYAML(t, "testdata/v0.8-maascluster.yaml", &stored)
	want := []clusterv1.FailureDomain{
		{Name: "az1", ControlPlane: new(true), Attributes: map[string]string{"rack": "7"}},
		{Name: "az2", ControlPlane: new(false)},
		{Name: "az3"},
	}
	cluster, ok := typed(t, stored).(*infrav1.MaasCluster)
	require.True(t, ok)
	assert.Equal(t, infrav1.FailureDomains(want), cluster.Status.FailureDomains)

	written, err := json.Marshal(cluster)
	require.NoError(t, err)
	var again infrav1.MaasCluster
	require.NoError(t, json.Unmarshal(written, &again))
	assert.Equal(t, infrav1.FailureDomains(want), again.Status.FailureDomains, "it is written as a list")
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(cluster)
	require.NoError(t, err)
	list, found, err := unstructured.NestedSlice(object, "status", "failureDomains")
	require.NoError(t, err)
	assert.True(t, found)
	assert.Len(t, list, 3)

	var fromMap infrav1.MaasCluster
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(stored, &fromMap))
	assert.Equal(t, infrav1.FailureDomains(want), fromMap.Status.FailureDomains, "the converter accepts the map too")
}

func TestFailureDomains_reads_null_and_lists_and_refuses_the_rest(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]infrav1.FailureDomains{
		`null`:                        nil,
		`[]`:                          {},
		` {} `:                        {},
		`[{"name":"b"},{"name":"a"}]`: {{Name: "b"}, {Name: "a"}},
	} {
		var status infrav1.MaasClusterStatus
		require.NoError(t, json.Unmarshal([]byte(`{"failureDomains":`+text+`}`), &status), text)
		assert.Equal(t, want, status.FailureDomains, text)
	}
	for _, text := range []string{`"az1"`, `1`, `["az1"]`, `{"az1":true}`} {
		var status infrav1.MaasClusterStatus
		assert.Error(t, json.Unmarshal([]byte(`{"failureDomains":`+text+`}`), &status), text)
	}
}

func TestSetFailureDomains_keeps_the_names_for_kubectl(t *testing.T) {
	t.Parallel()
	var status infrav1.MaasClusterStatus
	status.SetFailureDomains([]clusterv1.FailureDomain{{Name: "az1"}, {Name: "az2"}})
	assert.Len(t, status.FailureDomains, 2)
	assert.Equal(t, "az1,az2", status.Zones)
	status.SetFailureDomains(nil)
	assert.Empty(t, status.Zones)
}

func TestAddToScheme_knows_all_kinds_and_their_lists(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	require.NoError(t, infrav1.AddToScheme(scheme))
	for _, kind := range []string{"MaasCluster", "MaasClusterTemplate", "MaasMachine", "MaasMachineTemplate"} {
		for _, name := range []string{kind, kind + "List"} {
			object, err := scheme.New(infrav1.GroupVersion.WithKind(name))
			require.NoError(t, err, name)
			assert.Equal(t, object, object.DeepCopyObject(), name)
		}
	}
}
