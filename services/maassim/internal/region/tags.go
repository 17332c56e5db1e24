package region

import (
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

func (r *Region) tagResources() []rest.Resource {
	return []rest.Resource{
		{Path: "tags", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "tags.list", Handle: r.listTags},
			{Method: http.MethodPost, Name: "tags.create", Admin: true, Handle: r.createTag},
		}},
		{Path: "tags/{name}", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "tags.read", Handle: r.readTag},
			{Method: http.MethodDelete, Name: "tags.delete", Admin: true, Handle: r.deleteTag},
			{Method: http.MethodGet, Op: "machines", Name: "tags.machines", Handle: r.taggedMachines},
			{Method: http.MethodPost, Op: "update_nodes", Name: "tags.update_nodes", Admin: true, Lists: true, Handle: r.updateTagged},
		}},
	}
}

func tagJSON(t *tag) object {
	return object{
		"name": t.name, "definition": t.definition, "comment": t.comment, "kernel_opts": t.kernelOpts, "resource_uri": uri("tags/%s/", t.name),
	}
}

func (r *Region) listTags(*rest.Request) (any, error) {
	defer r.begin()()
	all := []object{}
	for _, t := range r.tags {
		all = append(all, tagJSON(t))
	}
	return all, nil
}

func (r *Region) createTag(q *rest.Request) (any, error) {
	defer r.begin()()
	name := q.Form.Get("name")
	switch {
	case name == "":
		return nil, rest.Invalid("name", "This field is required.")
	case !validTag.MatchString(name):
		return nil, rest.Invalid("name", "Enter a valid value.")
	case r.tagNamed(name) != nil:
		return nil, rest.Invalid("name", "Tag with this Name already exists.")
	}
	t := &tag{name: name, comment: q.Form.Get("comment"), kernelOpts: q.Form.Get("kernel_opts")}
	r.tags = append(r.tags, t)
	return tagJSON(t), nil
}

func (r *Region) tagOf(q *rest.Request) (*tag, error) {
	t := r.tagNamed(q.Path["name"])
	if t == nil {
		return nil, rest.NotFound("Tag")
	}
	return t, nil
}

func (r *Region) readTag(q *rest.Request) (any, error) {
	defer r.begin()()
	t, err := r.tagOf(q)
	if err != nil {
		return nil, err
	}
	return tagJSON(t), nil
}

func (r *Region) deleteTag(q *rest.Request) (any, error) {
	defer r.begin()()
	t, err := r.tagOf(q)
	if err != nil {
		return nil, err
	}
	r.tags = slices.DeleteFunc(r.tags, func(other *tag) bool { return other == t })
	for _, m := range r.machines.byTag.Rows(t.name) {
		r.machines.Touch(m)
		m.tags = slices.DeleteFunc(m.tags, func(name string) bool { return name == t.name })
	}
	return rest.NoContent, nil
}

func (r *Region) taggedMachines(q *rest.Request) (any, error) {
	defer r.begin()()
	t, err := r.tagOf(q)
	if err != nil {
		return nil, err
	}
	all := []object{}
	for _, m := range r.machines.byTag.Rows(t.name) {
		if canView(q.User, m) {
			all = append(all, r.machineJSON(m))
		}
	}
	return all, nil
}

// updateTagged skips system ids that it does not know (recording 161).
func (r *Region) updateTagged(q *rest.Request) (any, error) {
	defer r.begin()()
	t, err := r.tagOf(q)
	if err != nil {
		return nil, err
	}
	added, removed := 0, 0
	for _, id := range q.Form.All("add") {
		if m := r.machine(id); m != nil {
			added++
			if !m.hasTag(t.name) {
				m.tags = append(m.tags, t.name)
			}
		}
	}
	for _, id := range q.Form.All("remove") {
		if m := r.machine(id); m != nil {
			removed++
			m.tags = slices.DeleteFunc(m.tags, func(name string) bool { return name == t.name })
		}
	}
	return object{"added": added, "removed": removed}, nil
}

func (r *Region) eventResources() []rest.Resource {
	return []rest.Resource{{Path: "events", Actions: []rest.Action{
		{Method: http.MethodGet, Op: "query", Name: "events.query", Handle: r.queryEvents},
	}}}
}

// levels are the event levels from low to high; a query's level is a minimum.
var levels = []string{"AUDIT", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}

func (r *Region) queryEvents(q *rest.Request) (any, error) {
	defer r.begin()()
	limit := 100
	if text := q.Query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return nil, rest.Text(http.StatusBadRequest, "Invalid limit: %s", text)
		}
		limit = n
	}
	least := slices.Index(levels, orDefault(q.Query.Get("level"), "INFO"))
	if least < 0 {
		return nil, rest.Text(http.StatusBadRequest, "Unrecognised log level: %s", q.Query.Get("level"))
	}
	all := []object{}
	for e := range r.eventsFor(q) {
		if len(all) == limit {
			break
		}
		if r.wantsEvent(q, e) && slices.Index(levels, e.level) >= least {
			all = append(all, object{
				"id": e.id, "node": e.systemID, "hostname": e.hostname, "username": "unknown", "level": e.level, "type": e.kind,
				"description": e.describe, "created": e.at.UTC().Format(eventTime),
			})
		}
	}
	return object{"count": len(all), "events": all, "next_uri": pageURI(q, all, "after", 0), "prev_uri": pageURI(q, all, "before", len(all)-1)}, nil
}

// eventsFor returns the events from which a query chooses, the newest first.
func (r *Region) eventsFor(q *rest.Request) iter.Seq[*event] {
	if !q.Query.Has("id") {
		return r.events.Newest()
	}
	var views [][]*event
	for _, id := range q.Query.All("id") {
		views = append(views, r.events.of.View(id))
	}
	found := r.events.Merge(views...)
	slices.Reverse(found)
	return slices.Values(found)
}

func (r *Region) wantsEvent(q *rest.Request, e *event) bool {
	if q.Query.Has("id") && !slices.Contains(q.Query.All("id"), e.systemID) {
		return false
	}
	if q.Query.Has("hostname") && !slices.Contains(q.Query.All("hostname"), e.hostname) {
		return false
	}
	if m := r.machine(e.systemID); q.Query.Has("agent_name") && (m == nil || m.agent != q.Query.Get("agent_name")) {
		return false
	}
	after, err := strconv.Atoi(q.Query.Get("after"))
	if err == nil && e.id <= after {
		return false
	}
	before, err := strconv.Atoi(q.Query.Get("before"))
	return err != nil || e.id < before
}

// pageURI is the address of the newer or older events; there is no older page of nothing.
func pageURI(q *rest.Request, events []object, side string, at int) any {
	base, _, _ := strings.Cut(q.URI, "&after=")
	base, _, _ = strings.Cut(base, "&before=")
	if len(events) == 0 {
		if side == "before" {
			return nil
		}
		return base
	}
	id, _ := events[at]["id"].(int)
	return base + "&" + side + "=" + strconv.Itoa(id)
}
