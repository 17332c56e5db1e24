package view_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDocs_show_what_the_commands_write(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../../docs/maaslxd.md")
	require.NoError(t, err)
	shown := 0
	for part := range strings.SplitSeq(string(page), "```text\n") {
		block, _, closed := strings.Cut(part, "```")
		if !closed || shown == 0 && strings.HasPrefix(part, "# ") {
			continue
		}
		shown++
		assert.True(t, isGolden(t, block), "no golden file holds:\n%s", block)
	}
	assert.Greater(t, shown, 8)
}

// isGolden says whether a text is that of a golden file.
func isGolden(t *testing.T, text string) bool {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	for _, f := range files {
		golden, err := os.ReadFile(f)
		require.NoError(t, err)
		if string(golden) == text {
			return true
		}
	}
	return false
}
