package maas

import (
	"context"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

type vmHostJSON struct {
	ID            integer  `json:"id"`
	Name          string   `json:"name"`
	Type          string   `json:"type"`
	Version       string   `json:"version"`
	Zone          *refJSON `json:"zone"`
	Pool          *refJSON `json:"pool"`
	Tags          []string `json:"tags"`
	Capabilities  []string `json:"capabilities"`
	Architectures []string `json:"architectures"`
	Host          *struct {
		SystemID string `json:"system_id"`
	} `json:"host"`
	Total        resourcesJSON     `json:"total"`
	Used         resourcesJSON     `json:"used"`
	CPURatio     *number           `json:"cpu_over_commit_ratio"`
	MemoryRatio  *number           `json:"memory_over_commit_ratio"`
	StoragePools []storagePoolJSON `json:"storage_pools"`
}

type resourcesJSON struct {
	Cores        number `json:"cores"`
	Memory       number `json:"memory"`
	LocalStorage number `json:"local_storage"`
}

type storagePoolJSON struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	Total     number `json:"total"`
	Used      number `json:"used"`
	Available number `json:"available"`
	Default   bool   `json:"default"`
}

// VMHosts lists all VM hosts, of every type. Bridges, Project and Machine are not filled in (see
// Machine and VMHostProject), and VMs is -1. Unsupported with MAAS_VMHOST_REMOVED where this
// MAAS has no VM hosts.
func (c *Client) VMHosts(ctx context.Context) ([]inventory.Host, error) {
	var answer []vmHostJSON
	if err := c.call(ctx, ask{op: opVMHosts, read: each(&answer)}); err != nil {
		return nil, err
	}
	hosts := make([]inventory.Host, 0, len(answer))
	for i := range answer {
		hosts = append(hosts, answer[i].host())
	}
	return hosts, nil
}

// VMHost reads one VM host, as VMHosts does. NotFound (MACHINE_NOT_FOUND) where MAAS has no such VM host.
func (c *Client) VMHost(ctx context.Context, id inventory.HostID) (inventory.Host, error) {
	n, err := VMHostNumber(id)
	if err != nil {
		return inventory.Host{}, err
	}
	return c.vmHost(ctx, ask{op: opVMHost}, n)
}

// CheckVMHosts gives nil where this MAAS has VM hosts, if only none yet, and Unsupported with
// MAAS_VMHOST_REMOVED where it has not. Whether there is a VM host 1 is the cheapest question that tells; the
// list, which takes MAAS up to 30 ms a host, is only asked for where that tells nothing.
func (c *Client) CheckVMHosts(ctx context.Context) error {
	_, err := c.VMHost(ctx, HostID(1))
	switch {
	case fault.Is(err, fault.NotFound):
		return nil
	case fault.Is(err, fault.Unavailable):
		_, err = c.VMHosts(ctx)
	}
	return err
}

// RefreshVMHost makes MAAS compare its records with LXD, and gives the host as it is afterwards.
// A refresh imports strange VMs and deletes what LXD doesn't report (rule 4.4 of docs/protocol-coverage.md). Unavailable
// with HOST_UNREACHABLE where LXD doesn't answer.
func (c *Client) RefreshVMHost(ctx context.Context, id inventory.HostID) (inventory.Host, error) {
	n, err := VMHostNumber(id)
	if err != nil {
		return inventory.Host{}, err
	}
	return c.vmHost(ctx, ask{op: opRefresh, host: id}, n)
}

// VMHostProject gives the LXD project that MAAS tracks on the host; empty where MAAS names none.
// MAAS's answer also holds the private key for LXD, which is dropped unread. Needs an admin's key.
func (c *Client) VMHostProject(ctx context.Context, id inventory.HostID) (string, error) {
	n, err := VMHostNumber(id)
	if err != nil {
		return "", err
	}
	var answer parametersJSON
	if err := c.call(ctx, ask{op: opVMHostParams, ids: []string{decimal(n)}, read: one(&answer)}); err != nil {
		return "", err
	}
	return answer.Project, nil
}

// parametersJSON is all that is read of a VM host's parameters.
type parametersJSON struct {
	Project string `json:"project"`
}

// check takes everything: MAAS names no project for a VM host that isn't LXD's.
func (p *parametersJSON) check() *unfit { return nil }

// vmHost asks for something that MAAS answers with VM host n. Another host's answer is refused: absence
// is believed only beside a host that was read.
func (c *Client) vmHost(ctx context.Context, a ask, n int) (inventory.Host, error) {
	var answer vmHostJSON
	a.ids = []string{decimal(n)}
	a.read = that(&answer, func() *unfit {
		if answer.ID.int() != n {
			return anothers("id")
		}
		return nil
	})
	if err := c.call(ctx, a); err != nil {
		return inventory.Host{}, err
	}
	return answer.host(), nil
}

// check: a host is chosen by its numbers and composed on by its id.
func (h *vmHostJSON) check() *unfit {
	if u := positive(h.ID); u != nil {
		return u.in("id")
	}
	switch {
	case h.Name == "":
		return missing("name")
	case h.Host != nil && h.Host.SystemID != "" && !systemIDs.MatchString(h.Host.SystemID):
		return &unfit{"host.system_id", "is no system id"}
	}
	if u := h.Zone.check(); u != nil {
		return u.in("zone")
	}
	if u := h.Pool.check(); u != nil {
		return u.in("pool")
	}
	return nil
}

func (h *vmHostJSON) host() inventory.Host {
	out := inventory.Host{
		ID: HostID(h.ID.int()), Name: h.Name, Type: h.Type, Zone: h.Zone.ref(), Pool: h.Pool.ref(),
		Tags: h.Tags, Capabilities: h.Capabilities, Architectures: h.Architectures, LXDVersion: h.Version,
		Total: h.Total.resources(), Used: h.Used.resources(),
		CPURatio: ratio(h.CPURatio), MemoryRatio: ratio(h.MemoryRatio), VMs: -1,
	}
	if h.Host != nil {
		out.SystemID = h.Host.SystemID
	}
	for _, p := range h.StoragePools {
		out.StoragePools = append(out.StoragePools, inventory.StoragePool{
			Name: p.Name, Driver: p.Type, TotalBytes: p.Total.int64(), UsedBytes: p.Used.int64(),
			AvailableBytes: p.Available.int64(), Default: p.Default,
		})
	}
	return out
}

func (r resourcesJSON) resources() inventory.Resources {
	return inventory.Resources{Cores: r.Cores.int64(), MemoryMiB: r.Memory.int64(), DiskBytes: r.LocalStorage.int64()}
}

// ratio is 1 where MAAS names none. 0 is a ratio that an operator may set to keep VMs away.
func ratio(n *number) float64 {
	if n == nil {
		return 1
	}
	return float64(*n)
}
