package view

import (
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/output"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/relocation"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// maintenanceTag takes a host out of placement.
const maintenanceTag = "maas-lxd-host-maintenance"

// Move is a VM of a host that is to be drained.
type Move struct {
	VM VM `json:"vm"`
	// Machine is the Machine, and MaasMachine the MaasMachine, that would be replaced, as namespace/name; empty where unknown.
	Machine      string `json:"machine,omitempty"`
	MaasMachine  string `json:"maasMachine,omitempty"`
	ControlPlane bool   `json:"controlPlane,omitempty"`
	// Zone is the one that is demanded; empty for any.
	Zone string `json:"zone,omitempty"`
	// To is where a replacement would go, Elsewhere where it would in another zone than the one that is demanded.
	To        string `json:"to,omitempty"`
	ToZone    string `json:"toZone,omitempty"`
	Elsewhere string `json:"elsewhere,omitempty"`
	// Note says why there is no place, or what else there is to know.
	Note string `json:"note,omitempty"`
	// Fits says whether nothing hinders.
	Fits bool `json:"fits"`
}

// Drain is what draining a host would mean.
type Drain struct {
	Host  Host   `json:"host"`
	Moves []Move `json:"moves"`
	// Fits says whether every VM that would be made anew has a place.
	Fits bool `json:"fits"`
	// Informed says whether the MaasMachines were read: without them size and zone of a VM are all that is known of it.
	Informed bool `json:"informed"`
}

// NewDrain begins with the host.
func NewDrain(host *lxdprovisionerv1.Host, informed bool) *Drain {
	return &Drain{Host: NewHost(host), Moves: []Move{}, Fits: true, Informed: informed}
}

// Stay adds a VM that nobody would make anew.
func (d *Drain) Stay(vm *lxdprovisionerv1.VM, note string) {
	d.Moves = append(d.Moves, Move{VM: NewVM(vm), Note: note, Fits: true})
}

// Add adds a VM with its place.
func (d *Drain) Add(p relocation.Place, machine, maasMachine string, controlPlane bool) {
	m := Move{
		VM: NewVM(p.VM), Machine: machine, MaasMachine: maasMachine, ControlPlane: controlPlane,
		Zone: p.Request.GetPlacement().GetZone(), Note: p.Why, Fits: p.Host != nil,
		To: p.Host.GetHostName(), ToZone: p.Host.GetZone(),
	}
	if p.Elsewhere != nil {
		m.Elsewhere = p.Elsewhere.GetHostName() + " in " + p.Elsewhere.GetZone()
	}
	d.Fits = d.Fits && m.Fits
	d.Moves = append(d.Moves, m)
}

// Write writes the host, its VMs with their places, and how to go about it.
func (d *Drain) Write(p *output.Page) {
	h := d.Host
	p.Linef("Host %s (%s), zone %s, pool %s: %d VMs that are ours or look like it", h.Name, h.ID, h.Zone, h.ResourcePool, len(d.Moves))
	if !d.Informed {
		p.Linef("Without a kubeconfig the VMs' own zones and sizes are all that is known: tags, pools and anti-affinity may say otherwise.")
	}
	if len(d.Moves) == 0 {
		return
	}
	p.Linef("")
	rows := make([][]output.Cell, 0, len(d.Moves))
	for _, m := range d.Moves {
		rows = append(rows, m.row())
	}
	p.Table([]string{"VM", "SIZE", "MACHINE", "ROLE", "ZONE", "COULD GO TO", "NOTE"}, rows)
	if d.Fits {
		p.Headingf("%s", p.Toned(output.Good, "All of them have a place."))
	} else {
		p.Headingf("%s", p.Toned(output.Bad, "Not all of them have a place."))
	}
	d.writeSteps(p)
}

func (m Move) row() []output.Cell {
	role := "worker"
	switch {
	case m.MaasMachine == "":
		role = ""
	case m.ControlPlane:
		role = "control plane"
	}
	zone := m.Zone
	if zone == "" && (m.To != "" || m.MaasMachine != "") {
		zone = "any"
	}
	to := output.C(m.To)
	switch {
	case m.To != "":
		to = output.T(output.Good, m.To+" in "+m.ToZone)
	case !m.Fits:
		to = output.T(output.Bad, "nowhere")
	}
	note := m.Note
	if m.Elsewhere != "" {
		note += "; without the zone: " + m.Elsewhere
	}
	machine := m.Machine
	if machine == "" {
		machine = m.MaasMachine
	}
	return []output.Cell{output.C(m.VM.Name), output.C(m.VM.Size()), output.C(machine), output.C(role), output.C(zone), to, output.C(note)}
}

func (d *Drain) writeSteps(p *output.Page) {
	p.Headingf("To drain it:")
	p.Linef("  1. Tag the VM host or its machine %q in MAAS: nothing new is placed there.", maintenanceTag)
	p.Linef("  2. Delete the Machines one after the other and wait for each replacement, control planes above all:")
	for _, m := range d.Moves {
		if m.Machine != "" {
			p.Linef("       kubectl delete machine -n %s", spaced(m.Machine))
		}
	}
	p.Linef("  3. When maaslxd vms --host %s lists none, do the work; remove the tag afterwards.", d.Host.Name)
}

// spaced writes namespace/name as kubectl takes it.
func spaced(name string) string {
	for i := range name {
		if name[i] == '/' {
			return name[:i] + " " + name[i+1:]
		}
	}
	return name
}
