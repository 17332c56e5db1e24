package output

import (
	"fmt"
	"io"
)

// Progress tells a waiting person what is being done. Where nobody sits at a terminal it keeps still, but for what Notef says.
type Progress struct {
	Out io.Writer
	// Terminal says whether lines may be written over.
	Terminal bool

	shown bool
}

// Stepf says what is being done now, in place of what it said before.
func (p *Progress) Stepf(format string, args ...any) {
	if !p.Terminal {
		return
	}
	p.Clear()
	fmt.Fprintf(p.Out, format+" …", args...)
	p.shown = true
}

// Notef writes a line that stays, to a terminal or not.
func (p *Progress) Notef(format string, args ...any) {
	p.Clear()
	fmt.Fprintf(p.Out, format+"\n", args...)
}

// Clear takes the last step away.
func (p *Progress) Clear() {
	if p.shown {
		fmt.Fprint(p.Out, "\r\x1b[2K")
		p.shown = false
	}
}
