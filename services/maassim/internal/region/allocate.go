package region

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// allocate takes the cheapest Ready machine that satisfies the constraints. With a system id it is a compare-and-set. Where no machine
// matches, MAAS composes one on any VM host that the constraints do not shut out, even for a dry run (recordings 126, 556). All of it
// happens under MAAS's advisory lock: whoever allocates waits for every other allocate of the region, and for their composing.
func (r *Region) allocate(q *rest.Request) (any, error) {
	if q.JSON != nil {
		return nil, rest.Text(http.StatusInternalServerError, "'dict' object has no attribute 'lists'") // recording 300
	}
	r.acquiring.Lock()
	defer r.acquiring.Unlock()
	r.wait(r.cfg.Durations.Allocate)
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
	if t := q.Form.Get("bridge_type"); t != "" && !slices.Contains(bridgeTypes, t) {
		return nil, rest.Invalid("bridge_type", "'%s' is not a valid bridge_type.  It should be one of: 'ovs', 'standard'.", t)
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
	if id := q.Form.Get("system_id"); q.Form.Has("system_id") {
		return nil, rest.Text(http.StatusConflict, "No machine with system ID %s available.", id)
	}
	return nil, nil
}

func cost(m *machine) float64 { return float64(m.cores) + float64(m.memory)/1024 }

// acquire makes a Ready machine Allocated to the user.
func (r *Region) acquire(m *machine, q *rest.Request) {
	r.change(m)
	m.set(statusAllocated)
	m.owner, m.agent = q.User, q.Form.Get("agent_name")
}

// composeDynamic makes the VM that allocate makes by itself: a random name, the default zone whatever was asked, and the mark by which
// a release deletes it. It tries one host after the other.
func (r *Region) composeDynamic(q *rest.Request) (*machine, error) {
	for _, h := range r.dynamicHosts(q) {
		spec, err := r.dynamicSpec(h, q)
		if err != nil {
			continue
		}
		m, err := r.composeOn(h, spec, q)
		if err != nil {
			continue // MAAS swallows why
		}
		defer r.begin()()
		if !q.Form.Bool("dry_run") {
			r.acquire(m, q)
		}
		return m, nil
	}
	return nil, noMatch(&q.Form)
}

// dynamicHosts are the hosts on which allocate may compose; the pool does not count, and a list of tags in one value is taken for one tag.
func (r *Region) dynamicHosts(q *rest.Request) []*vmHost {
	defer r.begin()()
	f := &q.Form
	var hosts []*vmHost
	for h := range r.hosts.All() {
		shut := r.cfg.VMHostsGone || len(h.capabilities) == 0 || h.kind != "lxd" ||
			f.Has("pod") && !slices.Contains(f.All("pod"), h.name) || slices.Contains(f.All("not_pod"), h.name) ||
			f.Has("pod_type") && !slices.Contains(f.All("pod_type"), h.kind) || slices.Contains(f.All("not_pod_type"), h.kind) ||
			f.Has("zone") && f.Get("zone") != h.zone.name || f.Has("not_tags") && containsAll(h.tags, f.All("not_tags")) ||
			!containsAll(h.tags, f.All("tags"))
		if !shut {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

func containsAll(list, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(w string) bool { return !slices.Contains(list, w) })
}

// dynamicSpec fills the compose form from the constraints: cores, memory, architecture, storage and interfaces.
func (r *Region) dynamicSpec(h *vmHost, q *rest.Request) (vmSpec, error) {
	defer r.begin()()
	form := &rest.Request{User: q.User, Faults: q.Faults}
	for from, to := range map[string]string{"cpu_count": "cores", "mem": "memory"} {
		if q.Form.Has(from) {
			form.Form.Add(to, fmt.Sprintf("%d", int(number(q.Form.All(from)))))
		}
	}
	if arches := q.Form.All("arch"); len(arches) > 0 {
		arch := slices.Min(arches)
		if !strings.Contains(arch, "/") {
			arch += "/generic"
		}
		form.Form.Add("architecture", arch)
	}
	for _, name := range []string{"storage", "interfaces"} {
		if q.Form.Has(name) {
			form.Form.Add(name, q.Form.Get(name))
		}
	}
	form.Form.Add("skip_commissioning", "true")
	spec, err := r.composeForm(h, form)
	spec.dynamic = true
	return spec, err
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
