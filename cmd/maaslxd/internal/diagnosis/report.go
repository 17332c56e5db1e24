package diagnosis

import (
	"fmt"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/output"
)

// Status is what a finding is.
type Status string

// The statuses. Only Wrong makes a report unhealthy.
const (
	OK      Status = "ok"
	Warning Status = "warning"
	Wrong   Status = "wrong"
	Skipped Status = "skipped"
)

// Finding is what one check found.
type Finding struct {
	// Area is what the check is about, for example "MAAS".
	Area     string `json:"area"`
	Status   Status `json:"status"`
	Message  string `json:"message"`
	WhatToDo string `json:"whatToDo,omitempty"`
}

// Report is what all checks found.
type Report struct {
	Healthy  bool      `json:"healthy"`
	Findings []Finding `json:"findings"`
}

var tones = map[Status]output.Tone{OK: output.Good, Warning: output.Warning, Wrong: output.Bad, Skipped: output.Faint}

// Write writes a line for each finding, what to do under those that want something, and the count.
func (r *Report) Write(p *output.Page) {
	counts := map[Status]int{}
	area := ""
	for i, f := range r.Findings {
		if f.Area != area {
			if i > 0 {
				p.Linef("")
			}
			p.Linef("%s", f.Area)
			area = f.Area
		}
		counts[f.Status]++
		p.Linef("  %s  %s", p.Toned(tones[f.Status], fmt.Sprintf("%-7s", f.Status)), f.Message)
		if f.WhatToDo != "" {
			p.Linef("           → %s", f.WhatToDo)
		}
	}
	p.Headingf("%d ok, %d warnings, %d wrong, %d skipped", counts[OK], counts[Warning], counts[Wrong], counts[Skipped])
}

// notes gathers findings of one area.
type notes struct {
	area string
	all  []Finding
}

func (n *notes) okf(format string, args ...any) { n.addf(OK, "", format, args...) }

func (n *notes) addf(status Status, whatToDo, format string, args ...any) {
	n.all = append(n.all, Finding{Area: n.area, Status: status, Message: fmt.Sprintf(format, args...), WhatToDo: whatToDo})
}
