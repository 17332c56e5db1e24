package maassim_test

import (
	"encoding/json"
	"flag"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

// pathVariable stands for something that does not exist.
var pathVariable = regexp.MustCompile(`\{[^}]*\}`)

// operations asks for every operation once and sorts their names by whether the simulator has them.
func operations(t *testing.T, m *maas) (served, absent []string) {
	t.Helper()
	for _, o := range m.Catalogue() {
		path := strings.TrimPrefix(pathVariable.ReplaceAllString(o.Path, "0"), "/MAAS/api/2.0/")
		if o.Op != "" {
			path += "?op=" + o.Op
		}
		status := m.do(o.Method, path, form, nil).status
		require.NotContains(t, []int{http.StatusMethodNotAllowed, http.StatusUnauthorized}, status, o.Name)
		if status == http.StatusNotImplemented {
			absent = append(absent, o.Name)
		} else {
			served = append(served, o.Name)
		}
	}
	return slices.Compact(served), slices.Compact(absent)
}

// table writes names as the README lists them: a line for each resource.
func table(names []string) string {
	var b strings.Builder
	last := ""
	for _, name := range names {
		resource, operation, _ := strings.Cut(name, ".")
		if resource != last {
			if last != "" {
				b.WriteString("\n")
			}
			b.WriteString("- `" + resource + "`: " + operation)
		} else {
			b.WriteString(", " + operation)
		}
		last = resource
	}
	return b.String() + "\n"
}

var rewrite = flag.Bool("rewrite", false, "write the lists of operations into the README instead of comparing them")

func TestREADME_lists_the_operations_that_there_are(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("README.md")
	require.NoError(t, err)
	served, absent := operations(t, start(t, maassim.DefaultConfig(1, 1, 1)))
	const begin, end = "<!-- operations -->\n", "<!-- end -->"
	before, rest, ok := strings.Cut(string(raw), begin)
	require.True(t, ok)
	listed, after, ok := strings.Cut(rest, end)
	require.True(t, ok)
	expected := table(served) + "\nNames that are known and answer 501:\n\n" + table(absent)
	if *rewrite {
		require.NoError(t, os.WriteFile("README.md", []byte(before+begin+expected+end+after), 0o600))
		return
	}
	assert.Equal(t, expected, listed, "go test -run README -rewrite writes it")
}

func TestREADME_shows_faults_and_a_world_that_are_accepted(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("README.md")
	require.NoError(t, err)
	text := string(raw)
	m := start(t, maassim.DefaultConfig(12, 3, 4))
	examples := 0
	for line := range strings.Lines(text) {
		if flag, ok := strings.CutPrefix(line, "--fault "); ok {
			f, err := maassim.ParseFault(strings.TrimSpace(flag))
			require.NoError(t, err, line)
			require.NoError(t, m.AddFaults(f), line)
			examples++
		}
	}
	assert.Positive(t, examples)
	for _, preset := range maassim.FaultPresets() {
		assert.Contains(t, text, "`"+preset+"`")
	}

	_, world, _ := strings.Cut(text, "```json\n")
	world, _, _ = strings.Cut(world, "```")
	require.True(t, json.Valid([]byte(world)))
	file := filepath.Join(t.TempDir(), "world.json")
	require.NoError(t, os.WriteFile(file, []byte(world), 0o600))
	cfg, err := maassim.LoadConfig(file, maassim.Config{})
	require.NoError(t, err)
	assert.Len(t, start(t, cfg).get("vm-hosts/").list(t), 2)
}

func TestREADME_lists_every_path_of_the_control_endpoint(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(raw), "## The control endpoint")
	require.True(t, ok)
	section, _, _ = strings.Cut(section, "\n## ")
	paths := start(t, maassim.Config{}).ControlPaths()
	for path := range paths {
		_, bare, ok := strings.Cut(path, " ")
		require.True(t, ok, path)
		assert.Regexp(t, regexp.QuoteMeta(bare)+"`", section, path)
	}
	for _, listed := range regexp.MustCompile("/_sim/[A-Za-z/{}]+`").FindAllString(section, -1) {
		listed = strings.TrimSuffix(listed, "`")
		assert.True(t, slices.ContainsFunc(slices.Collect(maps.Keys(paths)), func(path string) bool {
			return strings.HasSuffix(path, " "+listed)
		}), "%s is not there", listed)
	}
}
