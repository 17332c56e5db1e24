package architecture_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// history matches words of comments that tell what was instead of what is.
var history = regexp.MustCompile(`(?i)\b(formerly|used to be|now (uses|returns|calls)|refactored|renamed from|as requested|new implementation|for now|simplified version|in a real implementation|step \d+:)`)

func TestComments_tell_what_is_not_what_was(t *testing.T) {
	t.Parallel()
	walkSources(t, func(path string) {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, g := range f.Comments {
			if m := history.FindString(g.Text()); m != "" {
				t.Errorf("%s: %q: say what holds today; history belongs in the commit message or an ADR", fset.Position(g.Pos()), m)
			}
		}
	})
}

// walkSources visits every hand-written Go file of the repository.
func walkSources(t *testing.T, visit func(path string)) {
	t.Helper()
	visited := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "bin"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".pb.go") || strings.Contains(path, "zz_generated"):
			return nil
		}
		visited++
		visit(path)
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, visited, 50, "the walk found too few files to be right")
}
