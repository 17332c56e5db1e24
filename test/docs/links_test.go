package docs_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/yuin/goldmark/ast"
)

func TestLinks_lead_to_files_and_headings_that_there_are(t *testing.T) {
	t.Parallel()
	root := top(t)
	known := map[string]*page{}
	all := pages(t)
	for _, p := range all {
		known[p.path] = p
	}
	count := 0
	for _, p := range all {
		for _, link := range p.links() {
			count++
			assert.NoError(t, check(root, known, p, link), "%s: %s", p.path, link)
		}
	}
	assert.Greater(t, count, 50, "the pages link to each other")
}

// check says what is wrong with a link. What lies on the network is not asked for.
func check(root string, known map[string]*page, from *page, link string) error {
	target, err := url.Parse(link)
	if err != nil {
		return fmt.Errorf("read the link: %w", err)
	}
	switch {
	case target.Scheme == "mailto":
		return nil
	case target.Host != "":
		if target.Scheme != "https" && target.Hostname() != "localhost" {
			return fmt.Errorf("a link to the network is one to https, not to %s", target.Scheme)
		}
		return nil
	}
	path := from.path
	if target.Path != "" {
		path = filepath.Join(filepath.Dir(from.path), target.Path)
		if strings.HasPrefix(path, "..") || filepath.IsAbs(target.Path) {
			return fmt.Errorf("%s is outside of the repository", path)
		}
		if _, err := os.Stat(filepath.Join(root, path)); err != nil {
			return fmt.Errorf("there is no %s", path)
		}
	}
	if target.Fragment == "" {
		return nil
	}
	to, isPage := known[path]
	if !isPage {
		return fmt.Errorf("%s is no page, and has no headings", path)
	}
	if !to.anchors()[target.Fragment] {
		return fmt.Errorf("%s has no heading #%s", path, target.Fragment)
	}
	return nil
}

// TestCheck holds the check against links that are known to be wrong, and against some that are right.
func TestCheck_finds_links_that_lead_nowhere(t *testing.T) {
	t.Parallel()
	here := parse("README.md", []byte("# One `code` word\n\n## Twice\n\n## Twice\n\n[a](#twice-1)\n"))
	known := map[string]*page{"README.md": here}
	root := top(t)
	for _, link := range []string{"LICENSE", "docs/", "#one-code-word", "#twice", "#twice-1", "README.md#twice", "https://example.com/x", "mailto:a@example.com"} {
		assert.NoError(t, check(root, known, here, link), link)
	}
	for _, link := range []string{"LICENCE", "#thrice", "#twice-2", "LICENSE#twice", "../x.md", "/etc/passwd", "http://example.com", "docs/none.md"} {
		assert.Error(t, check(root, known, here, link), link)
	}
	assert.Equal(t, []string{"#twice-1"}, here.links())
}

// links are the targets of a page's links and images.
func (p *page) links() []string {
	var all []string
	p.walk(func(node ast.Node) {
		switch n := node.(type) {
		case *ast.Link:
			all = append(all, string(n.Destination))
		case *ast.Image:
			all = append(all, string(n.Destination))
		}
	})
	return all
}

// named matches an anchor that is written as HTML.
var named = regexp.MustCompile(`<a (?:name|id)="([^"]+)"`)

// anchors are the fragments that a page has, by the rule of the places that show Markdown: the heading in lower case,
// without its punctuation, with hyphens for spaces, and numbered from the second of its name on.
func (p *page) anchors() map[string]bool {
	all := map[string]bool{}
	p.walk(func(node ast.Node) {
		heading, ok := node.(*ast.Heading)
		if !ok {
			return
		}
		anchor := slug(p.heading(heading))
		for n, base := 1, anchor; all[anchor]; n++ {
			anchor = fmt.Sprintf("%s-%d", base, n)
		}
		all[anchor] = true
	})
	for _, match := range named.FindAllStringSubmatch(string(p.source), -1) {
		all[match[1]] = true
	}
	return all
}

// heading is the text of a heading, without what marks it up.
func (p *page) heading(heading ast.Node) string {
	var words strings.Builder
	_ = ast.Walk(heading, func(node ast.Node, entering bool) (ast.WalkStatus, error) { // it gives no errors
		if leaf, ok := node.(*ast.Text); ok && entering {
			words.Write(leaf.Segment.Value(p.source))
		}
		return ast.WalkContinue, nil
	})
	return words.String()
}

func slug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
			return unicode.ToLower(r)
		default:
			return -1
		}
	}, heading)
}
