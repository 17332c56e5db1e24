package provisionertest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// host is an LXD host with what makes it answer or not.
type host struct {
	Host
	id      string
	offline bool
}

func newHost(number int, h Host) *host {
	h.Cores, h.MemoryMiB, h.DiskGB = orInt(h.Cores, 32), orInt(h.MemoryMiB, 65536), orInt(h.DiskGB, 1000)
	h.StoragePool, h.Project = cmp.Or(h.StoragePool, "default"), cmp.Or(h.Project, "default")
	return &host{Host: h, id: fmt.Sprintf("vmhost/%d", number)}
}

// HostID gives the id of the host of the name; empty where there is none.
func (f *Fake) HostID(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h := f.hostNamed(name); h != nil {
		return h.id
	}
	return ""
}

// SetHostOnline lets the LXD of the host be reached or not. SelectHost does not see it, as MAAS does
// not; ComposeVM is refused there, and nothing there can be deleted. It says whether there is such a host.
func (f *Fake) SetHostOnline(name string, online bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.hostNamed(name)
	if h != nil {
		h.offline = !online
	}
	return h != nil
}

// SetHostUnusable says why the host takes no VM at all, or, unspecified, that it does. It says whether there is such a host.
func (f *Fake) SetHostUnusable(name string, why lxdprovisionerv1.RejectionReason) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.hostNamed(name)
	if h != nil {
		h.Unusable = why
	}
	return h != nil
}

// RemoveHost takes the host out of MAAS, with its VMs. It says whether there was such a host.
func (f *Fake) RemoveHost(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.hosts)
	f.hosts = slices.DeleteFunc(f.hosts, func(h *host) bool { return h.Name == name })
	f.machines = slices.DeleteFunc(f.machines, func(m *machine) bool { return m.vm != nil && m.vm.host.Name == name })
	f.settle()
	return len(f.hosts) < before
}

// host gives the host of the id; nil where there is none.
func (f *Fake) host(id string) *host {
	return f.firstHost(func(h *host) bool { return h.id == id })
}

func (f *Fake) hostNamed(name string) *host {
	return f.firstHost(func(h *host) bool { return h.Name == name })
}

// firstHost gives the first host that is meant; nil where there is none.
func (f *Fake) firstHost(meant func(*host) bool) *host {
	if at := slices.IndexFunc(f.hosts, meant); at >= 0 {
		return f.hosts[at]
	}
	return nil
}

// used is what the VMs of MAAS and the choices that MAAS does not show yet take of the host.
func (f *Fake) used(h *host, except string) *lxdprovisionerv1.Capacity {
	used := &lxdprovisionerv1.Capacity{}
	add := func(size *lxdprovisionerv1.VMResources) {
		used.Cores += int64(size.GetCores())
		used.MemoryMib += size.GetMemoryMib()
		used.DiskGb += diskGB(size)
	}
	for _, m := range f.machines {
		if m.vm != nil && m.vm.host == h && m.hostname != except {
			add(m.vm.size)
		}
	}
	for name, c := range f.choices {
		if c.hostID == h.id && name != except && f.find(name) == nil && f.now().Before(c.until) {
			add(c.size)
		}
	}
	return used
}

func (f *Fake) available(h *host, except string) *lxdprovisionerv1.Capacity {
	used := f.used(h, except)
	return &lxdprovisionerv1.Capacity{Cores: h.Cores - used.GetCores(), MemoryMib: h.MemoryMiB - used.GetMemoryMib(), DiskGb: h.DiskGB - used.GetDiskGb()}
}

func diskGB(size *lxdprovisionerv1.VMResources) int64 {
	var sum int64
	for _, d := range size.GetDisks() {
		sum += d.GetSizeGb()
	}
	return sum
}

func (f *Fake) toHost(h *host) *lxdprovisionerv1.Host {
	available := f.available(h, "")
	answer := &lxdprovisionerv1.Host{
		Id: h.id, Name: h.Name, SystemId: strings.ReplaceAll(h.Name, "-", ""), Zone: h.Zone, ResourcePool: h.Pool, Tags: h.Tags,
		Total: &lxdprovisionerv1.Capacity{Cores: h.Cores, MemoryMib: h.MemoryMiB, DiskGb: h.DiskGB}, Used: f.used(h, ""), Available: available,
		CpuOverCommitRatio: 1, MemoryOverCommitRatio: 1, Architectures: []string{architecture}, LxdVersion: "5.21.2", Project: &h.Project,
		Bridges:      []string{bridge},
		StoragePools: []*lxdprovisionerv1.StoragePool{{Name: h.StoragePool, Driver: "zfs", TotalGb: h.DiskGB, AvailableGb: available.GetDiskGb(), Default: true}},
	}
	if h.Unusable != lxdprovisionerv1.RejectionReason_REJECTION_REASON_UNSPECIFIED {
		answer.Unusable = h.reject(h.Unusable, "takes no VM")
	}
	return answer
}

func (h *host) reject(reason lxdprovisionerv1.RejectionReason, message string) *lxdprovisionerv1.Rejection {
	return &lxdprovisionerv1.Rejection{HostId: h.id, HostName: h.Name, Zone: h.Zone, Reason: reason, Message: message}
}

func (f *Fake) snapshot() *lxdprovisionerv1.SnapshotInfo {
	return &lxdprovisionerv1.SnapshotInfo{ReadAt: timestamppb.New(f.now()), Hosts: int32(len(f.hosts))} //nolint:gosec // a fake has few hosts
}

// ListHosts lists the hosts by name; the page token is id and name of the last host of the page before.
func (f *Fake) ListHosts(_ context.Context, request *lxdprovisionerv1.ListHostsRequest) (*lxdprovisionerv1.ListHostsResponse, error) {
	return answer(f, "ListHosts", request, func(request *lxdprovisionerv1.ListHostsRequest) (*lxdprovisionerv1.ListHostsResponse, error) {
		response := &lxdprovisionerv1.ListHostsResponse{Snapshot: f.snapshot()}
		for _, h := range f.hosts {
			if request.Zone != nil && request.GetZone() != h.Zone || request.ResourcePool != nil && request.GetResourcePool() != h.Pool {
				continue
			}
			response.Hosts = append(response.Hosts, f.toHost(h))
		}
		slices.SortFunc(response.GetHosts(), func(a, b *lxdprovisionerv1.Host) int { return strings.Compare(a.GetName(), b.GetName()) })
		if _, last, found := strings.Cut(request.GetPageToken(), " "); found {
			response.Hosts = slices.DeleteFunc(response.GetHosts(), func(h *lxdprovisionerv1.Host) bool { return h.GetName() <= last })
		}
		// A fake has few hosts: all of them fit into an answer.
		if size := int(request.GetPageSize()); size > 0 && size < len(response.GetHosts()) {
			response.Hosts = response.GetHosts()[:size]
			last := response.GetHosts()[size-1]
			response.NextPageToken = last.GetId() + " " + last.GetName()
		}
		return response, nil
	})
}
