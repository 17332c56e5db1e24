package view

import (
	"cmp"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/output"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// Owner is for whom a VM was made, by its mark in MAAS.
type Owner struct {
	Namespace string `json:"namespace"`
	Cluster   string `json:"cluster"`
	ClusterID string `json:"clusterID"`
	Machine   string `json:"machine"`
}

// VM is a virtual machine as MAAS has it.
type VM struct {
	Name      string   `json:"name"`
	SystemID  string   `json:"systemID"`
	Host      string   `json:"host"`
	HostID    string   `json:"hostID"`
	Zone      string   `json:"zone"`
	Cores     int32    `json:"cores"`
	MemoryMiB int64    `json:"memoryMiB"`
	DiskGB    int64    `json:"diskGB"`
	State     string   `json:"state"`
	Power     string   `json:"power"`
	Locked    bool     `json:"locked,omitempty"`
	Addresses []string `json:"addresses,omitempty"`
	Owner     *Owner   `json:"owner,omitempty"`
}

// NewVM takes over what the service says of a VM.
func NewVM(vm *lxdprovisionerv1.VM) VM {
	status := vm.GetStatus()
	one := VM{
		Name: vm.GetName(), SystemID: vm.GetSystemId(), Host: vm.GetHostName(), HostID: vm.GetHostId(), Zone: vm.GetZone(),
		Cores: vm.GetResources().GetCores(), MemoryMiB: vm.GetResources().GetMemoryMib(),
		State: status.GetMaasStatus(), Power: power(status.GetPower()), Locked: status.GetLocked(), Addresses: addresses(status),
	}
	for _, d := range vm.GetResources().GetDisks() {
		one.DiskGB += d.GetSizeGb()
	}
	if mark := status.GetOwner(); mark != nil {
		one.Owner = &Owner{Namespace: mark.GetNamespace(), Cluster: mark.GetCluster(), ClusterID: mark.GetClusterId(), Machine: mark.GetMachine()}
	}
	return one
}

// Size writes what the VM has.
func (v VM) Size() string { return output.Size(v.Cores, v.MemoryMiB, v.DiskGB) }

func (v VM) owner() (cluster, machine string) {
	if v.Owner == nil {
		return "", ""
	}
	return v.Owner.Namespace + "/" + v.Owner.Cluster, v.Owner.Machine
}

func (v VM) state() output.Cell {
	text := v.State
	if v.Locked {
		text += ", locked"
	}
	switch {
	case v.State == "Deployed" && v.Power == "on":
		return output.T(output.Good, text)
	case strings.HasPrefix(v.State, "Failed"), v.State == "Broken", v.State == "Missing", v.State == "Deployed" && v.Power == "off":
		return output.T(output.Bad, text)
	default:
		return output.T(output.Warning, text)
	}
}

func power(p lxdprovisionerv1.PowerState) string {
	if p == lxdprovisionerv1.PowerState_POWER_STATE_UNSPECIFIED {
		return "unknown"
	}
	return strings.ToLower(strings.TrimPrefix(p.String(), "POWER_STATE_"))
}

func addresses(status *lxdprovisionerv1.MachineStatus) []string {
	var all []string
	for _, a := range status.GetAddresses() {
		all = append(all, a.GetIp())
	}
	return all
}

// VMList is what VMs there are, by cluster, machine and name.
type VMList struct {
	VMs []VM `json:"vms"`
}

// NewVMList sorts VMs.
func NewVMList(vms []*lxdprovisionerv1.VM) *VMList {
	list := &VMList{VMs: []VM{}}
	for _, vm := range vms {
		list.VMs = append(list.VMs, NewVM(vm))
	}
	slices.SortFunc(list.VMs, func(a, b VM) int {
		aCluster, aMachine := a.owner()
		bCluster, bMachine := b.owner()
		return cmp.Or(cmp.Compare(aCluster, bCluster), cmp.Compare(aMachine, bMachine), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// Write writes a table.
func (l *VMList) Write(p *output.Page) {
	if len(l.VMs) == 0 {
		p.Linef("No VMs.")
		return
	}
	rows := make([][]output.Cell, 0, len(l.VMs))
	for _, v := range l.VMs {
		cluster, machine := v.owner()
		rows = append(rows, []output.Cell{
			output.C(v.Name), output.C(cluster), output.C(machine), output.C(v.Host), output.C(v.Zone), v.state(), output.C(v.Power),
			output.C(v.Size()), output.C(v.SystemID), output.C(strings.Join(v.Addresses, ",")),
		})
	}
	p.Table([]string{"VM", "CLUSTER", "MACHINE", "HOST", "ZONE", "STATE", "POWER", "SIZE", "SYSTEM ID", "ADDRESSES"}, rows)
}
