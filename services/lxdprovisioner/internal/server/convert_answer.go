package server

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

func toTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// toInt32 keeps a count within the contract's width; no MAAS has so much of anything.
func toInt32(n int) int32 { return int32(max(math.MinInt32, min(math.MaxInt32, n))) }

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// The provider ids are read by package providerid of the module api, which the service does not
// import: its module brings Kubernetes along. Every shape that is written here must parse there.
const (
	vmProviderID    = "maas-lxd:///%s/%s"
	metalProviderID = "maas:///%s/%s"
)

func toOwner(o *provision.Owner) *lxdprovisionerv1.Owner {
	if o == nil {
		return nil
	}
	return &lxdprovisionerv1.Owner{
		ClusterId: o.ClusterID, Namespace: o.Namespace, Cluster: o.Cluster,
		Machine: o.Machine, MachineUid: o.MachineUID, SpecDigest: o.SpecDigest,
	}
}

func toStatus(m inventory.Machine, claimed *bool, owner *provision.Owner) *lxdprovisionerv1.MachineStatus {
	return &lxdprovisionerv1.MachineStatus{
		State: toState(m.Status), MaasStatus: m.StatusName, Message: m.Message, Power: toPower(m.Power), Locked: m.Locked,
		Claimed: claimed, Hostname: m.Hostname, Fqdn: m.FQDN, Addresses: toAddresses(m), ObservedAt: toTime(m.ReadAt),
		Architecture: m.Architecture, InMemory: m.InMemory, Owner: toOwner(owner),
	}
}

// toAddresses adds to each address what the machine's interfaces tell of it.
func toAddresses(m inventory.Machine) []*lxdprovisionerv1.Address {
	return mapped(m.Addresses, func(ip netip.Addr) *lxdprovisionerv1.Address {
		address := &lxdprovisionerv1.Address{Ip: ip.String()}
		for _, nic := range m.Interfaces {
			if i := slices.IndexFunc(nic.Links, func(l inventory.Link) bool { return l.Address == ip }); i >= 0 {
				address.Interface, address.Subnet = nic.Name, nic.Links[i].CIDR
			}
		}
		return address
	})
}

func toVM(vm provision.VM) *lxdprovisionerv1.VM {
	return &lxdprovisionerv1.VM{
		Name: vm.Hostname, SystemId: vm.SystemID, ProviderId: fmt.Sprintf(vmProviderID, vm.Zone.Name, vm.SystemID),
		HostId: string(vm.HostID), HostName: vm.HostName, Zone: vm.Zone.Name, ResourcePool: vm.Pool.Name, Project: optional(vm.Project),
		Resources: &lxdprovisionerv1.VMResources{
			Cores: toInt32(vm.Cores), MemoryMib: vm.MemoryMiB,
			// MAAS's machine tells one figure for all its disks.
			Disks: []*lxdprovisionerv1.Disk{{SizeGb: vm.DiskBytes / inventory.BytesPerGB}},
		},
		Status: toStatus(vm.Machine, vm.Claimed, vm.Owner),
	}
}

func toVMEvent(e provision.VMEvent) *lxdprovisionerv1.WatchVMsResponse {
	switch {
	case e.VM != nil:
		return &lxdprovisionerv1.WatchVMsResponse{Event: &lxdprovisionerv1.WatchVMsResponse_Vm{Vm: toVM(*e.VM)}}
	case e.Gone != "":
		return &lxdprovisionerv1.WatchVMsResponse{Event: &lxdprovisionerv1.WatchVMsResponse_Gone{Gone: e.Gone}}
	default:
		return &lxdprovisionerv1.WatchVMsResponse{Event: &lxdprovisionerv1.WatchVMsResponse_Synced{Synced: timestamppb.New(e.Synced)}}
	}
}

func toAbsence(a provision.Absence) *lxdprovisionerv1.Absence {
	proofs := map[provision.AbsenceProof]lxdprovisionerv1.AbsenceProof{
		provision.NeverSent:  lxdprovisionerv1.AbsenceProof_ABSENCE_PROOF_NEVER_SENT,
		provision.Refreshed:  lxdprovisionerv1.AbsenceProof_ABSENCE_PROOF_REFRESHED,
		provision.Unverified: lxdprovisionerv1.AbsenceProof_ABSENCE_PROOF_UNVERIFIED,
	}
	return &lxdprovisionerv1.Absence{Name: a.Name, Proof: proofs[a.Proof]}
}

func toMachine(m provision.BareMetalMachine) *lxdprovisionerv1.Machine {
	return &lxdprovisionerv1.Machine{
		SystemId: m.SystemID, ProviderId: fmt.Sprintf(metalProviderID, m.Zone.Name, m.SystemID), Zone: m.Zone.Name, ResourcePool: m.Pool.Name,
		Cores: toInt32(m.Cores), MemoryMib: m.MemoryMiB, DiskGb: m.DiskBytes / inventory.BytesPerGB, Tags: m.Tags,
		Status: toStatus(m.Machine, m.Claimed, m.Owner),
	}
}

func toMachineEvent(e provision.MachineEvent) *lxdprovisionerv1.WatchMachinesResponse {
	switch {
	case e.Machine != nil:
		return &lxdprovisionerv1.WatchMachinesResponse{Event: &lxdprovisionerv1.WatchMachinesResponse_Machine{Machine: toMachine(*e.Machine)}}
	case e.Gone != "":
		return &lxdprovisionerv1.WatchMachinesResponse{Event: &lxdprovisionerv1.WatchMachinesResponse_Gone{Gone: e.Gone}}
	default:
		return &lxdprovisionerv1.WatchMachinesResponse{Event: &lxdprovisionerv1.WatchMachinesResponse_Synced{Synced: timestamppb.New(e.Synced)}}
	}
}

func toEndpoint(e provision.Endpoint) *lxdprovisionerv1.Endpoint {
	endpoint := &lxdprovisionerv1.Endpoint{
		Ref:       &lxdprovisionerv1.EndpointRef{Name: e.Ref.Name, Domain: e.Ref.Domain},
		Fqdn:      e.Ref.FQDN(),
		Addresses: mapped(e.Addresses, netip.Addr.String),
	}
	if e.TTL != nil {
		endpoint.TtlSeconds = new(toInt32(*e.TTL))
	}
	return endpoint
}

func toZone(z provision.ZoneInfo) *lxdprovisionerv1.Zone {
	return &lxdprovisionerv1.Zone{Name: z.Name, Description: z.Description, HasLxdHosts: z.HasLXDHosts, LxdHostsUnusable: z.LXDHostsUnusable}
}

func toPool(p inventory.Pool) *lxdprovisionerv1.ResourcePool {
	return &lxdprovisionerv1.ResourcePool{Name: p.Name, Description: p.Description}
}

func toSubnet(s inventory.Subnet) *lxdprovisionerv1.Subnet {
	subnet := &lxdprovisionerv1.Subnet{
		Id: toInt32(s.ID), Name: s.Name, Cidr: s.CIDR.String(), DnsServers: mapped(s.DNSServers, netip.Addr.String),
		Managed: s.Managed, Space: s.Space,
	}
	if s.Gateway.IsValid() {
		subnet.Gateway = s.Gateway.String()
	}
	return subnet
}

func toImage(i inventory.Image) *lxdprovisionerv1.AvailableImage {
	return &lxdprovisionerv1.AvailableImage{Name: i.Name, Architecture: i.Architecture, Title: i.Title, Custom: i.Custom}
}
