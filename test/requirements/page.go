package requirements

import (
	"errors"
	"fmt"
	"os"
	"regexp"
)

// Requirement is one row of a page: its number, and what must hold.
type Requirement struct {
	Number   Number
	Sentence string
}

var (
	// requirementRow matches a row of docs/requirements.md, ruleRow one of docs/protocol-coverage.md, where the X is left out.
	requirementRow = regexp.MustCompile(`(?m)^\| ((?:R\d+\.\d+|[SP]\d+)) \| (.+?) \|$`)
	ruleRow        = regexp.MustCompile(`(?m)^\| (\d+\.\d+) \| (.+?) \| .+ \|$`)
)

var errNoRows = errors.New("no row with a number")

// Listed reads the requirements and the rules from their pages, in their order.
func Listed(requirementsPage, rulesPage string) ([]Requirement, error) {
	all, err := rows(requirementsPage, requirementRow, "")
	if err != nil {
		return nil, err
	}
	rules, err := rows(rulesPage, ruleRow, "X")
	return append(all, rules...), err
}

func rows(page string, row *regexp.Regexp, prefix string) ([]Requirement, error) {
	text, err := os.ReadFile(page)
	if err != nil {
		return nil, fmt.Errorf("read the list of numbers: %w", err)
	}
	var all []Requirement
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		all = append(all, Requirement{Number: Number(prefix + m[1]), Sentence: m[2]})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: %w", page, errNoRows)
	}
	return all, nil
}
