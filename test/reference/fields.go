package reference

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/yaml"
)

const (
	// crdDir holds the generated CRDs, annotationsFile and endpointFile the constants of annotations; all from the top of the
	// repository.
	crdDir          = "deploy/crd/bases"
	annotationsFile = "api/v1beta1/annotations.go"
	endpointFile    = "controllers/internal/endpoint/endpoint.go"
	// clusterBlock is the group to which the annotation of endpointFile belongs.
	clusterBlock = "Annotations of a MaasCluster."
)

// head is what stands before the tables. What only the webhooks know is no part of a schema.
const head = `# Fields

<!-- Written by make manifests from ` + crdDir + ` and ` + annotationsFile + `. Do not edit. -->

Every field of the four kinds, as the API server admits it. The rules here are those of the schemas: they hold with and without the admission webhooks, whose own are in [admission.md](admission.md).

Memory is in MiB, disks are in GB of 10⁹ bytes. A field that is not called required may be left out.
`

// tail is what others write on the objects, and what the service writes in MAAS.
const tail = `
### Names of Cluster API

| name | on | meaning |
|---|---|---|
| ` + "`cluster.x-k8s.io/cluster-name`" + ` | label of both | The Cluster of the object. |
| ` + "`cluster.x-k8s.io/watch-filter`" + ` | label of both | A manager with --watch-filter looks only at objects with that value. |
| ` + "`cluster.x-k8s.io/paused`" + ` | annotation of both | Nothing is done for the object, its deletion too. spec.paused of the Cluster says so for all of its objects. |
| ` + "`cluster.x-k8s.io/managed-by`" + ` | annotation of a MaasCluster | Somebody else keeps the MaasCluster: its endpoint, its status, its DNS record. Its MaasMachines are looked after. |
| ` + "`cluster.x-k8s.io/remediate-machine`" + ` | annotation of a Machine | A machine that is off is not switched on again, as it is being replaced. |
| ` + "`clusterctl.cluster.x-k8s.io/block-move`" + ` | annotation of a MaasMachine | ` + "With the value `capmaas`" + ` it was set because a composition may be under way; clusterctl move waits until it is gone. |

### Names in MAAS

| name | on | meaning |
|---|---|---|
| ` + "`capmaas.cluster`, `capmaas.cluster-id`, `capmaas.namespace`, `capmaas.machine`, `capmaas.machine-uid`, `capmaas.spec-digest`" + ` | workload annotations of a machine | Its owner. They are the mark by which a machine is known as one of ours. |
| ` + "`capmaas-delete`" + ` | workload annotation of a machine | Since when a VM is to be deleted whose host does not answer. |
| ` + "`capmaas/<name>`" + ` | agent name of an allocated machine | It is held by this provider. |
| ` + "`capmaas-no-refresh`" + ` | tag of a VM host, set by a person | The host is never refreshed. The deletion of a VM there goes without the proof that a refresh gives. |
`

// Fields writes the page of fields from what stands in the repository at root.
func Fields(root string) ([]byte, error) {
	crds, err := readCRDs(filepath.Join(root, crdDir))
	if err != nil {
		return nil, err
	}
	blocks, err := namesIn(root)
	if err != nil {
		return nil, err
	}
	p := &page{}
	p.WriteString(head)
	p.overview(crds)
	for _, crd := range crds {
		if err := p.kind(crd, crds); err != nil {
			return nil, err
		}
	}
	p.annotations(blocks)
	p.WriteString(tail)
	return p.Bytes(), nil
}

// namesIn reads the names that objects bear besides their fields.
func namesIn(root string) ([]Block, error) {
	blocks, err := Blocks(filepath.Join(root, annotationsFile))
	if err != nil {
		return nil, err
	}
	more, err := Blocks(filepath.Join(root, endpointFile))
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(blocks, func(b Block) bool { return b.Doc == clusterBlock })
	if at < 0 {
		return nil, fmt.Errorf("%s has no group %q", annotationsFile, clusterBlock)
	}
	for _, b := range more {
		blocks[at].Constants = append(blocks[at].Constants, b.Constants...)
	}
	return blocks, nil
}

func readCRDs(dir string) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("look for CRDs in %s: %d files, %w", dir, len(files), err)
	}
	crds := make([]*apiextensionsv1.CustomResourceDefinition, 0, len(files))
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read a CRD: %w", err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(text, crd); err != nil {
			return nil, fmt.Errorf("decode %s: %w", name, err)
		}
		if len(crd.Spec.Versions) != 1 || crd.Spec.Versions[0].Schema == nil {
			return nil, fmt.Errorf("%s: has %d versions, and this page tells of one", crd.Name, len(crd.Spec.Versions))
		}
		crds = append(crds, crd)
	}
	return crds, nil
}

// page is the text that is being written.
type page struct{ bytes.Buffer }

func (p *page) printf(format string, args ...any) { fmt.Fprintf(&p.Buffer, format, args...) }

func (p *page) overview(crds []*apiextensionsv1.CustomResourceDefinition) {
	p.printf("\n| kind | apiVersion | kubectl get |\n|---|---|---|\n")
	for _, crd := range crds {
		names := append([]string{crd.Spec.Names.Plural}, crd.Spec.Names.ShortNames...)
		p.printf("| [%s](#%s) | `%s/%s` | `%s` |\n", crd.Spec.Names.Kind, strings.ToLower(crd.Spec.Names.Kind), crd.Spec.Group,
			crd.Spec.Versions[0].Name, strings.Join(names, "`, `"))
	}
	p.printf("\nAnnotations, finalizers and other names are [at the end](#names).\n")
}

// kind writes the section of one kind.
func (p *page) kind(crd *apiextensionsv1.CustomResourceDefinition, all []*apiextensionsv1.CustomResourceDefinition) error {
	root := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	p.printf("\n## %s\n\n%s\n", crd.Spec.Names.Kind, line(root.Description))
	for _, part := range []string{"spec", "status"} {
		schema, ok := root.Properties[part]
		if !ok {
			continue
		}
		p.printf("\n### %s of a %s\n\n", part, crd.Spec.Names.Kind)
		if rules := rulesOf(&schema); len(rules) > 0 {
			p.printf("Of the whole: %s.\n\n", strings.Join(rules, "; "))
		}
		rows, err := rowsOf(&schema, sharedSpecs(crd, all))
		if err != nil {
			return fmt.Errorf("%s: %w", crd.Spec.Names.Kind, err)
		}
		p.table(rows)
	}
	return nil
}

func (p *page) table(rows []row) {
	p.printf("| field | type | default | rules | meaning |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		p.printf("| `%s` | %s | %s | %s | %s |\n", r.path, r.kind, r.preset, cell(strings.Join(r.rules, "; ")), cell(r.meaning))
	}
}

// sharedSpecs are the specs of other kinds, by kind: a template holds one of them, which is not told twice.
func sharedSpecs(self *apiextensionsv1.CustomResourceDefinition, all []*apiextensionsv1.CustomResourceDefinition) func(*apiextensionsv1.JSONSchemaProps) string {
	return func(schema *apiextensionsv1.JSONSchemaProps) string {
		for _, crd := range all {
			spec, ok := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
			if ok && crd != self && equality.Semantic.DeepEqual(spec.Properties, schema.Properties) && slices.Equal(spec.Required, schema.Required) {
				return crd.Spec.Names.Kind
			}
		}
		return ""
	}
}

// annotations writes what objects bear besides their fields.
func (p *page) annotations(blocks []Block) {
	p.printf("\n## Names\n\nWhat is found on the objects besides their fields. What a person or another program sets says so; the manager writes the rest.\n")
	named := valuesForNames(blocks)
	for _, block := range blocks {
		p.printf("\n### %s\n\n| name | meaning |\n|---|---|\n", strings.TrimSuffix(firstSentence(block.Doc), "."))
		for _, c := range block.Constants {
			p.printf("| `%s` | %s |\n", c.Value, cell(sentence(named.Replace(strings.TrimPrefix(c.Doc, c.Name+" ")))))
		}
	}
}

func firstSentence(text string) string {
	sentence, _, _ := strings.Cut(text, ". ")
	return sentence
}

// valuesForNames replaces the names of constants, which nobody knows who reads the page, by what they stand for.
func valuesForNames(blocks []Block) *strings.Replacer {
	var pairs []string
	for _, block := range blocks {
		for _, c := range block.Constants {
			pairs = append(pairs, c.Name, "`"+c.Value+"`")
		}
	}
	return strings.NewReplacer(pairs...)
}

// sortedKeys gives the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// cell makes a text fit into a table and keeps Markdown from taking <words> for HTML.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;").Replace(line(text))
}
