package region

import (
	"fmt"
	"hash/crc32"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/network"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// nicWish is one NIC of a VM, matched with an interface of the host.
type nicWish struct {
	name         string
	bridge       *iface          // nil where MAAS does not know what the VM hangs on
	subnet       *network.Subnet // of the host's own address as the constraint chose it; nil: the VLAN's first
	unconfigured bool
	ips          []netip.Addr
}

// nicConstraint is one labelled group of an interfaces constraint.
type nicConstraint struct {
	label string
	keys  []string
	by    map[string][]string
}

// nicKeys are the keys that MAAS knows in an interfaces constraint.
var nicKeys = []string{
	"id", "not_id", "fabric", "not_fabric", "fabric_class", "not_fabric_class", "ip", "not_ip", "mode", "name", "not_name", "hostname",
	"not_hostname", "subnet", "not_subnet", "space", "not_space", "subnet_cidr", "not_subnet_cidr", "type", "vlan", "not_vlan", "vid",
	"not_vid", "tag", "not_tag", "link_speed",
}

var nicLabel = regexp.MustCompile(`^[a-zA-Z0-9]+[a-zA-Z0-9_-]*$`)

// parseInterfaces reads "label:key=value,key=value;label2:…".
func parseInterfaces(text string) ([]nicConstraint, error) {
	if len(text) <= 1 {
		return nil, nil
	}
	var all []nicConstraint
	for group := range strings.SplitSeq(text, ";") {
		c, err := parseNIC(group)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(other nicConstraint) bool { return other.label == c.label }) {
			return nil, fmt.Errorf("Constraint label defined more than once: '%s'", c.label) //nolint:staticcheck // MAAS's words
		}
		all = append(all, c)
	}
	for _, c := range all {
		for _, key := range c.keys {
			if !slices.Contains(nicKeys, key) {
				return nil, fmt.Errorf("Unknown interfaces constraint: '%s", key) //nolint:staticcheck // MAAS's words (recording 068)
			}
		}
	}
	return all, nil
}

func parseNIC(group string) (nicConstraint, error) {
	label, rest, ok := strings.Cut(group, ":")
	if !ok {
		return nicConstraint{}, fmt.Errorf("Malformed constraint: '%s' (required format: '<label>:<key>=<value>[,<key2>=<value2>[,...]]')", group) //nolint:staticcheck // MAAS's words
	}
	if !nicLabel.MatchString(label) {
		return nicConstraint{}, fmt.Errorf("Invalid label name: '%s' (Must begin with an alphanumeric character, and include only alphanumeric characters, dashes, and underscores.)", label) //nolint:staticcheck // MAAS's words
	}
	c := nicConstraint{label: label, by: make(map[string][]string)}
	for pair := range strings.SplitSeq(rest, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nicConstraint{}, fmt.Errorf("Malformed key/value pair in constraint: '%s'", pair) //nolint:staticcheck // MAAS's words
		}
		c.keys = append(c.keys, key)
		c.by[key] = append(c.by[key], value)
	}
	return c, nil
}

// ifname makes a label the name of an interface, which has at most 15 bytes.
func ifname(label string) string {
	if n, err := strconv.Atoi(label); err == nil {
		label = fmt.Sprintf("eth%d", n)
	}
	if len(label) > 15 {
		sum := fmt.Sprintf("%05x", crc32.ChecksumIEEE([]byte(label)))
		label = "eth-" + sum[len(sum)-5:] + "-" + label[len(label)-5:]
	}
	return label
}

// matchInterfaces chooses an interface of the host for each constraint; without constraints what LXD's driver takes, which may be nothing.
func (r *Region) matchInterfaces(h *vmHost, constraints []nicConstraint) ([]nicWish, error) {
	if len(constraints) == 0 {
		if parent := h.defaultParent(); parent != nil {
			return []nicWish{{name: "eth0", bridge: parent}}, nil
		}
		return nil, nil
	}
	if h.machine == nil {
		return nil, rest.Text(http.StatusBadRequest, "Pod must be on a known host if interfaces are specified.")
	}
	var nics []nicWish
	dhcp := false
	for _, c := range constraints {
		nic, err := r.matchNIC(h, c)
		if err != nil {
			return nil, err
		}
		dhcp = dhcp || nic.bridge.vlan != nil && nic.bridge.vlan.DHCP
		nics = append(nics, nic)
	}
	if !dhcp {
		return nil, rest.Text(http.StatusBadRequest, "MAAS DHCP must be enabled on at least one VLAN attached to the specified interfaces.")
	}
	return nics, nil
}

// matchNIC finds the interface of a host for one constraint. An address asked for stands for the VLAN of its subnet.
func (r *Region) matchNIC(h *vmHost, c nicConstraint) (nicWish, error) {
	nic := nicWish{name: ifname(c.label), unconfigured: slices.Contains(c.by["mode"], "unconfigured")}
	for _, text := range c.by["id"] {
		if _, err := strconv.Atoi(text); err != nil {
			return nic, rest.Text(http.StatusBadRequest, "Interface ID must be numeric.")
		}
	}
	for _, text := range c.by["ip"] {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return nic, rest.Text(http.StatusInternalServerError, "failed to detect a valid IP address from '%s'", text)
		}
		nic.ips = append(nic.ips, ip)
	}
	if nic.bridge = r.matchParent(h, c, nic.ips); nic.bridge == nil {
		return nic, rest.Text(http.StatusBadRequest, "This pod does not match the specified networks.")
	}
	if l := matchedLink(nic.bridge, c); l != nil {
		nic.subnet = l.subnet
	}
	return nic, nil
}

// defaultParent is what LXD's driver takes without constraints: a bridge with DHCP, or any interface with DHCP.
func (h *vmHost) defaultParent() *iface {
	if h.machine == nil {
		return nil
	}
	for _, kind := range []string{"bridge", ""} {
		for _, i := range h.machine.interfaces {
			if i.vlan != nil && i.vlan.DHCP && (i.kind == kind || kind == "") {
				return i
			}
		}
	}
	return nil
}

// matchParent finds the interface of a host that satisfies every key of a constraint: a bridge before a bond before any other, and of
// several the one that was made last.
func (r *Region) matchParent(h *vmHost, c nicConstraint, ips []netip.Addr) *iface {
	for _, kind := range []string{"bridge", "bond", ""} {
		for _, i := range slices.Backward(h.machine.interfaces) {
			if (kind == "" || i.kind == kind) && parentMatches(i, c) && r.holdsAll(i, ips) {
				return i
			}
		}
	}
	return nil
}

func (r *Region) holdsAll(i *iface, ips []netip.Addr) bool {
	return !slices.ContainsFunc(ips, func(ip netip.Addr) bool {
		sub := r.subnetFor(ip)
		return sub == nil || sub.VLAN != i.vlan
	})
}

// parentMatches tests all keys: one of the values of a key must hold, and none of a not_ key.
func parentMatches(i *iface, c nicConstraint) bool {
	for key, values := range c.by {
		plain, negated := strings.CutPrefix(key, "not_")
		if plain == "mode" || key == "ip" {
			continue
		}
		if slices.ContainsFunc(values, func(v string) bool { return parentHas(i, plain, v) }) == negated {
			return false
		}
	}
	return true
}

// parentHas tests one key. A subnet matches only where the host has an address on it (recording 310); a bare number of a vlan is its VID
// (recording 321).
func parentHas(i *iface, key, value string) bool {
	switch key {
	case "id":
		return strconv.Itoa(i.id) == value
	case "name":
		return i.name == value
	case "hostname":
		return i.machine.hostname == value
	case "type":
		return i.kind == value
	case "subnet", "subnet_cidr", "ip":
		return slices.ContainsFunc(i.links, func(l *link) bool { return l.address != nil && l.has(key, value) })
	}
	return i.vlan != nil && vlanHas(i.vlan, key, value)
}

// has tests a key about a subnet or an address.
func (l *link) has(key, value string) bool {
	if key == "ip" {
		return l.address.ip.String() == value
	}
	return l.subnet != nil && subnetMatches(l.subnet, value)
}

// vlanHas tests a key about a VLAN. Fabric classes, tags and link speeds are not simulated: nothing has them.
func vlanHas(v *network.VLAN, key, value string) bool {
	switch key {
	case "fabric":
		return matchSpec(value, v.FabricID, v.FabricName)
	case "space":
		return v.Space == strings.TrimPrefix(strings.TrimPrefix(value, "space:"), "name:")
	case "vid":
		return strconv.Itoa(v.VID) == value
	case "vlan":
		return vlanMatches(v, value)
	}
	return false
}

// vlanMatches compares with a specifier of a VLAN.
func vlanMatches(v *network.VLAN, spec string) bool {
	if id, ok := strings.CutPrefix(spec, "id:"); ok {
		return strconv.Itoa(v.ID) == id
	}
	if fabric, ok := strings.CutPrefix(spec, "fabric:"); ok {
		return matchSpec(fabric, v.FabricID, v.FabricName)
	}
	if space, ok := strings.CutPrefix(spec, "space:"); ok {
		return v.Space == space
	}
	return strconv.Itoa(v.VID) == strings.TrimPrefix(spec, "vid:") || v.Name == strings.TrimPrefix(spec, "name:")
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
