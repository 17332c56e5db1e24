// Package inventorytest makes hosts and sizes for tests, by hand and at random, and says by MAAS's rules
// alone what fits on them. Only tests use it.
package inventorytest

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// GB is a GB in bytes.
const GB = inventory.BytesPerGB

// Host gives a host that can take VMs: 32 cores, 64 GiB and 500 GB in zone a and pool default, whose id is
// 0. Its own id is one more than the index.
func Host(name string, index int) inventory.Host {
	return inventory.Host{
		ID:            inventory.HostID(fmt.Sprintf("vmhost/%d", index+1)),
		Name:          name,
		Type:          "lxd",
		SystemID:      "sys" + strconv.Itoa(index+1),
		Zone:          inventory.Ref{ID: 1, Name: "a"},
		Pool:          inventory.Ref{ID: 0, Name: "default"},
		Capabilities:  []string{"composable", "dynamic_local_storage", "over_commit", "storage_pools"},
		Architectures: []string{"amd64/generic"},
		LXDVersion:    "5.21.4",
		Project:       "maas",
		Total:         inventory.Resources{Cores: 32, MemoryMiB: 64 * 1024, DiskBytes: 500 * GB},
		CPURatio:      1,
		MemoryRatio:   1,
		StoragePools:  []inventory.StoragePool{Pool("default", 500, 500, true)},
		Bridges:       []string{"br0"},
		Machine:       &inventory.HostMachine{Status: inventory.StatusDeployed, Power: inventory.PowerOn},
	}
}

// Pool gives a storage pool; sizes are GB.
func Pool(name string, free, total int64, byDefault bool) inventory.StoragePool {
	return inventory.StoragePool{
		Name: name, Driver: "zfs", Default: byDefault,
		TotalBytes: total * GB, UsedBytes: (total - free) * GB, AvailableBytes: free * GB,
	}
}

// WithVM gives the hosts as MAAS shows them with the VM on one of them.
func WithVM(hosts []inventory.Host, id inventory.HostID, size inventory.VMSize) []inventory.Host {
	hosts = slices.Clone(hosts)
	h := &hosts[slices.IndexFunc(hosts, func(h inventory.Host) bool { return h.ID == id })]
	h.Used.Cores += int64(size.Cores)
	h.Used.MemoryMiB += size.MemoryMiB
	h.StoragePools = slices.Clone(h.StoragePools)
	for _, d := range size.Disks {
		if i := poolOf(*h, d); i >= 0 {
			h.StoragePools[i].AvailableBytes -= d.SizeGB * GB
			h.StoragePools[i].UsedBytes += d.SizeGB * GB
		}
	}
	return hosts
}

// Takes says by MAAS's rules, apart from the code under test, whether the host has room for the VM: at most
// the physical total for one, total times ratio for all, and room in every storage pool.
func Takes(h inventory.Host, size inventory.VMSize) bool {
	cores, memory := int64(size.Cores), size.MemoryMiB
	left := make([]int64, len(h.StoragePools))
	for i, p := range h.StoragePools {
		left[i] = p.AvailableBytes
	}
	for _, d := range size.Disks {
		i := poolOf(h, d)
		if i < 0 {
			return false
		}
		if left[i] -= d.SizeGB * GB; left[i] < 0 {
			return false
		}
	}
	return cores <= h.Total.Cores && memory <= h.Total.MemoryMiB &&
		float64(h.Used.Cores+cores) <= float64(h.Total.Cores)*h.CPURatio &&
		float64(h.Used.MemoryMiB+memory) <= float64(h.Total.MemoryMiB)*h.MemoryRatio
}

// poolOf gives the position of the storage pool to which the disk goes, -1 for none.
func poolOf(h inventory.Host, d inventory.Disk) int {
	return slices.IndexFunc(h.StoragePools, func(p inventory.StoragePool) bool {
		return p.Name == d.StoragePool || d.StoragePool == "" && p.Default
	})
}
