package campaign_test

import (
	"io"
	"net/http"
	"net/http/httptest"
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

// What the page has must come from whole runs of the program as it is.
func TestMeasured_is_of_whole_lives(t *testing.T) {
	t.Parallel()
	measured, err := campaign.ReadMeasured(root)
	require.NoError(t, err)
	for _, f := range measured {
		for _, p := range f.Phases {
			assert.Equal(t, p.Removed, p.Gone.Count, "%s clusters: %s", f.Setup(), p.Name)
			assert.LessOrEqual(t, p.VMs.Count+p.Metal.Count, p.Made, "%s clusters: %s", f.Setup(), p.Name)
			lists := 0
			for _, count := range p.Lists {
				lists += count
			}
			assert.Equal(t, p.Operations["machines.list"].Count, lists, "%s clusters: %s", f.Setup(), p.Name)
		}
		if f.Broke != "" {
			continue
		}
		names := make([]string, 0, len(f.Phases))
		for _, p := range f.Phases {
			names = append(names, p.Name)
			assert.Equal(t, f.Clusters, p.Done, "%s clusters: %s", f.Setup(), p.Name)
		}
		assert.Equal(t, campaign.Phases(), names, "%s clusters", f.Setup())
	}
}

// A queue has a line for each priority.
func TestQueues_are_as_long_as_all_their_priorities_together(t *testing.T) {
	t.Parallel()
	manager := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, `workqueue_depth{controller="machine",name="machine",priority="0"} 7
workqueue_depth{controller="machine",name="machine",priority="-100"} 20
workqueue_depth{controller="cluster",name="cluster",priority=""} 3
workqueue_adds_total{controller="machine",name="machine"} 900
`)
	}))
	t.Cleanup(manager.Close)
	queues, err := campaign.QueuesAt(t.Context(), manager.URL+"/metrics")
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"machine": 27, "cluster": 3}, queues)
	_, err = campaign.QueuesAt(t.Context(), manager.URL)
	assert.ErrorContains(t, err, "404")
}

func TestWrite_puts_figures_in_the_place_of_those_with_the_same_setup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	page := filepath.Join(dir, campaign.Page)
	require.NoError(t, os.MkdirAll(filepath.Dir(page), 0o700))
	require.NoError(t, os.WriteFile(page, []byte("before\n<!-- scale: written by `make e2e-scale` -->\n<!-- scale: end -->\nafter\n"), 0o600))
	for _, f := range []campaign.Figures{figures(25, time.Minute), figures(10, time.Minute), byFives(figures(25, time.Minute)), figures(25, time.Hour)} {
		require.NoError(t, campaign.Write(dir, f))
	}
	measured, err := campaign.ReadMeasured(dir)
	require.NoError(t, err)
	assert.Equal(t, []campaign.Figures{figures(10, time.Minute), figures(25, time.Hour), byFives(figures(25, time.Minute))}, measured)
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Regexp(t, `(?s)^before\n.*\| 25 \| create \| 25 \| 60.0 \|.*after\n$`, string(text))
}

// byFives are the figures of clusters that lived five at a time.
func byFives(f campaign.Figures) campaign.Figures {
	f.Concurrency = 5
	return f
}

// figures are those of a run that did nothing but create.
func figures(clusters int, took time.Duration) campaign.Figures {
	return campaign.Figures{Clusters: clusters, Concurrency: clusters, CPUs: 2, Phases: []campaign.Phase{{
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
