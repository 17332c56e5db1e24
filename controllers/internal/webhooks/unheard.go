package webhooks

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// maasProfile is the LXD profile that MAAS gives a VM, where the host's project has it.
const maasProfile = "maas"

// unheardField is a field that changes nothing, with the reason that the user is told.
type unheardField struct {
	path string
	set  bool
	why  string
}

// unheard warns about each field of the spec that is accepted and changes nothing.
func unheard(s *infrav1.MaasMachineSpec, at *field.Path) admission.Warnings {
	fields := []unheardField{
		{"parent", ptr.Deref(s.Parent, "") != "", "has no effect; status.lxdHost names the host of a VM"},
	}
	if s.Mode() == infrav1.ModeLXD {
		fields = append(fields, unheardOfVM(s)...)
		fields = append(fields, outvotedOfVM(s)...)
	} else {
		fields = append(fields, unheardOfMetal(s)...)
	}
	var warnings admission.Warnings
	for _, f := range fields {
		if f.set {
			warnings = append(warnings, at.Child(f.path).String()+": "+f.why)
		}
	}
	return warnings
}

func unheardOfMetal(s *infrav1.MaasMachineSpec) []unheardField {
	return []unheardField{
		{"minDiskSize", ptr.Deref(s.MinDiskSize, 0) > 0, "has no effect on bare metal; choose machines by their tags or their resource pool"},
		{"staticIP", s.StaticIP != nil, "has no effect on bare metal, which has the address that MAAS gives it"},
		{"lxd.vmConfig", s.LXD != nil && s.LXD.VMConfig != nil, "has no effect on bare metal"},
	}
}

func unheardOfVM(s *infrav1.MaasMachineSpec) []unheardField {
	vm, config := vmConfigOf(s), lxdConfigOf(s)
	return []unheardField{
		{"deployInMemory", s.DeployInMemory, "has no effect on a VM, which is deployed to its disk"},
		{"keepSwap", s.KeepSwap, "has no effect on a VM, whose swap is never changed"},
		{"lxd.vmConfig.interfaceLinkModes", len(vm.InterfaceLinkModes) > 0, "has no effect; interfaces are linked as their subnets and addressFamilies ask"},
		{"lxd.vmConfig.autoStart", !ptr.Deref(vm.AutoStart, true), "has no effect; MAAS has no such setting"},
		{"lxdConfig.profile", config.Profile == maasProfile, "MAAS uses it where the host's project has it, and none otherwise; it does not tell which"},
		{
			"lxdConfig.profile", config.Profile != "" && config.Profile != maasProfile,
			"no VM is made while it is set: MAAS uses the profile maas where the host's project has it, and none otherwise",
		},
		{macAddressPath(s), s.Network().MACAddress != "", "no VM is made while it is set: MAAS gives VMs addresses of their own"},
		{
			"lxdConfig.antiAffinity", config.AntiAffinity == infrav1.AntiAffinityRequired,
			"required takes one host more than there are replicas: a rollout makes a VM before it removes one",
		},
		{"minCPU", ptr.Deref(s.MinCPU, 0) == 0 && ptr.Deref(allocationOf(s).CPU, 0) == 0, fmt.Sprintf("0 gives a VM of %d cores", infrav1.DefaultCores)},
		{
			"minMemory", ptr.Deref(s.MinMemory, 0) == 0 && ptr.Deref(allocationOf(s).Memory, 0) == 0,
			fmt.Sprintf("0 gives a VM of %d MiB of memory", infrav1.DefaultMemoryMiB),
		},
	}
}

// outvotedOfVM are fields that another field overrules.
func outvotedOfVM(s *infrav1.MaasMachineSpec) []unheardField {
	config := lxdConfigOf(s)
	selection := ptr.Deref(config.HostSelection, infrav1.LXDHostSelection{})
	storage, network := ptr.Deref(config.Storage, infrav1.LXDStorage{}), ptr.Deref(config.Network, infrav1.LXDNetwork{})
	alias := ptr.Deref(config.NetworkConfig, infrav1.LXDNetworkConfig{})
	loses := func(loser, winner string) bool { return loser != "" && winner != "" && loser != winner }
	pool := ptr.Deref(config.StorageConfig, infrav1.LXDStorageConfig{}).StoragePool
	fixed := fixedAddresses(s, field.NewPath(""))
	return []unheardField{
		{"lxdConfig.hostSelection.availabilityZones", len(selection.AvailabilityZones) > 0 && ptr.Deref(s.FailureDomain, "") != "", "failureDomain wins"},
		{"lxdConfig.hostSelection.resourcePools", len(selection.ResourcePools) > 0 && ptr.Deref(s.ResourcePool, "") != "", "resourcePool wins"},
		{"lxdConfig.hostSelection.preferredHosts", len(selection.PreferredHosts) > 0 && config.VMHost != "", "vmHost wins"},
		{"lxdConfig.storageConfig.storagePool", loses(pool, storage.Pool), "lxdConfig.storage.pool wins"},
		{"lxd.vmConfig.storagePool", loses(vmConfigOf(s).StoragePool, s.StoragePool()), "the storage pool of lxdConfig wins"},
		{"lxdConfig.storage.size", storage.Size != nil && ptr.Deref(allocationOf(s).Disk, 0) > 0, "lxdConfig.resourceAllocation.disk wins"},
		{"lxdConfig.networkConfig.bridge", loses(alias.Bridge, network.Bridge), "lxdConfig.network.bridge wins"},
		{"lxdConfig.networkConfig.macAddress", loses(alias.MACAddress, network.MACAddress), "lxdConfig.network.macAddress wins"},
		{"lxdConfig.networkConfig.staticIPConfig", network.StaticIPConfig != nil && alias.StaticIPConfig != nil, "lxdConfig.network.staticIPConfig wins"},
		{"staticIP", s.StaticIP != nil && len(fixed) > 1, "the static address of lxdConfig wins"},
	}
}

// macAddressPath is where the MAC address stands that holds.
func macAddressPath(s *infrav1.MaasMachineSpec) string {
	if network := lxdConfigOf(s).Network; network != nil && network.MACAddress != "" {
		return "lxdConfig.network.macAddress"
	}
	return "lxdConfig.networkConfig.macAddress"
}

func lxdConfigOf(s *infrav1.MaasMachineSpec) infrav1.LXDConfig {
	return ptr.Deref(s.LXDConfig, infrav1.LXDConfig{})
}
