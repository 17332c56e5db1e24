// Package conformance_test compares the README beside it with Cluster API's specs and with the suite that calls them.
package conformance_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// specs are the package whose exported functions named ...Spec are Cluster API's specs.
const specs = "sigs.k8s.io/cluster-api/test/e2e"

func TestREADME_says_of_every_spec_of_Cluster_API_whether_it_runs(t *testing.T) {
	t.Parallel()
	assert.ElementsMatch(t, exported(t), keys(rows(t)), "the specs of %s, and those in the README's table", specs)
}

func TestREADME_says_why_a_spec_does_not_run_and_how_long_one_takes_that_does(t *testing.T) {
	t.Parallel()
	called := calls(t)
	for name, row := range rows(t) {
		if slices.Contains(called, name) {
			assert.Regexp(t, `^passes, \d+ min$`, row.result, "%s is called by the suite", name)
			continue
		}
		assert.Equal(t, "does not run", row.result, "%s is not called by the suite", name)
		assert.NotEmpty(t, row.note, "%s does not run, and the README does not say why", name)
	}
	for _, name := range called {
		assert.Contains(t, rows(t), name, "the suite calls what is no spec")
	}
}

// exported reads the specs' names from the source of the version that this module requires.
func exported(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-find", "-f", "{{.Dir}}", specs).Output()
	require.NoError(t, err, "find %s", specs)
	var names []string
	for _, file := range parse(t, strings.TrimSpace(string(out)), func(name string) bool { return !strings.HasSuffix(name, "_test.go") }) {
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.IsExported() && strings.HasSuffix(f.Name.Name, "Spec") {
				names = append(names, f.Name.Name)
			}
		}
	}
	require.NotEmpty(t, names)
	return names
}

// calls reads which specs the suite calls.
func calls(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, file := range parse(t, "suite", func(string) bool { return true }) {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.SelectorExpr); ok && strings.HasSuffix(f.Sel.Name, "Spec") {
				if of, ok := f.X.(*ast.Ident); ok && of.Name == "e2e" {
					names = append(names, f.Sel.Name)
				}
			}
			return true
		})
	}
	require.NotEmpty(t, names)
	slices.Sort(names)
	return slices.Compact(names)
}

func parse(t *testing.T, dir string, wanted func(name string) bool) []*ast.File {
	t.Helper()
	paths, err := fs.Glob(os.DirFS(dir), "*.go")
	require.NoError(t, err)
	var files []*ast.File
	for _, path := range paths {
		if !wanted(path) {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, path), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, file)
	}
	return files
}

// row is what the README says of a spec.
type row struct{ result, note string }

var tableRow = regexp.MustCompile("(?m)^\\| `(\\w+Spec)` \\| ([^|]+) \\| ([^|]*) \\|$")

func rows(t *testing.T) map[string]row {
	t.Helper()
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	all := make(map[string]row)
	for _, found := range tableRow.FindAllStringSubmatch(string(text), -1) {
		require.NotContains(t, all, found[1], "a second row")
		all[found[1]] = row{result: strings.TrimSpace(found[2]), note: strings.TrimSpace(found[3])}
	}
	return all
}

func keys(all map[string]row) []string {
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	return names
}
