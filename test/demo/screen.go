package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"
)

// screen shows progress: a table that is drawn anew on a terminal, a line for each change elsewhere.
type screen struct {
	out      io.Writer
	terminal bool
	start    time.Time
	drawn    int
	last     map[string]string
}

func newScreen(out *os.File) *screen {
	return &screen{out: out, terminal: term.IsTerminal(int(out.Fd())), start: time.Now(), last: map[string]string{}}
}

// row is one line of the table: a name, by which changes are told, and the rest.
type row struct {
	name  string
	cells []string
}

// sayf prints a line that stays.
func (s *screen) sayf(format string, args ...any) {
	s.drawn = 0
	fmt.Fprintf(s.out, "%7s  %s\n", s.elapsed(), fmt.Sprintf(format, args...))
}

// raw prints text as it is.
func (s *screen) raw(text string) {
	s.drawn = 0
	fmt.Fprintln(s.out, strings.TrimRight(text, "\n"))
}

// show draws the table, or prints the rows that differ from what was shown before.
func (s *screen) show(header []string, rows []row) {
	if !s.terminal {
		s.changes(rows)
		return
	}
	if s.drawn > 0 {
		fmt.Fprintf(s.out, "\x1b[%dA\x1b[J", s.drawn)
	}
	text := table(append([]string{"NAME"}, header...), rows)
	fmt.Fprint(s.out, text)
	s.drawn = strings.Count(text, "\n")
}

func (s *screen) changes(rows []row) {
	seen := map[string]bool{}
	for _, r := range rows {
		seen[r.name] = true
		if line := strings.Join(r.cells, "  "); s.last[r.name] != line {
			s.last[r.name] = line
			s.sayf("%-10s %s", r.name, line)
		}
	}
	for name := range s.last {
		if !seen[name] {
			delete(s.last, name)
			s.sayf("%-10s gone", name)
		}
	}
}

func (s *screen) elapsed() string { return fmt.Sprintf("%.1fs", time.Since(s.start).Seconds()) }

func table(header []string, rows []row) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, strings.Join(header, "\t"))
	for _, r := range rows {
		fmt.Fprintln(w, r.name+"\t"+strings.Join(r.cells, "\t"))
	}
	_ = w.Flush() // a strings.Builder takes everything
	return b.String()
}
