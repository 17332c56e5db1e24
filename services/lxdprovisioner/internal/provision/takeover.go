package provision

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// markAgent stands on a physical machine that another provider allocated: the agent name under which it
// is known here. MAAS takes an agent name at an allocation alone.
const markAgent = "capmaas.agent-name"

// TakeOverRequest names a machine that was deployed and of which its MaasMachine stores no attempt and no agent name: another
// provider deployed it, or the MaasMachine was made anew.
type TakeOverRequest struct {
	SystemID  string
	AgentName string
	Owner     Owner
	// Names are the host names that the machine may have; any will do where there is none. A VM of ours that is
	// marked for the owner needs none of them.
	Names []string
}

// Taken is the machine: one of both is set.
type Taken struct {
	VM      *VM
	Machine *BareMetalMachine
}

// takenOf makes the answer of a machine; claimed says whether its mark is the caller's.
func takenOf(m inventory.Machine, claimed bool) Taken {
	if m.IsVM() {
		return Taken{VM: &VM{Machine: m, Claimed: &claimed, Owner: ownerOf(m)}}
	}
	return Taken{Machine: &BareMetalMachine{Machine: m, Claimed: &claimed, Owner: ownerOf(m)}}
}

// TakeOver marks a machine that was deployed with our user, and does nothing else to it. What is held by
// another user, marked for another MaasMachine, called otherwise, to be deleted or not deployed is a Conflict, a
// physical machine that nobody holds NotFound: another provider proves nothing, so everything that can be compared is.
func (r *MAASRegion) TakeOver(ctx context.Context, req TakeOverRequest) (Taken, error) {
	m, err := r.cfg.MAAS.Machine(ctx, req.SystemID)
	if err != nil {
		return Taken{}, fmt.Errorf("take over %s: %w", req.SystemID, err)
	}
	if err := r.theOne(ctx, req, m); err != nil {
		return Taken{}, err
	}
	if m.Owner == "" && m.IsVM() && len(req.Names) > 0 && stepOf(m.Status) != stepOperator {
		// Nobody can mark it; its name and host tell whose it is, as for a VM of our own.
		return takenOf(m, false), nil
	}
	if m.Owner == "" && !m.IsVM() {
		return Taken{}, fault.New(fault.NotFound, fault.ReasonMachineNotFound, "nobody holds machine %s, which is %s", m.SystemID, m.StatusName)
	}
	who, err := r.cfg.MAAS.WhoAmI(ctx)
	if err != nil {
		return Taken{}, fmt.Errorf("ask MAAS who we are: %w", err)
	}
	if m.Owner != who.Name {
		return Taken{}, notTheirs(m, fmt.Sprintf("its owner is %q, and we are %q", m.Owner, who.Name))
	}
	if !m.IsVM() && !wasDeployed(m.Status) {
		return Taken{}, notTheirs(m, "it is not deployed")
	}
	return r.markTaken(ctx, req, m)
}

// theOne is the error of a machine that is not the owner's by mark and name. One that is to be deleted is on a
// MaasCluster's list (docs/protocol-coverage.md 4.6) and would be deleted under whoever took it over.
func (r *MAASRegion) theOne(ctx context.Context, req TakeOverRequest, m inventory.Machine) error {
	mark := ownerOf(m)
	if mark != nil && !mark.same(req.Owner) {
		return notTheirs(m, "it is marked for "+mark.maasMachine())
	}
	if since := m.Annotations[markDelete]; since != "" {
		return notTheirs(m, fmt.Sprintf("its annotation %s says that it is to be deleted since %s", markDelete, since))
	}
	if called(m.Hostname, req.Names) {
		return nil
	}
	ours, err := r.madeForOwner(ctx, m, mark)
	if err == nil && !ours {
		err = notTheirs(m, "it is called neither of "+strings.Join(req.Names, ", "))
	}
	return err
}

// madeForOwner says whether a VM whose mark is the owner's was made by us under the name that it has. The mark tells
// whose it is; the agent name, which MAAS takes at an allocation and drops at a release, tells that our claim
// of it lasts and that nobody has renamed it since: by the name its absence is proved in the end.
func (r *MAASRegion) madeForOwner(ctx context.Context, m inventory.Machine, mark *Owner) (bool, error) {
	if mark == nil || !m.IsVM() || m.Owner == "" {
		return false, nil
	}
	_, err := r.cfg.MAAS.Claimed(ctx, m.SystemID, agentName(m.Hostname))
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("prove the claim of %s: %w", m.Hostname, err)
	}
	return true, nil
}

// markTaken writes the mark where it differs.
func (r *MAASRegion) markTaken(ctx context.Context, req TakeOverRequest, m inventory.Machine) (Taken, error) {
	mark := req.Owner.mark()
	if !m.IsVM() {
		mark[markAgent] = req.AgentName
	}
	if current := ownerOf(m); current != nil && maps.Equal(current.mark(), req.Owner.mark()) && m.Annotations[markAgent] == mark[markAgent] {
		return takenOf(m, true), nil
	}
	marked, err := r.cfg.MAAS.Annotate(ctx, m.SystemID, mark)
	if err != nil {
		return Taken{}, fmt.Errorf("mark %s: %w", m.SystemID, err)
	}
	r.cfg.Logger.InfoContext(ctx, "Took over machine", "systemID", m.SystemID, "hostname", m.Hostname, "host", m.HostName, "zone", m.Zone.Name,
		"maasMachine", req.Owner.maasMachine())
	return takenOf(marked, true), nil
}

// called says whether a host name is one of some, whatever their case and domain.
func called(hostname string, names []string) bool {
	return len(names) == 0 || slices.ContainsFunc(names, func(name string) bool {
		label, _, _ := strings.Cut(name, ".")
		return strings.EqualFold(label, hostname)
	})
}

// wasDeployed says whether a machine that is held in this state may have been deployed. One that is
// Allocated may be held for somebody who has not marked it yet.
func wasDeployed(s inventory.Status) bool {
	switch s {
	case inventory.StatusNew, inventory.StatusCommissioning, inventory.StatusFailedCommissioning, inventory.StatusReady,
		inventory.StatusReserved, inventory.StatusAllocated, inventory.StatusRetired, inventory.StatusReleasing, inventory.StatusDiskErasing:
		return false
	default:
		return true
	}
}

func notTheirs(m inventory.Machine, why string) error {
	return fault.New(fault.Conflict, fault.ReasonNameTaken, "%s (%s) is not taken over: %s; it is %s", m.SystemID, m.Hostname, why, m.StatusName)
}

// takenOver reads the machine of the system id and says whether it is a physical one that was taken over under
// the agent name: it is held by our user and bears the name in its mark. The machine is given either way; it is
// empty where no system id is known or MAAS has none of it.
func (b *BareMetal) takenOver(ctx context.Context, ref MachineRef) (inventory.Machine, bool, error) {
	if ref.SystemID == "" {
		return inventory.Machine{}, false, nil
	}
	m, err := b.cfg.MAAS.Machine(ctx, ref.SystemID)
	switch {
	case fault.Is(err, fault.NotFound):
		return inventory.Machine{}, false, nil
	case err != nil:
		return inventory.Machine{}, false, fmt.Errorf("look for %s of %s: %w", ref.SystemID, ref.AgentName, err)
	}
	return m, !m.IsVM() && m.Owner != "" && ownerOf(m) != nil && m.Annotations[markAgent] == ref.AgentName, nil
}

// heldOrTaken reads the machines that are allocated under the agent name, else the one that was taken
// over under it. Where there is neither it gives the machine of the system id besides, as takenOver does.
func (b *BareMetal) heldOrTaken(ctx context.Context, ref MachineRef) (found []inventory.Machine, known inventory.Machine, err error) {
	found, err = b.held(ctx, ref.AgentName)
	if err != nil || len(found) > 0 {
		return found, inventory.Machine{}, err
	}
	known, ok, err := b.takenOver(ctx, ref)
	if ok {
		found = []inventory.Machine{known}
	}
	return found, known, err
}
