package view

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/output"
)

// mostEvents is how many events a page shows; JSON has all.
const mostEvents = 15

// Write writes the verdict, the way from object to host, and what is known besides.
func (e *Explanation) Write(p *output.Page) {
	e.writeVerdict(p)
	e.writePath(p)
	if e.Trouble != nil {
		p.Linef("")
		e.Trouble.Write(p)
	}
	p.Headingf("Conditions:")
	writeConditions(p, e.Conditions)
	if len(e.ClusterConditions) > 0 {
		p.Headingf("Conditions of the MaasCluster that do not hold:")
		writeConditions(p, e.ClusterConditions)
	}
	e.writeAttempts(p)
	e.writeEvents(p)
}

func (e *Explanation) writeVerdict(p *output.Page) {
	state := p.Toned(output.Good, "is up")
	switch {
	case e.Deleting != nil:
		state = p.Toned(output.Warning, "is being deleted")
	case len(e.Conditions) == 0:
		state = p.Toned(output.Warning, "has not been looked at by the manager")
	case e.Up && e.Verdict != nil:
		state = p.Toned(output.Warning, "is up, but "+e.Verdict.Type+" does not hold: "+e.Verdict.Reason)
	case !e.Up && e.Verdict != nil:
		state = p.Toned(output.Bad, "is not up: "+e.Verdict.Reason)
	case !e.Up:
		state = p.Toned(output.Bad, "is not up")
	}
	p.Linef("MaasMachine %s/%s %s", e.Namespace, e.Name, state)
	if e.Paused {
		p.Linef("  The Cluster is paused: nothing is done.")
	}
	if v := e.Verdict; v != nil {
		p.Fields([2]string{"why", v.Message}, [2]string{"what to do", v.WhatToDo}, [2]string{"since", p.Age(v.Since)})
	}
}

func (e *Explanation) writePath(p *output.Page) {
	p.Headingf("The way:")
	machine := join(e.Machine, e.Phase)
	if e.FailureDomain != "" {
		machine += ", failure domain " + e.FailureDomain
	}
	host := ""
	if h := e.Host; h != nil {
		host = fmt.Sprintf("%s (%s), zone %s, pool %s", h.Name, h.ID, h.Zone, h.ResourcePool)
		if h.Unusable != nil {
			host += ", " + p.Toned(output.Bad, h.Unusable.Reason+": "+h.Unusable.Message)
		}
	}
	age := e.Created
	p.Fields(
		[2]string{"Cluster", e.Cluster},
		[2]string{"Machine", machine},
		[2]string{"MaasMachine", join(e.Name, e.Mode, e.Image, e.Size, p.Age(age)+" old")},
		[2]string{"Host", host},
		[2]string{"MAAS", e.MAAS.line(p)},
		[2]string{"Provider ID", e.ProviderID},
	)
}

// line tells what MAAS says in one line.
func (m *InMAAS) line(p *output.Page) string {
	if m == nil {
		return ""
	}
	parts := []string{m.Name, m.SystemID, m.State, "power " + m.Power}
	if m.Locked {
		parts = append(parts, "locked")
	}
	if m.Claimed != nil && !*m.Claimed {
		parts = append(parts, "not proved to be ours")
	}
	parts = append(parts, strings.Join(m.Addresses, " "), m.Message)
	if !m.ObservedAt.IsZero() {
		parts = append(parts, "seen "+p.Age(m.ObservedAt)+" ago")
	}
	return join(parts...)
}

func writeConditions(p *output.Page, conditions []Condition) {
	rows := make([][]output.Cell, 0, len(conditions))
	for _, c := range conditions {
		tone := output.Good
		if c.WhatToDo != "" || c.Status == "Unknown" || c.Status == "False" && c.Type != "Paused" {
			tone = output.Warning
		}
		rows = append(rows, []output.Cell{output.C(c.Type), output.T(tone, c.Status), output.C(c.Reason), output.C(p.Age(c.Since)), output.C(c.Message)})
	}
	p.Table([]string{"CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"}, rows)
}

func (e *Explanation) writeAttempts(p *output.Page) {
	if len(e.Attempts) == 0 {
		return
	}
	p.Headingf("Attempts to make the VM:")
	rows := make([][]output.Cell, 0, len(e.Attempts))
	for _, a := range e.Attempts {
		sent := ""
		if a.SentAt != nil {
			sent = p.Age(*a.SentAt) + " ago"
		}
		rows = append(rows, []output.Cell{
			output.C(strconv.Itoa(int(a.Number))), output.C(a.Name), output.C(a.Host), output.C(a.SystemID), output.C(sent), output.C(a.Outcome),
		})
	}
	p.Table([]string{"ATTEMPT", "VM", "HOST", "SYSTEM ID", "SENT", "OUTCOME"}, rows)
}

func (e *Explanation) writeEvents(p *output.Page) {
	if len(e.Events) == 0 {
		return
	}
	p.Headingf("Events, latest first:")
	rows := make([][]output.Cell, 0, mostEvents)
	for _, ev := range e.Events[:min(len(e.Events), mostEvents)] {
		tone := output.Plain
		if ev.Type == "Warning" {
			tone = output.Warning
		}
		rows = append(rows, []output.Cell{output.C(p.Age(ev.Last)), output.T(tone, ev.Type), output.C(ev.Reason), output.C(strconv.Itoa(int(ev.Count))), output.C(ev.Message)})
	}
	p.Table([]string{"LAST", "TYPE", "REASON", "COUNT", "MESSAGE"}, rows)
}

// join puts what there is into one line.
func join(parts ...string) string {
	var kept []string
	for _, part := range parts {
		if part != "" {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ", ")
}
