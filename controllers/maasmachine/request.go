package maasmachine

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/annotations"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// zoneOf is the zone that the machine must be in: the Machine's failure domain, else the spec's own; empty for any.
func zoneOf(owner *clusterv1.Machine, spec *infrav1.MaasMachineSpec) string {
	if owner != nil && owner.Spec.FailureDomain != "" {
		return owner.Spec.FailureDomain
	}
	return ptr.Deref(spec.FailureDomain, "")
}

// optional is the pointer that proto wants for a value that may be unset.
func optional(value string) *string {
	if value == "" {
		return nil
	}
	return &value
}

// resourcesOf is the VM's size.
func resourcesOf(spec *infrav1.MaasMachineSpec) *lxdprovisionerv1.VMResources {
	shape := spec.Shape()
	return &lxdprovisionerv1.VMResources{
		Cores:     shape.Cores,
		MemoryMib: int64(shape.MemoryMiB),
		Disks:     []*lxdprovisionerv1.Disk{{SizeGb: int64(shape.DiskGB), StoragePool: optional(spec.StoragePool())}},
	}
}

// placementOf says which hosts may take the VM.
func placementOf(spec *infrav1.MaasMachineSpec, zone string) *lxdprovisionerv1.Placement {
	config := ptr.Deref(spec.LXDConfig, infrav1.LXDConfig{})
	selection := ptr.Deref(config.HostSelection, infrav1.LXDHostSelection{})
	p := &lxdprovisionerv1.Placement{
		Zone:           optional(zone),
		ResourcePools:  spec.HostPools(),
		Tags:           spec.HostTags(),
		PreferredHosts: selection.PreferredHosts,
		Project:        optional(config.Project),
		Profile:        optional(config.Profile),
		Policy:         policies[config.PlacementPolicy],
	}
	if zone == "" {
		p.Zones = selection.AvailabilityZones
	}
	if config.VMHost != "" {
		p.AllowedHosts = []string{config.VMHost}
	}
	return p
}

var policies = map[infrav1.PlacementPolicy]lxdprovisionerv1.PlacementPolicy{
	infrav1.PlacementBalanced: lxdprovisionerv1.PlacementPolicy_PLACEMENT_POLICY_BALANCED,
	infrav1.PlacementPack:     lxdprovisionerv1.PlacementPolicy_PLACEMENT_POLICY_PACK,
	infrav1.PlacementSpread:   lxdprovisionerv1.PlacementPolicy_PLACEMENT_POLICY_SPREAD,
}

var families = map[infrav1.AddressFamily]lxdprovisionerv1.AddressFamily{
	infrav1.IPv4: lxdprovisionerv1.AddressFamily_ADDRESS_FAMILY_IPV4,
	infrav1.IPv6: lxdprovisionerv1.AddressFamily_ADDRESS_FAMILY_IPV6,
}

// antiAffinityOf says how firmly the VM keeps away from those of its group.
func antiAffinityOf(spec *infrav1.MaasMachineSpec) lxdprovisionerv1.AntiAffinity {
	if spec.LXDConfig != nil && spec.LXDConfig.AntiAffinity == infrav1.AntiAffinityRequired {
		return lxdprovisionerv1.AntiAffinity_ANTI_AFFINITY_REQUIRED
	}
	return lxdprovisionerv1.AntiAffinity_ANTI_AFFINITY_PREFERRED
}

// networkOf is the VM's network: one NIC on the bridge, one more on each further device or subnet, and the fixed address.
// It is nil where nothing is asked for, so that MAAS chooses.
func networkOf(spec *infrav1.MaasMachineSpec, preferredSubnets []string) (*lxdprovisionerv1.VMNetwork, error) {
	wanted := spec.Network()
	network := &lxdprovisionerv1.VMNetwork{PreferredSubnets: preferredSubnets, Interfaces: interfacesOf(spec)}
	for _, family := range wanted.AddressFamilies {
		network.Families = append(network.Families, families[family])
	}
	if fixed := wanted.StaticIPConfig; fixed != nil {
		prefix, err := fixed.Prefix()
		if err != nil {
			return nil, err
		}
		subnet := ""
		if prefix.IsValid() {
			subnet = prefix.String()
		}
		network.StaticIp = &lxdprovisionerv1.StaticIP{
			Address: fixed.IPAddress, Subnet: optional(subnet), Gateway: optional(fixed.Gateway),
			DnsServers: fixed.DNSServers, Interface: optional(fixed.Interface),
		}
	}
	if len(network.GetInterfaces())+len(network.GetPreferredSubnets())+len(network.GetFamilies()) == 0 && network.GetStaticIp() == nil {
		return nil, nil //nolint:nilnil // no network asked for is no message, and no error
	}
	return network, nil
}

// interfacesOf lists the NICs, the first being the one that boots the VM; none where nothing is asked for.
func interfacesOf(spec *infrav1.MaasMachineSpec) []*lxdprovisionerv1.VMInterface {
	wanted := spec.Interfaces()
	all := make([]*lxdprovisionerv1.VMInterface, 0, len(wanted))
	for _, nic := range wanted {
		all = append(all, &lxdprovisionerv1.VMInterface{Bridge: optional(nic.Bridge), Subnet: optional(nic.Subnet)})
	}
	return all
}

// unsupported names what the spec asks for and no MAAS can do; empty where there is nothing.
func unsupported(spec *infrav1.MaasMachineSpec) string {
	if wanted := spec.Network(); wanted.MACAddress != "" {
		return "a MAC address was asked for, but MAAS gives VMs addresses of its own: leave macAddress out"
	}
	return ""
}

// constraintsOf says which physical machines match.
func constraintsOf(spec *infrav1.MaasMachineSpec, zone string) *lxdprovisionerv1.MachineConstraints {
	c := &lxdprovisionerv1.MachineConstraints{
		Zone: optional(zone), ResourcePool: optional(ptr.Deref(spec.ResourcePool, "")), Tags: spec.Tags,
	}
	if cores := ptr.Deref(spec.MinCPU, 0); cores > 0 {
		c.MinCores = &cores
	}
	if memory := int64(ptr.Deref(spec.MinMemory, 0)); memory > 0 {
		c.MinMemoryMib = &memory
	}
	return c
}

func imageOf(spec *infrav1.MaasMachineSpec) *lxdprovisionerv1.Image {
	system, series := spec.ImageParts()
	return &lxdprovisionerv1.Image{Os: system, Series: series}
}

// metalDeploymentOf says what is deployed on a physical machine, and how.
func metalDeploymentOf(spec *infrav1.MaasMachineSpec) *lxdprovisionerv1.DeployMachineRequest {
	return &lxdprovisionerv1.DeployMachineRequest{Image: imageOf(spec), InMemory: spec.DeployInMemory, KeepSwap: spec.KeepSwap}
}

// ownerOf says for whom something is made. The cluster's id is taken from the machine where it stands there already: it
// outlives the MaasCluster.
func ownerOf(s *scope) *lxdprovisionerv1.Owner {
	owner := &lxdprovisionerv1.Owner{
		Namespace: s.machine.Namespace, Machine: s.machine.Name, MachineUid: string(s.machine.UID),
		ClusterId: clusterIDOf(s), Cluster: s.machine.Labels[clusterv1.ClusterNameLabel], SpecDigest: digestOf(&s.machine.Spec),
	}
	if s.infra != nil {
		owner.Cluster = s.infra.Name
	}
	return owner
}

func clusterIDOf(s *scope) string {
	if s.record != nil {
		if id := s.record.object.Annotations[infrav1.ClusterIDAnnotation]; id != "" {
			return id
		}
	}
	if id := s.machine.Annotations[infrav1.ClusterIDAnnotation]; id != "" || s.infra == nil {
		return id
	}
	if annotations.IsExternallyManaged(s.infra) {
		// Nobody of ours writes to such a MaasCluster, so its UID has to do.
		return cmp.Or(s.infra.Annotations[infrav1.ClusterIDAnnotation], string(s.infra.UID))
	}
	return s.infra.Annotations[infrav1.ClusterIDAnnotation]
}

// digestOf is a digest of what the machine is made from. What the controller itself fills in is left out.
func digestOf(spec *infrav1.MaasMachineSpec) string {
	made := spec.DeepCopy()
	made.ProviderID, made.SystemID, made.FailureDomain = nil, nil, nil
	text, err := json.Marshal(made)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
