package region

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/capmaas/capmaas/services/maassim/internal/network"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// networkResources are subnets, fabrics, VLANs and spaces. They come from the configuration: to change them is not simulated.
func (r *Region) networkResources() []rest.Resource {
	return append(r.subnetResources(), []rest.Resource{
		{Path: "fabrics", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "fabrics.list", Handle: r.listFabrics},
			{Method: http.MethodPost, Name: "fabrics.create", Admin: true, Handle: leftOut},
		}},
		{Path: "fabrics/{id}", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "fabrics.read", Handle: r.readFabric},
			{Method: http.MethodPut, Name: "fabrics.update", Admin: true, Handle: leftOut},
			{Method: http.MethodDelete, Name: "fabrics.delete", Admin: true, Handle: leftOut},
		}},
		{Path: "fabrics/{id}/vlans", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "vlans.list", Handle: r.listVLANs},
			{Method: http.MethodPost, Name: "vlans.create", Admin: true, Handle: leftOut},
		}},
		{Path: "fabrics/{id}/vlans/{vid}", Actions: r.vlanActions()},
		{Path: "vlans/{vlan}", Actions: r.vlanActions()},
		{Path: "spaces", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "spaces.list", Handle: r.listSpaces},
			{Method: http.MethodPost, Name: "spaces.create", Admin: true, Handle: leftOut},
		}},
		{Path: "spaces/{id}", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "spaces.read", Handle: r.readSpace},
			{Method: http.MethodPut, Name: "spaces.update", Admin: true, Handle: leftOut},
			{Method: http.MethodDelete, Name: "spaces.delete", Admin: true, Handle: leftOut},
		}},
	}...)
}

func (r *Region) vlanActions() []rest.Action {
	return []rest.Action{
		{Method: http.MethodGet, Name: "vlans.read", Handle: r.readVLAN},
		{Method: http.MethodPut, Name: "vlans.update", Admin: true, Handle: leftOut},
		{Method: http.MethodDelete, Name: "vlans.delete", Admin: true, Handle: leftOut},
	}
}

func (r *Region) vlansJSON(wanted func(*network.VLAN) bool) []any {
	all := []any{}
	for _, v := range r.vlans {
		if wanted(v) {
			all = append(all, vlanJSON(v))
		}
	}
	return all
}

// fabrics returns every fabric once, as its first VLAN.
func (r *Region) fabrics() []*network.VLAN {
	var all []*network.VLAN
	for _, v := range r.vlans {
		if !slices.ContainsFunc(all, func(o *network.VLAN) bool { return o.FabricID == v.FabricID }) {
			all = append(all, v)
		}
	}
	return all
}

func (r *Region) fabricJSON(v *network.VLAN) object {
	return object{
		"id": v.FabricID, "name": v.FabricName, "class_type": nil, "vlans": r.vlansJSON(func(o *network.VLAN) bool { return o.FabricID == v.FabricID }),
		"resource_uri": uri("fabrics/%d/", v.FabricID),
	}
}

func (r *Region) listFabrics(*rest.Request) (any, error) {
	defer r.begin()()
	all := []object{}
	for _, v := range r.fabrics() {
		all = append(all, r.fabricJSON(v))
	}
	return all, nil
}

// fabricOf finds the fabric of a path by its id or name.
func (r *Region) fabricOf(q *rest.Request) (*network.VLAN, error) {
	for _, v := range r.fabrics() {
		if matchSpec(q.Path["id"], v.FabricID, v.FabricName) {
			return v, nil
		}
	}
	return nil, rest.NotFound("Fabric")
}

func (r *Region) readFabric(q *rest.Request) (any, error) {
	defer r.begin()()
	v, err := r.fabricOf(q)
	if err != nil {
		return nil, err
	}
	return r.fabricJSON(v), nil
}

func (r *Region) listVLANs(q *rest.Request) (any, error) {
	defer r.begin()()
	fabric, err := r.fabricOf(q)
	if err != nil {
		return nil, err
	}
	return r.vlansJSON(func(v *network.VLAN) bool { return v.FabricID == fabric.FabricID }), nil
}

// readVLAN finds a VLAN by its id, or by its VID in a fabric.
func (r *Region) readVLAN(q *rest.Request) (any, error) {
	defer r.begin()()
	if id, ok := q.Path["vlan"]; ok {
		for _, v := range r.vlans {
			if strconv.Itoa(v.ID) == id {
				return vlanJSON(v), nil
			}
		}
		return nil, rest.NotFoundText("VLAN with specified ID does not exist.")
	}
	fabric, err := r.fabricOf(q)
	if err != nil {
		return nil, err
	}
	for _, v := range r.vlans {
		if v.FabricID == fabric.FabricID && (matchSpec(q.Path["vid"], v.VID, v.Name) || q.Path["vid"] == "untagged" && v.VID == 0) {
			return vlanJSON(v), nil
		}
	}
	return nil, rest.NotFound("VLAN")
}

// noSpace is the name of what MAAS shows as the space of VLANs that are in none.
const noSpace = "undefined"

// spaces returns the names of the spaces in the order of their ids, the one for VLANs without a space last (recording 031).
func (r *Region) spaces() []string {
	var names []string
	without := false
	for _, s := range r.subnets {
		if s.VLAN.Space == noSpace {
			without = true
		} else if !slices.Contains(names, s.VLAN.Space) {
			names = append(names, s.VLAN.Space)
		}
	}
	if without {
		names = append(names, noSpace)
	}
	return names
}

func (r *Region) spaceJSON(id int, name string) object {
	description, path := "", strconv.Itoa(id)
	if name == noSpace {
		path = name
		id, description = -1, "Backward compatibility object to ensure objects not associated with a space can be found."
	}
	subnets := []object{}
	for _, s := range r.subnets {
		if s.VLAN.Space == name {
			subnets = append(subnets, subnetJSON(s))
		}
	}
	return object{
		"id": id, "name": name, "description": description, "subnets": subnets,
		"vlans": r.vlansJSON(func(o *network.VLAN) bool { return o.Space == name }), "resource_uri": uri("spaces/%s/", path),
	}
}

func (r *Region) listSpaces(*rest.Request) (any, error) {
	defer r.begin()()
	all := []object{}
	for n, name := range r.spaces() {
		all = append(all, r.spaceJSON(n+1, name))
	}
	return all, nil
}

func (r *Region) readSpace(q *rest.Request) (any, error) {
	defer r.begin()()
	for n, name := range r.spaces() {
		id := n + 1
		if name == noSpace {
			id = -1
		}
		if matchSpec(q.Path["id"], id, name) {
			return r.spaceJSON(id, name), nil
		}
	}
	return nil, rest.NotFound("Space")
}
