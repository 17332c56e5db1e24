package region

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
	"strconv"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

func (r *Region) zoneResources() []rest.Resource {
	return []rest.Resource{
		{Path: "zones", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "zones.list", Handle: r.listZones},
			{Method: http.MethodPost, Name: "zones.create", Admin: true, Handle: r.createZone},
		}},
		{Path: "zones/{name}", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "zones.read", Handle: r.readZone},
			{Method: http.MethodPut, Name: "zones.update", Admin: true, Handle: r.updateZone},
			{Method: http.MethodDelete, Name: "zones.delete", Admin: true, Handle: r.deleteZone},
		}},
		{Path: "resourcepools", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "resourcepools.list", Handle: r.listPools},
			{Method: http.MethodPost, Name: "resourcepools.create", Handle: r.createPool},
		}},
		{Path: "resourcepool/{id}", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "resourcepools.read", Handle: r.readPool},
			{Method: http.MethodPut, Name: "resourcepools.update", Handle: r.updatePool},
			{Method: http.MethodDelete, Name: "resourcepools.delete", Handle: r.deletePool},
		}},
	}
}

// modelName is what MAAS accepts as the name of a zone or a pool.
var modelName = regexp.MustCompile(`^[\p{L}\p{N}_][ \p{L}\p{N}_-]*$`)

// nameField reads the name of a zone or a pool. An update without one leaves it as it is.
func nameField(q *rest.Request, was, model string, taken func(string) bool) (string, error) {
	name := q.Form.Get("name")
	switch {
	case !q.Form.Has("name") && was != "", name != "" && name == was:
		return was, nil
	case name == "":
		return "", rest.Invalid("name", "This field is required.")
	case len(name) > 256:
		return "", rest.Invalid("name", "Ensure this value has at most 256 characters (it has %d).", len(name))
	case !modelName.MatchString(name):
		return "", rest.Invalid("name", "Enter a valid value.")
	case taken(name):
		return "", rest.Invalid("name", "%s with this Name already exists.", model)
	}
	return name, nil
}

// describe sets a description that was sent.
func describe(q *rest.Request, description *string) {
	if q.Form.Has("description") {
		*description = q.Form.Get("description")
	}
}

func (r *Region) listZones(*rest.Request) (any, error) {
	defer r.begin()()
	sorted := slices.SortedFunc(slices.Values(r.zones), func(a, b *zone) int { return cmp.Compare(a.name, b.name) })
	all := []object{}
	for _, z := range sorted {
		all = append(all, r.zoneJSON(z))
	}
	return all, nil
}

func (r *Region) readZone(q *rest.Request) (any, error) {
	defer r.begin()()
	z := r.zoneNamed(q.Path["name"])
	if z == nil {
		return nil, rest.NotFound("Zone")
	}
	return r.zoneJSON(z), nil
}

func (r *Region) createZone(q *rest.Request) (any, error) {
	defer r.begin()()
	name, err := nameField(q, "", "Physical zone", func(name string) bool { return r.zoneNamed(name) != nil })
	if err != nil {
		return nil, err
	}
	last := slices.MaxFunc(r.zones, func(a, b *zone) int { return a.id - b.id }).id
	z := &zone{id: r.serials.next("zone", last), name: name, description: q.Form.Get("description")}
	r.zones = append(r.zones, z)
	return r.zoneJSON(z), nil
}

func (r *Region) updateZone(q *rest.Request) (any, error) {
	defer r.begin()()
	z := r.zoneNamed(q.Path["name"])
	if z == nil {
		return nil, rest.NotFound("Zone")
	}
	name, err := nameField(q, z.name, "Physical zone", func(name string) bool { return r.zoneNamed(name) != nil })
	if err != nil {
		return nil, err
	}
	z.name = name
	describe(q, &z.description)
	return r.zoneJSON(z), nil
}

// deleteZone answers 204 for a zone that is not there, too. Machines and hosts of the zone fall to the default one, which is the
// first, whatever its name.
func (r *Region) deleteZone(q *rest.Request) (any, error) {
	defer r.begin()()
	z := r.zoneNamed(q.Path["name"])
	switch z {
	case nil:
		return rest.NoContent, nil
	case r.zones[0]:
		return nil, rest.Text(http.StatusBadRequest, "This zone is the default zone, it cannot be deleted.")
	}
	for _, m := range r.machines.byZone.Rows(z) {
		r.machines.Touch(m)
		m.zone = r.zones[0]
	}
	for h := range r.hosts.All() {
		if h.zone == z {
			r.hosts.Touch(h)
			h.zone = r.zones[0]
		}
	}
	r.zones = slices.DeleteFunc(r.zones, func(other *zone) bool { return other == z })
	return rest.NoContent, nil
}

func (r *Region) listPools(*rest.Request) (any, error) {
	defer r.begin()()
	sorted := slices.SortedFunc(slices.Values(r.pools), func(a, b *pool) int { return cmp.Compare(a.name, b.name) })
	all := []object{}
	for _, p := range sorted {
		all = append(all, r.poolJSON(p))
	}
	return all, nil
}

func (r *Region) poolOf(q *rest.Request) (*pool, error) {
	for _, p := range r.pools {
		if strconv.Itoa(p.id) == q.Path["id"] {
			return p, nil
		}
	}
	return nil, rest.NotFound("ResourcePool")
}

func (r *Region) readPool(q *rest.Request) (any, error) {
	defer r.begin()()
	p, err := r.poolOf(q)
	if err != nil {
		return nil, err
	}
	return r.poolJSON(p), nil
}

// createPool, unlike most other operations, refuses a plain user without a word: pools are guarded by permissions rather than by rank.
func (r *Region) createPool(q *rest.Request) (any, error) {
	defer r.begin()()
	if !q.User.Admin {
		return nil, rest.Forbidden()
	}
	name, err := nameField(q, "", "Resource pool", func(name string) bool { return r.poolNamed(name) != nil })
	if err != nil {
		return nil, err
	}
	last := slices.MaxFunc(r.pools, func(a, b *pool) int { return a.id - b.id }).id
	p := &pool{id: r.serials.next("pool", last), name: name, description: q.Form.Get("description")}
	r.pools = append(r.pools, p)
	return r.poolJSON(p), nil
}

func (r *Region) updatePool(q *rest.Request) (any, error) {
	defer r.begin()()
	p, err := r.poolOf(q)
	if err != nil {
		return nil, err
	}
	if !q.User.Admin {
		return nil, rest.Forbidden()
	}
	name, err := nameField(q, p.name, "Resource pool", func(name string) bool { return r.poolNamed(name) != nil })
	if err != nil {
		return nil, err
	}
	p.name = name
	describe(q, &p.description)
	return r.poolJSON(p), nil
}

func (r *Region) deletePool(q *rest.Request) (any, error) {
	defer r.begin()()
	p, err := r.poolOf(q)
	switch {
	case err != nil:
		return nil, err
	case !q.User.Admin:
		return nil, rest.Forbidden()
	case p.id == 0:
		return nil, rest.Text(http.StatusBadRequest, "This is the default pool, it cannot be deleted.")
	case len(r.machines.byPool.View(p)) > 0:
		return nil, rest.Text(http.StatusBadRequest, "Pool has machines in it, it cannot be deleted.")
	}
	for h := range r.hosts.All() {
		if h.pool == p {
			return nil, rest.Text(http.StatusInternalServerError,
				"(\"Cannot delete some instances of model 'ResourcePool' because they are referenced through protected foreign keys: 'BMC.pool'.\", {<Pod: %s>})", h.name)
		}
	}
	r.pools = slices.DeleteFunc(r.pools, func(other *pool) bool { return other == p })
	return rest.NoContent, nil
}
