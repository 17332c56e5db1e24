package v1beta1

import (
	"strconv"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// What a VM gets where the spec leaves a value out or gives 0.
const (
	DefaultCores     int32 = 2
	DefaultMemoryMiB int32 = 4096
	DefaultDiskGB    int32 = 60
)

// Shape is the size of a VM.
// +kubebuilder:object:generate=false
type Shape struct {
	// Cores is the number of processor cores.
	Cores int32
	// MemoryMiB is the memory in MiB.
	MemoryMiB int32
	// DiskGB is the size of the disk in GB (10^9 bytes).
	DiskGB int32
}

// Shape returns the size of the VM. For each value the first of these that is more than 0 holds:
//
//	cores   lxdConfig.resourceAllocation.cpu, minCPU, 2
//	memory  lxdConfig.resourceAllocation.memory, minMemory, 4096 MiB
//	disk    lxdConfig.resourceAllocation.disk, lxdConfig.storage.size, lxd.vmConfig.diskSize, minDiskSize, 60 GB
//
// A lxd.vmConfig.diskSize of 60 does not make the disk smaller than minDiskSize: the API server writes 60 wherever the field
// is left out, so it is nobody's wish.
func (s *MaasMachineSpec) Shape() Shape {
	var allocation LXDResourceAllocation
	config := s.lxdConfig()
	if config.ResourceAllocation != nil {
		allocation = *config.ResourceAllocation
	}
	return Shape{
		Cores:     firstPositive(allocation.CPU, s.MinCPU, new(DefaultCores)),
		MemoryMiB: firstPositive(allocation.Memory, s.MinMemory, new(DefaultMemoryMiB)),
		DiskGB:    firstPositive(allocation.Disk, config.storageSize(), s.vmDiskSize(), s.MinDiskSize, new(DefaultDiskGB)),
	}
}

// vmDiskSize is lxd.vmConfig.diskSize, or nil where minDiskSize is to be asked.
func (s *MaasMachineSpec) vmDiskSize() *int32 {
	size := s.vmConfig().DiskSize
	if size != nil && *size == DefaultDiskGB && s.MinDiskSize != nil && *s.MinDiskSize > DefaultDiskGB {
		return nil
	}
	return size
}

// StoragePool returns the LXD storage pool of the VM's disk, or "" for the host's default pool: lxdConfig.storage.pool, else
// lxdConfig.storageConfig.storagePool, else lxd.vmConfig.storagePool.
func (s *MaasMachineSpec) StoragePool() string {
	config := s.lxdConfig()
	if config.Storage != nil && config.Storage.Pool != "" {
		return config.Storage.Pool
	}
	if config.StorageConfig != nil && config.StorageConfig.StoragePool != "" {
		return config.StorageConfig.StoragePool
	}
	return s.vmConfig().StoragePool
}

func (s *MaasMachineSpec) lxdConfig() *LXDConfig {
	if s.LXDConfig == nil {
		return &LXDConfig{}
	}
	return s.LXDConfig
}

func (s *MaasMachineSpec) vmConfig() *VMConfig {
	if s.LXD == nil || s.LXD.VMConfig == nil {
		return &VMConfig{}
	}
	return s.LXD.VMConfig
}

// storageSize is storage.size, or nil where it is missing. The schema admits no string that is not a number of 32 bits.
func (c *LXDConfig) storageSize() *int32 {
	if c.Storage == nil || c.Storage.Size == nil {
		return nil
	}
	if c.Storage.Size.Type == intstr.Int {
		return &c.Storage.Size.IntVal
	}
	size, err := strconv.ParseInt(c.Storage.Size.StrVal, 10, 32)
	if err != nil {
		return nil
	}
	return new(int32(size))
}

func firstPositive(values ...*int32) int32 {
	for _, value := range values {
		if value != nil && *value > 0 {
			return *value
		}
	}
	return 0
}
