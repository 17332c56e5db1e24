package region

import (
	"net/http"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/lxd"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

func (r *Region) machineResources() []rest.Resource {
	get, post := http.MethodGet, http.MethodPost
	list := rest.Action{Method: get, Name: "machines.list", Handle: r.listMachines}
	registered := rest.Action{Method: get, Op: "is_registered", Name: "machines.is_registered", Handle: r.isRegistered}
	parameters := rest.Action{Method: get, Op: "power_parameters", Name: "machines.power_parameters_many", Admin: true, Handle: r.manyParameters}
	read := rest.Action{Method: get, Name: "machines.read", Handle: r.readMachine}
	remove := rest.Action{Method: http.MethodDelete, Name: "machines.delete", Handle: r.deleteMachine}
	parametersOf := rest.Action{Method: get, Op: "power_parameters", Name: "machines.power_parameters", Handle: r.machineParameters}
	return []rest.Resource{
		{Path: "machines", Anonymous: true, Actions: slices.Concat([]rest.Action{
			list, registered, parameters,
			{Method: post, Name: "machines.create", Handle: r.createMachine},
			{Method: get, Op: "list_allocated", Name: "machines.list_allocated", Handle: r.listAllocated},
			{Method: post, Op: "allocate", Name: "machines.allocate", Handle: r.allocate},
			{Method: post, Op: "release", Name: "machines.release_many", Lists: true, Handle: r.releaseMany},
		}, unsimulatedOps("machines", post, "accept", "accept_all", "add_chassis", "clone", "set_zone"))},
		{Path: "nodes", Anonymous: true, Actions: slices.Concat([]rest.Action{list, registered}, unsimulatedOps("nodes", post, "set_zone"))},
		{Path: "nodes/{system_id}", Actions: slices.Concat([]rest.Action{read, remove, parametersOf}, unsimulatedOps("nodes", get, "details"))},
		{Path: "machines/{system_id}", Actions: slices.Concat([]rest.Action{
			read, remove, parametersOf,
			{Method: http.MethodPut, Name: "machines.update", Handle: r.updateMachine},
			{Method: get, Op: "query_power_state", Name: "machines.query_power_state", Handle: r.queryPower},
		}, r.machineOperations(), unsimulatedOps("machines", get, "details", "get_curtin_config", "get_token"),
			unsimulatedOps("machines", post, "clear_default_gateways", "mount_special", "unmount_special", "set_storage_layout",
				"restore_default_configuration", "restore_networking_configuration", "restore_storage_configuration"))},
	}
}

// machineOperations are what changes the status of a machine, its power, its lock or its annotations.
func (r *Region) machineOperations() []rest.Action {
	var all []rest.Action
	for op, handle := range map[string]rest.Handler{
		"deploy": r.deploy, "release": r.release, "abort": r.abort, "commission": r.commission, "test": r.testMachine,
		"override_failed_testing": r.overrideTest, "lock": r.lockMachine, "unlock": r.unlockMachine, "mark_broken": r.markBroken,
		"mark_fixed": r.markFixed, "rescue_mode": r.enterRescue, "exit_rescue_mode": r.exitRescue, "power_on": r.powerOn,
		"power_off": r.powerOff, "set_workload_annotations": r.annotate,
	} {
		data := op == "commission" || op == "test" || op == "release" && r.minor >= 5 // these read request.data
		all = append(all, rest.Action{Method: http.MethodPost, Op: op, Name: "machines." + op, Data: data, Handle: handle})
	}
	return append(all, rest.Action{Method: http.MethodPost, Op: "set_owner_data", Name: "machines.set_workload_annotations", Handle: r.annotate})
}

// unsimulatedOps are operations that MAAS has; here they say that they are missing, instead of being unknown.
func unsimulatedOps(resource, method string, ops ...string) []rest.Action {
	var all []rest.Action
	for _, op := range ops {
		all = append(all, rest.Action{Method: method, Op: op, Name: resource + "." + op, Handle: func(*rest.Request) (any, error) {
			return nil, unsimulated(resource + " op=" + op)
		}})
	}
	return all
}

func (r *Region) listMachines(q *rest.Request) (any, error) {
	defer r.begin()()
	match, err := r.filter(&q.Query, false)
	if err != nil {
		return nil, err
	}
	all := []object{}
	for _, m := range r.candidates(&q.Query, q.User, false) {
		if canView(q.User, m) && match(m) {
			all = append(all, r.machineJSON(m))
		}
	}
	return all, nil
}

func (r *Region) listAllocated(q *rest.Request) (any, error) {
	defer r.begin()()
	all := []object{}
	ids := q.Query.All("id")
	for _, m := range r.candidates(&rest.Values{}, q.User, false, r.machines.byOwner.Views(q.User), r.machines.byStatus.Views(statusAllocated)) {
		if m.owner == q.User && m.status == statusAllocated && (len(ids) == 0 || slices.Contains(ids, m.systemID)) {
			all = append(all, r.machineJSON(m))
		}
	}
	return all, nil
}

func (r *Region) readMachine(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	return r.machineJSON(m), nil
}

// deleteMachine forgets a machine. A composed VM is removed from LXD first; whether that worked makes no difference to the row and to the
// answer (recordings 286, 534).
func (r *Region) deleteMachine(q *rest.Request) (any, error) {
	m, vm, host, err := r.checkDelete(q)
	if err != nil {
		return nil, err
	}
	if vm != nil {
		r.held(PlaceDeleting, host)
		r.wait(r.cfg.Durations.Delete)
		if !q.Faults.VMLeft {
			// An unreachable host or a VM that is gone already is only logged by MAAS.
			_ = r.lxd.Delete(vm.Host, vm.Project, vm.Name)
		}
	}
	defer r.begin()()
	if r.machines.Has(m) {
		r.removeMachine(m)
	}
	return rest.NoContent, nil
}

// checkDelete returns the machine and, if it was composed, where its VM is and the name of its VM host: the rows may change while LXD works.
func (r *Region) checkDelete(q *rest.Request) (m *machine, vm *lxd.Instance, host string, err error) {
	defer r.begin()()
	if m, err = r.machineOf(q); err != nil {
		return nil, nil, "", err
	}
	if !q.User.Admin || m.locked {
		return nil, nil, "", rest.Forbidden()
	}
	if m.host != nil {
		host = m.host.name
		vm = &lxd.Instance{Host: m.host.server, Project: m.host.project, Name: m.instance}
	}
	return m, vm, host, r.freeHosts(m, q.Query.Bool("force"))
}

// machineParameters shows administrators how MAAS reaches a machine's power; the VM's name in LXD is among it even where MAAS gave the machine
// another one (recording 494). MAAS looks among all its nodes here.
func (r *Region) machineParameters(q *rest.Request) (any, error) {
	defer r.begin()()
	m := r.machine(q.Path["system_id"])
	switch {
	case m == nil:
		return nil, rest.NotFound("Node")
	case !q.User.Admin:
		return nil, rest.Forbidden()
	}
	return r.parametersOf(m), nil
}

// manyParameters shows the parameters of the machines that the request names, or of all, by their system ids.
func (r *Region) manyParameters(q *rest.Request) (any, error) {
	defer r.begin()()
	all := object{}
	if !q.Query.Has("id") {
		for m := range r.machines.All() {
			all[m.systemID] = r.parametersOf(m)
		}
	}
	for _, id := range q.Query.All("id") {
		if m := r.lookUp(id); m != nil {
			all[id] = r.parametersOf(m)
		}
	}
	return all, nil
}

func (r *Region) parametersOf(m *machine) object {
	if m.host != nil {
		o := r.powerParameters(m.host)
		o["instance_name"] = m.instance
		return o
	}
	o := object{}
	for name, value := range m.parameters {
		o[name] = value
	}
	return o
}

// isRegistered says whether a MAC address is on a machine that is not retired.
func (r *Region) isRegistered(q *rest.Request) (any, error) {
	defer r.begin()()
	if !q.Query.Has("mac_address") {
		return nil, rest.Text(http.StatusBadRequest, "No provided mac_address!")
	}
	mac := strings.ToLower(strings.ReplaceAll(q.Query.Get("mac_address"), "-", ":"))
	m, ok := r.machines.byMAC.First(mac)
	return ok && m.status != statusRetired, nil
}
