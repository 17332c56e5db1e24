package maas_test

import (
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
)

func TestOperations_are_the_requests_that_are_sent(t *testing.T) {
	t.Parallel()
	known := map[string]maas.Operation{}
	for _, o := range maas.Operations() {
		require.NotContains(t, known, o.Name, "there twice")
		known[o.Name] = o
	}
	for name := range known {
		require.Contains(t, calls, name, "calls_test.go makes every request")
	}
	for name, ask := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := serve(t, answer{400, plain, "", "no"})
			var observed []maas.Observation
			c := client(t, g.URL, func(cfg *maas.Config) { cfg.Observe = func(o maas.Observation) { observed = append(observed, o) } })
			require.Error(t, ask(t.Context(), c))
			require.Len(t, observed, 1)
			require.Equal(t, name, observed[0].Operation)
			require.Contains(t, known, name)
			sent := g.seen()[0]
			query, err := url.ParseQuery(sent.query)
			require.NoError(t, err)
			path := strings.TrimPrefix(sent.path, "/MAAS/api/2.0/")
			require.True(t, strings.HasSuffix(path, "/"), "MAAS knows no path without a slash at its end")
			request := sent.method + " " + path
			if query.Get("op") != "" {
				request += "?op=" + query.Get("op")
			}
			require.Equal(t, shape(known[name].Request), shape(request))
			require.Equal(t, sent.method != "GET", known[name].Changes)
		})
	}
}

// row is one operation's line in the documentation.
type row struct{ request, answers, repeated, class string }

var cell = regexp.MustCompile(`\s*\|\s*`)

// documented reads the lines of the table whose first cell is an operation, and the text before it.
func documented(t *testing.T) (rows map[string]row, common string) {
	t.Helper()
	content, err := os.ReadFile("../../../../docs/maas-operations.md")
	require.NoError(t, err)
	rows = map[string]row{}
	common, _, found := strings.Cut(string(content), "## Each request")
	require.True(t, found)
	for line := range strings.Lines(string(content)) {
		cells := cell.Split(strings.Trim(strings.TrimSpace(line), "|"), -1)
		name := strings.Trim(strings.TrimSpace(cells[0]), "`")
		if len(cells) < 7 || !strings.HasPrefix(strings.TrimSpace(cells[0]), "`") {
			continue
		}
		require.NotContains(t, rows, name, "there twice")
		rows[name] = row{request: strings.Trim(cells[1], "`"), answers: cells[3], repeated: cells[4], class: cells[5]}
	}
	return rows, common
}

func TestOperations_docs_have_a_line_for_each_and_no_other(t *testing.T) {
	t.Parallel()
	rows, _ := documented(t)
	var names []string
	for _, o := range maas.Operations() {
		names = append(names, o.Name)
		r, ok := rows[o.Name]
		if !assert.True(t, ok, "docs/maas-operations.md has no line for %s", o.Name) {
			continue
		}
		assert.Equal(t, o.Request, r.request, o.Name)
		assert.Equal(t, o.Repeated, r.repeated, o.Name)
		assert.Equal(t, o.Class, r.class, o.Name)
	}
	for name := range rows {
		assert.Contains(t, names, name, "docs/maas-operations.md has a line for a request that nobody makes")
	}
}

var reasons = regexp.MustCompile(`[A-Z][A-Z_]{4,}[A-Z]`)

// TestOperations_docs_name_the_faults holds the documentation against the table of sentences: each
// line names the faults that the tests make MAAS cause there, and no other.
func TestOperations_docs_name_the_faults_of_each_request(t *testing.T) {
	t.Parallel()
	rows, common := documented(t)
	want, shared := map[string][]string{}, []string{}
	for _, s := range sentences() {
		kind, reason, _ := strings.Cut(s.fault, " ")
		if strings.Contains(s.name, "any_") && len(strings.Fields(s.ops)) > 1 {
			shared = append(shared, kind+" `"+reason+"`")
			continue
		}
		for op := range strings.FieldsSeq(s.ops) {
			want[op] = append(want[op], reason)
			if r, ok := rows[op]; ok {
				assert.Contains(t, r.answers, kind+" `"+reason+"`", "%s: %s", op, s.name)
			}
		}
	}
	for name, r := range rows {
		for _, reason := range reasons.FindAllString(r.answers, -1) {
			assert.True(t, slices.Contains(want[name], reason), "%s: no test makes MAAS cause %s", name, reason)
		}
	}
	for _, fault := range shared {
		assert.Contains(t, common, fault, "a fault that every request may get")
	}
}
