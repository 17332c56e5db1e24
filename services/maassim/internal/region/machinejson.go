package region

import (
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/network"
)

// object is a JSON object of the API.
type object = map[string]any

func (r *Region) zoneJSON(z *zone) object {
	return object{"id": z.id, "name": z.name, "description": z.description, "resource_uri": uri("zones/%s/", z.name)}
}

func (r *Region) poolJSON(p *pool) object {
	return object{"id": p.id, "name": p.name, "description": p.description, "resource_uri": uri("resourcepool/%d/", p.id)}
}

func (r *Region) domainJSON(d *domain) object {
	return object{
		"id": d.id, "name": d.name, "ttl": d.ttl, "authoritative": !d.foreign, "is_default": d.id == 0, "resource_record_count": r.recordCount(d),
		"resource_uri": uri("domains/%d/", d.id),
	}
}

// machineJSON renders a machine with the fields of MAAS's DISPLAYED_MACHINE_FIELDS (recordings 139, 328).
func (r *Region) machineJSON(m *machine) object {
	o := object{
		"system_id": m.systemID, "hostname": m.hostname, "fqdn": m.fqdn(), "domain": r.domainJSON(m.domain),
		"zone": r.zoneJSON(m.zone), "pool": r.poolJSON(m.pool), "status": int(m.status), "status_name": m.status.String(),
		"status_message": m.message, "status_action": statusAction(m), "owner": orNull(m.ownerName()), "locked": m.locked,
		"description": m.description, "architecture": m.arch, "cpu_count": m.cores, "cpu_speed": m.speed(), "memory": m.memory,
		"storage": megabytes(m.storage()), "swap_size": m.swap, "tag_names": list(m.tags), "node_type": 0, "node_type_name": "Machine",
		"power_type": m.powerType, "power_state": m.powerState(), "netboot": m.netboot, "osystem": m.osystem, "distro_series": m.series,
		"hwe_kernel": orNull(m.kernel), "min_hwe_kernel": m.minKernel, "ephemeral_deploy": m.ephemeral, "disable_ipv4": false,
		"address_ttl": nil, "hardware_uuid": orNull(m.hardwareUUID), "bios_boot_method": nil, "resource_uri": uri("machines/%s/", m.systemID),
		"owner_data": m.annotations, "workload_annotations": m.annotations, "ip_addresses": m.ips(),
		"parent": nil, "pod": nil, "virtualmachine_id": nil, "enable_hw_sync": m.hwSync, "last_sync": nil, "next_sync": nil,
		"sync_interval": nil, "default_gateways": m.gateways(),
	}
	if m.uefi {
		o["bios_boot_method"] = "uefi"
	}
	if m.host != nil {
		o["pod"] = object{"id": m.host.id, "name": m.host.name, "resource_uri": uri("pods/%d/", m.host.id)}
		o["virtualmachine_id"], o["bios_boot_method"] = m.vmID, "uefi"
		p := m.host.machine
		if m.parent != nil && r.machines.Has(m.parent) {
			p = m.parent
		}
		if p != nil && !m.parentless {
			o["parent"] = object{"system_id": p.systemID, "resource_uri": uri("machines/%s/", p.systemID), "__incomplete__": true}
		}
	}
	r.addHardware(o, m)
	r.addResults(o, m)
	r.addVersionFields(o, m)
	return o
}

// addHardware adds interfaces, disks and what else the machine is made of.
func (r *Region) addHardware(o object, m *machine) {
	interfaces := []object{}
	for _, i := range m.interfaces {
		interfaces = append(interfaces, r.ifaceJSON(i))
	}
	o["interface_set"], o["boot_interface"] = interfaces, nil
	if len(interfaces) > 0 {
		o["boot_interface"] = interfaces[0]
	}
	disks := []object{}
	for i := range m.disks {
		disks = append(disks, m.diskJSON(i))
	}
	o["blockdevice_set"], o["physicalblockdevice_set"], o["boot_disk"] = disks, disks, nil
	if len(disks) > 0 {
		o["boot_disk"] = disks[0]
	}
	for _, empty := range []string{"virtualblockdevice_set", "volume_groups", "raids", "bcaches", "cache_sets", "special_filesystems"} {
		o[empty] = []object{}
	}
	cores := make([]int, m.cores)
	for i := range cores {
		cores[i] = i
	}
	o["numanode_set"] = []object{{"index": 0, "memory": m.memory, "cores": cores, "hugepages_set": []object{}}}
	o["hardware_info"] = unknownHardware
}

// unknownHardware is the hardware_info of every machine. Nobody writes to it.
var unknownHardware = func() object {
	hardware := object{}
	for _, name := range []string{
		"system_vendor", "system_product", "system_family", "system_version", "system_sku", "system_serial", "cpu_model",
		"mainboard_vendor", "mainboard_product", "mainboard_serial", "mainboard_version", "mainboard_firmware_vendor",
		"mainboard_firmware_date", "mainboard_firmware_version", "chassis_vendor", "chassis_type", "chassis_serial", "chassis_version",
	} {
		hardware[name] = "Unknown"
	}
	return hardware
}()

// addResults adds the results of scripts, which are not simulated one by one: they are pending until a commissioning has passed.
func (r *Region) addResults(o object, m *machine) {
	for _, kind := range []string{"commissioning", "testing", "cpu_test", "memory_test", "storage_test", "network_test", "interface_test", "other_test"} {
		o[kind+"_status"], o[kind+"_status_name"] = -1, "Unknown"
	}
	results := map[string]int{
		"commissioning": m.scripts.commissioning, "testing": m.scripts.testing, "storage_test": m.scripts.testing,
	}
	for kind, set := range results {
		switch {
		case m.hostOf != nil && m.dynamic: // its set is empty (recording 048)
		case m.tested && (set > 0 || kind == "commissioning"):
			o[kind+"_status"], o[kind+"_status_name"] = 2, "Passed"
		case set > 0 && m.scripts.testing > 0: // a VM host's machine has a set without results
			o[kind+"_status"], o[kind+"_status_name"] = 0, "Pending"
		}
	}
	results["installation"] = m.scripts.installation
	for _, kind := range []string{"commissioning", "installation", "testing"} {
		o["current_"+kind+"_result_id"] = nil
		if results[kind] > 0 {
			o["current_"+kind+"_result_id"] = results[kind]
		}
	}
}

// usualSpeed is the speed of a processor in MHz where nothing else was asked for.
const usualSpeed = 2600

// speed returns the speed of a machine's processor in MHz; one without processors has none.
func (m *machine) speed() int {
	switch {
	case m.cpuSpeed > 0:
		return m.cpuSpeed
	case m.cores == 0:
		return 0
	}
	return usualSpeed
}

// addVersionFields adds what later versions of MAAS added.
func (r *Region) addVersionFields(o object, m *machine) {
	if r.minor >= 5 {
		o["error_description"] = m.errorText
	}
	if r.minor >= 6 {
		o["enable_kernel_crash_dump"] = m.crashDump
	}
	if r.minor >= 7 {
		o["is_dpu"] = false
	}
}

func (m *machine) powerState() string {
	switch {
	case m.powerUnknown:
		return "unknown"
	case m.powerOn:
		return "on"
	default:
		return "off"
	}
}

// ips returns the machine's addresses as its links hold them.
func (m *machine) ips() []string {
	ips := []string{}
	for _, l := range m.links() {
		if l.address != nil {
			ips = append(ips, l.address.ip.String())
		}
	}
	return ips
}

// gateways renders the default gateways: those of the links that were told to be it, else those of the first subnets that have one.
func (m *machine) gateways() object {
	v4, v6 := object{"gateway_ip": nil, "link_id": nil}, object{"gateway_ip": nil, "link_id": nil}
	for _, chosen := range []bool{true, false} {
		for _, l := range m.links() {
			if l.subnet == nil || !l.subnet.Gateway.IsValid() || l.gateway != chosen {
				continue
			}
			family := v4
			if l.subnet.Gateway.Is6() {
				family = v6
			}
			if family["gateway_ip"] != nil {
				continue
			}
			family["gateway_ip"] = l.subnet.Gateway.String()
			if chosen {
				family["link_id"] = l.id
			}
		}
	}
	return object{"ipv4": v4, "ipv6": v6}
}

func (r *Region) ifaceJSON(i *iface) object {
	links := []object{}
	for _, l := range slices.SortedStableFunc(slices.Values(i.links), addressedFirst) {
		links = append(links, r.linkJSON(l))
	}
	children := []string{}
	if i.child != "" {
		children = append(children, i.child)
	}
	var numaNode any
	if i.kind == kindPhysical {
		numaNode = 0
	}
	return object{
		"id": i.id, "name": i.name, "type": i.kind, "mac_address": i.mac, "system_id": i.machine.systemID, "enabled": true,
		"link_connected": true, "link_speed": 0, "interface_speed": 0, "vlan": vlanJSON(i.vlan), "links": links, "discovered": nil,
		"parents": list(i.parents), "children": children, "tags": []string{}, "params": object{}, "effective_mtu": 1500, "numa_node": numaNode,
		"vendor": nil, "product": nil, "firmware_version": nil, "sriov_max_vf": 0,
		"resource_uri": uri("nodes/%s/interfaces/%d/", i.machine.systemID, i.id),
	}
}

// addressedFirst puts the STATIC links before the others (recording 358).
func addressedFirst(a, b *link) int {
	rank := func(l *link) int {
		if l.mode == modeStatic {
			return 0
		}
		return 1
	}
	return rank(a) - rank(b)
}

func (r *Region) linkJSON(l *link) object {
	o := object{"id": l.id, "mode": l.mode}
	if l.subnet != nil {
		o["subnet"] = subnetJSON(l.subnet)
	}
	if l.address != nil {
		o["ip_address"] = l.address.ip.String()
	}
	return o
}

func vlanJSON(v *network.VLAN) any {
	if v == nil {
		return nil
	}
	return object{
		"id": v.ID, "vid": v.VID, "name": v.Name, "mtu": 1500, "dhcp_on": v.DHCP, "external_dhcp": nil, "relay_vlan": nil,
		"fabric": v.FabricName, "fabric_id": v.FabricID, "primary_rack": orNull(v.Rack), "secondary_rack": nil, "space": v.Space,
		"resource_uri": uri("vlans/%d/", v.ID),
	}
}

func subnetJSON(s *network.Subnet) object {
	o := object{
		"id": s.ID, "name": s.Name, "description": "", "vlan": vlanJSON(s.VLAN), "cidr": s.CIDR.String(), "rdns_mode": 2,
		"gateway_ip": nil, "dns_servers": []string{}, "allow_dns": true, "allow_proxy": true, "active_discovery": false,
		"managed": s.Managed, "disabled_boot_architectures": []string{}, "space": s.VLAN.Space, "resource_uri": uri("subnets/%d/", s.ID),
	}
	if s.Gateway.IsValid() {
		o["gateway_ip"] = s.Gateway.String()
	}
	servers := []string{}
	for _, a := range s.DNS {
		servers = append(servers, a.String())
	}
	o["dns_servers"] = servers
	return o
}

func megabytes(bytes int64) float64 { return float64(bytes) / 1e6 }

// orNull is null for the empty string.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// statusAction is what the last event of a machine did: nothing, mostly (recording 570).
func statusAction(m *machine) any {
	switch {
	case m.message == nil:
		return nil
	case strings.HasPrefix(*m.message, failedEvent):
		return "mark_failed"
	}
	return ""
}

// list is never null.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
