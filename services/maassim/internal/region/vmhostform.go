package region

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// macvlanModes are the choices of default_macvlan_mode.
var macvlanModes = []string{"bridge", "passthru", "private", "vepa"}

// createHost makes a VM host of an LXD server. One that cannot be reached is saved all the same, without capabilities.
func (r *Region) createHost(q *rest.Request) (any, error) {
	h, err := r.newHost(q)
	if err != nil {
		return nil, err
	}
	return r.discovered(h, q)
}

// discovered discovers a host that was just saved, and hides when that fails (recording 532); unless somebody has deleted it meanwhile.
func (r *Region) discovered(h *vmHost, q *rest.Request) (any, error) {
	_, _ = r.discover(h, q)
	defer r.begin()()
	if !r.hosts.Has(h) {
		return nil, rest.NotFound("Pod")
	}
	return r.hostJSON(h), nil
}

func (r *Region) newHost(q *rest.Request) (*vmHost, error) {
	defer r.begin()()
	h := &vmHost{zone: r.zones[0], pool: r.pools[0], cpuRatio: 1, memRatio: 1, project: "default"}
	form := hostForm{region: r, values: &q.Form, host: h}
	form.read()
	kind := q.Form.Get("type")
	switch {
	case kind == "":
		form.Addf("type", "This field is required.")
	case kind != "lxd" && kind != "virsh":
		form.Addf("type", "Select a valid choice. %s is not one of the available choices.", kind)
	}
	if err := form.Err(); err != nil {
		return nil, err
	}
	if h.address == "" {
		return nil, rest.Invalid("power_address", "This field is required.")
	}
	for other := range r.hosts.All() {
		if other.kind == kind && other.address == h.address && other.project == h.project && h.certificate != "" && other.certificate == h.certificate {
			return nil, rest.Text(http.StatusBadRequest, "Pod %s with type and parameters already exist.", other.name)
		}
	}
	if h.name == "" {
		h.name = r.freeName()
	}
	h.kind = kind
	r.connect(h)
	h.addTag(hostTag)
	r.ids.host++
	h.id = r.ids.host
	r.hosts.Add(h)
	r.holdPowerAddress(h)
	return h, nil
}

// holdPowerAddress keeps the address by which MAAS reaches a host among the addresses that are in use (recording 247).
func (r *Region) holdPowerAddress(h *vmHost) {
	ip, err := netip.ParseAddr(bareAddress(h.address))
	if err == nil && !r.taken(ip) {
		h.power = r.newAddress(ip, r.subnetFor(ip), allocSticky, nil)
	}
}

// connect finds the server behind a host's address; without one, or with one of another type, LXD cannot be reached.
func (r *Region) connect(h *vmHost) {
	h.server = ""
	if s, ok := r.serverAt(h.address); ok && s.Type == h.kind {
		h.server = s.Name
	}
}

// updateHost changes what the form names. It also discovers the host anew.
func (r *Region) updateHost(q *rest.Request) (any, error) {
	h, err := r.changeHost(q)
	if err != nil {
		return nil, err
	}
	return r.discovered(h, q)
}

func (r *Region) changeHost(q *rest.Request) (*vmHost, error) {
	defer r.begin()()
	h := r.hostOf(q)
	if h == nil {
		return nil, rest.NotFound("Pod")
	}
	changed := *h
	form := hostForm{region: r, values: &q.Form, host: &changed}
	form.read()
	if kind := q.Form.Get("type"); kind != "" && kind != h.kind {
		form.Addf("type", "Cannot change the type of a pod. Delete and re-create the pod with a different type.")
	}
	if err := form.Err(); err != nil {
		return nil, err
	}
	mode := q.Form.Get("default_macvlan_mode")
	changed.macvlan = &mode // a PUT writes it whether it was sent or not (recording 288)
	if changed.address != h.address {
		r.connect(&changed)
	}
	changed.addTag(hostTag)
	*h = changed
	return h, nil
}

// hostForm is the form of a VM host (MAAS: forms/pods.py PodForm). What is not sent stays as it is.
type hostForm struct {
	rest.Form

	region *Region
	values *rest.Values
	host   *vmHost
}

func (f *hostForm) read() {
	f.readName()
	if f.values.Has("tags") {
		f.host.tags = strings.FieldsFunc(f.values.Get("tags"), func(c rune) bool { return c == ',' })
	}
	if name := f.values.Get("zone"); name != "" {
		if z := f.region.zoneNamed(name); z != nil {
			f.host.zone = z
		} else {
			f.Addf("zone", notAChoice)
		}
	}
	if name := f.values.Get("pool"); name != "" {
		if p := f.region.poolNamed(name); p != nil {
			f.host.pool = p
		} else {
			f.Addf("pool", notAChoice)
		}
	}
	f.readRatio("cpu_over_commit_ratio", &f.host.cpuRatio)
	f.readRatio("memory_over_commit_ratio", &f.host.memRatio)
	if name := f.values.Get("default_storage_pool"); name != "" {
		if slices.ContainsFunc(f.host.pools, func(p StoragePool) bool { return p.Name == name }) {
			f.host.defaultPool = name
		} else {
			f.Addf("default_storage_pool", notAChoice)
		}
	}
	if mode := f.values.Get("default_macvlan_mode"); mode != "" {
		if !slices.Contains(macvlanModes, mode) {
			f.Addf("default_macvlan_mode", "Select a valid choice. %s is not one of the available choices.", mode)
		}
		f.host.macvlan = &mode
	}
	for name, field := range map[string]*string{
		"power_address": &f.host.address, "project": &f.host.project, "certificate": &f.host.certificate, "key": &f.host.key,
	} {
		if value := f.values.Get(name); value != "" {
			*field = value
		}
	}
}

func (f *hostForm) readName() {
	name := f.values.Get("name")
	if name == "" {
		return
	}
	if other := f.region.hostNamed(name); other != nil && other.id != f.host.id {
		f.Addf("name", "Pod with this Name already exists.")
	}
	f.host.name = name
}

func (f *hostForm) readRatio(name string, ratio *float64) {
	text := f.values.Get(name)
	if text == "" {
		return
	}
	value, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil:
		f.Addf(name, "Enter a number.")
	case value < 0:
		f.Addf(name, "Ensure this value is greater than or equal to 0.")
	case value > 10:
		f.Addf(name, "Ensure this value is less than or equal to 10.")
	default:
		*ratio = value
	}
}

func (h *vmHost) addTag(name string) {
	if !slices.Contains(h.tags, name) {
		h.tags = append(slices.Clone(h.tags), name)
	}
}

// deleteHost forgets a VM host with all its machines; their VMs go only when the caller says so (recordings 291, 296). A machine that MAAS
// made for the host itself goes too.
func (r *Region) deleteHost(q *rest.Request) (any, error) {
	h, err := r.findHost(q)
	if err != nil {
		return nil, err
	}
	decompose := q.Query.Bool("decompose") || q.Form.Bool("decompose")
	if decompose {
		for range r.machinesOn(h) {
			r.wait(r.cfg.Durations.Delete)
		}
	}
	defer r.begin()()
	if !r.hosts.Has(h) {
		return nil, rest.NotFound("Pod")
	}
	for _, m := range r.machines.onHost.Rows(h) { // with those that were made while LXD worked
		if decompose {
			_ = r.lxd.Delete(h.server, h.project, m.instance) // a failure does not stop the deletion
		}
		r.removeMachine(m)
	}
	r.hosts.Remove(h)
	if h.power != nil {
		r.removeAddress(h.power)
	}
	if own := h.machine; own != nil {
		own.hostOf = nil
		if own.dynamic {
			r.removeMachine(own)
		}
	}
	return rest.NoContent, nil
}

func (r *Region) machinesOn(h *vmHost) []*machine {
	defer r.begin()()
	return r.machines.onHost.Rows(h)
}

// findHost finds the host of a request's path.
func (r *Region) findHost(q *rest.Request) (*vmHost, error) {
	defer r.begin()()
	if h := r.hostOf(q); h != nil {
		return h, nil
	}
	return nil, rest.NotFound("Pod")
}
