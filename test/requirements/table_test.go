package requirements_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/requirements"
)

// write makes a file with its directories.
func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestScan_finds_numbers_in_names_and_in_sentences(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a", "b", "x_test.go"), `package b

import "testing"

func TestThing_R4_4_tries_the_next(t *testing.T) {
	t.Run("S1_and_P10_too", func(t *testing.T) {})
	t.Run("X3.2 leaves it alone", func(t *testing.T) {})
	_ = "R1.1, R1.2"
	_ = "HTTP2 of VERS10N and TestR9_9"
}

func TestNothing(t *testing.T) {}

func BenchmarkR2_2(b *testing.B) {}
`)
	write(t, filepath.Join(dir, "a", "testdata", "y_test.go"), "package nothing\n\nfunc TestR1_1() {}\n")
	tests, err := requirements.Scan(dir)
	require.NoError(t, err)
	assert.Equal(t, map[requirements.Test]map[requirements.Number]bool{
		{Dir: "a/b", Name: "TestThing_R4_4_tries_the_next"}: {
			"R4.4": true, "S1": true, "P10": true, "X3.2": true, "R1.1": true, "R1.2": true,
		},
		{Dir: "a/b", Name: "TestNothing"}: {},
	}, tests)
}

func TestRows_join_numbers_tests_and_results(t *testing.T) {
	t.Parallel()
	var told bytes.Buffer
	results, err := requirements.ReadResults(strings.NewReader(`
{"Action":"run","Package":"example.org/m/a","Test":"TestGood"}
{"Action":"output","Package":"example.org/m/a","Test":"TestBad","Output":"it is red\n"}
{"Action":"output","Package":"example.org/m/a","Test":"TestGood","Output":"nobody wants this\n"}
{"Action":"fail","Package":"example.org/m/a","Test":"TestBad/inner"}
{"Action":"pass","Package":"example.org/m/a","Test":"TestGood/inner"}
{"Action":"fail","Package":"example.org/m/a","Test":"TestBad"}
{"Action":"pass","Package":"example.org/m/a","Test":"TestGood"}
{"Action":"skip","Package":"example.org/m/a","Test":"TestSkipped"}
{"Action":"fail","Package":"example.org/m/a","Elapsed":1.5}
`[1:]), "example.org/m/", &told)
	require.NoError(t, err)
	assert.Equal(t, "it is red\nfail  a  1.5s\n", told.String())

	good, bad := requirements.Test{Dir: "a", Name: "TestGood"}, requirements.Test{Dir: "a", Name: "TestBad"}
	rows := requirements.Rows(
		[]requirements.Requirement{{Number: "R1.1"}, {Number: "R1.2"}, {Number: "R1.3"}, {Number: "R1.4", Sentence: "it holds"}},
		map[requirements.Test]map[requirements.Number]bool{
			good: {"R1.1": true, "R1.4": true}, bad: {"R1.1": true}, {Dir: "a", Name: "TestSkipped"}: {"R1.2": true},
		}, results)
	ends := make([]requirements.Result, 0, len(rows))
	for _, row := range rows {
		ends = append(ends, row.Result)
	}
	assert.Equal(t, []requirements.Result{requirements.Failed, requirements.NotRun, requirements.NotNamed, requirements.Passed}, ends)
	assert.Equal(t, []requirements.Test{bad, good}, rows[0].Tests)

	var table bytes.Buffer
	assert.Equal(t, 3, requirements.Print(&table, rows))
	assert.Contains(t, table.String(), "R1.4  passed     1  it holds\n                     a.TestGood\n")
	assert.Contains(t, table.String(), "1 of 4 numbers are named by passing tests")
}
