package release_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"

	"github.com/capmaas/capmaas/test/apiserver"
)

const simulator = "github.com/capmaas/capmaas/services/maassim"

// TestInstall serves the simulator's module as a proxy would serve it at its tag, and installs from there. Everything else
// is taken from the module cache, and from the proxy in use where it is missing there.
func TestInstall_of_the_simulator_works_by_its_version_alone(t *testing.T) {
	t.Parallel()
	root, err := apiserver.Tree()
	require.NoError(t, err)
	proxy := t.TempDir()
	served := filepath.Join(proxy, filepath.FromSlash(simulator), "@v")
	require.NoError(t, os.MkdirAll(served, 0o750))
	var packed bytes.Buffer
	source := filepath.Join(root, "services", "maassim")
	require.NoError(t, zip.CreateFromDir(&packed, module.Version{Path: simulator, Version: version}, source))
	gomod, err := os.ReadFile(filepath.Join(source, "go.mod"))
	require.NoError(t, err)
	for name, content := range map[string][]byte{
		version + ".zip": packed.Bytes(), version + ".mod": gomod, "list": []byte(version + "\n"),
		version + ".info": []byte(`{"Version":"` + version + `","Time":"2026-01-01T00:00:00Z"}`),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(served, name), content, 0o600))
	}
	cache := strings.TrimSpace(run(t, "", nil, "go", "env", "GOMODCACHE"))
	others := strings.TrimSpace(run(t, "", nil, "go", "env", "GOPROXY"))
	bin := t.TempDir()
	run(t, "", []string{
		"GOWORK=off", "GOFLAGS=-modcacherw", "GONOSUMDB=github.com/capmaas/*", "GOBIN=" + bin, "GOMODCACHE=" + t.TempDir(),
		"GOPROXY=file://" + proxy + ",file://" + filepath.Join(cache, "cache", "download") + "," + others,
	}, "go", "install", simulator+"/cmd/maassim@"+version)
	assert.Equal(t, version, strings.TrimSpace(run(t, "", nil, filepath.Join(bin, "maassim"), "--version")))
}

// installs are the commands that the documentation offers.
var installs = regexp.MustCompile(`go install (github\.com/capmaas/capmaas/\S+)@`)

// TestInstall_documentation keeps the documentation from offering what a replace in go.mod forbids.
func TestInstall_is_offered_for_no_module_with_a_replace(t *testing.T) {
	t.Parallel()
	found := installs.FindAllStringSubmatch(read(t, "docs/releasing.md"), -1)
	require.NotEmpty(t, found)
	for _, command := range found {
		dir, _, _ := strings.Cut(strings.TrimPrefix(command[1], "github.com/capmaas/capmaas/"), "/cmd/")
		file, err := modfile.Parse("go.mod", []byte(read(t, filepath.Join(dir, "go.mod"))), nil)
		require.NoError(t, err)
		assert.Empty(t, file.Replace, "%s can't be installed by version", command[1])
		assert.Empty(t, file.Exclude, "%s can't be installed by version", command[1])
		for _, require := range file.Require {
			assert.False(t, strings.HasPrefix(require.Mod.Path, "github.com/capmaas/capmaas/"), "%s wants %s, which must be tagged first", command[1], require.Mod.Path)
		}
	}
}
