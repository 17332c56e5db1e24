package region

import (
	"slices"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// takeInventory is what a discovery tells of the host itself, and the start of what it tells later: cores and memory of a server whose
// inventory MAAS has to take first, and the bridges, come when the host has reported what it is made of.
func (r *Region) takeInventory(h *vmHost, user *rest.User) {
	s, ok := r.serverNamed(h.server)
	if !ok {
		return
	}
	known := h.physical != [2]int{}
	h.version, h.arch, h.physical = s.LXDVersion, s.Architecture, [2]int{s.Cores, s.MemoryMiB}
	if h.kind == "lxd" {
		h.capabilities = slices.Clone(lxdCapabilities)
	}
	if !known {
		h.pools = slices.Clone(s.StoragePools)
	}
	if !s.NotInventoried {
		h.cores, h.memory = s.Cores, s.MemoryMiB
	}
	if h.machine == nil && !s.Unknown && !known {
		r.addDiscoveredMachine(h, user)
	}
	if h.machine == nil {
		h.cores, h.memory = s.Cores, s.MemoryMiB
		return
	}
	r.after(r.cfg.Durations.Inventory, h.machine, func() { r.finishInventory(h) })
}

// addDiscoveredMachine makes the machine of a host that MAAS met as a VM host: Deployed, without power control, in the default zone and
// pool, with a NIC of no known VLAN (recordings 048, 079). It goes when the VM host goes (recording 291).
func (r *Region) addDiscoveredMachine(h *vmHost, user *rest.User) {
	name := h.name
	if r.machineNamed(name) != nil {
		name = r.freeName()
	}
	m := r.newMachine(name)
	m.status, m.owner, m.arch, m.dynamic, m.powerUnknown = statusDeployed, user, h.arch, true, true
	m.hostOf, h.machine = h, m
	r.ids.script++
	m.scripts.commissioning = r.ids.script
	r.newInterface(m, "eth0", nil)
}

// finishInventory makes MAAS know the cores, the memory and the bridges of a host.
func (r *Region) finishInventory(h *vmHost) {
	s, ok := r.serverNamed(h.server)
	if !ok {
		return
	}
	h.cores, h.memory = s.Cores, s.MemoryMiB
	m := h.machine
	m.cores, m.memory = s.Cores, s.MemoryMiB
	if !m.dynamic || len(m.interfaces) > 1 {
		return
	}
	// A subnet that the configuration names was checked when the simulator was made.
	_ = r.addBridges(m, s.Host)
}

func (r *Region) serverNamed(name string) (server, bool) {
	for n := range r.servers {
		if r.servers[n].Name == name {
			return r.servers[n], true
		}
	}
	return server{}, false
}
