// Package measured keeps figures in files of the repository, and writes them between two lines of a page of docs/.
package measured

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Keep writes figures into a file, as JSON.
func Keep(file string, figures any) error {
	text, err := json.MarshalIndent(figures, "", "\t")
	if err != nil {
		return fmt.Errorf("keep what was measured: %w", err)
	}
	return os.WriteFile(file, append(text, '\n'), 0o600)
}

// Read gives the figures that Keep has written into a file. The error of a file that is not there is fs.ErrNotExist.
func Read[T any](file string) (figures T, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return figures, fmt.Errorf("read what was measured: %w", err)
	}
	if err := json.Unmarshal(text, &figures); err != nil {
		return figures, fmt.Errorf("read what was measured: %s: %w", file, err)
	}
	return figures, nil
}

// ReadIfAny is Read where nothing may have been measured: it then gives the zero value.
func ReadIfAny[T any](file string) (T, error) {
	figures, err := Read[T](file)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return figures, err
}

// Section is the part of a page that a command writes.
type Section struct {
	// Begins and Ends are the lines around it, with their ends.
	Begins, Ends string
}

// In gives the section as it stands on the page.
func (s Section) In(page string) (string, error) {
	_, text, _, err := s.cut(page)
	return text, err
}

// Write puts the text there and leaves the rest of the page.
func (s Section) Write(page, text string) error {
	before, _, after, err := s.cut(page)
	if err != nil {
		return err
	}
	return os.WriteFile(page, []byte(before+s.Begins+text+s.Ends+after), 0o600)
}

func (s Section) cut(page string) (before, text, after string, err error) {
	document, err := os.ReadFile(page)
	if err != nil {
		return "", "", "", fmt.Errorf("read the page: %w", err)
	}
	before, rest, begun := strings.Cut(string(document), s.Begins)
	text, after, ended := strings.Cut(rest, s.Ends)
	if !begun || !ended {
		return "", "", "", fmt.Errorf("%s has no section between %q and %q", page, s.Begins, s.Ends)
	}
	return before, text, after, nil
}
