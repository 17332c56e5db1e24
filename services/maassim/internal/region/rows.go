package region

import (
	"fmt"
	"strconv"

	"github.com/capmaas/capmaas/services/maassim/internal/network"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// newMachine makes a machine's row; the hostname must be free.
func (r *Region) newMachine(hostname string) *machine {
	r.ids.machine++
	m := &machine{
		id: r.ids.machine, systemID: r.ids.systemID(), hostname: hostname, domain: r.domains[0], zone: r.zones[0], pool: r.pools[0],
		annotations: map[string]string{}, netboot: true, revisions: &r.revision, rows: r.machines.Table,
	}
	m.written()
	m.born = m.rev
	r.machines.Add(m)
	return m
}

func (r *Region) newInterface(m *machine, name string, vlan *network.VLAN) *iface {
	r.ids.iface++
	i := &iface{id: r.ids.iface, machine: m, name: name, kind: kindPhysical, mac: r.ids.mac(), vlan: vlan}
	m.interfaces = append(m.interfaces, i)
	return i
}

func (r *Region) newLink(i *iface, sub *network.Subnet, mode string) *link {
	r.ids.link++
	l := &link{id: r.ids.link, iface: i, mode: mode, subnet: sub}
	i.links = append(i.links, l)
	return l
}

// addDisk gives a VM another disk, on a storage pool of its host.
func (r *Region) addDisk(m *machine, size int64, storagePool string) {
	serial := "lxd_root"
	if n := len(m.disks); n > 0 {
		serial = "lxd_disk" + strconv.Itoa(n)
	}
	r.plugIn(m, disk{pool: storagePool, size: size, hardware: hardware{
		model: "QEMU HARDDISK", serial: serial, link: "scsi-0QEMU_QEMU_HARDDISK_" + serial,
	}})
}

// addMetalDisk gives a bare-metal machine another disk.
func (r *Region) addMetalDisk(m *machine, size int64) {
	serial := fmt.Sprintf("SIM%08d", r.ids.disk+1)
	r.plugIn(m, disk{size: size, hardware: hardware{
		model: "SimDisk 2000", serial: serial, link: "ata-SimDisk_2000_" + serial, firmware: "1.0",
	}})
}

func (r *Region) plugIn(m *machine, d disk) {
	r.ids.disk++
	d.id, d.name = r.ids.disk, "sd"+string("abcdefghijklmnopqrstuvwxyz"[len(m.disks)%26])
	for i := range d.uuids {
		d.uuids[i] = r.ids.uuid()
	}
	m.disks = append(m.disks, d)
}

func (r *Region) zoneNamed(name string) *zone {
	for _, z := range r.zones {
		if z.name == name {
			return z
		}
	}
	return nil
}

func (r *Region) poolNamed(name string) *pool {
	for _, p := range r.pools {
		if p.name == name {
			return p
		}
	}
	return nil
}

func (r *Region) domainNamed(name string) *domain {
	for _, d := range r.domains {
		if d.name == name {
			return d
		}
	}
	return nil
}

func (r *Region) subnetNamed(name string) *network.Subnet {
	for _, s := range r.subnets {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// firstSubnet returns the subnet of a VLAN with the lowest id, on which MAAS makes the first AUTO link.
func (r *Region) firstSubnet(v *network.VLAN) *network.Subnet {
	for _, s := range r.subnets {
		if s.VLAN == v && s.Managed {
			return s
		}
	}
	return nil
}

func (r *Region) tagNamed(name string) *tag {
	for _, t := range r.tags {
		if t.name == name {
			return t
		}
	}
	return nil
}

func (r *Region) ensureTag(name string) {
	if r.tagNamed(name) == nil {
		r.tags = append(r.tags, &tag{name: name})
	}
}

func (r *Region) userNamed(name string) *rest.User {
	for _, u := range r.users {
		if u.Name == name {
			return u
		}
	}
	return nil
}

// machineOf finds the machine of a request's path. A machine that the user may not see is a 403.
func (r *Region) machineOf(q *rest.Request) (*machine, error) {
	m := r.machine(q.Path["system_id"])
	if m == nil {
		return nil, rest.NotFound("Machine")
	}
	if !canView(q.User, m) {
		return nil, rest.Forbidden()
	}
	return m, nil
}

// canView: everybody sees the machines without an owner and their own, administrators all.
func canView(u *rest.User, m *machine) bool { return u.Admin || m.owner == nil || m.owner == u }

// canEdit: a locked machine can be edited by nobody.
func canEdit(u *rest.User, m *machine) bool { return canView(u, m) && !m.locked }

func (r *Region) hostOf(q *rest.Request) *vmHost {
	id, err := strconv.Atoi(q.Path["id"])
	if err != nil {
		return nil
	}
	return r.host(id)
}

// freeName returns a hostname that no machine has.
func (r *Region) freeName() string {
	for {
		name := r.ids.petname()
		if r.machineNamed(name) == nil {
			return name
		}
	}
}

func uri(format string, args ...any) string { return rest.Root + fmt.Sprintf(format, args...) }
