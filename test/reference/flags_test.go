package reference_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/reference"
)

const flagsPage = "docs/reference/flags.md"

func TestFlags_page_is_what_the_programs_take(t *testing.T) {
	t.Parallel()
	assert.Equal(t, string(reference.Flags()), readPage(t, flagsPage), "run make manifests and commit %s", flagsPage)
}

func TestFlags_page_has_every_flag_that_the_manifests_give(t *testing.T) {
	t.Parallel()
	manager, service, found := strings.Cut(readPage(t, flagsPage), "\n## lxdprovisioner\n")
	require.True(t, found)
	given := regexp.MustCompile(`(?m)^\s+- --([a-z-]+)=`)
	for dir, text := range map[string]string{"deploy/manager/manager.yaml": manager, "deploy/service/deployment.yaml": service} {
		manifest, err := os.ReadFile(filepath.Join(top(t), dir))
		require.NoError(t, err)
		flags := given.FindAllStringSubmatch(string(manifest), -1)
		require.NotEmpty(t, flags)
		for _, flag := range flags {
			assert.Regexp(t, "\\| `--"+flag[1]+"[ `]", text, dir)
		}
	}
}
