package output

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
)

// gap is the space between two columns, barWidth the number of cells of a bar.
const (
	gap      = 3
	barWidth = 10
)

// Tone says how a text is meant; a terminal shows it as a colour.
type Tone int

// The tones.
const (
	Plain Tone = iota
	Good
	Warning
	Bad
	Faint
)

// codes are as long as each other, so that columns stay straight: a table counts them as characters.
var codes = map[Tone]string{Plain: "\x1b[39m", Good: "\x1b[32m", Warning: "\x1b[33m", Bad: "\x1b[31m", Faint: "\x1b[90m"}

// reset ends a tone.
const reset = "\x1b[39m"

// Cell is one field of a table.
type Cell struct {
	Text string
	Tone Tone
}

// C is a plain cell. An empty one is shown as a dash.
func C(text string) Cell { return Cell{Text: text} }

// Cf is a plain cell of a format.
func Cf(format string, args ...any) Cell { return C(fmt.Sprintf(format, args...)) }

// T is a cell with a tone.
func T(tone Tone, text string) Cell { return Cell{Text: text, Tone: tone} }

// Page is where results write themselves.
type Page struct {
	out   io.Writer
	style Style
}

// Linef writes a line.
func (p *Page) Linef(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// Headingf writes a line that begins a part, with an empty line before it.
func (p *Page) Headingf(format string, args ...any) { p.Linef("\n"+format, args...) }

// Toned gives a text in a tone, where there are colours.
func (p *Page) Toned(tone Tone, text string) string {
	if !p.style.Colour || tone == Plain {
		return text
	}
	return codes[tone] + text + reset
}

// Table writes rows under their heads.
func (p *Page) Table(heads []string, rows [][]Cell) {
	w := tabwriter.NewWriter(p.out, 0, 0, gap, ' ', 0)
	first := make([]Cell, 0, len(heads))
	for _, head := range heads {
		first = append(first, T(Faint, head))
	}
	for _, row := range append([][]Cell{first}, rows...) {
		fmt.Fprintln(w, p.row(row))
	}
	_ = w.Flush() // to a terminal; nobody could act on it
}

// Fields writes names with their values, one a line and indented.
func (p *Page) Fields(pairs ...[2]string) {
	w := tabwriter.NewWriter(p.out, 0, 0, gap, ' ', 0)
	for _, pair := range pairs {
		if pair[1] != "" {
			fmt.Fprintf(w, "  %s\t%s\n", pair[0], pair[1])
		}
	}
	_ = w.Flush() // to a terminal; nobody could act on it
}

// row joins cells. In colour every cell but the last bears codes of one length.
func (p *Page) row(cells []Cell) string {
	texts := make([]string, 0, len(cells))
	for _, c := range cells {
		text := c.Text
		if text == "" {
			text = "-"
		}
		if p.style.Colour {
			text = codes[c.Tone] + text + reset
		}
		texts = append(texts, strings.ReplaceAll(text, "\t", " "))
	}
	return strings.Join(texts, "\t")
}

// Bar shows how much of a limit is taken, with both numbers.
func (p *Page) Bar(taken, limit int64, unit string) Cell {
	full, empty := "#", "."
	if p.style.Unicode {
		full, empty = "█", "░"
	}
	share := 0.0
	if limit > 0 {
		share = min(max(float64(taken)/float64(limit), 0), 1)
	}
	cells := int(share*barWidth + 0.5)
	tone := Good
	switch {
	case limit <= 0:
		tone = Faint
	case share >= 0.9:
		tone = Bad
	case share >= 0.7:
		tone = Warning
	}
	text := fmt.Sprintf("%s%s %d/%d%s", strings.Repeat(full, cells), strings.Repeat(empty, barWidth-cells), taken, limit, unit)
	return T(tone, text)
}

// Age tells how long ago a moment was, as kubectl does; empty where there is none.
func (p *Page) Age(moment time.Time) string {
	if moment.IsZero() {
		return ""
	}
	return duration.HumanDuration(p.style.Now.Sub(moment))
}
