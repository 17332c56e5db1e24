package region

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/network"
)

// rackID is the system id of the one rack controller.
const rackID = "qbfxcp"

// hostTag is a tag that MAAS gives to every VM host.
const hostTag = "pod-console-logging"

// seed fills the region from its configuration.
func (r *Region) seed() error {
	if err := r.parseVersion(); err != nil {
		return err
	}
	r.zones = []*zone{{id: 1, name: "default"}}
	r.pools = []*pool{{id: 0, name: "default", description: "Default pool"}}
	r.domains = []*domain{{id: 0, name: "maas"}}
	r.seedNames()
	for _, s := range r.cfg.Subnets {
		if err := r.addSubnet(s); err != nil {
			return err
		}
	}
	for _, h := range r.cfg.Hosts {
		if err := r.addHost(h); err != nil {
			return err
		}
		r.settleTables()
	}
	for _, m := range r.cfg.Metal {
		if err := r.addMetal(m); err != nil {
			return err
		}
		r.settleTables()
	}
	return nil
}

// seedNames makes what has no more than a name: zones, pools, domains, tags, images.
func (r *Region) seedNames() {
	for _, z := range r.cfg.Zones {
		if r.zoneNamed(z.Name) == nil {
			r.zones = append(r.zones, &zone{id: len(r.zones) + 1, name: z.Name, description: z.Description})
		}
	}
	for _, p := range r.cfg.Pools {
		if r.poolNamed(p.Name) == nil {
			r.pools = append(r.pools, &pool{id: len(r.pools), name: p.Name, description: p.Description})
		}
	}
	for _, d := range r.cfg.Domains {
		if r.domainNamed(d.Name) == nil {
			r.domains = append(r.domains, &domain{id: len(r.domains), name: d.Name})
		}
	}
	for _, name := range r.cfg.Tags {
		r.ensureTag(name)
	}
	for _, i := range r.cfg.Images {
		r.addImage(i)
	}
}

// newestMinor is n of the newest MAAS 3.n whose behaviour is known; of the one after it only that VM hosts are gone (Config.VMHostsGone).
const newestMinor = 8

func (r *Region) parseVersion() error {
	parts := strings.SplitN(r.cfg.Version, ".", 3)
	if len(parts) < 2 || parts[0] != "3" {
		return fmt.Errorf("MAAS version %q: want 3.x", r.cfg.Version)
	}
	minor, err := strconv.Atoi(parts[1])
	if err != nil || minor < 4 {
		return fmt.Errorf("MAAS version %q: 3.4 is the oldest that is simulated", r.cfg.Version)
	}
	if minor > newestMinor {
		return fmt.Errorf("MAAS version %q: 3.%d is the newest that is simulated", r.cfg.Version, newestMinor)
	}
	r.minor = minor
	return nil
}

func (r *Region) addImage(i Image) {
	r.ids.image++
	if i.Version == "" {
		i.Version = "20261101"
	}
	if i.Architecture == "" {
		i.Architecture = "amd64/ga-22.04"
		if i.Uploaded {
			i.Architecture = "amd64/generic"
		}
	}
	r.images = append(r.images, &image{Image: i, id: r.ids.image})
}

func (r *Region) addSubnet(s Subnet) error {
	cidr, err := netip.ParsePrefix(s.CIDR)
	if err != nil {
		return fmt.Errorf("subnet %s: %w", s.Name, err)
	}
	if s.ID == 0 {
		s.ID = r.ids.subnet + 1
	}
	r.ids.subnet = max(r.ids.subnet, s.ID)
	sub := &network.Subnet{ID: s.ID, Name: s.Name, CIDR: cidr.Masked(), VLAN: r.vlanFor(s), Managed: !s.Unmanaged}
	if sub.Gateway, err = parseOptional(s.Gateway); err != nil {
		return fmt.Errorf("subnet %s: gateway: %w", s.Name, err)
	}
	for _, server := range s.DNS {
		a, err := netip.ParseAddr(server)
		if err != nil {
			return fmt.Errorf("subnet %s: DNS server: %w", s.Name, err)
		}
		sub.DNS = append(sub.DNS, a)
	}
	for _, neighbour := range s.Neighbours {
		a, err := netip.ParseAddr(neighbour)
		if err != nil {
			return fmt.Errorf("subnet %s: neighbour: %w", s.Name, err)
		}
		sub.Neighbours = append(sub.Neighbours, a)
	}
	for _, kind := range []network.Kind{network.Dynamic, network.Reserved} {
		if err := r.addRanges(sub, kind, s); err != nil {
			return fmt.Errorf("subnet %s: range: %w", s.Name, err)
		}
	}
	r.subnets = append(r.subnets, sub)
	slices.SortFunc(r.subnets, func(a, b *network.Subnet) int { return a.ID - b.ID })
	return nil
}

func (r *Region) addRanges(sub *network.Subnet, kind network.Kind, s Subnet) error {
	list := s.Dynamic
	if kind == network.Reserved {
		list = s.ReservedRanges
	}
	for _, x := range list {
		start, err := netip.ParseAddr(x.Start)
		if err != nil {
			return err
		}
		end, err := netip.ParseAddr(x.End)
		if err != nil {
			return err
		}
		r.ids.ranges++
		sub.Ranges = append(sub.Ranges, network.Range{ID: r.ids.ranges, Kind: kind, Start: start, End: end})
	}
	return nil
}

func parseOptional(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	return netip.ParseAddr(text)
}

// vlanFor returns the VLAN that a subnet lies in, made at its first use.
func (r *Region) vlanFor(s Subnet) *network.VLAN {
	fabric := s.Fabric
	if fabric == "" {
		fabric = "fabric-" + s.Name
	}
	fabricID := 0
	for _, v := range r.vlans {
		if v.FabricName == fabric {
			if v.VID == s.VID {
				return v
			}
			fabricID = v.FabricID
		}
	}
	r.ids.vlan++
	if fabricID == 0 {
		fabricID = r.ids.vlan
	}
	v := &network.VLAN{
		ID: r.ids.vlan, VID: s.VID, Name: "untagged", FabricID: fabricID, FabricName: fabric, Space: s.Space, DHCP: !s.NoDHCP,
	}
	if s.VID != 0 {
		v.Name = strconv.Itoa(s.VID)
	}
	if v.Space == "" {
		v.Space = "undefined"
	}
	if v.DHCP {
		v.Rack = rackID
	}
	r.vlans = append(r.vlans, v)
	return v
}

// addHost makes an LXD server and, unless MAAS does not know it, its VM host with its machine.
func (r *Region) addHost(c Host) error {
	c = r.addServer(c)
	if c.Unregistered {
		return r.checkBridges(c)
	}
	h := &vmHost{
		name: c.Name, kind: c.Type, project: c.Project, version: c.LXDVersion, arch: c.Architecture, server: c.Name, address: c.Address,
		zone: r.zoneNamed(orDefault(c.Zone, "default")), pool: r.poolNamed(orDefault(c.Pool, "default")),
		cpuRatio: c.CPUOverCommit, memRatio: c.MemoryOverCommit, physical: [2]int{c.Cores, c.MemoryMiB}, pools: c.StoragePools,
		tags: append([]string{hostTag}, c.Tags...),
	}
	if h.zone == nil || h.pool == nil {
		return fmt.Errorf("host %s: zone %q or pool %q does not exist", c.Name, c.Zone, c.Pool)
	}
	if h.cpuRatio == 0 {
		h.cpuRatio = 1
	}
	if h.memRatio == 0 {
		h.memRatio = 1
	}
	if !c.NotInventoried {
		h.cores, h.memory = c.Cores, c.MemoryMiB
	}
	if !c.NotComposable {
		h.capabilities = slices.Clone(lxdCapabilities)
	}
	for _, name := range c.Tags {
		r.ensureTag(name)
	}
	r.ids.host++
	h.id = r.ids.host
	r.hosts.Add(h)
	if c.Unknown {
		return nil
	}
	return r.addHostMachine(h, c)
}

// addHostMachine makes the machine that a VM host runs on: Deployed, owned by the administrator, in the host's zone.
func (r *Region) addHostMachine(h *vmHost, c Host) error {
	s, ok := parseStatus(orDefault(c.Status, "deployed"))
	if !ok {
		return fmt.Errorf("host %s: unknown status %q", c.Name, c.Status)
	}
	m := r.newMachine(h.name)
	m.status, m.owner = s, r.users[0]
	m.zone, m.pool, m.arch, m.cores, m.memory = h.zone, h.pool, h.arch, c.Cores, c.MemoryMiB
	m.powerType, m.powerOn, m.hostOf, m.tested, m.laidOut = "ipmi", true, h, true, true
	h.machine = m
	return r.addBridges(m, c)
}

// checkBridges finds out before a server becomes a VM host whether its bridges can be made.
func (r *Region) checkBridges(c Host) error {
	for _, b := range c.Bridges {
		if r.subnetNamed(b.Subnet) == nil {
			return fmt.Errorf("host %s: bridge %s: no subnet %q", c.Name, b.Name, b.Subnet)
		}
	}
	return nil
}

// addBridges makes the bridges of a VM host's machine, each over a NIC of its own.
func (r *Region) addBridges(m *machine, c Host) error {
	bridges := c.Bridges
	if len(bridges) == 0 && len(r.subnets) > 0 {
		bridges = []Bridge{{Name: "br0", Subnet: r.subnets[0].Name}}
	}
	for n, b := range bridges {
		sub := r.subnetNamed(b.Subnet)
		if sub == nil {
			return fmt.Errorf("host %s: bridge %s: no subnet %q", c.Name, b.Name, b.Subnet)
		}
		nic := r.newInterface(m, fmt.Sprintf("enp%ds0", n+1), sub.VLAN)
		bridge := r.newInterface(m, b.Name, sub.VLAN)
		bridge.kind, bridge.parents, nic.child = "bridge", []string{nic.name}, bridge.name
		if b.NoAddress {
			continue
		}
		at, err := r.bridgeAddress(b, sub)
		if err != nil {
			return fmt.Errorf("host %s: bridge %s: %w", c.Name, b.Name, err)
		}
		r.hold(r.newLink(bridge, sub, modeStatic), at, allocSticky)
	}
	return nil
}

// bridgeAddress is the address of a host on the subnet of its bridge.
func (r *Region) bridgeAddress(b Bridge, sub *network.Subnet) (netip.Addr, error) {
	if b.Address != "" {
		return netip.ParseAddr(b.Address)
	}
	free, ok := sub.Lowest()
	if !ok {
		return free, fmt.Errorf("subnet %s is full", sub.Name)
	}
	return free, nil
}

func (r *Region) addMetal(c Metal) error {
	s, ok := parseStatus(orDefault(c.Status, "ready"))
	if !ok {
		return fmt.Errorf("machine %s: unknown status %q", c.Name, c.Status)
	}
	m := r.newMachine(c.Name)
	m.zone, m.pool = r.zoneNamed(orDefault(c.Zone, "default")), r.poolNamed(orDefault(c.Pool, "default"))
	if m.zone == nil || m.pool == nil {
		return fmt.Errorf("machine %s: zone %q or pool %q does not exist", c.Name, c.Zone, c.Pool)
	}
	m.status, m.arch, m.cores, m.memory = s, orDefault(c.Architecture, "amd64/generic"), c.Cores, c.MemoryMiB
	m.powerType, m.tested, m.laidOut, m.uefi = "ipmi", !c.Untested, true, true
	for _, name := range c.Tags {
		r.ensureTag(name)
		m.tags = append(m.tags, name)
	}
	r.addMetalDisk(m, int64(c.DiskGB)*1e9)
	m.hardwareUUID = r.ids.uuid()
	if len(r.subnets) == 0 {
		return nil
	}
	sub := r.subnets[0]
	if c.Subnet != "" {
		if sub = r.subnetNamed(c.Subnet); sub == nil {
			return fmt.Errorf("machine %s: no subnet %q", c.Name, c.Subnet)
		}
	}
	r.newLink(r.newInterface(m, "eno1", sub.VLAN), sub, modeAuto)
	return nil
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
