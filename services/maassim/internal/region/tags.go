package region

import (
	"net/http"
	"slices"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

func (r *Region) tagResources() []rest.Resource {
	return []rest.Resource{
		{Path: "tags", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "tags.list", Handle: r.listTags},
			{Method: http.MethodPost, Name: "tags.create", Handle: r.createTag},
		}},
		{Path: "tags/{name}", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "tags.read", Handle: r.readTag},
			{Method: http.MethodPut, Name: "tags.update", Handle: r.updateTag},
			{Method: http.MethodDelete, Name: "tags.delete", Handle: r.deleteTag},
			{Method: http.MethodGet, Op: "machines", Name: "tags.machines", Handle: r.taggedMachines},
			{Method: http.MethodGet, Op: "nodes", Name: "tags.nodes", Handle: r.taggedMachines},
			{Method: http.MethodGet, Op: "devices", Name: "tags.devices", Handle: r.taggedOthers},
			{Method: http.MethodGet, Op: "rack_controllers", Name: "tags.rack_controllers", Handle: r.taggedOthers},
			{Method: http.MethodGet, Op: "region_controllers", Name: "tags.region_controllers", Handle: r.taggedOthers},
			{Method: http.MethodPost, Op: "rebuild", Name: "tags.rebuild", Handle: r.rebuildTag},
			{Method: http.MethodPost, Op: "update_nodes", Name: "tags.update_nodes", Handle: r.updateTagged},
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
	if !q.User.Admin {
		return nil, rest.Forbidden()
	}
	t := &tag{}
	if err := r.fillTag(t, q); err != nil {
		return nil, err
	}
	r.tags = append(r.tags, t)
	return tagJSON(t), nil
}

// fillTag sets what was sent.
func (r *Region) fillTag(t *tag, q *rest.Request) error {
	var form rest.Form
	if name := q.Form.Get("name"); q.Form.Has("name") || t.name == "" {
		switch {
		case name == "":
			form.Addf("name", "This field is required.")
		case len(name) > 256:
			form.Addf("name", "Ensure this value has at most 256 characters (it has %d).", len(name))
		case !validTag.MatchString(name):
			form.Addf("name", "Enter a valid value.")
		case name != t.name && r.tagNamed(name) != nil:
			form.Addf("name", "Tag with this Name already exists.")
		default:
			t.name = name
		}
	}
	if q.Form.Has("comment") {
		t.comment = q.Form.Get("comment")
	}
	if q.Form.Has("kernel_opts") {
		t.kernelOpts = q.Form.Get("kernel_opts")
	}
	definition := q.Form.Get("definition")
	if badXPath(definition) {
		form.Addf("definition", "Invalid xpath expression: Invalid expression")
	} else if definition != "" && form.Err() == nil {
		return unsimulated("tags that are defined by hardware")
	}
	return form.Err()
}

// badXPath recognises the plainest mistakes of an XPath expression: brackets and quotes that do not match (recording 159).
func badXPath(definition string) bool {
	var open []rune
	var quote rune
	for _, c := range definition {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '[' || c == '(':
			open = append(open, c)
		case c == ']' || c == ')':
			want := map[rune]rune{']': '[', ')': '('}[c]
			if len(open) == 0 || open[len(open)-1] != want {
				return true
			}
			open = open[:len(open)-1]
		}
	}
	return quote != 0 || len(open) > 0
}

// tagOf finds the tag of a path. Who may not change tags is refused before it is looked for.
func (r *Region) tagOf(q *rest.Request, change bool) (*tag, error) {
	if change && !q.User.Admin {
		return nil, rest.Forbidden()
	}
	t := r.tagNamed(q.Path["name"])
	if t == nil {
		return nil, rest.NotFound("Tag")
	}
	return t, nil
}

func (r *Region) readTag(q *rest.Request) (any, error) {
	defer r.begin()()
	t, err := r.tagOf(q, false)
	if err != nil {
		return nil, err
	}
	return tagJSON(t), nil
}

// updateTag changes a tag; machines bear it under its new name.
func (r *Region) updateTag(q *rest.Request) (any, error) {
	defer r.begin()()
	t, err := r.tagOf(q, true)
	if err != nil {
		return nil, err
	}
	changed := *t
	if err := r.fillTag(&changed, q); err != nil {
		return nil, err
	}
	if changed.name != t.name {
		for _, m := range r.machines.byTag.Rows(t.name) {
			r.machines.Touch(m)
			m.tags = slices.Clone(m.tags)
			m.tags[slices.Index(m.tags, t.name)] = changed.name
		}
	}
	*t = changed
	return tagJSON(t), nil
}

func (r *Region) deleteTag(q *rest.Request) (any, error) {
	defer r.begin()()
	t, err := r.tagOf(q, true)
	if err != nil {
		return nil, err
	}
	r.tags = slices.DeleteFunc(r.tags, func(other *tag) bool { return other == t })
	for _, m := range r.machines.byTag.Rows(t.name) {
		r.machines.Touch(m)
		m.tags = slices.DeleteFunc(slices.Clone(m.tags), func(name string) bool { return name == t.name })
	}
	return rest.NoContent, nil
}

func (r *Region) taggedMachines(q *rest.Request) (any, error) {
	defer r.begin()()
	t, err := r.tagOf(q, false)
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

// taggedOthers: there are no devices here, and controllers bear no tags.
func (r *Region) taggedOthers(q *rest.Request) (any, error) {
	defer r.begin()()
	if _, err := r.tagOf(q, false); err != nil {
		return nil, err
	}
	return []object{}, nil
}

// rebuildTag has nothing to do for a tag without a definition, and there are no others.
func (r *Region) rebuildTag(q *rest.Request) (any, error) {
	defer r.begin()()
	t, err := r.tagOf(q, true)
	if err != nil {
		return nil, err
	}
	return object{"rebuilding": t.name}, nil
}

// updateTagged skips system ids that it does not know (recording 161).
func (r *Region) updateTagged(q *rest.Request) (any, error) {
	defer r.begin()()
	t, err := r.tagOf(q, r.minor >= 5)
	switch {
	case err != nil:
		return nil, err
	case !q.User.Admin:
		return nil, rest.Text(http.StatusForbidden, "Must be a superuser or supply a rack_controller")
	case q.Form.Has("definition") && q.Form.Get("definition") != t.definition:
		return nil, rest.Text(http.StatusConflict, "Definition supplied '%s' doesn't match current definition '%s'", q.Form.Get("definition"), t.definition)
	}
	add, remove := r.known(q.Form.All("add")), r.known(q.Form.All("remove"))
	for _, m := range add {
		if !m.hasTag(t.name) {
			r.machines.Touch(m)
			m.tags = append(slices.Clone(m.tags), t.name)
		}
	}
	for _, m := range remove {
		r.machines.Touch(m)
		m.tags = slices.DeleteFunc(slices.Clone(m.tags), func(name string) bool { return name == t.name })
	}
	return object{"added": len(add), "removed": len(remove)}, nil
}

// known returns the machines of those system ids that there are, each once.
func (r *Region) known(systemIDs []string) []*machine {
	var all []*machine
	for _, id := range systemIDs {
		if m := r.lookUp(id); m != nil && !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	return all
}
