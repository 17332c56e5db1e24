package region

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/capmaas/capmaas/services/maassim/internal/network"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

func (r *Region) interfaceResources() []rest.Resource {
	return []rest.Resource{
		{Path: "nodes/{system_id}/interfaces", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "interfaces.list", Handle: r.listInterfaces},
			{Method: http.MethodPost, Op: "create_physical", Name: "interfaces.create_physical", Handle: leftOut},
			{Method: http.MethodPost, Op: "create_bond", Name: "interfaces.create_bond", Handle: leftOut},
			{Method: http.MethodPost, Op: "create_bridge", Name: "interfaces.create_bridge", Handle: leftOut},
			{Method: http.MethodPost, Op: "create_vlan", Name: "interfaces.create_vlan", Handle: leftOut},
		}},
		{Path: "nodes/{system_id}/interfaces/{id}", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "interfaces.read", Handle: r.readInterface},
			{Method: http.MethodPut, Name: "interfaces.update", Handle: r.updateInterface},
			{Method: http.MethodDelete, Name: "interfaces.delete", Handle: leftOut},
			{Method: http.MethodPost, Op: "link_subnet", Name: "interfaces.link_subnet", Handle: r.linkSubnet},
			{Method: http.MethodPost, Op: "unlink_subnet", Name: "interfaces.unlink_subnet", Handle: r.unlinkSubnet},
			{Method: http.MethodPost, Op: "disconnect", Name: "interfaces.disconnect", Handle: r.disconnect},
			{Method: http.MethodPost, Op: "set_default_gateway", Name: "interfaces.set_default_gateway", Handle: leftOut},
			{Method: http.MethodPost, Op: "add_tag", Name: "interfaces.add_tag", Handle: leftOut},
			{Method: http.MethodPost, Op: "remove_tag", Name: "interfaces.remove_tag", Handle: leftOut},
		}},
	}
}

func (r *Region) listInterfaces(q *rest.Request) (any, error) {
	defer r.begin()()
	m := r.machine(q.Path["system_id"])
	switch {
	case m == nil:
		return nil, rest.NotFound("Node")
	case !canView(q.User, m):
		return nil, rest.Forbidden()
	}
	all := []object{}
	for _, i := range m.interfaces {
		all = append(all, r.ifaceJSON(i))
	}
	return all, nil
}

func (r *Region) readInterface(q *rest.Request) (any, error) {
	defer r.begin()()
	i, err := r.interfaceOf(q)
	if err != nil {
		return nil, err
	}
	return r.ifaceJSON(i), nil
}

// interfaceOf finds the interface of a path, by id or name. Of a machine that is not there MAAS misses the interface.
func (r *Region) interfaceOf(q *rest.Request) (*iface, error) {
	m := r.machine(q.Path["system_id"])
	if m == nil {
		return nil, rest.NotFound("Interface")
	}
	for _, i := range m.interfaces {
		if !matchSpec(q.Path["id"], i.id, i.name) {
			continue
		}
		if !canView(q.User, m) {
			return nil, rest.Forbidden()
		}
		return i, nil
	}
	return nil, rest.NotFound("Interface")
}

// changeable finds the interface of a change: only administrators change interfaces, even of their own machines (recording 388), and only in
// some statuses.
func (r *Region) changeable(q *rest.Request, verb string, further ...status) (*iface, error) {
	i, err := r.interfaceOf(q)
	if err != nil {
		return nil, err
	}
	m := i.machine
	if !q.User.Admin || m.locked {
		return nil, rest.Forbidden()
	}
	if !m.status.in(linkable...) && !m.status.in(further...) {
		return nil, rest.Text(http.StatusConflict, "Cannot %s interface because the machine is not New, Ready, Allocated, or Broken.", verb)
	}
	return i, nil
}

// updateInterface changes name, MAC address and VLAN. Another VLAN takes the links away (recording 393); of a deployed machine it is ignored.
func (r *Region) updateInterface(q *rest.Request) (any, error) {
	defer r.begin()()
	i, err := r.changeable(q, "update interface", statusDeployed)
	if err != nil {
		return nil, err
	}
	for _, name := range q.Form.Names() {
		if !slices.Contains([]string{"name", "mac_address", "vlan"}, name) {
			return nil, unsimulated("the field " + name + " of interfaces")
		}
	}
	var form rest.Form
	name, mac, vlan := i.name, i.mac, i.vlan
	if wish := q.Form.Get("name"); wish != "" {
		name = wish
	}
	if slices.ContainsFunc(i.machine.interfaces, func(other *iface) bool { return other != i && other.name == name }) {
		form.Addf("name", "Node %s already has an interface named '%s'.", i.machine.hostname, name)
	}
	if q.Form.Has("mac_address") {
		mac = macField(&form, "mac_address", q.Form.Get("mac_address"), true)
		if holder := r.otherWith(i, mac); holder != nil {
			form.Addf("mac_address", "This MAC address is already in use by %s on %s.", holder.name, holder.machine.hostname)
		}
	}
	if q.Form.Has("vlan") && i.machine.status != statusDeployed {
		vlan = r.vlanField(&form, q.Form.Get("vlan"))
	}
	if err := form.Err(); err != nil {
		return nil, err
	}
	i.name, i.mac = name, mac
	if vlan != i.vlan {
		r.removeLinks(i)
		i.vlan = vlan
	}
	return r.ifaceJSON(i), nil
}

// otherWith finds another physical interface that has a MAC address, or nil.
func (r *Region) otherWith(i *iface, mac string) *iface {
	for _, m := range r.machines.byMAC.View(mac) {
		for _, other := range m.interfaces {
			if other != i && other.mac == mac && other.kind == kindPhysical {
				return other
			}
		}
	}
	return nil
}

// vlanField finds a VLAN by its id; empty stands for none.
func (r *Region) vlanField(form *rest.Form, text string) *network.VLAN {
	if text == "" {
		return nil
	}
	for _, v := range r.vlans {
		if strconv.Itoa(v.ID) == text {
			return v
		}
	}
	form.Addf("vlan", "Select a valid choice. That choice is not one of the available choices.")
	return nil
}

func (r *Region) disconnect(q *rest.Request) (any, error) {
	defer r.begin()()
	i, err := r.changeable(q, "disconnect")
	if err != nil {
		return nil, err
	}
	r.removeLinks(i)
	i.vlan = nil
	return r.ifaceJSON(i), nil
}

func (r *Region) removeLinks(i *iface) {
	for _, l := range slices.Clone(i.links) {
		r.removeLink(l)
	}
}

// subnetOfNIC is the subnet on which commissioning makes an AUTO link.
func (r *Region) subnetOfNIC(i *iface) *network.Subnet {
	if i.vlan == nil {
		return nil
	}
	return r.firstSubnet(i.vlan)
}
