package region

import (
	"fmt"
	"strconv"
)

const (
	efiSize       = 512 << 20 // of the partition that the default storage layout begins with
	partitionUnit = 4 << 20   // partitions begin and end at multiples of it
	partitionWrap = 5 << 20   // what the partition table takes before and after them
)

// usable is the room for partitions on a disk.
func usable(size int64) int64 {
	return max(0, size-partitionWrap) / partitionUnit * partitionUnit
}

// diskJSON renders a disk with MAAS's flat layout on the first one.
func (m *machine) diskJSON(n int) object {
	d := m.disks[n]
	o := object{
		"id": d.id, "name": d.name, "type": "physical", "system_id": m.systemID, "path": "/dev/disk/by-dname/" + d.name,
		"id_path": "/dev/disk/by-id/" + d.hardware.link, "model": d.hardware.model, "serial": d.hardware.serial, "size": d.size, "block_size": 512,
		"available_size": usable(d.size), "used_size": 0, "used_for": "Unused", "uuid": nil, "filesystem": nil, "firmware_version": orNull(d.hardware.firmware),
		"numa_node": 0, "tags": list(d.tags), "partition_table_type": nil, "partitions": []object{}, "storage_pool": orNull(m.poolOf(d)),
		"resource_uri": uri("nodes/%s/blockdevices/%d/", m.systemID, d.id),
	}
	if n > 0 || !m.laidOut {
		return o
	}
	o["available_size"], o["used_size"] = 0, usable(d.size)+partitionWrap
	o["partition_table_type"], o["used_for"] = "GPT", "GPT partitioned with 2 partitions"
	o["partitions"] = []object{
		m.partitionJSON(d, 1, efiSize, object{"fstype": "fat32", "label": "efi", "mount_point": "/boot/efi"}),
		m.partitionJSON(d, 2, usable(d.size)-efiSize, object{"fstype": "ext4", "label": "root", "mount_point": "/"}),
	}
	return o
}

func (m *machine) partitionJSON(d disk, n int, size int64, fs object) object {
	id := d.id*2 + n - 2
	fs["uuid"], fs["mount_options"] = d.uuids[2*n-1], nil
	var filesystem any = fs
	usedFor := fmt.Sprintf("%s formatted filesystem mounted at %s", fs["fstype"], fs["mount_point"])
	if m.status == statusReleasing { // those of the deployment are gone, those of the layout not back (recording 182)
		filesystem, usedFor = nil, "Unused"
	}
	return object{
		"id": id, "type": "partition", "system_id": m.systemID, "device_id": d.id, "uuid": d.uuids[2*n-2], "size": size,
		"bootable": n == 1, "tags": []string{}, "path": "/dev/disk/by-dname/" + d.name + "-part" + strconv.Itoa(n),
		"filesystem": filesystem, "used_for": usedFor,
		"resource_uri": uri("nodes/%s/blockdevices/%d/partition/%d", m.systemID, d.id, id),
	}
}

// poolOf is the storage pool that MAAS shows for a disk; a discovery forgets it (recordings 295, 492).
func (m *machine) poolOf(d disk) string {
	if m.discovered {
		return ""
	}
	return d.pool
}
