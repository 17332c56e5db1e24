package region

import (
	"net/http"
	"slices"

	"github.com/capmaas/capmaas/services/maassim/internal/lxd"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// refreshHost discovers a host. When LXD cannot be reached nothing changes (recording 531).
func (r *Region) refreshHost(q *rest.Request) (any, error) {
	h, err := r.findHost(q)
	if err != nil {
		return nil, err
	}
	seen, err := r.discover(h, q)
	if err != nil {
		return nil, err
	}
	defer r.begin()()
	if !r.hosts.Has(h) {
		return nil, rest.NotFound("Pod")
	}
	return r.hostJSONAt(h, seen), nil
}

// discover lets MAAS take over what LXD reports of a host. It asks without a lock; when another transaction has meanwhile changed a row
// that it would write, the whole discovery is done again (recordings 503, 607). It returns the revision that its transaction sees with its own
// changes: what others made meanwhile lies behind it.
func (r *Region) discover(h *vmHost, q *rest.Request) (int, error) {
	for range maxTries {
		view, began, err := r.readHostRow(h)
		if err != nil {
			return 0, err
		}
		r.wait(r.cfg.Durations.Refresh)
		instances, err := r.lxd.List(view.server)
		if err != nil {
			return 0, discoveryFailed(view, err)
		}
		r.held(PlaceListed, view.name)
		if seen, ok := r.syncHost(h, instances, began, q); ok {
			return seen, nil
		}
	}
	return 0, lostRace()
}

func discoveryFailed(h hostView, err error) error {
	if err == lxd.ErrNoRack { //nolint:errorlint // package lxd returns it unwrapped
		return rest.Text(http.StatusServiceUnavailable, "Unable to start the VM host discovery process. No rack controllers connected.")
	}
	return rest.Text(http.StatusServiceUnavailable, "Pod %d: %v", h.id, err)
}

// readHostRow is how a transaction that begins at this moment sees a host, and the revision that it sees.
func (r *Region) readHostRow(h *vmHost) (hostView, int, error) {
	defer r.begin()()
	if !r.hosts.Has(h) {
		return hostView{}, 0, rest.NotFound("Pod")
	}
	return h.view(), r.revision, nil
}

// syncHost writes what a discovery found. VMs of the tracked project without a machine are imported and commissioned, machines without
// a VM are deleted, locked or not (recordings 491, 507). It writes nothing and returns false when it conflicts with a change since the
// revision at which it began, or when somebody has deleted the host.
func (r *Region) syncHost(h *vmHost, instances []lxd.Instance, began int, q *rest.Request) (seen int, ok bool) {
	defer r.begin()()
	if !r.hosts.Has(h) {
		return 0, false
	}
	tracked := slices.DeleteFunc(slices.Clone(instances), func(i lxd.Instance) bool { return i.Project != h.project })
	found, gone := r.match(h, tracked)
	// A machine that was made since is not in the transaction's view: it conflicts when it is to be written, and is safe when it is
	// to be deleted (recordings 499-504).
	gone = slices.DeleteFunc(gone, func(m *machine) bool { return m.born > began })
	for _, m := range append(slices.Clone(gone), found...) {
		if m != nil && m.changedSince(began) {
			return 0, false
		}
	}
	later := r.machinesSince(h, began)
	r.takeInventory(h, q.User)
	r.trackForeign(h, instances)
	for n, inst := range tracked {
		if m := found[n]; m != nil {
			r.change(m)
			m.noteDiscovery(h)
			if m.host != h {
				r.moved(m)
			}
			m.host, m.instance, m.powerType = h, inst.Name, h.kind
			m.cores, m.memory, m.powerOn = inst.Cores, inst.MemoryMiB, inst.Running
			continue
		}
		r.importInstance(h, inst, q)
	}
	for _, m := range gone {
		_ = r.lxd.Delete(m.host.server, m.host.project, m.instance) // as for every composed machine that is deleted; failures are only logged
		r.removeMachine(m)
	}
	for _, m := range later {
		r.revision++
		m.born = r.revision // behind what this transaction sees
	}
	return r.revision - len(later), true
}

// moved is what becomes of a machine that a discovery finds on another host, where an instance has its MAC address: its interfaces are lost,
// and its parent stays (recordings 611, 612). A machine that was no VM becomes one, keeps its interfaces, and has no parent (MAAS:
// Pod._sync_machine).
func (r *Region) moved(m *machine) {
	if m.host == nil {
		r.ids.vm++
		m.vmID, m.parentless = r.ids.vm, true
		return
	}
	m.parent = m.host.machine
	for _, l := range m.links() {
		r.removeLink(l)
	}
	m.interfaces = nil
}

// machinesSince are the machines of a host that were made after a revision.
func (r *Region) machinesSince(h *vmHost, revision int) []*machine {
	return slices.DeleteFunc(r.machines.onHost.Rows(h), func(m *machine) bool { return m.born <= revision })
}

// match finds the machine of each instance by its MAC addresses, whatever host the machine is on, and the machines of the host that no
// instance matches. So a machine whose NIC was taken over by another one is found for the other (recordings 611, 612).
func (r *Region) match(h *vmHost, instances []lxd.Instance) (found, gone []*machine) {
	matched := make(map[*machine]bool)
	for _, inst := range instances {
		m := r.machineWith(h, inst)
		if matched[m] {
			m = nil // two instances with one address: the second is a stranger
		}
		found = append(found, m)
		if m != nil {
			matched[m] = true
		}
	}
	for _, m := range r.machines.onHost.Rows(h) {
		if !matched[m] {
			gone = append(gone, m)
		}
	}
	return found, gone
}

// machineWith finds the machine of an instance; one without a NIC is found by its name.
func (r *Region) machineWith(h *vmHost, inst lxd.Instance) *machine {
	for _, nic := range inst.NICs {
		if m, ok := r.machines.byMAC.First(nic.MAC); ok {
			return m
		}
	}
	if len(inst.NICs) == 0 {
		return r.machineOfInstance(h, inst.Name)
	}
	return nil
}

// trackForeign notes the VMs of the projects that MAAS does not track. They take nothing of the host in its books.
func (r *Region) trackForeign(h *vmHost, instances []lxd.Instance) {
	before := h.foreign
	h.foreign = nil
	for _, inst := range instances {
		if inst.Project == h.project {
			continue
		}
		at := slices.IndexFunc(before, func(v *vmRow) bool { return v.inst.Project == inst.Project && v.inst.Name == inst.Name })
		row := &vmRow{inst: inst}
		if at >= 0 {
			row.id = before[at].id
		} else {
			r.ids.vm++
			row.id = r.ids.vm
		}
		h.foreign = append(h.foreign, row)
	}
}

// importInstance makes a machine of a VM that MAAS did not know: in the host's zone and pool, commissioning, owned by whoever refreshed
// (recording 492). A name that another machine has is replaced by a random one.
func (r *Region) importInstance(h *vmHost, inst lxd.Instance, q *rest.Request) {
	m := r.enrolRow(h, inst.Name, inst)
	for _, nic := range inst.NICs {
		r.enrolNIC(m, nicWish{name: nic.Name, bridge: h.interfaceNamed(nic.Parent)}, nic.MAC, false)
	}
	m.diskTwice = true
	_ = r.startCommissioning(m, q.User, q.Faults) // a VM that cannot be started stays New
}

// noteDiscovery is what becomes of MAAS's book of a machine's disks. Each discovery makes an entry of its own and drops the others, the one that
// told the disk's pool among them; that is made again for a machine that allocate composed, which then counts twice (recordings 288, 293).
func (m *machine) noteDiscovery(h *vmHost) {
	m.diskTwice = m.dynamic
	if m.host == h && !m.dynamic {
		m.discovered = true
	}
}
