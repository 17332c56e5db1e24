package evidence_test

import (
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/e2e/internal/evidence"
	"github.com/capmaas/capmaas/test/e2e/internal/maastest"
	"github.com/capmaas/capmaas/test/e2e/internal/management"
)

// secret is in everything that must not be kept.
const secret = "what-nobody-may-read"

// The kind in which Cluster API's kubeadm provider keeps tokens in the open.
const kubeadmConfig = `
apiVersion: bootstrap.cluster.x-k8s.io/v1beta2
kind: KubeadmConfig
metadata:
  name: joining
  namespace: default
  annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"token":"what-nobody-may-read"}'}
spec:
  files: [{path: /etc/key, content: what-nobody-may-read}]
  users: [{name: admin, passwd: what-nobody-may-read}]
  initConfiguration: {bootstrapTokens: [{token: what-nobody-may-read}], certificateKey: what-nobody-may-read}
  joinConfiguration:
    nodeRegistration: {name: kept-name}
    discovery: {bootstrapToken: {token: what-nobody-may-read}}
`

func TestObjects_keeps_what_there_is_and_no_secrets(t *testing.T) {
	t.Parallel()
	require.NotEmpty(t, os.Getenv("KUBEBUILDER_ASSETS"), "run this through make, or export KUBEBUILDER_ASSETS=$(tools/apiserver/ensure.sh)")
	environment := &envtest.Environment{
		CRDs: []*apiextensionsv1.CustomResourceDefinition{kubeadmKind()}, ControlPlaneStartTimeout: 3 * time.Minute, ControlPlaneStopTimeout: 3 * time.Minute,
	}
	t.Cleanup(func() { assert.NoError(t, environment.Stop()) })
	config, err := environment.Start()
	require.NoError(t, err)
	c, err := client.New(config, client.Options{Scheme: management.Scheme()})
	require.NoError(t, err)
	for _, object := range []client.Object{
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "kept-map"}, Data: map[string]string{"key": "kept-value"}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "bootstrap"}, StringData: map[string]string{"value": secret}},
		decode(t, kubeadmConfig),
	} {
		require.NoError(t, c.Create(t.Context(), object))
	}
	dir := t.TempDir()

	require.NoError(t, evidence.Objects(t.Context(), config, dir))

	files := read(t, dir)
	assert.Contains(t, files["configmaps..yaml"], "kept-value")
	assert.Contains(t, files["kubeadmconfigs.bootstrap.cluster.x-k8s.io.yaml"], "kept-name")
	assert.Contains(t, files, "namespaces..yaml")
	assert.Contains(t, files, "customresourcedefinitions.apiextensions.k8s.io.yaml")
	for name, text := range files {
		assert.NotContains(t, text, secret, name)
		assert.NotContains(t, text, base64.StdEncoding.EncodeToString([]byte(secret)), name)
	}
}

func TestObjects_says_that_nobody_answers(t *testing.T) {
	t.Parallel()

	err := evidence.Objects(t.Context(), &rest.Config{Host: "https://127.0.0.1:1"}, t.TempDir())

	require.ErrorContains(t, err, "find the kinds: ")
}

func TestMAAS_keeps_what_there_is_and_no_user_data(t *testing.T) {
	t.Parallel()
	server, err := maassim.Start(t.Context(), maassim.DefaultConfig(1, 1, 1))
	require.NoError(t, err)
	metal, ok := server.Machine("metal-1")
	require.True(t, ok)
	encoded := base64.StdEncoding.EncodeToString([]byte(secret))
	maas := &maastest.Client{Server: server, Now: time.Now}
	require.NoError(t, maas.Deploy(t.Context(), metal.SystemID, "ubuntu/jammy", encoded))
	received, ok := server.UserData(metal.SystemID)
	require.True(t, ok)
	require.Equal(t, encoded, received)
	dir := t.TempDir()

	require.NoError(t, evidence.MAAS(server.Sim, []string{"metal-1"}, filepath.Join(dir, "deep", "maas.json")))

	text := read(t, filepath.Join(dir, "deep"))["maas.json"]
	assert.Contains(t, text, metal.SystemID)
	assert.Contains(t, text, `"has_user_data": true`)
	assert.Contains(t, text, "machines.deploy")
	assert.NotContains(t, text, secret)
	assert.NotContains(t, text, encoded)
	assert.NotContains(t, text, server.APIKey())
}

// kubeadmKind takes whatever it is given.
func kubeadmKind() *apiextensionsv1.CustomResourceDefinition {
	anything := true
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "kubeadmconfigs.bootstrap.cluster.x-k8s.io"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "bootstrap.cluster.x-k8s.io", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "kubeadmconfigs", Singular: "kubeadmconfig", Kind: "KubeadmConfig", ListKind: "KubeadmConfigList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1beta2", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &anything}},
			}},
		},
	}
}

func decode(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(text), &object.Object))
	return object
}

// read gives the files below a directory by their names.
func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, dir+"/")] = string(text)
		return err
	}))
	return files
}
