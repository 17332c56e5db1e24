package reference_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/capmaas/capmaas/test/reference"
)

const conditionsPage = "docs/conditions.md"

// firstCell matches what stands in backticks at the beginning of a table's row.
var firstCell = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")

// ofClusterAPI are the reasons of Ready and Paused, which Cluster API names.
var ofClusterAPI = []string{clusterv1.ReadyReason, clusterv1.PausedReason, clusterv1.NotPausedReason}

func TestConditions_page_has_every_type_and_no_other(t *testing.T) {
	t.Parallel()
	text, _, _ := strings.Cut(readPage(t, conditionsPage), "\n## Events\n")
	var documented []string
	for heading := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(heading, "### "); ok {
			documented = append(documented, strings.TrimSpace(name))
		}
	}
	wanted := append(constants(t, "Condition"), clusterv1.ReadyCondition, clusterv1.PausedCondition)
	assert.ElementsMatch(t, unique(wanted), unique(documented))
}

func TestConditions_page_has_every_reason_and_no_other(t *testing.T) {
	t.Parallel()
	text, _, found := strings.Cut(readPage(t, conditionsPage), "\n## Events\n")
	require.True(t, found)
	// What hands a deletion over is told of by an event alone: the object goes.
	wanted := slices.DeleteFunc(append(constants(t, "Reason"), ofClusterAPI...), func(r string) bool { return r == "DeletionHandedOver" })
	assert.ElementsMatch(t, unique(wanted), unique(cells(text)))
}

func TestConditions_page_has_the_reasons_of_each_kind_under_its_own_heading(t *testing.T) {
	t.Parallel()
	machine, cluster, found := strings.Cut(readPage(t, conditionsPage), "\n## Conditions of a MaasCluster\n")
	require.True(t, found)
	cluster, _, _ = strings.Cut(cluster, "\n## Events\n")
	blocks, err := reference.Blocks(filepath.Join(top(t), "api/v1beta1/conditions.go"))
	require.NoError(t, err)
	for _, block := range blocks {
		ours, other := machine, cluster
		if strings.Contains(block.Doc, "MaasCluster") {
			ours, other = cluster, machine
		}
		for _, c := range block.Constants {
			switch {
			case strings.HasSuffix(c.Name, "Condition"):
				assert.Contains(t, ours, "\n### "+c.Value+"\n")
				assert.NotContains(t, other, "\n### "+c.Value+"\n")
			case c.Name != "DeletionHandedOverReason":
				assert.Contains(t, ours, "| `"+c.Value+"` |", c.Name)
			}
		}
	}
}

func TestConditions_page_has_every_event_and_no_other(t *testing.T) {
	t.Parallel()
	_, text, found := strings.Cut(readPage(t, conditionsPage), "\n## Events\n")
	require.True(t, found)
	events, err := reference.Events(filepath.Join(top(t), "controllers"), constantValues(t))
	require.NoError(t, err)
	require.Contains(t, events, "Composed", "the search for events finds none")
	assert.ElementsMatch(t, events, cells(text))
}

// constants are the values of the constants of api/v1beta1/conditions.go whose names end so.
func constants(t *testing.T, suffix string) []string {
	t.Helper()
	var values []string
	for name, value := range constantValues(t) {
		if strings.HasSuffix(name, suffix) {
			values = append(values, value)
		}
	}
	require.NotEmpty(t, values)
	return values
}

func constantValues(t *testing.T) map[string]string {
	t.Helper()
	blocks, err := reference.Blocks(filepath.Join(top(t), "api/v1beta1/conditions.go"))
	require.NoError(t, err)
	values := map[string]string{}
	for _, block := range blocks {
		for _, c := range block.Constants {
			values[c.Name] = c.Value
		}
	}
	return values
}

func cells(text string) []string {
	var all []string
	for _, match := range firstCell.FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	return all
}

func unique(all []string) []string {
	slices.Sort(all)
	return slices.Compact(all)
}
