package reference_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/capmaas/capmaas/test/apiserver"
	"github.com/capmaas/capmaas/test/reference"
)

// fieldsPage is the page that the generator writes.
const fieldsPage = "docs/reference/fields.md"

func TestFields_page_is_what_the_CRDs_say(t *testing.T) {
	t.Parallel()
	root := top(t)
	wanted, err := reference.Fields(root)
	require.NoError(t, err)
	assert.Equal(t, string(wanted), readPage(t, fieldsPage), "run make manifests and commit %s", fieldsPage)
}

func TestFields_page_has_a_row_for_every_field(t *testing.T) {
	t.Parallel()
	text := readPage(t, fieldsPage)
	files, err := filepath.Glob(filepath.Join(top(t), "deploy/crd/bases/*.yaml"))
	require.NoError(t, err)
	require.Len(t, files, 4)
	for _, name := range files {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, yaml.UnmarshalStrict(source, crd))
		for part, schema := range crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties {
			if part != "spec" && part != "status" {
				continue
			}
			_, section, found := strings.Cut(text, "### "+part+" of a "+crd.Spec.Names.Kind+"\n")
			require.True(t, found, "%s of a %s has no section", part, crd.Spec.Names.Kind)
			section, _, _ = strings.Cut(section, "\n#")
			for field, one := range schema.Properties {
				assert.Contains(t, section, "| `"+field+"` | ")
				assert.NotEmpty(t, one.Description, "%s.%s of %s says nothing of itself", part, field, crd.Spec.Names.Kind)
			}
		}
	}
}

func TestFields_page_tells_types_defaults_and_rules(t *testing.T) {
	t.Parallel()
	text := readPage(t, fieldsPage)
	for what, row := range map[string]string{
		"a required number with a least value": "| `minCPU` | integer, required |  | at least 0 |",
		"a default and a choice":               "| `lxdConfig.antiAffinity` | string |  | one of `preferred`, `required` |",
		"a default":                            "| `lxd.vmConfig.diskSize` | integer | `60` | at least 0 |",
		"a list with rules of its entries":     "| `lxdConfig.network.devices` | list of string |  | at most 15 entries; each 1 to 15 characters |",
		"a rule in CEL by its message":         "must be an IP address, for example 10.0.0.5 or fd00::5",
		"a number or a string":                 "| `lxdConfig.storage.size` | integer or string |",
		"a template by the spec that it holds": "Its fields are those of the [spec of a MaasMachine](#spec-of-a-maasmachine).",
	} {
		assert.Contains(t, text, row, what)
	}
	assert.NotContains(t, text, "`template.spec.", "a template's spec is told twice")
}

func TestFields_fails_without_CRDs(t *testing.T) {
	t.Parallel()
	_, err := reference.Fields(t.TempDir())
	assert.ErrorContains(t, err, "look for CRDs")
}

func top(t *testing.T) string {
	t.Helper()
	root, err := apiserver.Tree()
	require.NoError(t, err)
	return root
}

func readPage(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top(t), page))
	require.NoError(t, err)
	return string(text)
}
