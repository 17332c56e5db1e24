package requirements_test

import (
	"path/filepath"
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
