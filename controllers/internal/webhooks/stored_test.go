package webhooks_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/controllers/internal/webhooks"
)

// repository is the top of it.
const repository = "../../.."

// TestAdmission_takes_manifests applies the existing provider's manifests, those of the plan and our samples.
func TestAdmission_P8_takes_the_manifests_of_the_existing_provider_unchanged(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var files []string
	for _, pattern := range []string{"api/v1beta1/testdata/*.yaml", "deploy/samples/*.yaml", "deploy/samples/demo/*.yaml"} {
		found, err := filepath.Glob(filepath.Join(repository, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, found, pattern)
		files = append(files, found...)
	}
	asked := 0
	for _, file := range files {
		for _, object := range ours(t, file) {
			asked++
			t.Run(filepath.Base(file)+"/"+object.GetName(), func(t *testing.T) {
				spec, _, err := unstructured.NestedMap(object.Object, "spec")
				require.NoError(t, err)
				object.SetNamespace(s.namespace)
				unstructured.RemoveNestedField(object.Object, "status")
				require.NoError(t, s.Create(t.Context(), object))
				stored, _, err := unstructured.NestedMap(object.Object, "spec")
				require.NoError(t, err)
				holdsAll(t, "spec", spec, stored)
				object.SetFinalizers(nil)
				require.NoError(t, s.Update(t.Context(), object))
				require.NoError(t, s.Delete(t.Context(), object))
			})
		}
	}
	assert.Greater(t, asked, 15)
}

// ours reads the objects of our kinds in a file.
func ours(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var all []*unstructured.Unstructured
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		object := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal([]byte(document), &object.Object), file)
		if object.GroupVersionKind().Group == infrav1.GroupVersion.Group {
			all = append(all, object)
		}
	}
	return all
}

// holdsAll says that what was given is stored as it was given; what admission adds may stand beside it.
func holdsAll(t *testing.T, path string, given, stored map[string]any) {
	t.Helper()
	for key, value := range given {
		if inner, ok := value.(map[string]any); ok {
			below, ok := stored[key].(map[string]any)
			require.True(t, ok || len(inner) == 0, path+"."+key)
			holdsAll(t, path+"."+key, inner, below)
			continue
		}
		if key == "controlPlaneEndpoint" || value == "" || value == int64(0) && path == "spec.controlPlaneEndpoint" {
			continue // an empty endpoint is stored as none
		}
		assert.EqualValues(t, value, stored[key], path+"."+key)
	}
}

// TestStored keeps objects that were stored when less was forbidden, lets the rules come, and then takes the manager away:
// nothing of what is stored may be stuck.
func TestStored_P8_objects_stay_changeable_and_deletable(t *testing.T) {
	t.Parallel()
	environment, err := managertest.NewEnvironment()
	require.NoError(t, err)
	config, err := environment.Start()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, environment.Stop()) })
	s := serverAt(t, config)
	full := withoutRules(t, s, "maasmachines.infrastructure.cluster.x-k8s.io")

	bad := vm()
	bad.Image, bad.MinMemory = "ubuntu/", new(int32(100))
	bad.Tags = []string{""}
	bad.StaticIP = &infrav1.StaticIPConfig{IP: "nonsense", CIDR: "nonsense"}
	old := s.machine(bad)
	old.Finalizers = []string{infrav1.HostEvacuationFinalizer, infrav1.MachineFinalizer}
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.NoError(c, s.Create(t.Context(), old.DeepCopy(), client.DryRunAll), "the schema without its rules is in use")
	}, "an object of older times is stored")
	require.NoError(t, s.Create(t.Context(), old))
	restore(t, s, full)
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.Error(c, s.Create(t.Context(), s.machine(bad), client.DryRunAll))
	}, "the rules hold for new objects")

	change := func(edit func(*infrav1.MaasMachine)) error {
		before := old.DeepCopy()
		edit(old)
		return s.Patch(t.Context(), old, client.MergeFrom(before))
	}
	require.NoError(t, change(func(m *infrav1.MaasMachine) { m.Spec.ProviderID = new("maas-lxd:///az1/abc123") }), "the schema lets an unchanged field be")

	hooks := envtest.WebhookInstallOptions{Paths: []string{filepath.Join(repository, "deploy", "webhook", "manifests.yaml")}}
	require.NoError(t, hooks.Install(config))
	t.Cleanup(func() { assert.NoError(t, hooks.Cleanup()) })
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.ErrorContains(c, s.Create(t.Context(), s.machine(vm()), client.DryRunAll), "failed calling webhook")
	}, "nobody answers the webhooks")
	require.NoError(t, change(func(m *infrav1.MaasMachine) { m.Annotations = map[string]string{"example.net/note": "x"} }))
	require.NoError(t, change(func(m *infrav1.MaasMachine) { m.Finalizers = m.Finalizers[1:] }))
	require.NoError(t, s.Delete(t.Context(), old))
	require.NoError(t, s.Get(t.Context(), client.ObjectKeyFromObject(old), old))
	require.NoError(t, change(func(m *infrav1.MaasMachine) { m.Finalizers = nil }))
	assert.True(t, apierrors.IsNotFound(s.Get(t.Context(), client.ObjectKeyFromObject(old), old)))
}

// withoutRules takes the rules of a CRD's spec away and gives the CRD as it was.
func withoutRules(t *testing.T, s *server, name string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	full := &apiextensionsv1.CustomResourceDefinition{}
	require.NoError(t, apiextensionsv1.AddToScheme(s.Scheme()))
	require.NoError(t, s.Get(t.Context(), client.ObjectKey{Name: name}, full))
	bare := full.DeepCopy()
	for i := range bare.Spec.Versions {
		loosen(bare.Spec.Versions[i].Schema.OpenAPIV3Schema)
	}
	require.NoError(t, s.Update(t.Context(), bare))
	return full
}

func loosen(schema *apiextensionsv1.JSONSchemaProps) {
	schema.XValidations, schema.MinLength, schema.Pattern, schema.Minimum = nil, nil, "", nil
	for name, property := range schema.Properties {
		if name == "conditions" {
			continue
		}
		loosen(&property)
		schema.Properties[name] = property
	}
	if schema.Items != nil {
		loosen(schema.Items.Schema)
	}
}

func restore(t *testing.T, s *server, full *apiextensionsv1.CustomResourceDefinition) {
	t.Helper()
	stored := &apiextensionsv1.CustomResourceDefinition{}
	require.NoError(t, s.Get(t.Context(), client.ObjectKeyFromObject(full), stored))
	stored.Spec = full.Spec
	require.NoError(t, s.Update(t.Context(), stored))
}

// The webhooks alone, because no API server with them would store what they refuse.
func TestStored_P8_a_webhook_refuses_only_what_gets_worse(t *testing.T) {
	t.Parallel()
	w := &webhooks.MaasMachine{}
	bad := vm()
	bad.MinMemory = new(int32(100))
	staticIP("10.0.0.255", "/24", "10.1.0.1")(&bad)
	before := &infrav1.MaasMachine{Spec: bad}
	_, err := w.ValidateCreate(t.Context(), &infrav1.MaasMachine{Spec: withoutAddress(bad)})
	require.Error(t, err)

	same := before.DeepCopy()
	same.Spec.ProviderID = new("maas-lxd:///az1/abc123")
	_, err = w.ValidateUpdate(t.Context(), before, same)
	require.NoError(t, err, "what is as bad as it was does not hold up the provider ID")

	healed := before.DeepCopy()
	healed.Spec.LXDConfig.Network.StaticIPConfig.Gateway = "10.0.0.1"
	_, err = w.ValidateUpdate(t.Context(), before, healed)
	require.NoError(t, err, "one of two may be put right")

	worse := before.DeepCopy()
	worse.Spec.LXDConfig.Network.StaticIPConfig.Gateway = "10.2.0.1"
	_, err = w.ValidateUpdate(t.Context(), before, worse)
	assert.Equal(t, []string{"spec." + fixed + "gateway"}, fieldsOf(t, err), "and only the changed one is named")

	template := &infrav1.MaasMachineTemplate{}
	template.Spec.Template.Spec = bad
	moved := template.DeepCopy()
	moved.Spec.Template.Spec.Tags = []string{"ssd"}
	_, err = (&webhooks.MaasMachineTemplate{}).ValidateUpdate(t.Context(), template, moved)
	require.NoError(t, err)

	cluster := &infrav1.MaasCluster{}
	widened := cluster.DeepCopy()
	widened.Spec.FailureDomains = []string{"az1"}
	_, err = (&webhooks.MaasCluster{}).ValidateUpdate(t.Context(), cluster, widened)
	require.NoError(t, err, "a MaasCluster without a domain stays as it is")
}

func withoutAddress(spec infrav1.MaasMachineSpec) infrav1.MaasMachineSpec {
	spec.LXDConfig = nil
	return spec
}

// brokenReader is a cache that can't be read.
type brokenReader struct{ client.Reader }

func (brokenReader) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return context.DeadlineExceeded
}

func TestStaticIP_S1_is_left_to_MAAS_where_nobody_can_be_compared(t *testing.T) {
	t.Parallel()
	spec := vm()
	staticIP("10.0.0.5", "/24", "")(&spec)
	warnings, err := (&webhooks.MaasMachine{Reader: brokenReader{}}).ValidateCreate(t.Context(), &infrav1.MaasMachine{Spec: spec})
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	assert.Contains(t, warnings[0], "10.0.0.5 was not compared")
}
