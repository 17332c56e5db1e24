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

// composeForm validates the form of op=compose (MAAS: forms/pods.py ComposeMachineForm). zone, pool and domain are ids there, and without
// a zone the VM goes to the default zone rather than to the host's.
func (r *Region) composeForm(h *vmHost, q *rest.Request) (vmSpec, error) {
	values := q.Form
	var form rest.Form
	spec := vmSpec{
		cores:  formInt(&form, &values, "cores", 1, 1, h.cores),
		memory: formInt(&form, &values, "memory", 2048, 1024, h.memory),
		arch:   h.arch, zone: r.zones[0], pool: h.pool, domain: r.domains[0],
		hostname: values.Get("hostname"), skipCommission: values.Bool("skip_commissioning"),
	}
	if arch := values.Get("architecture"); arch != "" && arch != h.arch {
		form.Addf("architecture", "Select a valid choice. %s is not one of the available choices.", arch)
	}
	r.composeName(&form, &spec)
	r.composePlace(&form, &values, &spec)
	var err error
	if spec.disks, err = parseStorage(orDefault(values.Get("storage"), "root:8(local)")); err != nil {
		form.Addf("storage", "%v", err)
	}
	constraints, err := parseInterfaces(values.Get("interfaces"))
	if err != nil {
		form.Addf("interfaces", "%v", err)
	}
	if err := form.Err(); err != nil {
		return spec, err
	}
	spec.nics, err = r.matchInterfaces(h, constraints)
	return spec, err
}

// composeName checks the hostname. One with a dot passes and is replaced by a random name (recording 063).
func (r *Region) composeName(form *rest.Form, spec *vmSpec) {
	if strings.Contains(spec.hostname, ".") {
		spec.hostname = ""
	}
	if spec.hostname == "" {
		return
	}
	if text := badHostname(spec.hostname); text != "" {
		form.Addf("hostname", "%s", text)
	} else if r.machineNamed(spec.hostname) != nil {
		form.Addf("hostname", `Node with hostname "%s" already exists`, spec.hostname)
	}
}

func (r *Region) composePlace(form *rest.Form, values *rest.Values, spec *vmSpec) {
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
	if id := values.Get("domain"); id != "" {
		at := slices.IndexFunc(r.domains, func(d *domain) bool { return strconv.Itoa(d.id) == id })
		if at < 0 {
			form.Addf("domain", notAChoice)
		} else {
			spec.domain = r.domains[at]
		}
	}
}

// formInt reads a whole number between limits.
func formInt(form *rest.Form, values *rest.Values, name string, fallback, low, high int) int {
	text := values.Get(name)
	n := fallback
	if text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			form.Addf(name, "Enter a whole number.")
			return 0
		}
	}
	if n > high {
		form.Addf(name, "Ensure this value is less than or equal to %d.", high)
	} else if n < low {
		form.Addf(name, "Ensure this value is greater than or equal to %d.", low)
	}
	return n
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

// overCommitText keeps Python's way of writing a float: 1.0, 2.5.
func overCommitText(what string, ratio float64, left, asked int) string {
	return fmt.Sprintf("%s overcommit ratio is %s and there are %d available resources; %d requested.", what, pyFloat(ratio), left, asked)
}

func pyFloat(f float64) string {
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// storageWish is one disk of a storage constraint; size in bytes.
type storageWish struct {
	size int64
	tags []string
}

var storageGroup = regexp.MustCompile(`^(?:([a-zA-Z0-9]+):)?([0-9]*\.?[0-9]+)(?:\(([^)]*)\))?$`)

// parseStorage reads "label:size(tag,tag),…". The first group is the root disk; MAAS sorts the others by their number of tags.
func parseStorage(text string) ([]storageWish, error) {
	malformed := fmt.Errorf("Malformed storage constraint, \"%s\".", text) //nolint:staticcheck,revive // MAAS's words
	var wishes []storageWish
	for _, group := range splitGroups(text) {
		parts := storageGroup.FindStringSubmatch(group)
		if parts == nil {
			return nil, malformed
		}
		gigabytes, err := strconv.ParseFloat(parts[2], 64)
		if err != nil {
			return nil, malformed
		}
		wish := storageWish{size: int64(gigabytes * 1e9)}
		if parts[3] != "" {
			wish.tags = strings.Split(parts[3], ",")
		}
		wishes = append(wishes, wish)
	}
	slices.SortStableFunc(wishes[1:], func(a, b storageWish) int { return len(b.tags) - len(a.tags) })
	return wishes, nil
}

// splitGroups splits at the commas outside parentheses.
func splitGroups(text string) []string {
	var groups []string
	depth, start := 0, 0
	for i, c := range text {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			groups = append(groups, text[start:i])
			start = i + 1
		}
	}
	return append(groups, text[start:])
}
