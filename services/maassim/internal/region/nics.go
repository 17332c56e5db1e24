package region

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/network"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// nicConstraint is one labelled group of an interfaces constraint.
type nicConstraint struct {
	label string
	keys  []string
	by    map[string][]string
}

// nicKeys are the keys that MAAS knows in an interfaces constraint.
var nicKeys = []string{
	"id", "fabric", "not_fabric", "fabric_class", "not_fabric_class", "ip", "mode", "name", "hostname", "subnet", "not_subnet", "space",
	"not_space", "subnet_cidr", "not_subnet_cidr", "type", "vlan", "not_vlan", "vid", "not_vid", "tag", "not_tag", "link_speed",
}

// parseInterfaces reads "label:key=value,key=value;label2:…".
func parseInterfaces(text string) ([]nicConstraint, error) {
	var all []nicConstraint
	for group := range strings.SplitSeq(text, ";") {
		if group == "" {
			continue
		}
		label, rest, ok := strings.Cut(group, ":")
		if !ok {
			return nil, fmt.Errorf("Malformed interfaces constraint, \"%s\".", text) //nolint:staticcheck,revive // MAAS's words
		}
		c := nicConstraint{label: label, by: make(map[string][]string)}
		for pair := range strings.SplitSeq(rest, ",") {
			key, value, _ := strings.Cut(pair, "=")
			if !slices.Contains(nicKeys, key) {
				return nil, fmt.Errorf("Unknown interfaces constraint: '%s", key) //nolint:staticcheck // MAAS's words (recording 068)
			}
			c.keys = append(c.keys, key)
			c.by[key] = append(c.by[key], value)
		}
		all = append(all, c)
	}
	return all, nil
}

// matchInterfaces chooses a bridge of the host for each constraint; without constraints the first bridge that has DHCP.
func (r *Region) matchInterfaces(h *vmHost, constraints []nicConstraint) ([]nicWish, error) {
	if len(constraints) == 0 {
		return r.defaultNIC(h)
	}
	if h.machine == nil {
		return nil, rest.Text(http.StatusBadRequest, "Pod must be on a known host if interfaces are specified.")
	}
	var nics []nicWish
	dhcp := false
	for _, c := range constraints {
		bridge := r.matchBridge(h, c)
		if bridge == nil {
			return nil, rest.Text(http.StatusBadRequest, "This pod does not match the specified networks.")
		}
		dhcp = dhcp || bridge.vlan.DHCP
		nic := nicWish{name: c.label, bridge: bridge, unconfigured: slices.Contains(c.by["mode"], "unconfigured")}
		if l := matchedLink(bridge, c); l != nil && len(c.by["subnet"])+len(c.by["subnet_cidr"]) > 0 {
			nic.subnet = l.subnet
		}
		for _, text := range c.by["ip"] {
			ip, err := netip.ParseAddr(text)
			if err != nil {
				return nil, rest.Invalid("interfaces", "Malformed interfaces constraint, \"%s\".", text)
			}
			nic.ip = ip
		}
		nics = append(nics, nic)
	}
	if !dhcp {
		return nil, rest.Text(http.StatusBadRequest, "MAAS DHCP must be enabled on at least one VLAN attached to the specified interfaces.")
	}
	return nics, nil
}

// defaultNIC is what LXD's driver makes without constraints.
func (r *Region) defaultNIC(h *vmHost) ([]nicWish, error) {
	if h.machine == nil {
		return []nicWish{{name: "eth0"}}, nil
	}
	for _, i := range h.machine.interfaces {
		if i.kind == "bridge" && i.vlan != nil && i.vlan.DHCP {
			return []nicWish{{name: "eth0", bridge: i}}, nil
		}
	}
	return nil, rest.Text(http.StatusServiceUnavailable, "Unable to compose machine because: No host network to attach VM interfaces to")
}

// matchBridge finds the bridge of a host that satisfies every key of a constraint.
func (r *Region) matchBridge(h *vmHost, c nicConstraint) *iface {
	for _, i := range h.machine.interfaces {
		if i.kind == "bridge" && i.vlan != nil && r.bridgeMatches(i, c) {
			return i
		}
	}
	return nil
}

func (r *Region) bridgeMatches(i *iface, c nicConstraint) bool {
	for _, key := range c.keys {
		for _, value := range c.by[key] {
			negated := strings.HasPrefix(key, "not_")
			if r.bridgeHas(i, strings.TrimPrefix(key, "not_"), value) == negated {
				return false
			}
		}
	}
	return true
}

// bridgeHas tests one key. A subnet matches only where the host has an address on it (recording 310); a bare number of a vlan is its VID
// (recording 321).
func (r *Region) bridgeHas(i *iface, key, value string) bool {
	switch key {
	case "id":
		return strconv.Itoa(i.id) == value
	case "name", "hostname":
		return i.name == value
	case "type":
		return i.kind == value
	case "fabric":
		return matchSpec(value, i.vlan.FabricID, i.vlan.FabricName)
	case "space":
		return i.vlan.Space == strings.TrimPrefix(value, "space:")
	case "vid":
		return strconv.Itoa(i.vlan.VID) == value
	case "vlan":
		if id, ok := strings.CutPrefix(value, "id:"); ok {
			return strconv.Itoa(i.vlan.ID) == id
		}
		return strconv.Itoa(i.vlan.VID) == strings.TrimPrefix(value, "vid:") || i.vlan.Name == value
	case "subnet", "subnet_cidr":
		return slices.ContainsFunc(i.links, func(l *link) bool { return l.address != nil && subnetMatches(l.subnet, value) })
	case "ip":
		ip, err := netip.ParseAddr(value)
		return err == nil && slices.ContainsFunc(i.links, func(l *link) bool { return l.address != nil && l.subnet.CIDR.Contains(ip) })
	case "mode":
		return true
	default: // fabric_class, tag, link_speed: nothing here has them
		return false
	}
}

func matchedLink(i *iface, c nicConstraint) *link {
	for _, l := range i.links {
		for _, value := range append(slices.Clone(c.by["subnet"]), c.by["subnet_cidr"]...) {
			if l.address != nil && subnetMatches(l.subnet, value) {
				return l
			}
		}
	}
	return nil
}

func subnetMatches(s *network.Subnet, spec string) bool {
	return matchSpec(spec, s.ID, s.Name) || strings.TrimPrefix(spec, "cidr:") == s.CIDR.String()
}

// matchSpec compares with MAAS's specifiers: an id, "id:<n>", a name or "name:<name>".
func matchSpec(spec string, id int, name string) bool {
	return spec == strconv.Itoa(id) || spec == "id:"+strconv.Itoa(id) || spec == name || spec == "name:"+name
}
