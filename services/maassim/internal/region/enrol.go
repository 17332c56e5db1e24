package region

import (
	"net/http"
	"regexp"

	"github.com/capmaas/capmaas/services/maassim/internal/lxd"
	"github.com/capmaas/capmaas/services/maassim/internal/network"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

var validTag = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// enrol writes the rows of a VM that LXD has made.
func (r *Region) enrol(h *vmHost, spec vmSpec, inst lxd.Instance, q *rest.Request) (*machine, error) {
	if !r.hosts.Has(h) {
		return nil, rest.NotFound("Pod")
	}
	if r.machineNamed(spec.hostname) != nil {
		return nil, rest.Invalid("hostname", `Node with hostname "%s" already exists`, spec.hostname)
	}
	for _, name := range h.tags {
		if !validTag.MatchString(name) {
			return nil, raised("name", "Enter a valid value.")
		}
	}
	for _, n := range spec.nics {
		for _, ip := range n.ips {
			if r.taken(ip) {
				return nil, rest.Text(http.StatusNotFound, "The IP address %s is already in use.", ip)
			}
		}
	}
	m := r.enrolRow(h, spec.hostname, inst)
	m.zone, m.pool, m.domain, m.arch, m.dynamic = spec.zone, spec.pool, spec.domain, spec.arch, spec.dynamic
	m.pinned, m.hugepages, m.cpuSpeed = spec.pinned, spec.hugepages, spec.cpuSpeed
	for at, n := range spec.nics {
		r.enrolNIC(m, n, inst.NICs[at].MAC, spec.skipCommission || spec.configured)
	}
	for at := range m.disks {
		m.disks[at].tags = spec.disks[at].tags
	}
	if spec.skipCommission {
		m.laidOut = true
		m.set(statusReady)
		return m, nil
	}
	m.skipNetwork = spec.configured
	if err := r.startCommissioning(m, q.User, q.Faults); err != nil {
		return nil, err // the machine and its VM stay, and the caller learns no system id
	}
	return m, nil
}

// enrolRow makes the machine of an instance with what MAAS learns from LXD alone.
func (r *Region) enrolRow(h *vmHost, hostname string, inst lxd.Instance) *machine {
	if badHostname(hostname) != "" || r.machineNamed(hostname) != nil {
		hostname = r.freeName()
	}
	m := r.newMachine(hostname)
	r.ids.vm++
	m.host, m.vmID, m.instance, m.powerType, m.arch = h, r.ids.vm, inst.Name, h.kind, h.arch
	m.zone, m.pool, m.cores, m.memory, m.powerOn = h.zone, h.pool, inst.Cores, inst.MemoryMiB, inst.Running
	for _, d := range inst.Disks {
		r.addDisk(m, d.Size, d.Pool)
	}
	for _, name := range h.tags {
		r.ensureTag(name)
		m.tags = append(m.tags, name)
	}
	return m
}

// enrolNIC makes an interface, or moves it here from the machine that has its MAC address, whose addresses on it are freed (recordings
// 608-610). Its link is there at once when the VM is not commissioned, or when commissioning keeps the network that was asked for;
// otherwise commissioning makes it (recordings 305, 312, 325).
func (r *Region) enrolNIC(m *machine, n nicWish, mac string, linked bool) {
	vlan := r.guessVLAN()
	if n.bridge != nil {
		vlan = n.bridge.vlan
	}
	i := r.takeNIC(m, n.name, mac)
	i.vlan = vlan
	sub := n.subnet
	if sub == nil && vlan != nil {
		sub = r.firstSubnet(vlan)
	}
	switch {
	case len(n.ips) > 0:
		for _, ip := range n.ips {
			l := r.newLink(i, r.subnetFor(ip), modeAuto)
			r.hold(l, ip, allocAuto)
			if l.subnet != nil {
				i.vlan = l.subnet.VLAN
			}
		}
	case sub == nil:
	case n.unconfigured:
		r.newLink(i, sub, modeLinkUp)
	case linked:
		r.newLink(i, sub, modeAuto)
	}
}

// takeNIC makes the interface of a MAC address, or takes it away from the machine that has it.
func (r *Region) takeNIC(m *machine, name, mac string) *iface {
	other, ok := r.machines.byMAC.First(mac)
	if !ok {
		i := r.newInterface(m, name, nil)
		i.mac = mac
		return i
	}
	r.change(other)
	for at, i := range other.interfaces {
		if i.mac != mac {
			continue
		}
		for len(i.links) > 0 {
			r.removeLink(i.links[0])
		}
		other.interfaces = append(other.interfaces[:at:at], other.interfaces[at+1:]...)
		i.machine, i.name = m, name
		m.interfaces = append(m.interfaces, i)
		return i
	}
	return r.newInterface(m, name, nil)
}

// guessVLAN is where MAAS believes a NIC to be whose bridge it does not know: the first VLAN with DHCP.
func (r *Region) guessVLAN() *network.VLAN {
	for _, v := range r.vlans {
		if v.DHCP {
			return v
		}
	}
	return nil
}
