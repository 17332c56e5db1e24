package architecture_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/requirements"
)

// protocolDoc says which test guards which rule of exactly once.
const protocolDoc = "../../docs/protocol-coverage.md"

// protocolRules are the first and the last rule of each section.
var protocolRules = map[int][2]int{1: {1, 5}, 2: {1, 7}, 3: {0, 9}, 4: {1, 7}, 5: {1, 2}, 6: {1, 4}, 7: {1, 5}, 8: {1, 3}, 9: {1, 2}}

var (
	// coverageRow matches a row of the document: rule, line, tests.
	coverageRow = regexp.MustCompile(`(?m)^\| (\d+)\.(\d+) \| (.+?) \| (.+) \|$`)
	// guard matches one test of a row: the directory of its package and its name.
	guard = regexp.MustCompile("`([a-z0-9/]+)\\.(Test\\w+)`")
)

func TestProtocol_each_rule_has_the_tests_that_the_document_names(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(protocolDoc)
	require.NoError(t, err)
	named := rulesOfTests(t)
	rows := map[string]bool{}
	for _, row := range coverageRow.FindAllStringSubmatch(string(text), -1) {
		rule, tests := row[1]+"."+row[2], row[4]
		assert.False(t, rows[rule], "rule %s has two rows", rule)
		rows[rule] = true
		guards := guard.FindAllStringSubmatch(tests, -1)
		if len(guards) == 0 {
			assert.Regexp(t, `^none: .{20,}`, tests, "rule %s has neither a test nor a reason", rule)
		}
		for _, g := range guards {
			rules, found := named[g[1]+"."+g[2]]
			if !assert.True(t, found, "rule %s: there is no test %s in %s", rule, g[2], g[1]) {
				continue
			}
			assert.True(t, rules[rule], "rule %s: %s in %s does not name it", rule, g[2], g[1])
		}
	}
	for section, ends := range protocolRules {
		for n := ends[0]; n <= ends[1]; n++ {
			rule := strconv.Itoa(section) + "." + strconv.Itoa(n)
			assert.True(t, rows[rule], "rule %s has no row in %s", rule, protocolDoc)
			delete(rows, rule)
		}
	}
	assert.Empty(t, rows, "rows of rules that there are not")
}

func TestProtocol_tests_name_rules_that_there_are(t *testing.T) {
	t.Parallel()
	for test, rules := range rulesOfTests(t) {
		for rule := range rules {
			s, n, _ := strings.Cut(rule, ".")
			section, err := strconv.Atoi(s)
			require.NoError(t, err)
			number, err := strconv.Atoi(n)
			require.NoError(t, err)
			ends, ok := protocolRules[section]
			assert.True(t, ok && number >= ends[0] && number <= ends[1], "%s names X%s, and there is no such rule", test, rule)
		}
	}
}

// rulesOfTests gives the rules that each test names. Tests are known by the directory of their package.
func rulesOfTests(t *testing.T) map[string]map[string]bool {
	t.Helper()
	tests, err := requirements.Scan("../..")
	require.NoError(t, err)
	all := map[string]map[string]bool{}
	for test, numbers := range tests {
		if test.Dir == "test/requirements" {
			continue // its tests speak of numbers and guard none
		}
		rules := map[string]bool{}
		for number := range numbers {
			if rule, isRule := strings.CutPrefix(string(number), "X"); isRule {
				rules[rule] = true
			}
		}
		all[test.String()] = rules
	}
	return all
}
