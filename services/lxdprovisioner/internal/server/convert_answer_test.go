package server_test

import (
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

var (
	readAt  = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	claimed = true
	address = netip.MustParseAddr("10.10.0.7")
	mark    = provision.Owner{ClusterID: "c1", Namespace: "ns", Cluster: "prod", Machine: "cp-0", MachineUID: "u1", SpecDigest: "d1"}
)

// machine is a machine of which MAAS tells everything.
func machine() inventory.Machine {
	return inventory.Machine{
		SystemID: "abc123", Hostname: "cp-0-x7k2p", FQDN: "cp-0-x7k2p.maas", Status: inventory.StatusDeployed, StatusName: "Deployed",
		Message: "ready", Power: inventory.PowerOn, Owner: "capmaas", Locked: true, Zone: inventory.Ref{ID: 2, Name: "az1"},
		Pool: inventory.Ref{ID: 3, Name: "cp"}, Tags: []string{"fast"}, HostID: "vmhost/12", HostName: "lxd-1", VirtualMachineID: 9,
		Architecture: "amd64/generic", Cores: 4, MemoryMiB: 8192, DiskBytes: 60 * inventory.BytesPerGB, InMemory: true,
		Addresses: []netip.Addr{address},
		Interfaces: []inventory.Interface{
			{ID: 1, Name: "eth0", Links: []inventory.Link{{CIDR: "10.10.0.0/16", Address: address}}},
			{ID: 2, Name: "eth1", Links: []inventory.Link{{CIDR: "10.20.0.0/16"}}},
		},
		ReadAt: readAt,
	}
}

func newDesk() *desk {
	ttl := 10
	host := inventory.Host{
		ID: "vmhost/12", Name: "lxd-1", Type: "lxd", SystemID: "host01", Zone: inventory.Ref{ID: 2, Name: "az1"}, Pool: inventory.Ref{ID: 3, Name: "cp"},
		Tags: []string{"fast"}, Capabilities: []string{"composable"}, Architectures: []string{"amd64/generic"}, LXDVersion: "5.21.3", Project: "k8s",
		Total: inventory.Resources{Cores: 32, MemoryMiB: 65536, DiskBytes: 1000 * inventory.BytesPerGB},
		Used:  inventory.Resources{Cores: 4, MemoryMiB: 8192, DiskBytes: 100 * inventory.BytesPerGB}, CPURatio: 2, MemoryRatio: 1.5,
		StoragePools: []inventory.StoragePool{{
			Name: "default", Driver: "zfs", TotalBytes: 1000 * inventory.BytesPerGB, AvailableBytes: 900 * inventory.BytesPerGB, Default: true,
		}},
		Bridges: []string{"br0"},
	}
	small := host
	small.ID, small.Name, small.Total = "vmhost/13", "lxd-2", inventory.Resources{Cores: 1, MemoryMiB: 512, DiskBytes: inventory.BytesPerGB}
	snapshot := inventory.Snapshot{Hosts: []inventory.Host{host, small}, ReadAt: readAt}
	decision, err := placement.Place(placement.Request{
		VM: "cp-0", Size: inventory.VMSize{Cores: 2, MemoryMiB: 4096, Disks: []inventory.Disk{{SizeGB: 20}}},
	}, snapshot)
	if err != nil {
		panic(err)
	}
	rejection := placement.Rejection{HostID: "vmhost/13", HostName: "lxd-2", Zone: "az1", Reason: placement.InsufficientCores, Message: "needs 2 cores, has 1"}
	vm := provision.VM{Machine: machine(), Project: "k8s", Claimed: &claimed, Owner: &mark}
	metal := provision.BareMetalMachine{Machine: machine(), Claimed: &claimed, Owner: &mark}
	return &desk{
		hosts: provision.HostList{More: true, Snapshot: snapshot, Hosts: []provision.HostView{{
			Host: host, Available: inventory.Resources{Cores: 60, MemoryMiB: 90000, DiskBytes: 880 * inventory.BytesPerGB},
			PoolsAvailable: map[string]int64{"default": 880 * inventory.BytesPerGB}, Unusable: &rejection,
		}}},
		selection: provision.Selection{Decision: decision, Snapshot: snapshot},
		plan: provision.PlanResult{Snapshot: snapshot, Plan: placement.Plan{
			VMs:   []placement.PlannedVM{{Index: 1, HostID: "vmhost/12", HostName: "lxd-1", Zone: "az1"}},
			Zones: []placement.ZoneShare{{Zone: "az1", Existing: 1, Planned: 2, Explanation: "no room for more"}},
			Even:  true, Summary: "2 VMs over 1 zone", Rejections: []placement.Rejection{rejection},
		}},
		vm: vm, token: "abc123",
		vmEvents: []provision.VMEvent{{VM: &vm}, {Gone: "cp-9"}, {Synced: readAt}},
		absences: []provision.Absence{{Name: "cp-0", Proof: provision.Refreshed}},
		machine:  metal,
		taken:    provision.Taken{VM: &vm, Machine: &metal},
		powered:  provision.PoweredOn{Machine: machine(), Owner: &mark, Sent: true},
		events:   []provision.MachineEvent{{Machine: &metal}, {Gone: "abc999"}, {Synced: readAt}},
		endpoint: provision.Endpoint{Ref: provision.EndpointRef{Name: "prod", Domain: "maas"}, Addresses: []netip.Addr{address}, TTL: &ttl},
		zones: []provision.ZoneInfo{{
			Zone: inventory.Zone{Ref: inventory.Ref{ID: 2, Name: "az1"}, Description: "first"}, HasLXDHosts: true, LXDHostsUnusable: true,
		}},
		pools: []inventory.Pool{{Ref: inventory.Ref{Name: "default"}, Description: "built in"}},
		subnets: []inventory.Subnet{{
			ID: 5, Name: "nodes", CIDR: netip.MustParsePrefix("10.10.0.0/16"), Gateway: netip.MustParseAddr("10.10.0.1"),
			DNSServers: []netip.Addr{netip.MustParseAddr("10.10.0.2")}, Managed: true, Space: "nodes",
		}},
		images: []inventory.Image{{Name: "custom/u-2204", Architecture: "amd64", Title: "Ubuntu 22.04", Custom: true}},
		region: provision.Region{
			MAASVersion: "3.5.4", User: "capmaas", Admin: true, LXDVMs: true, BareMetal: true, DNS: true,
			Problem: fault.New(fault.Denied, fault.ReasonMAASRightsMissing, "a right is missing"),
		},
	}
}

// unset gives the paths of the fields that the message and those of its kind leave at their default.
func unset(messages []proto.Message) map[string]bool {
	missing, set := map[string]bool{}, map[string]bool{}
	var walk func(m protoreflect.Message, path string)
	walk = func(m protoreflect.Message, path string) {
		for i := range m.Descriptor().Fields().Len() {
			f := m.Descriptor().Fields().Get(i)
			here := path + "." + string(f.Name())
			if !m.Has(f) {
				missing[here] = true
				continue
			}
			set[here] = true
			switch {
			case f.Message() == nil, f.Message().FullName() == "google.protobuf.Timestamp":
			case f.IsList():
				for j := range m.Get(f).List().Len() {
					walk(m.Get(f).List().Get(j).Message(), here)
				}
			default:
				walk(m.Get(f).Message(), here)
			}
		}
	}
	for _, m := range messages {
		walk(m.ProtoReflect(), "")
	}
	for path := range set {
		delete(missing, path)
	}
	return missing
}

func TestAnswers_every_field_is_filled_from_what_the_use_case_says(t *testing.T) {
	t.Parallel()
	withoutSource := map[string]string{
		".vms.resources.disks.storage_pool": notToldByMAAS,
		".vm.resources.disks.storage_pool":  notToldByMAAS,
	}
	for _, m := range methods(t) {
		t.Run(string(m.Name()), func(t *testing.T) {
			t.Parallel()
			answers, err := call(t, dial(t, newDesk()), m, message(t, m.Input()))
			if !errors.Is(err, io.EOF) {
				require.NoError(t, err)
			}
			require.NotEmpty(t, answers)
			for path := range unset(answers) {
				assert.Contains(t, withoutSource, path, "%s of the answer is never filled", path)
			}
		})
	}
}

const notToldByMAAS = "MAAS's machine tells one figure for all its disks"

func TestAnswers_a_VM_is_told_as_MAAS_tells_it(t *testing.T) {
	t.Parallel()
	answer, err := lxdprovisionerv1.NewLXDProvisionerClient(dial(t, newDesk())).GetVM(t.Context(), &lxdprovisionerv1.GetVMRequest{})
	require.NoError(t, err)
	project := "k8s"
	want := &lxdprovisionerv1.VM{
		Name: "cp-0-x7k2p", SystemId: "abc123", ProviderId: "maas-lxd:///az1/abc123", HostId: "vmhost/12", HostName: "lxd-1",
		Zone: "az1", ResourcePool: "cp", Project: &project,
		Resources: &lxdprovisionerv1.VMResources{Cores: 4, MemoryMib: 8192, Disks: []*lxdprovisionerv1.Disk{{SizeGb: 60}}},
		Status: &lxdprovisionerv1.MachineStatus{
			State: lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYED, MaasStatus: "Deployed", Message: "ready",
			Power: lxdprovisionerv1.PowerState_POWER_STATE_ON, Locked: true, Claimed: &claimed, Hostname: "cp-0-x7k2p", Fqdn: "cp-0-x7k2p.maas",
			Addresses:  []*lxdprovisionerv1.Address{{Ip: "10.10.0.7", Subnet: "10.10.0.0/16", Interface: "eth0"}},
			ObservedAt: timestamppb.New(readAt), Architecture: "amd64/generic", InMemory: true,
			Owner: &lxdprovisionerv1.Owner{ClusterId: "c1", Namespace: "ns", Cluster: "prod", Machine: "cp-0", MachineUid: "u1", SpecDigest: "d1"},
		},
	}
	assert.True(t, proto.Equal(want, answer.GetVm()), "want %v\ngot  %v", want, answer.GetVm())
}

func TestAnswers_what_is_not_known_is_unset(t *testing.T) {
	t.Parallel()
	answer, err := lxdprovisionerv1.NewLXDProvisionerClient(dial(t, &desk{})).GetVM(t.Context(), &lxdprovisionerv1.GetVMRequest{})
	require.NoError(t, err)
	assert.Nil(t, answer.GetVm().Project)
	assert.Nil(t, answer.GetVm().GetStatus().Claimed)
	assert.Nil(t, answer.GetVm().GetStatus().GetOwner())
	assert.Nil(t, answer.GetVm().GetStatus().GetObservedAt())
	assert.Empty(t, answer.GetVm().GetStatus().GetAddresses())
}
