package view

import (
	"fmt"
	"strconv"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/output"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// mostRejections is how many rejected hosts a table names; JSON has all.
const mostRejections = 20

// Planned is one VM of a plan.
type Planned struct {
	Index int32  `json:"index"`
	Host  string `json:"host"`
	Zone  string `json:"zone"`
}

// Share is what one zone gets.
type Share struct {
	Zone        string `json:"zone"`
	Existing    int32  `json:"existing"`
	Planned     int32  `json:"planned"`
	Explanation string `json:"explanation,omitempty"`
}

// Candidate is a host that fits, with its rank.
type Candidate struct {
	Host  string             `json:"host"`
	Zone  string             `json:"zone"`
	Pool  string             `json:"pool"`
	Score float64            `json:"score"`
	Terms map[string]float64 `json:"terms,omitempty"`
}

// Plan is where VMs would go.
type Plan struct {
	// Wanted is how many VMs were asked for.
	Wanted int32 `json:"wanted"`
	// Size is that of each.
	Size string `json:"size"`
	// Fits says whether all of them have a place.
	Fits bool `json:"fits"`
	// Even says whether no two zones differ by more than one VM.
	Even bool `json:"even"`
	// Summary is the service's sentence.
	Summary string `json:"summary"`
	// Reason and WhatToDo are set where they don't fit.
	Reason   string `json:"reason,omitempty"`
	WhatToDo string `json:"whatToDo,omitempty"`

	VMs        []Planned   `json:"vms"`
	Zones      []Share     `json:"zones"`
	Candidates []Candidate `json:"candidates,omitempty"`
	Rejections []Rejection `json:"rejections"`
}

// Distributed fills the plan from an answer about several VMs.
func (l *Plan) Distributed(answer *lxdprovisionerv1.DistributeAcrossZonesResponse) {
	l.Summary, l.Even = answer.GetSummary(), answer.GetEven()
	l.Fits = len(answer.GetVms()) == int(l.Wanted)
	for _, vm := range answer.GetVms() {
		l.VMs = append(l.VMs, Planned{Index: vm.GetIndex(), Host: vm.GetHostName(), Zone: vm.GetZone()})
	}
	for _, z := range answer.GetZones() {
		l.Zones = append(l.Zones, Share{Zone: z.GetZone(), Existing: z.GetExisting(), Planned: z.GetPlanned(), Explanation: z.GetExplanation()})
	}
	l.reject(answer.GetRejections())
}

// Selected fills the plan from an answer about one VM.
func (l *Plan) Selected(answer *lxdprovisionerv1.SelectHostResponse) {
	l.Fits, l.Even, l.Summary = true, true, answer.GetSummary()
	chosen := answer.GetChosen()
	l.VMs = []Planned{{Host: chosen.GetHostName(), Zone: chosen.GetZone()}}
	l.Zones = []Share{{Zone: chosen.GetZone(), Planned: 1}}
	for _, c := range answer.GetCandidates() {
		one := Candidate{Host: c.GetHostName(), Zone: c.GetZone(), Pool: c.GetResourcePool(), Score: c.GetScore(), Terms: map[string]float64{}}
		for _, term := range c.GetTerms() {
			one.Terms[term.GetName()] = term.GetValue()
		}
		l.Candidates = append(l.Candidates, one)
	}
	l.reject(answer.GetRejections())
}

// Refused fills the plan from an error that tells why no host fits.
func (l *Plan) Refused(info errorinfo.Info, whatToDo string) {
	l.Summary, l.Reason, l.WhatToDo = info.Message, errorinfo.Word(info.Reason), whatToDo
	l.reject(info.Placement.GetRejections())
}

func (l *Plan) reject(rejections []*lxdprovisionerv1.Rejection) {
	l.Rejections = []Rejection{}
	for _, r := range rejections {
		l.Rejections = append(l.Rejections, newRejection(r))
	}
}

// Write writes the plan: the sentence, the VMs, the zones, and why other hosts are out.
func (l *Plan) Write(p *output.Page) {
	verdict := p.Toned(output.Good, "fits")
	switch {
	case !l.Fits && len(l.VMs) > 0:
		verdict = p.Toned(output.Bad, fmt.Sprintf("only %d fit", len(l.VMs)))
	case !l.Fits:
		verdict = p.Toned(output.Bad, "does not fit")
	case !l.Even:
		verdict = p.Toned(output.Warning, "fits, unevenly")
	}
	p.Linef("%d × %s: %s. %s", l.Wanted, l.Size, verdict, l.Summary)
	if l.Reason != "" {
		p.Fields([2]string{"reason", l.Reason}, [2]string{"what to do", l.WhatToDo})
	}
	l.writePlaces(p)
	l.writeCandidates(p)
	writeRejections(p, l.Rejections)
}

func (l *Plan) writePlaces(p *output.Page) {
	if len(l.VMs) == 0 {
		return
	}
	p.Linef("")
	rows := make([][]output.Cell, 0, len(l.VMs))
	for _, vm := range l.VMs {
		rows = append(rows, []output.Cell{output.C(strconv.Itoa(int(vm.Index) + 1)), output.C(vm.Zone), output.C(vm.Host)})
	}
	p.Table([]string{"VM", "ZONE", "HOST"}, rows)
	p.Linef("")
	rows = nil
	for _, z := range l.Zones {
		rows = append(rows, []output.Cell{output.C(z.Zone), output.Cf("%d", z.Planned), output.C(z.Explanation)})
	}
	p.Table([]string{"ZONE", "VMS", "WHY NOT MORE"}, rows)
}

func (l *Plan) writeCandidates(p *output.Page) {
	if len(l.Candidates) == 0 {
		return
	}
	p.Headingf("Hosts that fit, best first:")
	rows := make([][]output.Cell, 0, len(l.Candidates))
	for _, c := range l.Candidates[:min(len(l.Candidates), mostRejections)] {
		rows = append(rows, []output.Cell{output.C(c.Host), output.C(c.Zone), output.C(c.Pool), output.Cf("%.3f", c.Score)})
	}
	p.Table([]string{"HOST", "ZONE", "POOL", "SCORE"}, rows)
	more(p, len(l.Candidates))
}

// writeRejections writes why hosts are out.
func writeRejections(p *output.Page, rejections []Rejection) {
	if len(rejections) == 0 {
		return
	}
	p.Headingf("Hosts that are out:")
	rows := make([][]output.Cell, 0, len(rejections))
	for _, r := range rejections[:min(len(rejections), mostRejections)] {
		rows = append(rows, []output.Cell{output.C(r.Host), output.C(r.Zone), output.C(r.Message), output.C(r.WhatToDo)})
	}
	p.Table([]string{"HOST", "ZONE", "WHY", "WHAT TO DO"}, rows)
	more(p, len(rejections))
}

// more says that a table is shorter than what it shows.
func more(p *output.Page, all int) {
	if all > mostRejections {
		p.Linef("and %d more; -o json has all", all-mostRejections)
	}
}
