package rules_test

import (
	"os"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// scenario is a stretch of time in which alerts fire, or must not.
type scenario struct {
	// Series are those of Prometheus, in the notation of its own tests, one value a minute.
	Series []string `json:"series"`
	// At is when the alerts are looked at.
	At string `json:"at"`
	// Fires are the alerts that fire then, each with the labels of its expression; all others must be quiet.
	Fires map[string]map[string]string `json:"fires"`
}

func scenarios(t *testing.T) map[string]scenario {
	t.Helper()
	text, err := os.ReadFile("testdata/scenarios.yaml")
	require.NoError(t, err)
	var all map[string]scenario
	require.NoError(t, yaml.UnmarshalStrict(text, &all))
	return all
}

func TestAlerts_fire_when_they_should_and_only_then(t *testing.T) {
	t.Parallel()
	rules := alerts(t)
	for name, s := range scenarios(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			load := "load 1m\n"
			for _, one := range s.Series {
				load += "  " + one + "\n"
			}
			series := promqltest.LoadedStorage(t, load)
			engine := promqltest.NewTestEngine(t, false, 5*time.Minute, promqltest.DefaultMaxSamplesPerQuery)
			at, err := time.ParseDuration(s.At)
			require.NoError(t, err)
			for alert, rule := range rules {
				firing := held(t, engine, series, rule.Expr, at, time.Duration(rule.For))
				want, expected := s.Fires[alert]
				if !expected {
					assert.Empty(t, firing, "%s fires", alert)
					continue
				}
				if assert.Len(t, firing, 1, "%s is quiet", alert) {
					assert.Equal(t, want, firing[0], alert)
				}
			}
			for alert := range s.Fires {
				assert.Contains(t, rules, alert)
			}
		})
	}
}

func TestAlerts_each_have_a_scenario_in_which_they_fire(t *testing.T) {
	t.Parallel()
	fired := map[string]bool{}
	for _, s := range scenarios(t) {
		for alert := range s.Fires {
			fired[alert] = true
		}
	}
	for alert := range alerts(t) {
		assert.True(t, fired[alert], "testdata/scenarios.yaml never makes %s fire", alert)
	}
}

// held gives the labels for which the expression has had a value in every minute of the time for which an alert waits, up to the moment: those
// with which the alert fires.
func held(t *testing.T, engine *promql.Engine, series storage.Queryable, expr string, at, wait time.Duration) []map[string]string {
	t.Helper()
	counts, last := map[string]int{}, map[string]map[string]string{}
	steps := 0
	for moment := at - wait; moment <= at; moment += time.Minute {
		steps++
		query, err := engine.NewInstantQuery(t.Context(), series, nil, expr, time.Unix(0, 0).UTC().Add(moment))
		require.NoError(t, err)
		result := query.Exec(t.Context())
		require.NoError(t, result.Err, expr)
		vector, err := result.Vector()
		require.NoError(t, err)
		for _, sample := range vector {
			key := sample.Metric.String()
			counts[key]++
			last[key] = sample.Metric.Map()
		}
		query.Close()
	}
	var firing []map[string]string
	for key, n := range counts {
		if n == steps {
			firing = append(firing, last[key])
		}
	}
	return firing
}
