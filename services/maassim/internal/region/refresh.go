package region

import (
	"net/http"

	"github.com/capmaas/capmaas/services/maassim/internal/lxd"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// refreshHost discovers a host: MAAS takes over what LXD reports of the tracked project. VMs without a machine are imported and
// commissioned, machines without a VM are deleted, locked or not (recordings 491, 507).
func (r *Region) refreshHost(q *rest.Request) (any, error) {
	h, known, err := r.beforeRefresh(q)
	if err != nil {
		return nil, err
	}
	r.wait(r.cfg.Durations.Refresh)
	instances, err := r.lxd.List(h.server, h.project)
	if err != nil {
		return nil, rest.Text(http.StatusServiceUnavailable, "Pod %d: %v", h.id, err)
	}
	defer r.begin()()
	h.cores, h.memory = h.physical[0], h.physical[1]
	if h.kind == "lxd" {
		h.capabilities = []string{"composable", "dynamic_local_storage", "over_commit", "storage_pools"}
	}
	reported := make(map[string]bool)
	for _, inst := range instances {
		reported[inst.Name] = true
		if m := r.machineOfInstance(h, inst.Name); m != nil {
			m.cores, m.memory, m.powerOn = inst.Cores, inst.MemoryMiB, inst.Running
			continue
		}
		r.importInstance(h, inst, q)
	}
	for _, m := range known {
		// A machine made while the discovery ran is safe although the host did not report it yet (recordings 499-501).
		if r.machines.Has(m) && !reported[m.instance] {
			r.removeMachine(m)
		}
	}
	return r.hostJSON(h), nil
}

// beforeRefresh returns the host and the machines that MAAS has on it when the discovery begins.
func (r *Region) beforeRefresh(q *rest.Request) (*vmHost, []*machine, error) {
	defer r.begin()()
	h := r.hostOf(q)
	if h == nil {
		return nil, nil, rest.NotFound("Pod")
	}
	return h, r.machines.onHost.Rows(h), nil
}

// importInstance makes a machine of a VM that MAAS did not know: in the host's zone and pool, commissioning, owned by whoever refreshed
// (recording 492). A name that another machine has is replaced by a random one.
func (r *Region) importInstance(h *vmHost, inst lxd.Instance, q *rest.Request) {
	m := r.enrolRow(h, inst.Name, inst)
	for _, nic := range inst.NICs {
		wish := nicWish{name: nic.Name}
		if h.machine != nil {
			for _, i := range h.machine.interfaces {
				if i.name == nic.Parent {
					wish.bridge = i
				}
			}
		}
		r.enrolNIC(m, wish, nic.MAC, false)
	}
	m.owner = q.User
	r.startCommissioning(m, q.Faults)
}
