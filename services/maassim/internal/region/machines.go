package region

import (
	"net/http"
	"strconv"

	"github.com/capmaas/capmaas/services/maassim/internal/lxd"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

func (r *Region) machineResources() []rest.Resource {
	list := []rest.Action{
		{Method: http.MethodGet, Name: "machines.list", Handle: r.listMachines},
		{Method: http.MethodGet, Op: "list_allocated", Name: "machines.list_allocated", Handle: r.listAllocated},
		{Method: http.MethodPost, Op: "allocate", Name: "machines.allocate", Handle: r.allocate},
		{Method: http.MethodPost, Op: "release", Name: "machines.release_many", Lists: true, Handle: r.releaseMany},
	}
	read := rest.Action{Method: http.MethodGet, Name: "machines.read", Handle: r.readMachine}
	return []rest.Resource{
		{Path: "machines", Anonymous: true, Actions: list},
		{Path: "nodes", Anonymous: true, Actions: list[:1]},
		{Path: "nodes/{system_id}", Actions: []rest.Action{read}},
		{Path: "machines/{system_id}", Actions: []rest.Action{
			read,
			{Method: http.MethodPut, Name: "machines.update", Admin: true, Handle: r.updateMachine},
			{Method: http.MethodDelete, Name: "machines.delete", Handle: r.deleteMachine},
			{Method: http.MethodPost, Op: "deploy", Name: "machines.deploy", Handle: r.deploy},
			{Method: http.MethodPost, Op: "release", Name: "machines.release", Handle: r.release},
			{Method: http.MethodPost, Op: "abort", Name: "machines.abort", Handle: r.abort},
			{Method: http.MethodPost, Op: "commission", Name: "machines.commission", Admin: true, Handle: r.commission},
			{Method: http.MethodPost, Op: "lock", Name: "machines.lock", Handle: r.lockMachine},
			{Method: http.MethodPost, Op: "unlock", Name: "machines.unlock", Handle: r.unlockMachine},
			{Method: http.MethodPost, Op: "mark_broken", Name: "machines.mark_broken", Handle: r.markBroken},
			{Method: http.MethodPost, Op: "power_on", Name: "machines.power_on", Handle: r.powerOn},
			{Method: http.MethodPost, Op: "power_off", Name: "machines.power_off", Handle: r.powerOff},
			{Method: http.MethodGet, Op: "query_power_state", Name: "machines.query_power_state", Handle: r.queryPower},
			{Method: http.MethodGet, Op: "power_parameters", Name: "machines.power_parameters", Admin: true, Handle: r.machineParameters},
			{Method: http.MethodPost, Op: "set_workload_annotations", Name: "machines.set_workload_annotations", Handle: r.annotate},
			{Method: http.MethodPost, Op: "set_owner_data", Name: "machines.set_workload_annotations", Handle: r.annotate},
		}},
	}
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
	for _, m := range r.candidates(&rest.Values{}, q.User, false, r.machines.byOwner.Views(q.User), r.machines.byStatus.Views(statusAllocated)) {
		if m.owner == q.User && m.status == statusAllocated {
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

// updateMachine changes a machine; zone, pool and domain go by name here, unlike in compose (recording 190).
func (r *Region) updateMachine(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	if m.locked {
		return nil, rest.Forbidden()
	}
	var form rest.Form
	hostname, swap := m.hostname, m.swap
	if name := q.Form.Get("hostname"); name != "" && name != m.hostname {
		if text := badHostname(name); text != "" {
			form.Addf("hostname", "%s", text)
		} else if r.machineNamed(name) != nil {
			form.Addf("hostname", "Node with this Hostname already exists.")
		}
		hostname = name
	}
	if text := q.Form.Get("swap_size"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			form.Addf("swap_size", "Invalid size for swap: %s", text)
		}
		swap = &n
	}
	z, p := r.zoneNamed(q.Form.Get("zone")), r.poolNamed(q.Form.Get("pool"))
	if z == nil && q.Form.Has("zone") {
		form.Addf("zone", notAChoice)
	}
	if p == nil && q.Form.Has("pool") {
		form.Addf("pool", notAChoice)
	}
	if err := form.Err(); err != nil {
		return nil, err
	}
	m.hostname, m.swap = hostname, swap
	if z != nil {
		m.zone = z
	}
	if p != nil {
		m.pool = p
	}
	if q.Form.Has("description") {
		m.description = q.Form.Get("description")
	}
	return r.machineJSON(m), nil
}

// deleteMachine forgets a machine. A composed VM is removed from LXD first; whether that worked makes no difference to the row and to the
// answer (recordings 286, 534).
func (r *Region) deleteMachine(q *rest.Request) (any, error) {
	m, err := r.checkDelete(q)
	if err != nil {
		return nil, err
	}
	if m.host != nil {
		r.wait(r.cfg.Durations.Delete)
		if !q.Faults.VMLeft {
			// An unreachable host or a VM that is gone already is only logged by MAAS.
			_ = r.lxd.Delete(m.host.server, m.host.project, m.instance)
		}
	}
	defer r.begin()()
	if r.machines.Has(m) {
		r.removeMachine(m)
	}
	return rest.NoContent, nil
}

func (r *Region) checkDelete(q *rest.Request) (*machine, error) {
	defer r.begin()()
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	if !q.User.Admin || m.locked {
		return nil, rest.Forbidden()
	}
	if m.hostOf != nil && !q.Query.Bool("force") {
		return nil, rest.Text(http.StatusBadRequest, "The following VM hosts must be removed first: %s", m.hostOf.name)
	}
	return m, nil
}

func (r *Region) machineParameters(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	if m.host == nil {
		return object{}, nil
	}
	o := r.powerParameters(m.host)
	o["instance_name"] = m.instance
	return o, nil
}

// queryPower asks LXD, and fails when it cannot be reached (recording 533).
func (r *Region) queryPower(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	if m.host == nil {
		return object{"state": m.powerState()}, nil
	}
	running, err := r.lxd.Running(m.host.server, m.host.project, m.instance)
	if err != nil {
		return nil, rest.Text(http.StatusInternalServerError, "Pod: %v", err)
	}
	m.powerOn = running
	return object{"state": m.powerState()}, nil
}

// power switches a machine on or off, in LXD too. It reports what LXD answered.
func (r *Region) power(m *machine, on bool) error {
	if m.host != nil {
		if err := r.lxd.SetRunning(m.host.server, m.host.project, m.instance, on); err != nil {
			return err
		}
	}
	m.powerOn = on
	return nil
}

// powerFailed is the answer after MAAS has committed and the rack could not switch the machine.
func powerFailed(err error) error {
	if err == lxd.ErrOffline { //nolint:errorlint // package lxd returns it unwrapped
		return rest.Text(http.StatusInternalServerError, "Pod: %v", err)
	}
	return rest.Text(http.StatusInternalServerError, "%v", err)
}
