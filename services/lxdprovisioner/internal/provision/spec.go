package provision

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// vmSpec makes the composition of a request, and refuses before anything is sent what MAAS would
// take and get wrong: it checks no storage, and of a fixed address only some (docs/protocol-coverage.md 2.2, 3.5).
func (l *LXD) vmSpec(ctx context.Context, host inventory.Host, req ComposeRequest) (VMSpec, error) {
	arch, err := architecture(host, req.Architecture)
	if err != nil {
		return VMSpec{}, err
	}
	size, err := l.storage(host, req)
	if err != nil {
		return VMSpec{}, err
	}
	if err := l.nets.checkStatic(ctx, req.Network); err != nil {
		return VMSpec{}, err
	}
	nics, err := l.nicSpecs(ctx, host, req.Network)
	if err != nil {
		return VMSpec{}, err
	}
	return VMSpec{
		Name: req.Attempt.Name, Host: host, Size: size, Architecture: arch, NICs: nics,
		SkipCommissioning: l.skipsCommissioning(host, nics),
	}, nil
}

// architecture gives the host's own spelling: MAAS takes "amd64/generic" and refuses "amd64".
func architecture(host inventory.Host, want string) (string, error) {
	for _, have := range host.Architectures {
		if want == "" || have == want || strings.HasPrefix(have, want+"/") {
			return have, nil
		}
	}
	return "", fault.New(fault.Refused, fault.ReasonVMCompositionFailed, "host %s has no architecture %q, only %q", host.Name, want, host.Architectures)
}

// storage names the storage pool of every disk, once it is known to have room: MAAS never looks, and
// falls to another pool silently where it doesn't find the name.
func (l *LXD) storage(host inventory.Host, req ComposeRequest) (inventory.VMSize, error) {
	size := req.Size
	size.Disks = slices.Clone(size.Disks)
	need := map[string]int64{}
	for i, d := range size.Disks {
		pool, ok := host.StoragePool(d.StoragePool)
		if !ok {
			return size, fault.New(fault.Refused, fault.ReasonStorageExhausted, "host %s has no storage pool %q", host.Name, orDefault(d.StoragePool))
		}
		size.Disks[i].StoragePool = pool.Name
		need[pool.Name] += d.SizeGB * inventory.BytesPerGB
		if left := l.poolRoom(host, pool, req.Attempt.Name); need[pool.Name] > left {
			return size, fault.New(fault.Refused, fault.ReasonStorageExhausted, "storage pool %s of host %s has %d GB left, needs %d GB",
				pool.Name, host.Name, left/inventory.BytesPerGB, need[pool.Name]/inventory.BytesPerGB)
		}
	}
	return size, nil
}

// poolRoom is what MAAS and the compositions of other VMs leave in a storage pool, in bytes.
func (l *LXD) poolRoom(host inventory.Host, pool inventory.StoragePool, vm string) int64 {
	left := pool.AvailableBytes
	for _, r := range l.ledger.pending() {
		if r.Host != host.ID || r.VM == vm {
			continue
		}
		for _, d := range r.Size.Disks {
			if d.StoragePool == pool.Name || d.StoragePool == "" && pool.Default {
				left -= d.SizeGB * inventory.BytesPerGB
			}
		}
	}
	return left
}

func orDefault(pool string) string {
	if pool == "" {
		return "(the default)"
	}
	return pool
}

// nicSpecs says on which of the host's networks the NICs go. None means the host's default bridge.
func (l *LXD) nicSpecs(ctx context.Context, host inventory.Host, want Network) ([]NICSpec, error) {
	nics := want.nics()
	subnets, err := l.nets.forNICs(ctx, want, nics)
	if err != nil {
		return nil, err
	}
	parents := l.hosts.parents(host)
	specs := make([]NICSpec, 0, len(nics))
	asked := false
	for i, nic := range nics {
		spec, err := nicSpec(host, parents, nic, subnets[i])
		if err != nil {
			return nil, err
		}
		asked = asked || spec.Bridge != "" || spec.VLANID != 0
		specs = append(specs, spec)
	}
	if !asked && len(specs) == 1 {
		return nil, nil
	}
	for i := range specs {
		if specs[i].Bridge != "" || specs[i].VLANID != 0 {
			continue
		}
		if len(host.Bridges) == 0 {
			return nil, fault.New(fault.Refused, fault.ReasonNetworkRefused, "host %s has no bridge that MAAS knows, so NIC %s has no network", host.Name, specs[i].Name)
		}
		specs[i].Bridge = host.Bridges[0]
	}
	return specs, nil
}

// nicSpec chooses the host's bridge for one NIC: the one that is named, else one in the VLAN of the
// first subnet that the host can reach. MAAS can't be asked by subnet: it then wants an address of
// the host there.
func nicSpec(host inventory.Host, parents []inventory.Interface, nic NIC, subnets nicSubnets) (NICSpec, error) {
	spec := NICSpec{Name: nic.Name, Bridge: nic.Bridge}
	if nic.Bridge != "" || len(subnets.choice) == 0 {
		return spec, nil
	}
	for _, kind := range []string{"bridge", ""} {
		for _, s := range subnets.choice {
			for _, p := range parents {
				if !p.HasVLAN || p.VLANID != s.VLANID || kind != "" && p.Type != kind {
					continue
				}
				if p.Type == "bridge" {
					spec.Bridge = p.Name
				} else {
					spec.VLANID = p.VLANID
				}
				return spec, nil
			}
		}
	}
	if subnets.must {
		return spec, fault.New(fault.Refused, fault.ReasonNetworkRefused, "host %s has no interface on the network of subnet %s", host.Name, subnets.choice[0].Name)
	}
	return spec, nil
}

// skipsCommissioning says whether MAAS knows enough of the host to make a VM Ready at once: without
// a VLAN on the parent's side it would guess the network.
func (l *LXD) skipsCommissioning(host inventory.Host, nics []NICSpec) bool {
	if !l.cfg.Backend.Capabilities().SkipCommissioning || len(host.Bridges) == 0 {
		return false
	}
	return !slices.ContainsFunc(nics, func(n NICSpec) bool {
		return n.Bridge != "" && !slices.Contains(host.Bridges, n.Bridge)
	})
}

// nics gives the NICs with their names; one without wishes where none is asked for.
func (n Network) nics() []NIC {
	nics := slices.Clone(n.Interfaces)
	if len(nics) == 0 {
		nics = []NIC{{}}
	}
	for i := range nics {
		if nics[i].Name == "" {
			nics[i].Name = fmt.Sprintf("eth%d", i)
		}
	}
	return nics
}
