package release_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/core/webhooks/admission"
	"sigs.k8s.io/cluster-api/feature"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/test/apiserver"
	"github.com/capmaas/capmaas/test/scheme"
)

const clusterName = "sample"

// byFlag are the variables that clusterctl has flags for.
var byFlag = []string{"CLUSTER_NAME", "NAMESPACE", "KUBERNETES_VERSION", "CONTROL_PLANE_MACHINE_COUNT", "WORKER_MACHINE_COUNT"}

// flavors gives the flavors of the release; the empty one is the default's.
func flavors(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dist(t), "cluster-template*.yaml"))
	require.NoError(t, err)
	var all []string
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "cluster-template"), ".yaml")
		all = append(all, strings.TrimPrefix(name, "-"))
	}
	return all
}

// generateCluster renders a flavor with the variables given, and with clusterctl's flags for the counts.
func generateCluster(t *testing.T, flavor string, variables map[string]string) string {
	t.Helper()
	args := []string{
		"generate", "cluster", clusterName, "--infrastructure", "maas:" + version, "--kubernetes-version", "v1.36.3", "--target-namespace", "default",
		"--control-plane-machine-count", "3", "--worker-machine-count", "2",
	}
	if flavor != "" {
		args = append(args, "--flavor", flavor)
	}
	return clusterctl(t, variables, args...)
}

// documented is a row of the table of variables in docs/releasing.md.
type documented struct{ name, defaults, example, files string }

var row = regexp.MustCompile("(?m)^\\| `([A-Z0-9_]+)` \\|([^|]*)\\| `([^|]*)` \\| ([^|]*) \\|")

// table gives the variables that the documentation tells of.
func table(t *testing.T) map[string]documented {
	t.Helper()
	root, err := apiserver.Tree()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, "docs", "releasing.md"))
	require.NoError(t, err)
	rows := map[string]documented{}
	for _, found := range row.FindAllStringSubmatch(string(text), -1) {
		require.NotContains(t, rows, found[1], "a second row")
		rows[found[1]] = documented{name: found[1], defaults: found[2], example: found[3], files: strings.TrimSpace(found[4])}
	}
	require.NotEmpty(t, rows)
	return rows
}

var variable = regexp.MustCompile(`\$\{\s*([A-Z0-9_]+)\s*(?::=([^}]*))?\}`)

// variables gives those of a file, with their defaults.
func variables(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	all := map[string]string{}
	for _, found := range variable.FindAllStringSubmatch(string(text), -1) {
		if before, again := all[found[1]]; again {
			assert.Equal(t, before, found[2], "%s has two defaults in %s", found[1], file)
		}
		all[found[1]] = found[2]
	}
	return all
}

// examples gives the documented example of each variable that a flavor can't do without and clusterctl has no flag for.
func examples(t *testing.T, flavor string) map[string]string {
	t.Helper()
	name := "cluster-template"
	if flavor != "" {
		name += "-" + flavor
	}
	rows, all := table(t), map[string]string{}
	for name, fallback := range variables(t, filepath.Join(dist(t), name+".yaml")) {
		if fallback == "" && !slices.Contains(byFlag, name) {
			all[name] = rows[name].example
		}
	}
	return all
}

func TestVariables_of_the_release_are_those_of_the_documentation(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(dist(t), "*.yaml"))
	require.NoError(t, err)
	rows, where := table(t), map[string][]string{}
	for _, file := range files {
		for name, fallback := range variables(t, file) {
			where[name] = append(where[name], shortName(file))
			assert.Contains(t, rows[name].defaults, fallback, "the default of %s in %s", name, file)
		}
	}
	assert.ElementsMatch(t, slices.Collect(maps.Keys(where)), slices.Collect(maps.Keys(rows)))
	for name, files := range where {
		assert.ElementsMatch(t, files, strings.Split(rows[name].files, ", "), "where %s is used", name)
	}
}

// shortName says of a file what the documentation calls it: a flavor, default, or components.
func shortName(file string) string {
	name := strings.TrimSuffix(filepath.Base(file), ".yaml")
	switch flavor, isTemplate := strings.CutPrefix(name, "cluster-template"); {
	case name == "infrastructure-components":
		return "components"
	case isTemplate && flavor == "":
		return "default"
	case isTemplate:
		return strings.TrimPrefix(flavor, "-")
	default:
		return name
	}
}

func TestTemplates_need_no_more_than_the_variables_without_a_default(t *testing.T) {
	t.Parallel()
	for _, flavor := range flavors(t) {
		t.Run("flavor_"+flavor, func(t *testing.T) {
			t.Parallel()
			text := generateCluster(t, flavor, examples(t, flavor))
			assert.NotContains(t, text, "${")
			objects := decode(t, text)
			cluster := find(t, objects, "Cluster", clusterName)
			assert.Equal(t, "default", cluster.GetNamespace())
			for _, object := range objects {
				assert.Equal(t, "default", object.GetNamespace(), "%s %s", object.GetKind(), object.GetName())
			}
		})
	}
}

// TestClusterClass asks Cluster API's own webhook, which knows the paths and variables of patches.
func TestClusterClass_passes_the_webhook_of_Cluster_API(t *testing.T) {
	t.Parallel()
	require.NoError(t, feature.MutableGates.Set("ClusterTopology=true"))
	objects := decode(t, generateCluster(t, "topology", examples(t, "topology")))
	read, err := client.New(server.Config, client.Options{Scheme: scheme.New()})
	require.NoError(t, err)
	checked := 0
	for _, object := range objects {
		if object.GetKind() != "ClusterClass" {
			continue
		}
		var class clusterv1.ClusterClass
		require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, &class, true))
		_, err := (&admission.ClusterClass{Client: read}).ValidateCreate(t.Context(), &class)
		require.NoError(t, err)
		checked++
		assertTopology(t, find(t, objects, "Cluster", clusterName).Object, &class)
	}
	assert.Equal(t, 1, checked, "clusterctl adds the class that the template refers to")
}

// assertTopology holds the template against its class: the variables and the classes of workers that it names.
func assertTopology(t *testing.T, object map[string]any, class *clusterv1.ClusterClass) {
	t.Helper()
	var cluster clusterv1.Cluster
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object, &cluster, true))
	assert.Equal(t, class.Name, cluster.Spec.Topology.ClassRef.Name)
	var known, given, classes []string
	for _, v := range class.Spec.Variables {
		known = append(known, v.Name)
	}
	for _, v := range cluster.Spec.Topology.Variables {
		given = append(given, v.Name)
	}
	assert.ElementsMatch(t, known, given)
	for _, md := range class.Spec.Workers.MachineDeployments {
		classes = append(classes, md.Class)
	}
	for _, md := range cluster.Spec.Topology.Workers.MachineDeployments {
		assert.Contains(t, classes, md.Class)
	}
}
