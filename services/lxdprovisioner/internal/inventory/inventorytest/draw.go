package inventorytest

import (
	"pgregory.net/rapid"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// Draw changes the size of the host, what is used of it and its over-commit ratios: some hosts are over
// their limit, some have no memory or a second storage pool beside the default one, "ssd".
func Draw(t *rapid.T, h *inventory.Host) {
	h.Total.Cores = int64(rapid.IntRange(0, 32).Draw(t, "cores"))
	h.Total.MemoryMiB = int64(rapid.IntRange(0, 64).Draw(t, "GiB")) * 1024
	h.Used.Cores = int64(rapid.IntRange(0, 36).Draw(t, "used cores"))
	h.Used.MemoryMiB = int64(rapid.IntRange(0, 70).Draw(t, "used GiB")) * 1024
	h.CPURatio = rapid.SampledFrom([]float64{0.5, 1, 1, 1.5, 4}).Draw(t, "CPU ratio")
	h.MemoryRatio = rapid.SampledFrom([]float64{0.9, 1, 1, 1.25}).Draw(t, "memory ratio")
	h.StoragePools = []inventory.StoragePool{Pool("ssd", int64(rapid.IntRange(0, 500).Draw(t, "ssd")), 500, true)}
	if rapid.Bool().Draw(t, "has hdd") {
		h.StoragePools = append(h.StoragePools, Pool("hdd", int64(rapid.IntRange(0, 900).Draw(t, "hdd")), 900, false))
	}
}

// DrawSize gives a VM with one to three disks, some of them in a storage pool that is named.
func DrawSize(t *rapid.T) inventory.VMSize {
	size := inventory.VMSize{
		Cores:     rapid.IntRange(1, 12).Draw(t, "VM cores"),
		MemoryMiB: int64(rapid.IntRange(1, 16).Draw(t, "VM GiB")) * 1024,
	}
	for range rapid.IntRange(1, 3).Draw(t, "disks") {
		size.Disks = append(size.Disks, inventory.Disk{
			SizeGB:      int64(rapid.IntRange(1, 200).Draw(t, "disk")),
			StoragePool: rapid.SampledFrom([]string{"", "", "ssd", "hdd"}).Draw(t, "storage pool"),
		})
	}
	return size
}
