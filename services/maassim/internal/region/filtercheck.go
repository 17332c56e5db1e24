package region

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/network"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

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

// numberTexts are what MAAS says of what is no number.
var numberTexts = map[string]string{
	"cpu_count": "Invalid CPU count: number required.", "cpu_speed": "Invalid CPU speed: number required.",
	"mem": "Invalid memory: number of MiB required.", "link_speed": "Invalid link speed: number required.",
}

func checkNumber(_ *Region, form *rest.Form, name string, values []string) {
	for _, v := range values {
		if _, err := strconv.ParseFloat(v, 64); err != nil {
			form.Addf(name, "%s", numberTexts[name])
		}
	}
}

func checkSubnets(r *Region, form *rest.Form, name string, values []string) {
	if !slices.ContainsFunc(r.subnets, func(s *network.Subnet) bool {
		return slices.ContainsFunc(values, func(spec string) bool { return subnetMatches(s, spec) })
	}) {
		form.Addf(name, "No matching subnets found.")
	}
}

func checkVLANs(r *Region, form *rest.Form, name string, values []string) {
	if !slices.ContainsFunc(r.vlans, func(v *network.VLAN) bool {
		return slices.ContainsFunc(values, func(spec string) bool { return vlanMatches(v, spec) })
	}) {
		form.Addf(name, "No matching VLANs found.")
	}
}

func checkTarget(_ *Region, form *rest.Form, name string, values []string) {
	for _, v := range values {
		if v != "memory" && v != "disk" {
			form.Addf(name, "Select a valid choice. %s is not one of the available choices.", v)
			return
		}
	}
}

func checkStorage(_ *Region, form *rest.Form, name string, values []string) {
	if _, err := parseStorage(values[len(values)-1]); err != nil {
		form.Addf(name, "%v", err)
	}
}

func checkInterfaces(_ *Region, form *rest.Form, name string, values []string) {
	if _, err := parseInterfaces(values[len(values)-1]); err != nil {
		form.Addf(name, "%v", err)
	}
}
