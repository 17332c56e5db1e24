package campaign

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Where in the repository the figures are kept, and the page that they are for.
const (
	MeasuredFile = "test/e2e/scale/testdata/measured.json"
	Page         = "docs/performance.md"
)

// The lines between which the page has the figures.
const (
	begins = "<!-- scale: written by `make e2e-scale` -->\n"
	ends   = "<!-- scale: end -->\n"
)

// Keep writes figures into a file.
func Keep(figures any, file string) error {
	text, err := json.MarshalIndent(figures, "", "\t")
	if err != nil {
		return fmt.Errorf("keep what was measured: %w", err)
	}
	return os.WriteFile(file, append(text, '\n'), 0o600)
}

// ReadMeasured gives what was measured last of every number of clusters, the fewest first.
func ReadMeasured(root string) ([]Figures, error) {
	text, err := os.ReadFile(filepath.Join(root, MeasuredFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what was measured: %w", err)
	}
	var all []Figures
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read what was measured: %w", err)
	}
	return all, nil
}

// Write puts figures in the place of those with as many clusters, and writes the page anew.
func Write(root string, figures Figures) error {
	all, err := ReadMeasured(root)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(f Figures) bool { return f.Clusters == figures.Clusters })
	all = append(all, figures)
	slices.SortFunc(all, func(a, b Figures) int { return cmp.Compare(a.Clusters, b.Clusters) })
	file := filepath.Join(root, MeasuredFile)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := Keep(all, file); err != nil {
		return err
	}
	return WritePage(filepath.Join(root, Page), all)
}

// WriteKept does what Write does, with the figures that a run has kept in a file.
func WriteKept(root, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read what was measured: %w", err)
	}
	var figures Figures
	if err := json.Unmarshal(text, &figures); err != nil {
		return fmt.Errorf("read what was measured: %w", err)
	}
	return Write(root, figures)
}

// Section gives what stands between the lines on the page.
func Section(page string) (string, error) {
	_, text, _, err := cut(page)
	return text, err
}

// WritePage puts the figures between the lines on the page.
func WritePage(page string, all []Figures) error {
	before, _, after, err := cut(page)
	if err != nil {
		return err
	}
	return os.WriteFile(page, []byte(before+begins+Document(all)+ends+after), 0o600)
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
