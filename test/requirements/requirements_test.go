package requirements_test

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/requirements"
)

const root = "../.."

func listed(t *testing.T) []requirements.Requirement {
	t.Helper()
	all, err := requirements.Listed(filepath.Join(root, "docs/requirements.md"), filepath.Join(root, "docs/protocol-coverage.md"))
	require.NoError(t, err)
	return all
}

func scanned(t *testing.T) map[requirements.Test]map[requirements.Number]bool {
	t.Helper()
	tests, err := requirements.Scan(root)
	require.NoError(t, err)
	return tests
}

func TestRequirements_tests_name_numbers_that_are_listed(t *testing.T) {
	t.Parallel()
	known := map[requirements.Number]bool{}
	for _, requirement := range listed(t) {
		assert.False(t, known[requirement.Number], "%s is listed twice", requirement.Number)
		known[requirement.Number] = true
	}
	for test, named := range scanned(t) {
		for number := range named {
			assert.True(t, known[number], "%s names %s, and there is no such number", test, number)
		}
	}
}

// TestRequirements looks for what has to be seen with a real API server, the service and a MAAS over HTTP.
func TestRequirements_of_behaviour_are_shown_over_the_whole_stack(t *testing.T) {
	t.Parallel()
	shown := map[requirements.Number]bool{}
	for test, named := range scanned(t) {
		if test.Dir != "test/integration" {
			continue
		}
		for number := range named {
			shown[number] = true
		}
	}
	whole := regexp.MustCompile(`^(R[567]\.\d+|S\d+|P5|P10)$`)
	asked := 0
	for _, requirement := range listed(t) {
		if whole.MatchString(string(requirement.Number)) {
			asked++
			assert.True(t, shown[requirement.Number], "no test in test/integration names %s", requirement.Number)
		}
	}
	assert.Equal(t, 20, asked)
}

func TestRequirements_have_a_mutant_where_one_is_demanded(t *testing.T) {
	t.Parallel()
	all, err := requirements.Mutants(filepath.Join(root, "test/mutants"))
	require.NoError(t, err)
	there := map[requirements.Number]bool{}
	for _, mutant := range all {
		there[mutant.Number] = true
	}
	for _, number := range []requirements.Number{"R2.2", "R3.4", "R4.4", "R5.4", "R6.1", "R6.2", "R6.3", "R7.4", "R8.4", "S4", "P4", "P8"} {
		assert.True(t, there[number], "test/mutants has no patch for %s", number)
	}
}
