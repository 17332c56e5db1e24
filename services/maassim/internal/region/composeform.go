package region

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

const notAChoice = "Select a valid choice. That choice is not one of the available choices."

// vmSpec is a valid compose form.
type vmSpec struct {
	hostname       string // of the machine; empty for a random one
	instance       string // of the VM in LXD
	cores, memory  int    // MiB
	pinned         []int  // host cores; they win over cores in LXD, and not in the check of what is left
	hugepages      bool
	cpuSpeed       int // MHz
	arch           string
	zone           *zone
	pool           *pool
	domain         *domain
	disks          []storageWish
	nics           []nicWish
	configured     bool // the form names interfaces: commissioning keeps them
	skipCommission bool
	dynamic        bool
}

// composeForm validates the form of op=compose (MAAS: forms/pods.py ComposeMachineForm). zone, pool and domain are ids there, and without
// a zone the VM goes to the default zone rather than to the host's.
func (r *Region) composeForm(h *vmHost, q *rest.Request) (vmSpec, error) {
	values := q.Form
	var form rest.Form
	spec := vmSpec{arch: h.arch, zone: r.zones[0], pool: h.pool, domain: r.domains[0]}
	spec.cores = formInt(&form, &values, "cores", 1, limits{low: 1, high: h.cores, capped: true})
	spec.pinned = pinnedCores(&form, &values, h.cores)
	spec.memory = formInt(&form, &values, "memory", 2048, limits{low: 1024, high: h.memory, capped: true})
	spec.hugepages, spec.skipCommission = values.Bool("hugepages_backed"), values.Bool("skip_commissioning")
	if arch := values.Get("architecture"); arch != "" && arch != h.arch {
		form.Addf("architecture", "Select a valid choice. %s is not one of the available choices.", arch)
	}
	spec.cpuSpeed = formInt(&form, &values, "cpu_speed", 0, limits{low: 300})
	r.composeName(&form, &values, &spec)
	r.composePlace(&form, &values, &spec)
	var err error
	if spec.disks, err = parseStorage(orDefault(values.Get("storage"), "root:8(local)")); err != nil {
		form.Addf("storage", "%v", err)
	}
	constraints, err := parseInterfaces(strings.TrimSpace(values.Get("interfaces")))
	if err != nil {
		form.Addf("interfaces", "%v", err)
	}
	if err := form.Err(); err != nil {
		return spec, err
	}
	spec.configured = len(constraints) > 0
	if spec.nics, err = r.matchInterfaces(h, constraints); err != nil {
		return spec, err
	}
	return spec, checkSizes(spec.disks)
}

// composeName checks the hostname, which is the VM's name in LXD too. One with a dot passes, and the machine gets a random name instead
// (recording 063).
func (r *Region) composeName(form *rest.Form, values *rest.Values, spec *vmSpec) {
	name := strings.TrimSpace(values.Get("hostname"))
	if name == "" {
		spec.hostname = r.freeName()
		spec.instance = spec.hostname
		return
	}
	spec.hostname, spec.instance = name, name
	if r.machineNamed(name) != nil {
		form.Addf("hostname", `Node with hostname "%s" already exists`, name)
	}
	for label := range strings.SplitSeq(name, ".") {
		if text := badHostname(label); text != "" {
			form.Addf("hostname", "%s", text)
			return
		}
	}
	if strings.Contains(name, ".") {
		spec.hostname = ""
	}
}

func (r *Region) composePlace(form *rest.Form, values *rest.Values, spec *vmSpec) {
	if id := values.Get("domain"); id != "" {
		at := slices.IndexFunc(r.domains, func(d *domain) bool { return strconv.Itoa(d.id) == id })
		if at < 0 {
			form.Addf("domain", notAChoice)
		} else {
			spec.domain = r.domains[at]
		}
	}
	if id := values.Get("zone"); id != "" {
		at := slices.IndexFunc(r.zones, func(z *zone) bool { return strconv.Itoa(z.id) == id })
		if at < 0 {
			form.Addf("zone", notAChoice)
		} else {
			spec.zone = r.zones[at]
		}
	}
	if id := values.Get("pool"); id != "" {
		at := slices.IndexFunc(r.pools, func(p *pool) bool { return strconv.Itoa(p.id) == id })
		if at < 0 {
			form.Addf("pool", notAChoice)
		} else {
			spec.pool = r.pools[at]
		}
	}
}

// limits of a number; high counts only when capped, where it may be 0 (a host whose inventory MAAS has not taken yet).
type limits struct {
	low, high int
	capped    bool
}

// formInt reads a whole number between limits. A field that is not sent is not checked, as in Django: its default may be beyond them.
func formInt(form *rest.Form, values *rest.Values, name string, fallback int, l limits) int {
	text := strings.TrimSpace(values.Get(name))
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		form.Addf(name, "Enter a whole number.")
	case l.capped && n > l.high:
		form.Addf(name, "Ensure this value is less than or equal to %d.", l.high)
	case n < l.low:
		form.Addf(name, "Ensure this value is greater than or equal to %d.", l.low)
	}
	return n
}

// pinnedCores reads pinned_cores, a parameter that repeats; each is the number of a core of the host.
func pinnedCores(form *rest.Form, values *rest.Values, cores int) []int {
	var pinned []int
	for _, text := range values.All("pinned_cores") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n >= cores {
			form.Addf("pinned_cores", "Select a valid choice. %s is not one of the available choices.", text)
			return nil
		}
		pinned = append(pinned, n)
	}
	slices.Sort(pinned)
	return pinned
}

var hostLabel = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$`)

// badHostname says in MAAS's words what is wrong with a host label (recordings 061, 062).
func badHostname(name string) string {
	switch {
	case len(name) > 63:
		return fmt.Sprintf("Label is too long: '%s'.  Maximum allowed is 63 characters.", name)
	case strings.Contains(name, "_"):
		return fmt.Sprintf("Host label cannot contain underscore: '%s'.", name)
	case strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-"):
		return fmt.Sprintf("Label cannot start or end with hyphen: '%s'.", name)
	case !hostLabel.MatchString(name):
		return fmt.Sprintf("Invalid label: '%s'.", name)
	}
	return ""
}

// pyFloat keeps Python's way of writing a float: 1.0, 2.5.
func pyFloat(f float64) string {
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}
