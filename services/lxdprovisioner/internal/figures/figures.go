// Package figures keeps published figures and the commands that measure them together: a document is
// written by hand but for its sections, each of which a test of one package writes. Only tests use it.
package figures

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

// Section is a part of a document that a command writes.
type Section struct {
	// Document is the path of the document.
	Document string
	// Name stands in the lines between which the section is.
	Name string
}

func (s Section) begins() string {
	return fmt.Sprintf("<!-- %s: written by `make performance` -->\n", s.Name)
}

func (s Section) ends() string { return fmt.Sprintf("<!-- %s: end -->\n", s.Name) }

// cut gives the document before, in and after the section.
func (s Section) cut() (before, text, after string, err error) {
	document, err := os.ReadFile(s.Document)
	if err != nil {
		return "", "", "", err
	}
	before, rest, begins := strings.Cut(string(document), s.begins())
	text, after, ends := strings.Cut(rest, s.ends())
	if !begins || !ends {
		return "", "", "", fmt.Errorf("%s has no section between the lines %q and %q", s.Document, s.begins(), s.ends())
	}
	return before, text, after, nil
}

// Text gives what stands in the section.
func (s Section) Text() (string, error) {
	_, text, _, err := s.cut()
	return text, err
}

// Write puts the text into the section. Only one process at a time may write to a document.
func (s Section) Write(text string) error {
	before, _, after, err := s.cut()
	if err != nil {
		return err
	}
	return os.WriteFile(s.Document, []byte(before+s.begins()+text+s.ends()+after), 0o600)
}

var figure = regexp.MustCompile(`[0-9][0-9,.]*( (ns|µs|ms|s)\b)?`)

// Shape gives a text without its figures: what a section must have in common with what its command
// writes.
func Shape(text string) string { return figure.ReplaceAllString(text, "#") }

// Grouped words a number with a comma before every three digits.
func Grouped(n int) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Stopwatch times calls: the best of some rounds that each take at least so long.
type Stopwatch struct {
	Clock  func() time.Time
	Rounds int
	Least  time.Duration
}

// Patient takes many short rounds, so that some of them are left alone by the machine's other work even
// when that is a lot.
func Patient(clock func() time.Time) Stopwatch {
	return Stopwatch{Clock: clock, Rounds: 100, Least: time.Millisecond}
}

// Hasty gives figures that are good for nothing but to look at their shape.
func Hasty(clock func() time.Time) Stopwatch {
	return Stopwatch{Clock: clock, Rounds: 1, Least: time.Microsecond}
}

// PerCall is how long a call takes.
func (w Stopwatch) PerCall(call func()) time.Duration {
	best := time.Hour
	for range w.Rounds {
		calls, began := 0, w.Clock()
		for calls == 0 || w.Clock().Sub(began) < w.Least {
			call()
			calls++
		}
		best = min(best, w.Clock().Sub(began)/time.Duration(calls))
	}
	return best
}
