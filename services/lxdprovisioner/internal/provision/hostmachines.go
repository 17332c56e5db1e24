package provision

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// hostMachineBatch is how many of the hosts' own machines are read in one list call.
const hostMachineBatch = 50

// costShare is how much longer than it took MAAS to tell something is believed, where that is longer than
// the usual time: a large region is not busy with the telling alone.
const costShare = 10

// oldestMachines is how long they are believed at most, where MAAS takes long to tell: an operator who tags a host's machine for
// maintenance expects that no VM is put there any more. 1,000 machines take MAAS half a minute.
const oldestMachines = 5 * time.Minute

// hostMachines are the hosts' own machines, as they were read last.
type hostMachines struct {
	maas   Machines
	clock  func() time.Time
	maxAge time.Duration

	mu sync.Mutex
	// read are the machines by system id; one without a system id stands for what MAAS does not show.
	read map[string]inventory.Machine
	// batch is how long MAAS took for the last whole batch.
	batch time.Duration
}

func newHostMachines(cfg Config) *hostMachines {
	return &hostMachines{maas: cfg.MAAS, clock: cfg.Clock, maxAge: cfg.Timing.MachinesMaxAge, read: map[string]inventory.Machine{}}
}

// fill fills in what the hosts' own machines tell: status, power, tags, bridges and VLANs. A bridge
// without a VLAN is left out, since MAAS attaches no NIC to it. What was read before an error is kept: the
// next call goes on from there.
func (h *hostMachines) fill(ctx context.Context, hosts []inventory.Host) error {
	for part := range slices.Chunk(h.outdated(hosts), hostMachineBatch) {
		asked := h.clock()
		found, err := h.maas.Machines(ctx, MachineFilter{SystemIDs: part})
		if err != nil {
			return fmt.Errorf("read the hosts' own machines: %w", err)
		}
		h.keep(part, found, asked)
	}
	for i, host := range hosts {
		if m := h.of(host.SystemID); m.SystemID != "" {
			host.Machine = &inventory.HostMachine{Status: m.Status, Power: m.Power, Tags: m.Tags}
			host.Bridges, host.VLANs = bridges(m), vlans(m)
			hosts[i] = host
		}
	}
	return nil
}

func (h *hostMachines) keep(part []string, found []inventory.Machine, asked time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range part {
		h.read[id] = inventory.Machine{ReadAt: asked}
	}
	for _, m := range found {
		m.ReadAt = asked
		h.read[m.SystemID] = m
	}
	if len(part) == hostMachineBatch {
		h.batch = h.clock().Sub(asked)
	}
}

// outdated gives the machines of the hosts that were never read or too long ago. Where there is one, the call is filled up
// with others that are about to be: hosts are read one by one, and their machines were read together.
func (h *hostMachines) outdated(hosts []inventory.Host) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	maxAge := max(h.maxAge, min(costShare*h.batch*time.Duration(len(h.read)/hostMachineBatch), oldestMachines))
	now := h.clock()
	var ids []string
	for _, host := range hosts {
		if host.SystemID == "" {
			continue
		}
		if m, ok := h.read[host.SystemID]; !ok || now.Sub(m.ReadAt) >= maxAge {
			ids = append(ids, host.SystemID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(h.read)) {
		if len(ids) >= hostMachineBatch {
			break
		}
		if m := h.read[id]; m.SystemID != "" && now.Sub(m.ReadAt) >= maxAge/2 && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// of gives a machine as it was read last; one without a system id where MAAS shows none.
func (h *hostMachines) of(systemID string) inventory.Machine {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.read[systemID]
}

// bridges are the machine's bridges to which MAAS attaches NICs.
func bridges(m inventory.Machine) []string {
	var names []string
	for _, nic := range m.Interfaces {
		if nic.Type == "bridge" && nic.HasVLAN {
			names = append(names, nic.Name)
		}
	}
	return names
}

// vlans are the VLANs in which MAAS attaches NICs to the machine, in order.
func vlans(m inventory.Machine) []int {
	var ids []int
	for _, nic := range m.Interfaces {
		if nic.HasVLAN {
			ids = append(ids, nic.VLANID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
