package placement_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory/inventorytest"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

// scarce is a resource of which hosts have little while there is plenty of the others.
type scarce struct {
	reason placement.Reason
	// set gives the host so much of it, of which some is used, and an over-commit ratio in per cent.
	set func(h *inventory.Host, total, used, percent int64)
	// ask lets the VM ask for so much of it.
	ask func(size *inventory.VMSize, amount int64)
	// committable says whether the ratio counts.
	committable bool
}

var scarcities = map[string]scarce{
	"cores": {
		reason: placement.InsufficientCores, committable: true,
		set: func(h *inventory.Host, total, used, percent int64) {
			h.Total.Cores, h.Used.Cores, h.CPURatio = total, used, float64(percent)/100
		},
		ask: func(size *inventory.VMSize, amount int64) { size.Cores = int(amount) },
	},
	"memory": {
		reason: placement.InsufficientMemory, committable: true,
		set: func(h *inventory.Host, total, used, percent int64) {
			h.Total.MemoryMiB, h.Used.MemoryMiB, h.MemoryRatio = total*1024, used*1024, float64(percent)/100
		},
		ask: func(size *inventory.VMSize, amount int64) { size.MemoryMiB = amount * 1024 },
	},
	"storage": {
		reason: placement.InsufficientStorage,
		set: func(h *inventory.Host, total, used, percent int64) {
			h.CPURatio, h.MemoryRatio = float64(percent)/100, float64(percent)/100
			h.StoragePools = []inventory.StoragePool{inventorytest.Pool("ssd", total-used, total, true)}
		},
		ask: func(size *inventory.VMSize, amount int64) { size.Disks = []inventory.Disk{{SizeGB: amount}} },
	},
}

// TestProperty_R4_1_hosts_are_filled asks for more than there is. Which limit holds is known by whole numbers
// alone: total times per cent for cores and memory, the total for storage.
func TestProperty_R4_1_hosts_are_filled_to_the_limit_of_each_resource_and_never_over_it(t *testing.T) {
	t.Parallel()
	for name, s := range scarcities {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, s.fill)
		})
	}
}

func (s scarce) fill(t *rapid.T) {
	hosts := make([]inventory.Host, rapid.IntRange(1, 4).Draw(t, "hosts"))
	left := map[inventory.HostID]int64{} // in hundredths
	totals := map[inventory.HostID]int64{}
	for i := range hosts {
		h := inventorytest.Host(fmt.Sprintf("lxd-%d", i), i)
		h.Total.Cores, h.Total.MemoryMiB = 100000, 100000*1024
		h.StoragePools = []inventory.StoragePool{inventorytest.Pool("ssd", 100000, 100000, true)}
		total, used := int64(rapid.IntRange(1, 8).Draw(t, "total")*10), int64(rapid.IntRange(0, 60).Draw(t, "used"))
		percent := rapid.SampledFrom([]int64{50, 90, 100, 110, 125, 150, 200}).Draw(t, "per cent")
		s.set(&h, total, used, percent)
		if !s.committable {
			percent = 100
		}
		hosts[i], totals[h.ID], left[h.ID] = h, total, total*percent-used*100
	}
	var req placement.Request
	size := inventory.VMSize{Cores: 1, MemoryMiB: 1024, Disks: []inventory.Disk{{SizeGB: 1}}}
	for i := range 60 {
		amount := int64(rapid.IntRange(1, 20).Draw(t, "amount"))
		s.ask(&size, amount)
		req.VM, req.Size = fmt.Sprintf("vm-%d", i), size
		fits := func(id inventory.HostID) bool { return amount <= totals[id] && amount*100 <= left[id] }
		d, err := placement.Place(req, inventory.Snapshot{Hosts: hosts})
		if err != nil {
			s.requireFull(t, err, hosts, fits)
			continue
		}
		id := d.Chosen.HostID
		require.True(t, fits(id), "%s has %d hundredths left, %d of %d asked for", d.Chosen.HostName, left[id], amount, totals[id])
		left[id] -= amount * 100
		// What is given out is seen by MAAS sooner or later.
		if rapid.Bool().Draw(t, "seen") {
			hosts = inventorytest.WithVM(hosts, id, size)
			continue
		}
		req.Pending = append(req.Pending, placement.Reservation{VM: req.VM, Host: id, Size: placedSize(size)})
	}
}

// placedSize gives a size that later questions don't change.
func placedSize(size inventory.VMSize) inventory.VMSize {
	size.Disks = append([]inventory.Disk(nil), size.Disks...)
	return size
}

// requireFull wants every host rejected for the resource, and none of them with room.
func (s scarce) requireFull(t *rapid.T, err error, hosts []inventory.Host, fits func(inventory.HostID) bool) {
	noFit, ok := errors.AsType[*placement.NoFit](err)
	require.True(t, ok, "%v", err)
	require.Len(t, noFit.Rejections, len(hosts))
	for _, r := range noFit.Rejections {
		require.False(t, fits(r.HostID), "%s has room: %s", r.HostName, r.Message)
		require.Equal(t, s.reason, r.Reason, "%s", r.Message)
	}
}
