package campaign_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/e2e/scale/internal/campaign"
)

// root is the top of the repository, as this package's directory sees it.
const root = "../../../../.."

// The page says what was measured: `make e2e-scale WRITE=1` writes both.
func TestPage_says_what_was_measured(t *testing.T) {
	t.Parallel()
	measured, err := campaign.ReadMeasured(root)
	require.NoError(t, err)
	written, err := campaign.Section(filepath.Join(root, campaign.Page))
	require.NoError(t, err)
	assert.Equal(t, campaign.Document(measured), written)
}

func TestWrite_puts_figures_in_the_place_of_those_with_as_many_clusters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	page := filepath.Join(dir, campaign.Page)
	require.NoError(t, os.MkdirAll(filepath.Dir(page), 0o700))
	require.NoError(t, os.WriteFile(page, []byte("before\n<!-- scale: written by `make e2e-scale` -->\n<!-- scale: end -->\nafter\n"), 0o600))
	for _, f := range []campaign.Figures{figures(25, time.Minute), figures(10, time.Minute), figures(25, time.Hour)} {
		require.NoError(t, campaign.Write(dir, f))
	}
	measured, err := campaign.ReadMeasured(dir)
	require.NoError(t, err)
	assert.Equal(t, []campaign.Figures{figures(10, time.Minute), figures(25, time.Hour)}, measured)
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Regexp(t, `(?s)^before\n.*\| 25 \| create \| 25 \| 60.0 \|.*after\n$`, string(text))
}

// figures are those of a run that did nothing but create.
func figures(clusters int, took time.Duration) campaign.Figures {
	return campaign.Figures{Clusters: clusters, CPUs: 2, Phases: []campaign.Phase{{
		Name: "create", Done: clusters, Time: took, Made: 6 * clusters,
		Operations: map[string]campaign.Requests{"machines.deploy": {Count: 6 * clusters}},
		Processes:  map[string]campaign.Process{"manager": {CPU: time.Second, Peak: 50 << 20}}, Queues: map[string]int{"manager maasmachine": clusters},
	}}}
}

func TestDocument_counts_by_the_machine(t *testing.T) {
	t.Parallel()
	text := campaign.Document([]campaign.Figures{figures(10, time.Minute)})
	assert.Contains(t, text, "| `machines.deploy` | 1.00 / 0.00 / 0.00 |")
	assert.Contains(t, text, "| manager | 0.1 s, 50 |")
	assert.Contains(t, text, "| manager maasmachine | 10 |")
}
