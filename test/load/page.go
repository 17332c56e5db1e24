package load

import (
	"fmt"
	"os"
	"strings"
)

// The lines between which the page has the figures.
const (
	begins = "<!-- load: written by `make load` -->\n"
	ends   = "<!-- load: end -->\n"
)

// Section gives what stands between the lines on the page.
func Section(page string) (string, error) {
	_, text, _, err := cut(page)
	return text, err
}

// WriteSection puts the text there.
func WriteSection(page, text string) error {
	before, _, after, err := cut(page)
	if err != nil {
		return err
	}
	return os.WriteFile(page, []byte(before+begins+text+ends+after), 0o600)
}

func cut(page string) (before, text, after string, err error) {
	document, err := os.ReadFile(page)
	if err != nil {
		return "", "", "", fmt.Errorf("read the page: %w", err)
	}
	before, rest, begun := strings.Cut(string(document), begins)
	text, after, ended := strings.Cut(rest, ends)
	if !begun || !ended {
		return "", "", "", fmt.Errorf("%s has no section between %q and %q", page, begins, ends)
	}
	return before, text, after, nil
}
