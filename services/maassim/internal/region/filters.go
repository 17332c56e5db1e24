package region

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// predicate says whether a machine passes a filter.
type predicate func(*machine) bool

// filterKind is one filter of machine lists and of allocate.
type filterKind struct {
	// check validates the values; nil accepts any.
	check func(r *Region, form *rest.Form, name string, values []string)
	// match says whether the machine has one of the values.
	match func(m *machine, values []string) bool
	// negated filters keep the machines that do not match.
	negated bool
}

// filters are those that are simulated, by their names (MAAS: node_constraint_filter_forms.py).
var filters = map[string]filterKind{
	"id":              {match: bySystemID},
	"system_id":       {match: bySystemID},
	"not_id":          {match: bySystemID, negated: true},
	"not_system_id":   {match: bySystemID, negated: true},
	"hostname":        {match: byHostname},
	"not_hostname":    {match: byHostname, negated: true},
	"domain":          {match: byDomain},
	"not_domain":      {match: byDomain, negated: true},
	"agent_name":      {match: byAgent},
	"not_agent_name":  {match: byAgent, negated: true},
	"mac_address":     {match: byMAC, check: checkMAC},
	"zone":            {match: byZone, check: checkZone},
	"not_in_zone":     {match: byZone, check: checkZone, negated: true},
	"pool":            {match: byPool, check: checkPool},
	"not_in_pool":     {match: byPool, check: checkPool, negated: true},
	"owner":           {match: byOwner, check: checkOwner},
	"not_owner":       {match: byOwner, negated: true},
	"status":          {match: byStatus, check: checkStatus},
	"not_status":      {match: byStatus, check: checkStatus, negated: true},
	"power_state":     {match: byPower, check: checkPower},
	"not_power_state": {match: byPower, check: checkPower, negated: true},
	"tags":            {match: byTags, check: checkTags},
	"not_tags":        {match: byAnyTag, check: checkTags, negated: true},
	"arch":            {match: byArch, check: checkArch},
	"not_arch":        {match: byArch, check: checkArch, negated: true},
	"cpu_count":       {match: byCores, check: checkNumber},
	"mem":             {match: byMemory, check: checkNumber},
	"cpu_speed":       {match: func(_ *machine, v []string) bool { return number(v) <= 2600 }, check: checkNumber},
	"pod":             {match: byHost},
	"not_pod":         {match: byHost, negated: true},
	"pod_type":        {match: byHostType},
	"not_pod_type":    {match: byHostType, negated: true},
	"subnets":         {match: bySubnet},
	"not_subnets":     {match: bySubnet, negated: true},
	"fabrics":         {match: byFabric},
	"not_fabrics":     {match: byFabric, negated: true},
}

// ignoredNames are parameters that MAAS tolerates beside filters.
var ignoredNames = []string{"op", "comment", "dry_run", "verbose", "bridge_all", "bridge_type", "bridge_stp", "bridge_fd"}

// knownNames are constraints of MAAS that the simulator does not evaluate; it says so instead of guessing.
var knownNames = []string{
	"simple_status", "not_simple_status", "link_speed", "fabric_classes", "not_fabric_classes", "vlans", "not_vlans", "storage", "interfaces",
	"devices",
}

// filter makes one predicate of the parameters. For allocate, name means hostname or FQDN and agent_name is no filter.
func (r *Region) filter(values *rest.Values, allocate bool) (predicate, error) {
	var form rest.Form
	var all []predicate
	for _, name := range values.Names() {
		given := splitValues(name, values.All(name))
		kind, ok := filters[name]
		switch {
		case slices.Contains(ignoredNames, name) || allocate && name == "agent_name":
			continue
		case allocate && name == "name":
			all = append(all, func(m *machine) bool { return slices.Contains(given, m.hostname) || slices.Contains(given, m.fqdn()) })
			continue
		case !ok && (slices.Contains(knownNames, name) || name == "deployment_target" && r.minor >= 5):
			return nil, rest.Text(http.StatusNotImplemented, "maassim does not simulate the constraint %q", name)
		case !ok:
			form.Addf(name, "No such constraint.")
			continue
		}
		if kind.check != nil {
			kind.check(r, &form, name, given)
		}
		all = append(all, func(m *machine) bool { return kind.match(m, given) != kind.negated })
	}
	if err := form.Err(); err != nil {
		return nil, err
	}
	return func(m *machine) bool {
		return !slices.ContainsFunc(all, func(p predicate) bool { return !p(m) })
	}, nil
}

// splitValues splits the values of tags at commas and blanks, as MAAS does for these alone.
func splitValues(name string, values []string) []string {
	if name != "tags" && name != "not_tags" {
		return values
	}
	var all []string
	for _, v := range values {
		all = append(all, strings.FieldsFunc(v, func(c rune) bool { return c == ',' || c == ' ' })...)
	}
	return all
}

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

func number(v []string) float64 {
	n, err := strconv.ParseFloat(v[len(v)-1], 64)
	if err != nil {
		return 0
	}
	return n
}

var macPattern = regexp.MustCompile(`^([0-9a-fA-F]{1,2}:){5}[0-9a-fA-F]{1,2}$`)

func checkMAC(_ *Region, form *rest.Form, name string, values []string) {
	for _, v := range values {
		if !macPattern.MatchString(v) {
			form.Addf(name, "'%s' is not a valid MAC address.", v)
		}
	}
}

func checkZone(r *Region, form *rest.Form, name string, values []string) {
	unknown := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return r.zoneNamed(v) != nil })
	if len(unknown) > 0 {
		form.Addf(name, "No such zone(s): %s.", strings.Join(unknown, ", "))
	}
}

func checkPool(r *Region, form *rest.Form, name string, values []string) {
	unknown := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return r.poolNamed(v) != nil })
	if len(unknown) > 0 {
		form.Addf(name, "No such pool(s): %s.", strings.Join(unknown, ", "))
	}
}

func checkOwner(r *Region, form *rest.Form, name string, values []string) {
	for _, v := range values {
		if r.userNamed(v) == nil {
			form.Addf(name, "No such owner: '%s'.", v)
		}
	}
}

func checkStatus(_ *Region, form *rest.Form, name string, values []string) {
	for _, v := range values {
		if _, ok := parseStatus(v); !ok {
			form.Addf(name, "Select a valid choice. %s is not one of the available choices.", v)
			return
		}
	}
}

func checkPower(_ *Region, form *rest.Form, name string, values []string) {
	for _, v := range values {
		if !slices.Contains([]string{"on", "off", "unknown", "error"}, v) {
			form.Addf(name, "Select a valid choice. %s is not one of the available choices.", v)
			return
		}
	}
}

func checkTags(r *Region, form *rest.Form, name string, values []string) {
	var unknown []string
	for _, v := range values {
		if r.tagNamed(v) == nil {
			unknown = append(unknown, "'"+v+"'")
		}
	}
	if len(unknown) > 0 {
		form.Addf(name, "No such tag(s): %s.", strings.Join(unknown, ", "))
	}
}

func checkArch(r *Region, form *rest.Form, name string, values []string) {
	for _, v := range values {
		if !slices.Contains([]string{"amd64", "arm64", "amd64/generic", "arm64/generic"}, v) {
			form.Addf(name, "Architecture not recognised.")
		}
	}
}

func checkNumber(_ *Region, form *rest.Form, name string, values []string) {
	for _, v := range values {
		if _, err := strconv.ParseFloat(v, 64); err != nil {
			form.Addf(name, "Invalid %s: number required.", map[string]string{"mem": "memory", "cpu_count": "CPU count"}[name])
		}
	}
}
