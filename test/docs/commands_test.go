package docs_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/cmd/maaslxd/app"
)

// marks are what may stand behind the language of a block whose commands can't be run here, and why they can't. What can be
// checked of them is checked all the same.
var marks = map[string]string{
	"real-cluster":  "it wants a cluster, and programs that a management cluster is made with",
	"real-registry": "it wants a registry to push to",
	"real-maas":     "it wants a MAAS and its own command line",
}

// helpers are what a shell has in itself or beside it on every machine.
var helpers = []string{"break", "cat", "cd", "echo", "export", "false", "grep", "sed", "seq", "sleep", "true"}

// outside are programs that are not ours and that no test has: blocks with them bear a mark.
var outside = []string{"clusterctl", "docker", "envsubst", "helm", "kind", "ko", "maas", "skopeo", "sudo", "tilt"}

// checks say of a call what is wrong with it.
type checks struct {
	t        *testing.T
	root     string
	makefile string
	// kubectl is the path of the program, empty where there is none.
	kubectl string
}

func TestCommands_of_every_page_are_known_and_right(t *testing.T) {
	t.Parallel()
	c := newChecks(t)
	count := 0
	for _, p := range pages(t) {
		for _, b := range p.blocks() {
			for _, mark := range b.marks {
				reason, known := marks[mark]
				require.True(t, known, "%s:%d: no block is marked %q", b.page, b.line, mark)
				t.Logf("%s:%d is not run: %s", b.page, b.line, reason)
			}
			if b.language != "sh" {
				assert.False(t, looksLikeCommands(b), "%s:%d holds commands: open it with ```sh", b.page, b.line)
				continue
			}
			calls, err := b.commands()
			require.NoError(t, err, b.page)
			for _, call := range calls {
				count++
				assert.NoError(t, c.check(b, call), "%s:%d: %s %s", b.page, b.line, call.program, strings.Join(call.args, " "))
			}
		}
	}
	assert.Greater(t, count, 20)
}

func newChecks(t *testing.T) *checks {
	t.Helper()
	c := &checks{t: t, root: top(t)}
	text, err := os.ReadFile(filepath.Join(c.root, "Makefile"))
	require.NoError(t, err)
	c.makefile = string(text)
	c.kubectl = filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	if _, err := os.Stat(c.kubectl); err != nil {
		c.kubectl, err = exec.LookPath("kubectl")
		if err != nil {
			t.Log("no kubectl: its calls are not checked")
		}
	}
	return c
}

// check says what is wrong with a call of a block.
func (c *checks) check(b block, call command) error {
	switch {
	case call.program == "make":
		return c.make(call.args)
	case call.program == "go":
		return c.goTool(b, call.args)
	case call.program == "grpcurl":
		return nil // they are run: see grpcurl_test.go
	case call.program == "maaslxd":
		return parses("maaslxd", call.args, c.runMaaslxd)
	case call.program == "kubectl":
		return parses("kubectl", call.args, c.runKubectl)
	case call.program == "curl":
		return nil // it asks the demo's simulator; services/maassim tests what that answers
	case strings.HasPrefix(call.program, "$(tools/"):
		return nil // the script inside is a call of its own
	case strings.Contains(call.program, "/"):
		return c.exists(call.program)
	case call.program == "cd":
		return c.exists(call.args[0])
	case slices.Contains(helpers, call.program):
		return nil
	case slices.Contains(outside, call.program):
		if len(b.marks) == 0 {
			return fmt.Errorf("%s is not here: mark the block with one of %v, as in ```sh real-cluster", call.program, slices.Sorted(maps.Keys(marks)))
		}
		return nil
	default:
		return fmt.Errorf("no test knows %s: teach test/docs to run it or to check it", call.program)
	}
}

var assignment = regexp.MustCompile(`^([A-Z_]+)=`)

// make demands targets and variables that the Makefile has.
func (c *checks) make(args []string) error {
	for _, arg := range args {
		pattern := `(?m)^` + regexp.QuoteMeta(arg) + `:`
		if match := assignment.FindStringSubmatch(arg); match != nil {
			pattern = `(?m)^` + match[1] + ` [?:]?=|\$\(` + match[1] + `\)`
		}
		if !regexp.MustCompile(pattern).MatchString(c.makefile) {
			return fmt.Errorf("the Makefile has no %s", arg)
		}
	}
	return nil
}

// goTool demands packages that there are, seen from the page, from the top of the repository or from where the block goes.
func (c *checks) goTool(b block, args []string) error {
	from := []string{".", filepath.Dir(b.page)}
	calls, err := b.commands()
	if err != nil {
		return err
	}
	for _, call := range calls {
		if call.program == "cd" {
			from = []string{call.args[0]}
		}
	}
	for _, arg := range args {
		path, local := strings.TrimSuffix(arg, "/..."), strings.HasPrefix(arg, ".")
		if local && !slices.ContainsFunc(from, func(dir string) bool { return c.exists(filepath.Join(dir, path)) == nil }) {
			return fmt.Errorf("there is no package %s", arg)
		}
	}
	return nil
}

func (c *checks) exists(path string) error {
	if _, err := os.Stat(filepath.Join(c.root, path)); err != nil {
		return fmt.Errorf("there is no %s", path)
	}
	return nil
}

// parses asks a program for the help of a call: it then reads its flags and does nothing. An unknown flag is an error, and
// for an unknown command the help is not that of any of the words.
func parses(program string, args []string, run func(args []string) (string, error)) error {
	if rest := slices.Index(args, "--"); rest >= 0 {
		args = args[:rest]
	}
	out, err := run(append(slices.Clone(args), "--help"))
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	if !slices.ContainsFunc(args, func(arg string) bool { return strings.Contains(out, "Usage:\n  "+program+" "+arg) }) {
		return fmt.Errorf("%s has no such command: %s", program, out)
	}
	return nil
}

// runMaaslxd runs the operator's command in this process.
func (c *checks) runMaaslxd(args []string) (string, error) {
	var out bytes.Buffer
	code := app.Run(c.t.Context(), app.Invocation{
		Program: "maaslxd", Args: args, In: strings.NewReader(""), Out: &out, Err: &out, Getenv: func(string) string { return "" }, Clock: time.Now,
	})
	if code != 0 {
		return out.String(), fmt.Errorf("exit status %d", code)
	}
	return out.String(), nil
}

// runKubectl runs kubectl; where there is none, what would be asked of it counts as right.
func (c *checks) runKubectl(args []string) (string, error) {
	if c.kubectl == "" {
		return "Usage:\n  kubectl " + args[0], nil
	}
	out, err := exec.CommandContext(c.t.Context(), c.kubectl, args...).CombinedOutput()
	return string(out), err
}

// looksLikeCommands says whether a block that is not called sh begins a line with a program that this test knows.
func looksLikeCommands(b block) bool {
	if !slices.Contains([]string{"", "bash", "shell", "console"}, b.language) || strings.Contains(b.text, "──") {
		return false // another language, or a picture
	}
	programs := slices.Concat([]string{"make", "go", "grpcurl", "maaslxd", "kubectl", "curl", "git"}, outside)
	for line := range strings.Lines(b.text) {
		word, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "$ "), " ")
		if slices.Contains(programs, word) {
			return true
		}
	}
	return false
}

// TestCheck_of_commands holds the checks against calls that are known to be wrong.
func TestCheck_of_commands_finds_what_is_wrong(t *testing.T) {
	t.Parallel()
	c := newChecks(t)
	for _, text := range []string{
		"make none", "make test NONE=1", "go run ./none", "nobody-knows-me", "tools/none.sh", "cd none", "cd test && go test ./none", "clusterctl init",
		"maaslxd none", "maaslxd hosts --none", "true && maaslxd vms --none | cat", "echo $(maaslxd none)",
	} {
		b := block{page: "README.md", language: "sh", text: text}
		calls, err := b.commands()
		require.NoError(t, err)
		assert.True(t, slices.ContainsFunc(calls, func(call command) bool { return c.check(b, call) != nil }), text)
	}
	for _, text := range []string{"make test ARGS=-v", "maaslxd hosts", "X=$(tools/ensure.sh)", "$(tools/ensure.sh)/buf lint", "cd test && go test ./docs"} {
		b := block{page: "README.md", language: "sh", text: text}
		calls, err := b.commands()
		require.NoError(t, err)
		for _, call := range calls {
			assert.NoError(t, c.check(b, call), text)
		}
	}
	assert.True(t, looksLikeCommands(block{text: "make test\n"}))
	assert.False(t, looksLikeCommands(block{text: "you ──►\ngrpcurl ──► service\n"}))
}
