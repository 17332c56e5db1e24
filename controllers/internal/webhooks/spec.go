package webhooks

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/capmaas/capmaas/api/providerid"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// What MAAS and the contract with the service take for one VM.
const (
	mostCores      = 1024
	leastMemoryMiB = 1024
	mostMemoryMiB  = 64 << 20
	mostDiskGB     = 1_000_000
)

// checkSpec says what can't be made of a spec, all at once.
func checkSpec(s *infrav1.MaasMachineSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.Image == "" {
		errs = append(errs, field.Required(at.Child("image"), "an image of MAAS, for example ubuntu/noble"))
	}
	if s.ModeContradicts() {
		errs = append(errs, field.Invalid(at.Child("provisioningMode"), s.ProvisioningMode, "must be lxd or left out where lxd.enabled is true"))
	}
	if id := ptr.Deref(s.ProviderID, ""); id != "" {
		if _, err := providerid.Parse(id); err != nil {
			errs = append(errs, field.Invalid(at.Child("providerID"), id, "must be maas:///<zone>/<system id> or maas-lxd:///<zone>/<system id>; leave it to the controller"))
		}
	}
	if s.Mode() == infrav1.ModeLXD {
		errs = append(errs, checkShape(s, at)...)
	} else if s.LXDConfig != nil {
		errs = append(errs, field.Forbidden(at.Child("lxdConfig"), "needs provisioningMode: lxd"))
	}
	return append(errs, checkAddresses(s, at)...)
}

// checkShape holds the size that the VM would get against what MAAS can make.
func checkShape(s *infrav1.MaasMachineSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	shape := s.Shape()
	within := func(path *field.Path, value, least, most int32, unit string) {
		if value < least || value > most {
			errs = append(errs, field.Invalid(path, value, fmt.Sprintf("a VM can have from %d to %d %s", least, most, unit)))
		}
	}
	within(sourceOfCores(s, at), shape.Cores, 1, mostCores, "cores")
	within(sourceOfMemory(s, at), shape.MemoryMiB, leastMemoryMiB, mostMemoryMiB, "MiB of memory")
	within(sourceOfDisk(s, at), shape.DiskGB, 1, mostDiskGB, "GB of disk")
	return errs
}

func allocationOf(s *infrav1.MaasMachineSpec) infrav1.LXDResourceAllocation {
	return ptr.Deref(lxdConfigOf(s).ResourceAllocation, infrav1.LXDResourceAllocation{})
}

// sourceOfCores and the two that follow name the field from which Shape takes the value.
func sourceOfCores(s *infrav1.MaasMachineSpec, at *field.Path) *field.Path {
	if ptr.Deref(allocationOf(s).CPU, 0) > 0 {
		return at.Child("lxdConfig", "resourceAllocation", "cpu")
	}
	return at.Child("minCPU")
}

func sourceOfMemory(s *infrav1.MaasMachineSpec, at *field.Path) *field.Path {
	if ptr.Deref(allocationOf(s).Memory, 0) > 0 {
		return at.Child("lxdConfig", "resourceAllocation", "memory")
	}
	return at.Child("minMemory")
}

func sourceOfDisk(s *infrav1.MaasMachineSpec, at *field.Path) *field.Path {
	switch disk := s.Shape().DiskGB; {
	case ptr.Deref(allocationOf(s).Disk, 0) > 0:
		return at.Child("lxdConfig", "resourceAllocation", "disk")
	case lxdConfigOf(s).Storage != nil && lxdConfigOf(s).Storage.Size != nil:
		return at.Child("lxdConfig", "storage", "size")
	case ptr.Deref(vmConfigOf(s).DiskSize, 0) == disk:
		return at.Child("lxd", "vmConfig", "diskSize")
	default:
		return at.Child("minDiskSize")
	}
}
