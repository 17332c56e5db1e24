package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"github.com/capmaas/capmaas/test/apiserver"
)

// page is a Markdown file of the repository.
type page struct {
	// path is relative to the top of the repository.
	path   string
	source []byte
	root   ast.Node
}

// block is a fenced block of a page.
type block struct {
	page string
	// line is that of the opening fence.
	line int
	// language is the first word after the fence, marks are the others.
	language string
	marks    []string
	text     string
}

// skipped are directories that hold no pages of ours: what was built, and files that tests read.
var skipped = []string{".git", ".tiltbuild", "bin", "dist", "node_modules", "testdata", "third_party", ".dev", ".demo", ".e2e"}

// pages reads all pages.
func pages(t *testing.T) []*page {
	t.Helper()
	root := top(t)
	var all []*page
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains(skipped, entry.Name()):
			return fs.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		all = append(all, parse(relative, source))
		return err
	}))
	require.NotEmpty(t, all)
	return all
}

func parse(path string, source []byte) *page {
	markdown := goldmark.New(goldmark.WithExtensions(extension.GFM))
	return &page{path: path, source: source, root: markdown.Parser().Parse(text.NewReader(source))}
}

func top(t *testing.T) string {
	t.Helper()
	root, err := apiserver.Tree()
	require.NoError(t, err)
	return root
}

// blocks are the fenced blocks of a page, in order.
func (p *page) blocks() []block {
	var all []block
	p.walk(func(node ast.Node) {
		fenced, ok := node.(*ast.FencedCodeBlock)
		if !ok {
			return
		}
		b := block{page: p.path}
		if fenced.Info != nil {
			words := strings.Fields(string(fenced.Info.Segment.Value(p.source)))
			b.language, b.marks = words[0], words[1:]
			b.line = p.line(fenced.Info.Segment.Start)
		}
		var content strings.Builder
		for i := range fenced.Lines().Len() {
			segment := fenced.Lines().At(i)
			content.Write(segment.Value(p.source))
			if i == 0 {
				b.line = p.line(segment.Start) - 1
			}
		}
		b.text = content.String()
		all = append(all, b)
	})
	return all
}

// line is the line of an offset, from 1.
func (p *page) line(offset int) int { return 1 + strings.Count(string(p.source[:offset]), "\n") }

func (p *page) walk(visit func(ast.Node)) {
	_ = ast.Walk(p.root, func(node ast.Node, entering bool) (ast.WalkStatus, error) { // visit gives no errors
		if entering {
			visit(node)
		}
		return ast.WalkContinue, nil
	})
}
