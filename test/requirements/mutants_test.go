package requirements_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/requirements"
)

// module makes a repository with one function and a test that guards half of it.
func module(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module example.org/m\n\ngo 1.26\n")
	write(t, filepath.Join(dir, "a", "a.go"), "package a\n\nfunc Sum(x, y int) int {\n\tif x == 7 {\n\t\treturn 0\n\t}\n\treturn x + y\n}\n")
	write(t, filepath.Join(dir, "a", "a_test.go"), `package a

import "testing"

func TestSum_R1_1(t *testing.T) {
	if Sum(1, 2) != 3 {
		t.Error("wrong")
	}
}
`)
	init := exec.CommandContext(t.Context(), "git", "init", "--quiet")
	init.Dir = dir
	require.NoError(t, init.Run())
	return dir
}

func TestMutants(t *testing.T) {
	t.Parallel()
	const head = "--- a/a/a.go\n+++ b/a/a.go\n@@ -4,5 +4,5 @@\n \tif x == 7 {\n"
	guarding := []requirements.Test{{Dir: "a", Name: "TestSum_R1_1"}}
	for name, test := range map[string]struct {
		patch string
		tests []requirements.Test
		says  string
	}{
		"one_that_a_test_guards_is_noticed": {
			patch: head + " \t\treturn 0\n \t}\n-\treturn x + y\n+\treturn x\n }\n", tests: guarding,
		},
		"one_that_no_test_guards_survives": {
			patch: head + "-\t\treturn 0\n+\t\treturn 1\n \t}\n \treturn x + y\n }\n", tests: guarding, says: "no test turned red",
		},
		"one_that_does_not_compile_is_no_proof": {
			patch: head + " \t\treturn 0\n \t}\n-\treturn x + y\n+\treturn z\n }\n", tests: guarding, says: "does not compile",
		},
		"one_that_does_not_apply_is_told": {
			patch: head + " \t\treturn 0\n \t}\n-\treturn x * y\n+\treturn x\n }\n", tests: guarding, says: "git apply",
		},
		"one_whose_number_no_test_names_is_told": {
			patch: head + " \t\treturn 0\n \t}\n-\treturn x + y\n+\treturn x\n }\n", says: "no test names the number",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			patches := t.TempDir()
			write(t, filepath.Join(patches, "R1.1-sum.patch"), test.patch)
			mutants, err := requirements.Mutants(patches)
			require.NoError(t, err)
			require.Len(t, mutants, 1)
			assert.Equal(t, requirements.Number("R1.1"), mutants[0].Number)

			root, copied := module(t), t.TempDir()
			scratch, err := requirements.Copy(t.Context(), root, copied)
			require.NoError(t, err)
			red, err := scratch.Try(t.Context(), mutants[0], test.tests, "example.org/m/", io.Discard)
			if test.says == "" {
				require.NoError(t, err)
				assert.Equal(t, guarding, red)
			} else {
				require.ErrorContains(t, err, test.says)
			}
			was, err := os.ReadFile(filepath.Join(root, "a", "a.go"))
			require.NoError(t, err)
			is, err := os.ReadFile(filepath.Join(copied, "a", "a.go"))
			require.NoError(t, err)
			assert.Equal(t, string(was), string(is), "the copy is what it was before")
		})
	}
}
