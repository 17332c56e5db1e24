package region

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// powerTypes are those that a machine may be given; only lxd and manual are told apart here.
var powerTypes = []string{"amt", "apc", "ipmi", "lxd", "manual", "redfish", "virsh", "webhook", "wedge"}

var anyKernel = regexp.MustCompile(`(hwe|ga)-.+`)

// createMachine adds a machine by hand. An administrator's is commissioned unless told not to; that it cannot be started is not an error.
func (r *Region) createMachine(q *rest.Request) (any, error) {
	defer r.begin()()
	f := machineForm{region: r, values: &q.Form, user: q.User}
	if err := f.check(); err != nil {
		return nil, err
	}
	if q.Form.Bool("deployed") {
		return nil, unsimulated("enlisting a deployed machine")
	}
	m := r.newMachine(orDefault(f.hostname, r.freeName()))
	m.powerUnknown = true
	none := ""
	m.minKernel = &none
	f.apply(m)
	for n, mac := range f.macs {
		i := r.newInterface(m, fmt.Sprintf("eth%d", n), nil)
		i.mac = mac
	}
	if q.User.Admin && (!q.Form.Has("commission") || q.Form.Bool("commission")) {
		_ = r.startCommissioning(m, q.User, q.Faults)
	}
	return r.machineJSON(m), nil
}

// updateMachine changes a machine; zone, pool and domain go by name here, unlike in compose, and tags are ignored (recordings 190, 191).
func (r *Region) updateMachine(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.administered(q)
	if err != nil {
		return nil, err
	}
	f := machineForm{region: r, values: &q.Form, user: q.User, machine: m}
	if err := f.check(); err != nil {
		return nil, err
	}
	r.change(m)
	if f.hostname != "" {
		m.hostname = f.hostname
	}
	f.apply(m)
	return r.machineJSON(m), nil
}

// machineForm is the form of a machine (MAAS: forms AdminMachineForm). What is not sent stays as it is.
type machineForm struct {
	rest.Form

	region  *Region
	values  *rest.Values
	user    *rest.User
	machine *machine // nil for a new one

	hostname, arch string
	macs           []string
	zone           *zone
	pool           *pool
	domain         *domain
	swap           *int64
	numbers        map[string]int
}

// check reads and validates everything and changes nothing.
func (f *machineForm) check() error {
	if anyKernel.MatchString(f.values.Get("architecture")) && f.machine == nil {
		return rest.Text(http.StatusBadRequest, "hwe kernel must be specified using the min_hwe_kernel argument.")
	}
	if k := f.values.Get("min_hwe_kernel"); k != "" && f.machine == nil && !anyKernel.MatchString(k) {
		return rest.Text(http.StatusBadRequest, `min_hwe_kernel must start with "hwe-" or "ga-"`)
	}
	f.readName()
	f.readArchitecture()
	f.readMACs()
	f.readPlace()
	if t := f.values.Get("power_type"); t != "" && !slices.Contains(powerTypes, t) {
		f.Addf("power_type", "Select a valid choice. %s is not one of the available choices.", t)
	}
	if text := f.values.Get("swap_size"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			f.Addf("swap_size", "Invalid size for swap: %s", text)
		}
		f.swap = &n
	}
	f.numbers = make(map[string]int)
	for _, name := range []string{"cpu_count", "memory"} {
		if f.values.Get(name) != "" {
			f.numbers[name] = formInt(&f.Form, f.values, name, 0, limits{})
		}
	}
	return f.Err()
}

// readName reads the hostname. One with dots is an FQDN, whose domain has to exist.
func (f *machineForm) readName() {
	name := strings.TrimSpace(f.values.Get("hostname"))
	if host, rest, ok := strings.Cut(name, "."); ok {
		if f.domain = f.region.domainNamed(rest); f.domain == nil {
			f.Addf("hostname", "Nonexistant domain.")
		}
		name = host
	}
	if name == "" || f.machine != nil && name == f.machine.hostname {
		return
	}
	if text := badHostname(name); text != "" {
		f.Addf("hostname", "%s", text)
	} else if f.region.machineNamed(name) != nil {
		f.Addf("hostname", "Node with this Hostname already exists.")
	}
	f.hostname = name
}

func (f *machineForm) readArchitecture() {
	f.arch = f.values.Get("architecture")
	if sub := f.values.Get("subarchitecture"); f.arch != "" && !strings.Contains(f.arch, "/") {
		f.arch += "/" + orDefault(sub, "generic")
	}
	known := []string{"amd64/generic", "arm64/generic"}
	switch {
	case f.arch == "" && f.machine == nil && f.values.Get("power_type") != "ipmi":
		f.Addf("architecture", "This field is required.")
	case f.arch != "" && !slices.Contains(known, f.arch):
		f.Addf("architecture", "'%s' is not a valid architecture.  It should be one of: 'amd64/generic', 'arm64/generic'.", f.arch)
	}
}

// readMACs reads mac_addresses, which repeats. Each must be free in the whole region.
func (f *machineForm) readMACs() {
	if f.machine != nil {
		return
	}
	all := slices.DeleteFunc(slices.Clone(f.values.All("mac_addresses")), func(s string) bool { return s == "" })
	if len(all) == 0 && f.values.Get("power_type") != "ipmi" {
		f.Addf("mac_addresses", "This field is required.")
	}
	for _, text := range all {
		mac := strings.ToLower(text)
		if !macPattern.MatchString(mac) {
			f.Addf("mac_addresses", "'%s' is not a valid MAC address.", text)
			return
		}
		if other, ok := f.region.machines.byMAC.First(mac); ok {
			f.Addf("mac_addresses", "MAC address %s already in use on %s.", text, other.hostname)
			return
		}
		f.macs = append(f.macs, mac)
	}
}

func (f *machineForm) readPlace() {
	if !f.user.Admin {
		return // the form of a plain user has no such fields
	}
	if name := f.values.Get("domain"); name != "" {
		if f.domain = f.region.domainNamed(name); f.domain == nil {
			f.Addf("domain", notAChoice)
		}
	}
	if name := f.values.Get("zone"); name != "" {
		if f.zone = f.region.zoneNamed(name); f.zone == nil {
			f.Addf("zone", notAChoice)
		}
	}
	if name := f.values.Get("pool"); name != "" {
		if f.pool = f.region.poolNamed(name); f.pool == nil {
			f.Addf("pool", notAChoice)
		}
	}
}

// apply writes what was read.
func (f *machineForm) apply(m *machine) {
	m.arch = orDefault(f.arch, m.arch)
	if f.domain != nil {
		m.domain = f.domain
	}
	if f.zone != nil {
		m.zone = f.zone
	}
	if f.pool != nil {
		m.pool = f.pool
	}
	if f.swap != nil {
		m.swap = f.swap
	}
	if n, ok := f.numbers["cpu_count"]; ok {
		m.cores = n
	}
	if n, ok := f.numbers["memory"]; ok {
		m.memory = n
	}
	if f.values.Has("description") {
		m.description = f.values.Get("description")
	}
	if f.values.Has("min_hwe_kernel") {
		kernel := f.values.Get("min_hwe_kernel")
		m.minKernel = &kernel
	}
	if f.user.Admin {
		f.applyPower(m)
	}
}

// applyPower writes the power type and its parameters, which a VM of a VM host takes from its host instead.
func (f *machineForm) applyPower(m *machine) {
	if m.host != nil {
		return
	}
	m.powerType = orDefault(f.values.Get("power_type"), m.powerType)
	for _, name := range f.values.Names() {
		if key, ok := strings.CutPrefix(name, "power_parameters_"); ok && key != "skip_check" {
			if m.parameters == nil {
				m.parameters = make(map[string]string)
			}
			m.parameters[key] = f.values.Get(name)
		}
	}
	m.powerUnknown = !m.switchable()
}
