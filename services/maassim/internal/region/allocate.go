package region

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// allocate takes the cheapest Ready machine that satisfies the constraints. With a system id it is a compare-and-set. Where no machine
// matches, MAAS composes one on any VM host that the constraints do not shut out, even for a dry run (recordings 126, 556).
func (r *Region) allocate(q *rest.Request) (any, error) {
	if q.JSON != nil {
		return nil, rest.Text(http.StatusInternalServerError, "'dict' object has no attribute 'lists'") // recording 300
	}
	m, err := r.take(q)
	if m == nil && err == nil {
		m, err = r.composeDynamic(q)
	}
	if err != nil {
		return nil, err
	}
	defer r.begin()()
	o := r.machineJSON(m)
	o["constraints_by_type"] = object{}
	return o, nil
}

// take allocates a machine that exists, or returns nil when MAAS would compose one.
func (r *Region) take(q *rest.Request) (*machine, error) {
	defer r.begin()()
	match, err := r.filter(&q.Form, true)
	if err != nil {
		return nil, err
	}
	var best *machine
	for _, m := range r.candidates(&q.Form, q.User, true, r.machines.byStatus.Views(statusReady), r.machines.byOwner.Views(nil)) {
		if m.status == statusReady && m.owner == nil && canEdit(q.User, m) && m.hostOf == nil && match(m) && (best == nil || cost(m) < cost(best)) {
			best = m
		}
	}
	if best != nil {
		if !q.Form.Bool("dry_run") {
			r.acquire(best, q)
		}
		return best, nil
	}
	if id := q.Form.Get("system_id"); id != "" {
		return nil, rest.Text(http.StatusConflict, "No machine with system ID %s available.", id)
	}
	if r.dynamicHost(q) != nil {
		return nil, nil
	}
	return nil, noMatch(&q.Form)
}

func cost(m *machine) float64 { return float64(m.cores) + float64(m.memory)/1024 }

// acquire makes a Ready machine Allocated to the user.
func (r *Region) acquire(m *machine, q *rest.Request) {
	r.machines.Touch(m)
	m.set(statusAllocated)
	m.owner, m.agent = q.User, q.Form.Get("agent_name")
}

// dynamicHost finds a host on which allocate may compose; its pool does not count.
func (r *Region) dynamicHost(q *rest.Request) *vmHost {
	f := &q.Form
	for h := range r.hosts.All() {
		if len(h.capabilities) == 0 || h.kind != "lxd" {
			continue
		}
		wrong := f.Has("pod") && !slices.Contains(f.All("pod"), h.name) || slices.Contains(f.All("not_pod"), h.name) ||
			f.Has("pod_type") && !slices.Contains(f.All("pod_type"), h.kind) || slices.Contains(f.All("not_pod_type"), h.kind) ||
			f.Has("zone") && !slices.Contains(f.All("zone"), h.zone.name) || slices.Contains(f.All("not_in_zone"), h.zone.name)
		for _, t := range splitValues("tags", f.All("tags")) {
			wrong = wrong || !slices.Contains(h.tags, t)
		}
		for _, t := range splitValues("tags", f.All("not_tags")) {
			wrong = wrong || slices.Contains(h.tags, t)
		}
		spec, err := r.dynamicSpec(h, q)
		if !wrong && err == nil && r.overCommitted(h, spec) == nil {
			return h
		}
	}
	return nil
}

func (r *Region) dynamicSpec(h *vmHost, q *rest.Request) (vmSpec, error) {
	form := &rest.Request{User: q.User, Faults: q.Faults}
	for from, to := range map[string]string{"cpu_count": "cores", "mem": "memory"} {
		if q.Form.Has(from) {
			form.Form.Add(to, fmt.Sprintf("%.0f", number(q.Form.All(from))))
		}
	}
	form.Form.Add("skip_commissioning", "true")
	spec, err := r.composeForm(h, form)
	spec.dynamic = true
	return spec, err
}

// composeDynamic makes the VM that allocate makes by itself: a random name, the default zone whatever was asked, and the mark by which
// a release deletes it.
func (r *Region) composeDynamic(q *rest.Request) (*machine, error) {
	unlock := r.begin()
	h := r.dynamicHost(q)
	if h == nil {
		unlock()
		return nil, noMatch(&q.Form)
	}
	spec, err := r.dynamicSpec(h, q)
	unlock()
	if err != nil {
		return nil, err
	}
	m, err := r.composeOn(h, spec, q)
	if err != nil {
		return nil, err
	}
	defer r.begin()()
	if !q.Form.Bool("dry_run") {
		r.acquire(m, q)
	}
	return m, nil
}

// noMatch is the 409 with the constraints as sent and as MAAS resolved them (recordings 121, 540).
func noMatch(f *rest.Values) error {
	var sent, resolved []string
	for _, name := range f.Names() {
		if name == "op" {
			continue
		}
		var quoted []string
		for _, v := range f.All(name) {
			quoted = append(quoted, "'"+v+"'")
		}
		sent = append(sent, fmt.Sprintf("('%s', [%s])", name, strings.Join(quoted, ", ")))
		if slices.Contains(ignoredNames, name) || name == "agent_name" {
			continue
		}
		value := strings.Join(f.All(name), ",")
		switch name {
		case "cpu_count", "mem", "cpu_speed":
			value = pyFloat(number(f.All(name)))
		case "arch":
			if !strings.Contains(value, "/") {
				value += "/generic"
			}
		}
		resolved = append(resolved, name+"="+value)
	}
	if len(resolved) == 0 {
		return rest.Text(http.StatusConflict, "No machine available.")
	}
	slices.Sort(resolved)
	return rest.Text(http.StatusConflict, `No available machine matches constraints: [%s] (resolved to "%s")`, strings.Join(sent, ", "), strings.Join(resolved, " "))
}
