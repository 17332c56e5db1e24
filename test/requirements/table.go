package requirements

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Row is a requirement with the tests that name it and how they ended together.
type Row struct {
	Requirement

	Tests  []Test
	Result Result
}

// Result is how the tests of a number ended.
type Result string

const (
	// Passed means that at least one test names the number and that none of those that do failed.
	Passed Result = "passed"
	// Failed means that a test that names the number failed.
	Failed Result = "FAILED"
	// NotRun means that tests name the number, and that none of them ran to its end.
	NotRun Result = "NOT RUN"
	// NotNamed means that no test names the number.
	NotNamed Result = "NO TEST"
)

// Rows joins the list, the tests and their results.
func Rows(listed []Requirement, tests map[Test]map[Number]bool, results Results) []Row {
	all := make([]Row, 0, len(listed))
	for _, requirement := range listed {
		row := Row{Requirement: requirement, Tests: Naming(tests, requirement.Number)}
		row.Result = resultOf(row.Tests, results)
		all = append(all, row)
	}
	return all
}

// Naming lists the tests that name a number.
func Naming(tests map[Test]map[Number]bool, number Number) []Test {
	var naming []Test
	for test, named := range tests {
		if named[number] {
			naming = append(naming, test)
		}
	}
	slices.SortFunc(naming, func(a, b Test) int { return strings.Compare(a.String(), b.String()) })
	return naming
}

func resultOf(tests []Test, results Results) Result {
	if len(tests) == 0 {
		return NotNamed
	}
	result := NotRun
	for _, test := range tests {
		switch results[test] {
		case "fail":
			return Failed
		case "pass":
			result = Passed
		}
	}
	return result
}

// Print writes the table and gives the number of rows that are not as they must be.
func Print(out io.Writer, rows []Row) (gaps int) {
	for _, row := range rows {
		fmt.Fprintf(out, "%-5s %-8s %3d  %s\n", row.Number, row.Result, len(row.Tests), row.Sentence)
		for _, test := range row.Tests {
			fmt.Fprintf(out, "%21s%s\n", "", test)
		}
		if row.Result != Passed {
			gaps++
		}
	}
	fmt.Fprintf(out, "\n%d of %d numbers are named by passing tests\n", len(rows)-gaps, len(rows))
	return gaps
}
