package region

import (
	"net/http"
	"net/netip"
	"regexp"

	"github.com/capmaas/capmaas/services/maassim/internal/lxd"
	"github.com/capmaas/capmaas/services/maassim/internal/network"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// vmSpec is a valid compose form.
type vmSpec struct {
	hostname       string // as asked for; empty or dotted ones become a random name
	cores, memory  int
	arch           string
	zone           *zone
	pool           *pool
	domain         *domain
	disks          []storageWish
	nics           []nicWish
	skipCommission bool
	dynamic        bool
}

// nicWish is one NIC of a VM, matched with a bridge of the host.
type nicWish struct {
	name         string
	bridge       *iface          // nil on a host whose machine MAAS does not know
	subnet       *network.Subnet // of the bridge's own address as the constraint chose it; nil: the VLAN's first
	unconfigured bool
	ip           netip.Addr
}

var validTag = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// compose makes a VM on one host. Like MAAS it checks, lets LXD work without a lock, and only then writes its rows: whatever fails in
// the last step leaves the VM behind in LXD.
func (r *Region) compose(q *rest.Request) (any, error) {
	h, spec, err := r.checkCompose(q)
	if err != nil {
		return nil, err
	}
	m, err := r.composeOn(h, spec, q)
	if err != nil {
		return nil, err
	}
	return object{"system_id": m.systemID, "resource_uri": uri("machines/%s/", m.systemID)}, nil
}

func (r *Region) checkCompose(q *rest.Request) (*vmHost, vmSpec, error) {
	defer r.begin()()
	h := r.hostOf(q)
	if h == nil {
		return nil, vmSpec{}, rest.NotFound("Pod")
	}
	if len(h.capabilities) == 0 {
		return nil, vmSpec{}, rest.Text(http.StatusBadRequest, "VM host does not support composability.")
	}
	spec, err := r.composeForm(h, q)
	return h, spec, err
}

// composeOn lets LXD make the VM and then makes its machine.
func (r *Region) composeOn(h *vmHost, spec vmSpec, q *rest.Request) (*machine, error) {
	inst, err := r.planInstance(h, spec)
	if err != nil {
		return nil, err
	}
	r.wait(r.cfg.Durations.Compose)
	if err := r.lxd.Create(inst); err != nil {
		return nil, composeFailed(h, err)
	}
	if q.Faults.ComposeLost {
		return nil, rest.Text(http.StatusServiceUnavailable, "Unable to compose a machine because '%s' driver timed out after 120 seconds.", h.kind)
	}
	if q.Faults.Window != nil {
		q.Faults.Window()
	}
	defer r.begin()()
	return r.enrol(h, spec, inst, q)
}

// planInstance checks what is left of the host against its over-commit ratios and chooses storage pools and a name. Nothing is held:
// two composes at once may both pass (recordings 278-280).
func (r *Region) planInstance(h *vmHost, spec vmSpec) (lxd.Instance, error) {
	defer r.begin()()
	if err := r.overCommitted(h, spec); err != nil {
		return lxd.Instance{}, err
	}
	if err := refusedByVersion(h); err != nil && r.lxd.Online(h.server) {
		return lxd.Instance{}, err
	}
	sizes, tags := make([]int64, 0, len(spec.disks)), make([][]string, 0, len(spec.disks))
	for _, d := range spec.disks {
		sizes, tags = append(sizes, d.size), append(tags, d.tags)
	}
	disks, err := r.lxd.Place(h.server, sizes, tags)
	if err != nil {
		return lxd.Instance{}, composeFailed(h, err)
	}
	inst := lxd.Instance{
		Host: h.server, Project: h.project, Name: spec.hostname, Cores: spec.cores, MemoryMiB: spec.memory, Disks: disks,
		Running: !spec.skipCommission,
	}
	if inst.Name == "" {
		inst.Name = r.freeName()
	}
	for _, n := range spec.nics {
		nic := lxd.NIC{Name: n.name, MAC: r.ids.mac(), Parent: "lxdbr0"}
		if n.bridge != nil {
			nic.Parent = n.bridge.name
		}
		inst.NICs = append(inst.NICs, nic)
	}
	return inst, nil
}

func (r *Region) overCommitted(h *vmHost, spec vmSpec) error {
	u := r.used(h)
	text := ""
	if left := int(float64(h.cores)*h.cpuRatio) - u.cores; spec.cores > left {
		text += overCommitText("CPU", h.cpuRatio, left, spec.cores)
	}
	if left := int(float64(h.memory)*h.memRatio) - u.memory; spec.memory > left {
		text += overCommitText("Memory", h.memRatio, left, spec.memory)
	}
	if text == "" {
		return nil
	}
	return rest.Text(http.StatusServiceUnavailable, "Unable to compose KVM instance in '%s'. %s", h.name, text)
}

func composeFailed(h *vmHost, err error) error {
	if err == lxd.ErrOffline { //nolint:errorlint // package lxd returns it unwrapped
		return rest.Text(http.StatusServiceUnavailable, "Unable to compose machine because: Pod %d: %v", h.id, err)
	}
	return rest.Text(http.StatusServiceUnavailable, "Unable to compose machine because: %v", err)
}

// enrol writes the rows of a VM that LXD has made.
func (r *Region) enrol(h *vmHost, spec vmSpec, inst lxd.Instance, q *rest.Request) (*machine, error) {
	if r.machineNamed(spec.hostname) != nil {
		return nil, rest.Invalid("hostname", `Node with hostname "%s" already exists`, spec.hostname)
	}
	for _, name := range h.tags {
		if !validTag.MatchString(name) {
			return nil, rest.Invalid("name", "Enter a valid value.")
		}
	}
	for _, n := range spec.nics {
		if n.ip.IsValid() && r.taken(n.ip) {
			return nil, rest.Text(http.StatusNotFound, "The IP address %s is already in use.", n.ip)
		}
	}
	m := r.enrolRow(h, spec.hostname, inst)
	m.zone, m.pool, m.domain, m.arch, m.dynamic = spec.zone, spec.pool, spec.domain, spec.arch, spec.dynamic
	for at, n := range spec.nics {
		r.enrolNIC(m, n, inst.NICs[at].MAC, spec.skipCommission)
	}
	if spec.skipCommission {
		m.set(statusReady)
		return m, nil
	}
	m.skipNetwork = q.Form.Has("interfaces")
	m.owner = q.User
	r.startCommissioning(m, q.Faults)
	return m, nil
}

// enrolRow makes the machine of an instance with what MAAS learns from LXD alone.
func (r *Region) enrolRow(h *vmHost, hostname string, inst lxd.Instance) *machine {
	if hostname == "" || r.machineNamed(hostname) != nil {
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

// enrolNIC makes an interface. Its link is there at once when commissioning is skipped or an address was asked for; otherwise
// commissioning makes it (recordings 305, 312, 325).
func (r *Region) enrolNIC(m *machine, n nicWish, mac string, linked bool) {
	vlan := r.guessVLAN()
	if n.bridge != nil {
		vlan = n.bridge.vlan
	}
	i := r.newInterface(m, n.name, vlan)
	i.mac = mac
	sub := n.subnet
	if sub == nil && vlan != nil {
		sub = r.firstSubnet(vlan)
	}
	switch {
	case sub == nil:
	case n.ip.IsValid():
		r.hold(r.newLink(i, r.subnetFor(n.ip), "static"), n.ip, allocSticky)
	case n.unconfigured:
		r.newLink(i, sub, "link_up")
	case linked:
		r.newLink(i, sub, "auto")
	}
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
