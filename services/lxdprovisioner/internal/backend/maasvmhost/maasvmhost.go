// Package maasvmhost makes LXD VMs through MAAS's VM hosts (MAAS 3.4 to 3.8, LXD 4.16 to 6.6).
package maasvmhost

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// Backend is a provision.Backend over the VM hosts of one MAAS.
type Backend struct {
	maas  *maas.Client
	clock func() time.Time
	log   *slog.Logger

	mu sync.Mutex
	// projects are the LXD projects of the hosts, read once each: MAAS tells them in an answer that
	// holds a private key too.
	projects map[hostKey]string
}

var _ provision.Backend = (*Backend)(nil)

// hostKey names a host as attempts do: only id and name together are the same host.
type hostKey struct {
	id   inventory.HostID
	name string
}

// New makes the back end. The clock tells when a reading began.
func New(client *maas.Client, clock func() time.Time, log *slog.Logger) *Backend {
	return &Backend{maas: client, clock: clock, log: log, projects: map[hostKey]string{}}
}

// Capabilities say what MAAS guarantees: little.
func (*Backend) Capabilities() provision.Capabilities {
	return provision.Capabilities{SkipCommissioning: true, RefreshIsHarmful: true}
}

// Hosts reads all VM hosts, of every type.
func (b *Backend) Hosts(ctx context.Context) (inventory.Snapshot, error) {
	snap := inventory.Snapshot{Began: b.clock()}
	hosts, err := b.maas.VMHosts(ctx)
	if err != nil {
		return inventory.Snapshot{}, fmt.Errorf("list the VM hosts: %w", err)
	}
	b.fillProjects(ctx, hosts)
	snap.Hosts, snap.ReadAt = hosts, b.clock()
	return snap, nil
}

// Host reads one VM host.
func (b *Backend) Host(ctx context.Context, id inventory.HostID) (inventory.Host, error) {
	h, err := b.maas.VMHost(ctx, id)
	if err != nil {
		return inventory.Host{}, err
	}
	_ = b.fillProject(ctx, &h)
	return h, nil
}

// projectReaders is how many projects are read at a time: one region worker serves four requests.
const projectReaders = 4

// fillProjects names the hosts' LXD projects. Where MAAS doesn't tell them they stay unset: such a
// host is usable for everybody who asks for no project. The first failure ends the attempt, since
// what one host is refused for lack of rights all are.
func (b *Backend) fillProjects(ctx context.Context, hosts []inventory.Host) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(projectReaders)
	for i := range hosts {
		group.Go(func() error { return b.fillProject(ctx, &hosts[i]) })
	}
	if err := group.Wait(); err != nil {
		b.log.DebugContext(ctx, "Reading the LXD projects of the hosts did not work", "error", err)
	}
}

func (b *Backend) fillProject(ctx context.Context, h *inventory.Host) error {
	if h.Type != "lxd" {
		return nil
	}
	key := hostKey{h.ID, h.Name}
	b.mu.Lock()
	project, known := b.projects[key]
	b.mu.Unlock()
	if !known {
		var err error
		if project, err = b.maas.VMHostProject(ctx, h.ID); err != nil {
			return fmt.Errorf("read the LXD project of %s: %w", h.Name, err)
		}
		b.mu.Lock()
		b.projects[key] = project
		b.mu.Unlock()
	}
	h.Project = project
	return nil
}

// Make composes a VM. The zone is the host's own: MAAS would take its default zone.
func (b *Backend) Make(ctx context.Context, spec provision.VMSpec) (string, error) {
	nics := make([]maas.ComposeNIC, 0, len(spec.NICs))
	for _, n := range spec.NICs {
		nics = append(nics, maas.ComposeNIC{Name: n.Name, Bridge: n.Bridge, VLANID: n.VLANID})
	}
	return b.maas.Compose(ctx, spec.Host.ID, maas.ComposeForm{
		Hostname: spec.Name, Size: spec.Size, ZoneID: spec.Host.Zone.ID, PoolID: spec.Host.Pool.ID,
		Architecture: spec.Architecture, NICs: nics, SkipCommissioning: spec.SkipCommissioning,
	})
}

// Find reads the machines of these names.
func (b *Backend) Find(ctx context.Context, names []string) ([]inventory.Machine, error) {
	return b.maas.MachinesByHostname(ctx, names)
}

// Alive asks LXD for the VM's power, the cheapest question that only a live host answers.
func (b *Backend) Alive(ctx context.Context, vm inventory.Machine) error {
	power, err := b.maas.QueryPower(ctx, vm.HostID, vm.SystemID)
	switch {
	case err != nil:
		return err
	case power == inventory.PowerOn || power == inventory.PowerOff:
		return nil
	default:
		// "unknown" is what MAAS says also where nobody asked LXD.
		return fault.New(fault.Unavailable, fault.ReasonHostUnreachable, "LXD on %s does not tell the power of %s: %q", vm.HostName, vm.Hostname, power)
	}
}

// Remove deletes a VM; anything else is refused, since deleting metal makes MAAS forget it.
func (b *Backend) Remove(ctx context.Context, vm inventory.Machine) error {
	if !vm.IsVM() {
		return fault.New(fault.Conflict, fault.ReasonNameTaken, "%s is not a VM on a VM host; it is not deleted", vm.SystemID)
	}
	return b.maas.DeleteMachine(ctx, vm.HostID, vm.SystemID)
}

// Verify refreshes the host.
func (b *Backend) Verify(ctx context.Context, id inventory.HostID) (inventory.Host, error) {
	return b.maas.RefreshVMHost(ctx, id)
}
