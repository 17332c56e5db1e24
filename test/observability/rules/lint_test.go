package rules_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

var root = filepath.Join("..", "..", "..")

var language = parser.NewParser(parser.Options{})

// groups are the alerts' groups, as Prometheus reads them.
func groups(t *testing.T) *rulefmt.RuleGroups {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy", "monitoring", "alerts.yaml"))
	require.NoError(t, err)
	var object struct {
		Spec json.RawMessage `json:"spec"`
	}
	require.NoError(t, yaml.Unmarshal(text, &object))
	spec, err := yaml.JSONToYAML(object.Spec)
	require.NoError(t, err)
	parsed, errs := rulefmt.Parse(spec, false, model.UTF8Validation, language, nil)
	require.Empty(t, errs, "Prometheus refuses the rules")
	return parsed
}

func alerts(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	all := map[string]rulefmt.Rule{}
	for _, group := range groups(t).Groups {
		for _, rule := range group.Rules {
			require.NotEmpty(t, rule.Alert, "a rule of group %s is no alert", group.Name)
			require.NotContains(t, all, rule.Alert, "there are two of them")
			all[rule.Alert] = rule
		}
	}
	require.NotEmpty(t, all)
	return all
}

const runbook = "https://github.com/capmaas/capmaas/blob/main/docs/runbook.md#"

func TestAlerts_say_what_is_wrong_and_where_to_read_on(t *testing.T) {
	t.Parallel()
	for name, rule := range alerts(t) {
		assert.Contains(t, []string{"critical", "warning", "info"}, rule.Labels["severity"], name)
		assert.NotEmpty(t, rule.Annotations["summary"], name)
		assert.Greater(t, len(rule.Annotations["description"]), 40, name)
		assert.Equal(t, runbook+strings.ToLower(name), rule.Annotations["runbook_url"], name)
	}
}

// expressions are those of every alert and every panel, by where they stand.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, rule := range alerts(t) {
		all["alert "+name] = rule.Expr
	}
	files, err := filepath.Glob(filepath.Join(root, "deploy", "monitoring", "dashboards", "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		for _, p := range read(t, file).Panels {
			require.NotEmpty(t, p.Targets, "%s: panel %q shows nothing", file, p.Title)
			for _, target := range p.Targets {
				all[filepath.Base(file)+" "+p.Title+" "+target.RefID] = target.Expr
			}
		}
	}
	return all
}

// dashboard is what the tests look at of Grafana's model.
type dashboard struct {
	UID, Title, Description string
	Panels                  []struct {
		ID                 int
		Title, Description string
		Datasource         struct{ UID string }
		GridPos            struct{ X, Y, W, H int }
		Targets            []struct{ RefID, Expr string }
	}
}

func read(t *testing.T, file string) dashboard {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var d dashboard
	require.NoError(t, json.Unmarshal(text, &d), file)
	return d
}

func TestDashboards_are_whole(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(root, "deploy", "monitoring", "dashboards", "*.json"))
	require.NoError(t, err)
	uids := map[string]bool{}
	for _, file := range files {
		d := read(t, file)
		assert.NotEmpty(t, d.Title, file)
		assert.NotEmpty(t, d.Description, file)
		assert.False(t, uids[d.UID], "%s: the uid %q is taken", file, d.UID)
		uids[d.UID] = true
		ids, cells := map[int]bool{}, map[[2]int]string{}
		for _, p := range d.Panels {
			assert.NotEmpty(t, p.Title, file)
			assert.NotEmpty(t, p.Description, "%s: %s", file, p.Title)
			assert.Equal(t, "${datasource}", p.Datasource.UID, "%s: %s: the reader chooses the data source", file, p.Title)
			assert.False(t, ids[p.ID], "%s: %s: the id %d is taken", file, p.Title, p.ID)
			ids[p.ID] = true
			assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, "%s: %s: the grid has 24 columns", file, p.Title)
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					assert.Empty(t, cells[[2]int{x, y}], "%s: %s lies on another panel", file, p.Title)
					cells[[2]int{x, y}] = p.Title
				}
			}
		}
	}
}

// documented gives the labels of each metric in docs/metrics.md, of which a test of test/observability proves that it is what the
// running service and manager tell.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "metrics.md"))
	require.NoError(t, err)
	row, word := regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| ([a-z]+) \\| ([^|]*) \\|"), regexp.MustCompile("`([a-z0-9_]+)`")
	all := map[string][]string{}
	for _, found := range row.FindAllStringSubmatch(string(text), -1) {
		names := []string{found[1]}
		if found[2] == "histogram" {
			names = []string{found[1] + "_bucket", found[1] + "_sum", found[1] + "_count"}
		}
		for _, name := range names {
			all[name] = []string{}
			for _, label := range word.FindAllStringSubmatch(found[3], -1) {
				all[name] = append(all[name], label[1])
			}
		}
	}
	require.NotEmpty(t, all)
	return all
}

// ofTarget are the labels that Prometheus adds.
var ofTarget = []string{"namespace", "pod", "job", "instance", "le", model.MetricNameLabel}

func TestExpressions_use_metrics_and_labels_that_exist(t *testing.T) {
	t.Parallel()
	known := documented(t)
	for where, text := range expressions(t) {
		expr, err := language.ParseExpr(text)
		if !assert.NoError(t, err, where) {
			continue
		}
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			selector, ok := node.(*parser.VectorSelector)
			if !ok {
				return nil
			}
			metric, exists := known[selector.Name]
			assert.True(t, exists, "%s: docs/metrics.md has no %s", where, selector.Name)
			for _, matcher := range selector.LabelMatchers {
				assert.Contains(t, append(metric, ofTarget...), matcher.Name, "%s: %s has no such label", where, selector.Name)
			}
			return nil
		})
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			aggregation, ok := node.(*parser.AggregateExpr)
			if !ok || aggregation.Without {
				return nil
			}
			var reachable []string
			parser.Inspect(aggregation.Expr, func(inner parser.Node, _ []parser.Node) error {
				if selector, ok := inner.(*parser.VectorSelector); ok {
					reachable = append(reachable, known[selector.Name]...)
				}
				return nil
			})
			for _, label := range aggregation.Grouping {
				assert.Contains(t, append(reachable, ofTarget...), label, "%s: nothing has the label that is grouped by", where)
			}
			return nil
		})
	}
}
