package observability_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/apiserver"
)

// metric is what the document says of a metric.
type metric struct {
	kind   string
	labels []string
	help   string
}

// sightings are the metrics that were scraped at any time, since many are there only while something happens.
type sightings struct {
	mu      sync.Mutex
	metrics map[string]metric
	texts   []string
}

// take adds what a scrape shows.
func (s *sightings) take(text string) error {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts = append(s.texts, text)
	for name, family := range families {
		// What all gave is not written to: its reader holds no lock.
		labels := slices.Clone(s.metrics[name].labels)
		found := metric{kind: strings.ToLower(family.GetType().String()), help: family.GetHelp(), labels: labels}
		for _, one := range family.GetMetric() {
			found.labels = append(found.labels, labelsOf(one)...)
		}
		slices.Sort(found.labels)
		found.labels = slices.Compact(found.labels)
		s.metrics[name] = found
	}
	return nil
}

func labelsOf(one *dto.Metric) []string {
	var names []string
	for _, label := range one.GetLabel() {
		names = append(names, label.GetName())
	}
	return names
}

func (s *sightings) all() map[string]metric {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.metrics)
}

func (s *sightings) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.texts, "\n")
}

// watchMetrics scrapes service and manager all the time until the test ends.
func (w *world) watchMetrics(t *testing.T) *sightings {
	t.Helper()
	seen := &sightings{metrics: map[string]metric{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(2 * glance)
		defer ticker.Stop()
		for ctx.Err() == nil {
			// The manager serves its metrics only once it has started, and the service is started anew meanwhile.
			_ = seen.scrape(ctx, w)
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return seen
}

// scrape takes what service and manager tell at this moment.
func (s *sightings) scrape(ctx context.Context, w *world) error {
	var all []error
	for _, address := range []string{w.addresses().Metrics.String(), w.manager} {
		text, err := get(ctx, address)
		if err == nil {
			err = s.take(text)
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

// look scrapes both once more.
func (s *sightings) look(t *testing.T, w *world) {
	t.Helper()
	require.NoError(t, s.scrape(t.Context(), w))
}

func get(ctx context.Context, address string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

// tells says whether a scrape holds the text. A failure that quoted the scrape would be very long.
func tells(t *testing.T, address, text string) bool {
	t.Helper()
	scraped, err := get(t.Context(), address)
	return err == nil && strings.Contains(scraped, text)
}

// foreign are the prefixes of metrics that libraries tell; the document names those of them that alerts and dashboards use.
var foreign = regexp.MustCompile(`^(go|process|promhttp|controller_runtime|workqueue|rest_client|certwatcher|leader_election|capi)_`)

// compare holds the document against what was scraped, both ways.
func compare(t *testing.T, seen *sightings) {
	t.Helper()
	written, told := document(t), seen.all()
	for name, want := range written {
		got, ok := told[name]
		if assert.True(t, ok, "docs/metrics.md: nobody tells %s", name) {
			assert.Equal(t, want, got, "docs/metrics.md: %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(told)) {
		if _, ok := written[name]; !ok && !foreign.MatchString(name) {
			m := told[name]
			assert.Fail(t, "docs/metrics.md lacks a metric", "| `%s` | %s | `%s` | %s |", name, m.kind, strings.Join(m.labels, "`, `"), m.help)
		}
	}
}

// document reads docs/metrics.md.
func document(t *testing.T) map[string]metric {
	t.Helper()
	root, err := apiserver.Root()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, "docs", "metrics.md"))
	require.NoError(t, err)
	row := regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| ([a-z]+) \\| ([^|]*) \\| (.*) \\|$")
	word := regexp.MustCompile("`([a-z0-9_]+)`")
	all := map[string]metric{}
	for _, found := range row.FindAllStringSubmatch(string(text), -1) {
		m := metric{kind: found[2], help: found[4]}
		for _, label := range word.FindAllStringSubmatch(found[3], -1) {
			m.labels = append(m.labels, label[1])
		}
		slices.Sort(m.labels)
		assert.NotContains(t, all, found[1], "docs/metrics.md names it twice")
		all[found[1]] = m
	}
	require.NotEmpty(t, all)
	return all
}
