package region

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// virtualMachineResources are what MAAS serves and does not document: the VMs of its hosts, those of projects that it does not track among
// them, and clusters of LXD hosts, of which the simulator has none. Their items are registered without a slash at the end.
func (r *Region) virtualMachineResources() []rest.Resource {
	get := http.MethodGet
	return []rest.Resource{
		{Path: "virtual-machines", Actions: []rest.Action{{Method: get, Name: "virtual-machines.list", Handle: r.listVMs}}},
		{Path: "virtual-machines/{id}", NoSlash: true, Actions: []rest.Action{{Method: get, Name: "virtual-machines.read", Handle: r.readVM}}},
		{Path: "vm-clusters", Actions: []rest.Action{{Method: get, Name: "vm-clusters.list", Handle: func(*rest.Request) (any, error) {
			return []object{}, nil
		}}}},
		{Path: "vm-clusters/{id}", NoSlash: true, Actions: []rest.Action{{Method: get, Name: "vm-clusters.read", Handle: func(*rest.Request) (any, error) {
			return nil, rest.NotFound("VMCluster")
		}}}},
	}
}

func (r *Region) listVMs(*rest.Request) (any, error) {
	defer r.begin()()
	return r.vms(), nil
}

func (r *Region) readVM(q *rest.Request) (any, error) {
	defer r.begin()()
	for _, vm := range r.vms() {
		if strconv.Itoa(vm["id"].(int)) == q.Path["id"] { //nolint:forcetypeassert // made in vmJSON
			return vm, nil
		}
	}
	return nil, rest.NotFound("VirtualMachine")
}

// vms renders every VM, with or without a machine, by id. Only the fields of the item are certain; the list of a real MAAS may have more.
func (r *Region) vms() []object {
	type row struct {
		id   int
		json object
	}
	var rows []row
	for h := range r.hosts.All() {
		for _, m := range r.machines.onHost.View(h) {
			loose := m.cores - len(m.pinned)
			rows = append(rows, row{m.vmID, vmJSON(m.vmID, h, object{
				"identifier": m.instance, "project": h.project, "pinned_cores": list(m.pinned), "unpinned_cores": max(loose, 0),
				"memory": m.memory, "hugepages_backed": m.hugepages, "machine_id": m.id,
			})})
		}
		for _, v := range h.foreign {
			rows = append(rows, row{v.id, vmJSON(v.id, h, object{
				"identifier": v.inst.Name, "project": v.inst.Project, "pinned_cores": []int{}, "unpinned_cores": v.inst.Cores,
				"memory": v.inst.MemoryMiB, "hugepages_backed": false, "machine_id": nil,
			})})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.id, b.id) })
	all := []object{}
	for _, each := range rows {
		all = append(all, each.json)
	}
	return all
}

func vmJSON(id int, h *vmHost, o object) object {
	o["id"], o["bmc_id"], o["resource_uri"] = id, h.id, uri("virtual-machines/%d", id)
	return o
}
