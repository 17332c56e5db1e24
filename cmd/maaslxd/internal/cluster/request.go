package cluster

import (
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"k8s.io/utils/ptr"

	"github.com/capmaas/capmaas/api/records"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

var policies = map[infrav1.PlacementPolicy]lxdprovisionerv1.PlacementPolicy{
	infrav1.PlacementBalanced: lxdprovisionerv1.PlacementPolicy_PLACEMENT_POLICY_BALANCED,
	infrav1.PlacementPack:     lxdprovisionerv1.PlacementPolicy_PLACEMENT_POLICY_PACK,
	infrav1.PlacementSpread:   lxdprovisionerv1.PlacementPolicy_PLACEMENT_POLICY_SPREAD,
}

// Replacement is what the manager would ask for a machine that takes the place of m. A zone is demanded where Cluster API
// demands one of the Machine, owner, which may be nil; what stands in the spec of a MaasMachine is where it happens to be.
func (h *Holdings) Replacement(m *infrav1.MaasMachine, owner *clusterv1.Machine) *lxdprovisionerv1.SelectHostRequest {
	spec, shape := &m.Spec, m.Spec.Shape()
	config := ptr.Deref(spec.LXDConfig, infrav1.LXDConfig{})
	selection := ptr.Deref(config.HostSelection, infrav1.LXDHostSelection{})
	request := &lxdprovisionerv1.SelectHostRequest{
		VmName: m.Status.VMName,
		Resources: &lxdprovisionerv1.VMResources{
			Cores: shape.Cores, MemoryMib: int64(shape.MemoryMiB),
			Disks: []*lxdprovisionerv1.Disk{{SizeGb: int64(shape.DiskGB), StoragePool: optional(spec.StoragePool())}},
		},
		Placement: &lxdprovisionerv1.Placement{
			ResourcePools: spec.HostPools(), Tags: spec.HostTags(), PreferredHosts: selection.PreferredHosts,
			Zones: selection.AvailabilityZones, Project: optional(config.Project), Policy: policies[config.PlacementPolicy],
		},
		Group: &lxdprovisionerv1.Group{Key: groupOf(m), Peers: h.peers(m)},
	}
	if owner != nil && owner.Spec.FailureDomain != "" {
		request.Placement.Zone, request.Placement.Zones = &owner.Spec.FailureDomain, nil
	}
	if config.VMHost != "" {
		request.Placement.AllowedHosts = []string{config.VMHost}
	}
	if config.AntiAffinity == infrav1.AntiAffinityRequired {
		request.Group.AntiAffinity = lxdprovisionerv1.AntiAffinity_ANTI_AFFINITY_REQUIRED
	}
	if nics := spec.Interfaces(); len(nics) > 0 {
		request.Network = &lxdprovisionerv1.VMNetwork{}
		for _, nic := range nics {
			request.Network.Interfaces = append(request.Network.Interfaces, &lxdprovisionerv1.VMInterface{Bridge: optional(nic.Bridge), Subnet: optional(nic.Subnet)})
		}
	}
	return request
}

// peers are the VMs of the machine's group on other hosts than its own.
func (h *Holdings) peers(m *infrav1.MaasMachine) []*lxdprovisionerv1.Peer {
	var peers []*lxdprovisionerv1.Peer
	for i := range h.Machines {
		other := &h.Machines[i]
		if other.UID == m.UID || groupOf(other) != groupOf(m) || ptr.Deref(other.Status.LXDHost, "") == ptr.Deref(m.Status.LXDHost, "") {
			continue
		}
		all, err := records.Attempts(other)
		if err != nil {
			continue // ReadHoldings has read them
		}
		for _, a := range all {
			if !a.GivenUp {
				peers = append(peers, &lxdprovisionerv1.Peer{Name: a.Name, HostId: a.HostID, Zone: other.Status.FailureDomain})
			}
		}
	}
	return peers
}

// groupOf is the key of the VMs that keep away from each other: those of a control plane, or of one MachineDeployment.
func groupOf(m *infrav1.MaasMachine) string {
	in := m.Namespace + "/" + m.Labels[clusterv1.ClusterNameLabel] + "/"
	if _, ok := m.Labels[clusterv1.MachineControlPlaneLabel]; ok {
		return in + "control-plane"
	}
	for _, label := range []string{clusterv1.MachineDeploymentNameLabel, clusterv1.MachineSetNameLabel} {
		if name := m.Labels[label]; name != "" {
			return in + name
		}
	}
	return in + "workers"
}

func optional(value string) *string {
	if value == "" {
		return nil
	}
	return &value
}
