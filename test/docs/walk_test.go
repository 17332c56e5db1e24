package docs_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark/ast"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/test/scheme"
)

// stepLimit bounds one section of a page, or one call of clusterctl.
const stepLimit = 5 * time.Minute

// published is where the page puts releases; the walk has a directory of its own in its place.
const published = "/srv/clusterctl"

// prelude stands in front of every script. Its functions take what needs more than an API server: a registry, a MAAS, and a
// kubelet, without which nothing is ever rolled out. What they take other tests check: commands_test.go for its grammar.
const prelude = `
make() { case $1 in release) command make -C "$ROOT" "$@" ;; image-tarballs) ;; *) return 1 ;; esac; }
clusterctl() { XDG_CONFIG_HOME="$CONFIG" GOPROXY=off CLUSTERCTL_DISABLE_VERSIONCHECK=true command clusterctl "$@"; }
kubectl() { case " $* " in *" rollout status "*) ;; *) command kubectl "$@" ;; esac; }
skopeo() { :; }
maas() { :; }
maaslxd() { :; }
`

// elsewhere are programs whose blocks the walk leaves out, and why.
var elsewhere = map[string]string{
	"sudo":     "MAAS's own machine",
	"envsubst": "the other way to install, which test/release applies",
}

// section is a part of a page under a heading of the second level.
type section struct {
	title  string
	blocks []block
}

// sections are those of a page that have commands or files, in order.
func (p *page) sections() []section {
	var all []section
	blocks := p.blocks()
	p.walk(func(node ast.Node) {
		if heading, ok := node.(*ast.Heading); ok && heading.Level == 2 {
			all = append(all, section{title: string(heading.Lines().Value(p.source))})
			return
		}
		if _, ok := node.(*ast.FencedCodeBlock); ok {
			if len(all) > 0 {
				last := &all[len(all)-1]
				last.blocks = append(last.blocks, blocks[0])
			}
			blocks = blocks[1:]
		}
	})
	return slices.DeleteFunc(all, func(s section) bool { return len(s.blocks) == 0 })
}

// walk goes through a page as its reader does: from section to section, each in a shell of its own and all in one directory.
type walk struct {
	t *testing.T
	// config reaches the management cluster, and api does with every kind that the walk knows.
	config *rest.Config
	api    client.Client
	// left are the sections that are still to come.
	left []section
	// dir stands for the reader's workstation.
	dir string
	env []string
	// providers are lines that clusterctl.yaml has beside the page's.
	providers string
}

func newWalk(t *testing.T, path string) *walk {
	t.Helper()
	all := pages(t)
	at := slices.IndexFunc(all, func(p *page) bool { return p.path == path })
	require.GreaterOrEqual(t, at, 0, path)
	assets, dir := os.Getenv("KUBEBUILDER_ASSETS"), t.TempDir()
	server := startManagementCluster(t)
	api, err := client.New(server.Config, client.Options{Scheme: scheme.New()})
	require.NoError(t, err)
	kubeconfig := filepath.Join(dir, "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, server.Kubeconfig, 0o600))
	programs := []string{assets, tool(t, "clusterctl"), os.Getenv("PATH")}
	return &walk{
		t: t, config: server.Config, api: api, left: all[at].sections(), dir: dir, providers: repository(t, filepath.Join(assets, "kubectl")),
		env: append(os.Environ(), "ROOT="+top(t), "CONFIG="+filepath.Join(dir, ".config"), "KUBECONFIG="+kubeconfig,
			"PATH="+strings.Join(programs, string(os.PathListSeparator))),
	}
}

// section runs the section of that title, which must be the next.
func (w *walk) section(title string) {
	w.t.Helper()
	require.NotEmpty(w.t, w.left, "the page has no more sections with commands")
	s := w.left[0]
	require.Equal(w.t, title, s.title, "the next section with commands")
	w.left = w.left[1:]
	var script strings.Builder
	for _, b := range s.blocks {
		switch {
		case b.language == "yaml":
			w.file(b)
		case b.language == "sh" && !w.skipped(b):
			script.WriteString(b.text)
		}
	}
	out, err := w.sh(script.String())
	require.NoError(w.t, err, "%s:\n%s\n%s", title, script.String(), out)
}

// file writes a block that names its file in its first line.
func (w *walk) file(b block) {
	w.t.Helper()
	name, _, _ := strings.Cut(b.text, "\n")
	name, found := strings.CutPrefix(name, "# ~/")
	require.True(w.t, found, "%s:%d names no file in the home directory", b.page, b.line)
	path := filepath.Join(w.dir, name)
	require.NoError(w.t, os.MkdirAll(filepath.Dir(path), 0o750))
	require.NoError(w.t, os.WriteFile(path, []byte(w.here(b.text)+w.providers), 0o600))
}

func (w *walk) skipped(b block) bool {
	w.t.Helper()
	calls, err := b.commands()
	require.NoError(w.t, err)
	return slices.ContainsFunc(calls, func(c command) bool {
		reason, found := elsewhere[c.program]
		if found {
			w.t.Logf("%s:%d is not run: %s", b.page, b.line, reason)
		}
		return found
	})
}

// sh runs a script and gives what it printed.
func (w *walk) sh(script string) (string, error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), stepLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-euc", prelude+w.here(script))
	cmd.Dir, cmd.Env = w.dir, w.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (w *walk) here(text string) string {
	return strings.ReplaceAll(text, published, filepath.Join(w.dir, "published"))
}

// done demands that no section is left.
func (w *walk) done() {
	w.t.Helper()
	for _, s := range w.left {
		w.t.Errorf("the walk has not come to %q", s.title)
	}
}
