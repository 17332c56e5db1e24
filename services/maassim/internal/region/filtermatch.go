package region

import (
	"slices"
	"strconv"
	"strings"
)

func bySystemID(m *machine, v []string) bool { return slices.Contains(v, m.systemID) }
func byHostname(m *machine, v []string) bool { return slices.Contains(v, m.hostname) }
func byDomain(m *machine, v []string) bool   { return slices.Contains(v, m.domain.name) }
func byAgent(m *machine, v []string) bool    { return slices.Contains(v, m.agent) }
func byZone(m *machine, v []string) bool     { return slices.Contains(v, m.zone.name) }
func byPool(m *machine, v []string) bool     { return slices.Contains(v, m.pool.name) }
func byPower(m *machine, v []string) bool    { return slices.Contains(v, m.powerState()) }

// byOwner never matches a machine without an owner, so that not_owner returns it (recording 434).
func byOwner(m *machine, v []string) bool { return m.owner != nil && slices.Contains(v, m.owner.Name) }

func byMAC(m *machine, v []string) bool {
	return slices.ContainsFunc(m.interfaces, func(i *iface) bool { return slices.Contains(v, i.mac) })
}

func byStatus(m *machine, v []string) bool { return slices.Contains(v, statusNames[m.status].filter) }

// byTags wants every tag, byAnyTag one of them.
func byTags(m *machine, v []string) bool {
	return !slices.ContainsFunc(v, func(t string) bool { return !m.hasTag(t) })
}
func byAnyTag(m *machine, v []string) bool { return slices.ContainsFunc(v, m.hasTag) }

func byArch(m *machine, v []string) bool {
	return slices.ContainsFunc(v, func(a string) bool { return a == m.arch || strings.HasPrefix(m.arch, a+"/") })
}

// bySpeed and those below want at least the least of the numbers given.
func bySpeed(m *machine, v []string) bool  { return float64(m.speed()) >= number(v) }
func byCores(m *machine, v []string) bool  { return float64(m.cores) >= number(v) }
func byMemory(m *machine, v []string) bool { return float64(m.memory) >= number(v) }

func byHost(m *machine, v []string) bool {
	return m.host != nil && slices.Contains(v, m.host.name)
}

func byHostType(m *machine, v []string) bool { return m.host != nil && slices.Contains(v, m.host.kind) }

func bySubnet(m *machine, v []string) bool {
	return slices.ContainsFunc(m.links(), func(l *link) bool {
		return l.subnet != nil && slices.ContainsFunc(v, func(spec string) bool { return subnetMatches(l.subnet, spec) })
	})
}

func byFabric(m *machine, v []string) bool {
	return slices.ContainsFunc(m.interfaces, func(i *iface) bool {
		return i.vlan != nil && slices.ContainsFunc(v, func(spec string) bool { return matchSpec(spec, i.vlan.FabricID, i.vlan.FabricName) })
	})
}

// byEverySubnet wants a link on each subnet.
func byEverySubnet(m *machine, v []string) bool {
	return !slices.ContainsFunc(v, func(spec string) bool { return !bySubnet(m, []string{spec}) })
}

func byVLAN(m *machine, v []string) bool {
	return slices.ContainsFunc(m.interfaces, func(i *iface) bool {
		return i.vlan != nil && slices.ContainsFunc(v, func(spec string) bool { return vlanMatches(i.vlan, spec) })
	})
}

func byNothing(*machine, []string) bool { return false }

// byLinkSpeed: the links of the simulator tell no speed, which MAAS takes for 0.
func byLinkSpeed(m *machine, v []string) bool { return len(m.interfaces) > 0 && number(v) <= 0 }

// byTarget tells what is deployed in memory from what is deployed on a disk.
func byTarget(m *machine, v []string) bool {
	return slices.Contains(v, map[bool]string{true: "memory", false: "disk"}[m.ephemeral])
}

// byStorage wants the boot disk for the first group and another disk for each of the others, large enough and with its tags.
func byStorage(m *machine, v []string) bool {
	wishes, err := parseStorage(v[len(v)-1])
	if err != nil {
		return false
	}
	taken := make(map[int]bool)
	for n, wish := range wishes {
		at := slices.IndexFunc(m.disks, func(d disk) bool { return !taken[d.id] && d.size >= wish.size && containsAll(d.tags, wish.tags) })
		if at < 0 || n == 0 && at > 0 {
			return false
		}
		taken[m.disks[at].id] = true
	}
	return true
}

// byInterfaces wants an interface for each label.
func byInterfaces(m *machine, v []string) bool {
	constraints, err := parseInterfaces(v[len(v)-1])
	if err != nil {
		return false
	}
	for _, c := range constraints {
		if !slices.ContainsFunc(m.interfaces, func(i *iface) bool { return parentMatches(i, c) }) {
			return false
		}
	}
	return true
}

// number is the least of the numbers given.
func number(v []string) float64 {
	least := 0.0
	for at, text := range v {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0
		}
		if at == 0 || n < least {
			least = n
		}
	}
	return least
}
