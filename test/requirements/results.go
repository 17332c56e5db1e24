package requirements

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Results say how each top-level test ended: pass, fail or skip.
type Results map[Test]string

// event is a line of go test -json; cmd/test2json documents it.
type event struct {
	Action, Package, Test string
	Output                string
	Elapsed               float64
}

// ReadResults reads what go test -json prints. Paths of packages begin with prefix, the path of the root. What failed is
// copied to out, and each package that ended is told there, so that a reader sees it go on.
func ReadResults(from io.Reader, prefix string, out io.Writer) (Results, error) {
	results, printed := Results{}, map[Test]*strings.Builder{}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(out, lines.Text()) // a message of the go command itself
			continue
		}
		top, _, _ := strings.Cut(e.Test, "/")
		test := Test{Dir: strings.TrimPrefix(e.Package, prefix), Name: top}
		switch e.Action {
		case "output":
			if printed[test] == nil {
				printed[test] = &strings.Builder{}
			}
			printed[test].WriteString(e.Output)
		case "pass", "fail", "skip":
			if e.Test != top {
				continue // the result of a subtest is in that of its test
			}
			if top == "" {
				fmt.Fprintf(out, "%-4s  %s  %.1fs\n", e.Action, test.Dir, e.Elapsed)
			} else {
				results[test] = e.Action
			}
			if e.Action == "fail" && printed[test] != nil {
				fmt.Fprint(out, printed[test].String())
			}
			delete(printed, test)
		case "build-output":
			fmt.Fprint(out, e.Output)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the tests' results: %w", err)
	}
	return results, nil
}
