package provision

import (
	"sync"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// holdings remember under which agent name machines were found, and what their mark said then. MAAS shows
// nobody's agent name; but only who holds a machine can write its mark, and releasing wipes it, so that a
// machine that still bears the same mark is held under the same name.
type holdings struct {
	mu  sync.Mutex
	all map[string]holding // by system id
}

// holding is one machine's: its agent name and whose it was marked to be.
type holding struct {
	agent string
	owner Owner
}

// note remembers a machine that was found under an agent name. One without a mark proves nothing later.
func (h *holdings) note(agent string, m inventory.Machine) {
	h.mu.Lock()
	defer h.mu.Unlock()
	owner := ownerOf(m)
	if owner == nil {
		delete(h.all, m.SystemID)
		return
	}
	h.all[m.SystemID] = holding{agent: agent, owner: *owner}
}

// proved says whether a machine, as it was read later, is held under the agent name without doubt. In the
// states in which MAAS has let go of agent names it is not.
func (h *holdings) proved(agent string, m inventory.Machine) bool {
	switch m.Status {
	case inventory.StatusNew, inventory.StatusReady, inventory.StatusReleasing, inventory.StatusAllocated:
		return false
	default:
	}
	owner := ownerOf(m)
	if m.Owner == "" || owner == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all[m.SystemID] == holding{agent: agent, owner: *owner}
}
