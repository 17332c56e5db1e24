package server

import (
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

func toCapacity(r inventory.Resources) *lxdprovisionerv1.Capacity {
	return &lxdprovisionerv1.Capacity{Cores: r.Cores, MemoryMib: r.MemoryMiB, DiskGb: r.DiskBytes / inventory.BytesPerGB}
}

func toHost(h provision.HostView) *lxdprovisionerv1.Host {
	host := &lxdprovisionerv1.Host{
		Id: string(h.ID), Name: h.Name, SystemId: h.SystemID, Zone: h.Zone.Name, ResourcePool: h.Pool.Name, Tags: h.Tags,
		Total: toCapacity(h.Total), Used: toCapacity(h.Used), Available: toCapacity(h.Available),
		CpuOverCommitRatio: h.CPURatio, MemoryOverCommitRatio: h.MemoryRatio,
		StoragePools: mapped(h.StoragePools, func(p inventory.StoragePool) *lxdprovisionerv1.StoragePool {
			return &lxdprovisionerv1.StoragePool{
				Name: p.Name, Driver: p.Driver, TotalGb: p.TotalBytes / inventory.BytesPerGB,
				AvailableGb: h.PoolsAvailable[p.Name] / inventory.BytesPerGB, Default: p.Default,
			}
		}),
		Architectures: h.Architectures, LxdVersion: h.LXDVersion, Project: optional(h.Project), Bridges: h.Bridges,
	}
	if h.Unusable != nil {
		host.Unusable = toRejection(*h.Unusable)
	}
	return host
}

func toSnapshot(s inventory.Snapshot) *lxdprovisionerv1.SnapshotInfo {
	return &lxdprovisionerv1.SnapshotInfo{ReadAt: toTime(s.ReadAt), Hosts: toInt32(len(s.Hosts))}
}

// maxListed is how many candidates and how many rejections an answer lists. Clients take 4 MiB by
// default, and a status travels in the trailer, which they bound too; summaries count all hosts
// whatever their number.
const maxListed = 1000

func firstListed(rejections []placement.Rejection) []placement.Rejection {
	return rejections[:min(len(rejections), maxListed)]
}

func toSelection(s provision.Selection) *lxdprovisionerv1.SelectHostResponse {
	return &lxdprovisionerv1.SelectHostResponse{
		Chosen: toCandidate(s.Chosen), Candidates: mapped(s.Best(maxListed), toCandidate),
		Rejections: mapped(s.FirstRejections(maxListed), toRejection),
		Summary:    s.Summary, Snapshot: toSnapshot(s.Snapshot),
	}
}

func toCandidate(c placement.Candidate) *lxdprovisionerv1.Candidate {
	return &lxdprovisionerv1.Candidate{
		HostId: string(c.HostID), HostName: c.HostName, Zone: c.Zone, ResourcePool: c.Pool, Score: c.Score,
		Terms: mapped(c.Terms, func(t placement.ScoreTerm) *lxdprovisionerv1.ScoreTerm {
			return &lxdprovisionerv1.ScoreTerm{Name: t.Name, Value: t.Value}
		}),
	}
}

// rejectionPrefix is what the contract's enum puts before the word.
const rejectionPrefix = "REJECTION_REASON_"

func toRejection(r placement.Rejection) *lxdprovisionerv1.Rejection {
	return &lxdprovisionerv1.Rejection{
		HostId: string(r.HostID), HostName: r.HostName, Zone: r.Zone, Message: r.Message,
		Reason: lxdprovisionerv1.RejectionReason(lxdprovisionerv1.RejectionReason_value[rejectionPrefix+string(r.Reason)]),
	}
}

func toPlan(p provision.PlanResult) *lxdprovisionerv1.DistributeAcrossZonesResponse {
	return &lxdprovisionerv1.DistributeAcrossZonesResponse{
		Vms: mapped(p.VMs, func(vm placement.PlannedVM) *lxdprovisionerv1.PlannedVM {
			return &lxdprovisionerv1.PlannedVM{Index: toInt32(vm.Index), HostId: string(vm.HostID), HostName: vm.HostName, Zone: vm.Zone}
		}),
		Zones: mapped(p.Zones, func(z placement.ZoneShare) *lxdprovisionerv1.ZoneShare {
			return &lxdprovisionerv1.ZoneShare{
				Zone: z.Zone, Existing: toInt32(z.Existing), Planned: toInt32(z.Planned), Explanation: z.Explanation,
			}
		}),
		Even: p.Even, Summary: p.Summary, Rejections: mapped(firstListed(p.Rejections), toRejection), Snapshot: toSnapshot(p.Snapshot),
	}
}

func toRegion(r provision.Region) *lxdprovisionerv1.GetRegionResponse {
	response := &lxdprovisionerv1.GetRegionResponse{MaasVersion: r.MAASVersion, User: r.User, Admin: r.Admin}
	for _, c := range []struct {
		has        bool
		capability lxdprovisionerv1.Capability
	}{
		{r.LXDVMs, lxdprovisionerv1.Capability_CAPABILITY_LXD_VMS},
		{r.BareMetal, lxdprovisionerv1.Capability_CAPABILITY_BARE_METAL},
		{r.DNS, lxdprovisionerv1.Capability_CAPABILITY_DNS},
	} {
		if c.has {
			response.Capabilities = append(response.Capabilities, c.capability)
		}
	}
	if r.Problem != nil {
		response.Problem, response.ProblemReason = r.Problem.Error(), string(fault.ReasonOf(r.Problem))
	}
	return response
}
