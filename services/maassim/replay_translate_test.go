package maassim_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// translator turns what a real MAAS drew (ids, names, MAC addresses) into what the simulator drew in the same place. It learns by walking
// a recorded answer and the simulated one in parallel; what it once learned must hold in all later answers.
type translator struct {
	prescan
	numbers map[string]map[string]string // kind of object, recorded id, simulated id
	words   map[string]string            // system ids, drawn hostnames, MAC addresses
	used    map[string]bool              // simulated ids that already stand for something
	taken   map[string]bool              // simulated words that do
	// machineNamed asks the simulator for the system id of the machine with this hostname.
	machineNamed func(hostname string) string
	// interfaceNamed asks it for the id of an interface.
	interfaceNamed func(systemID, name string) string
}

func newTranslator(p prescan) *translator {
	return &translator{prescan: p, numbers: make(map[string]map[string]string), words: make(map[string]string), used: make(map[string]bool), taken: make(map[string]bool)}
}

// forget forgets every id that is a number.
func (t *translator) forget() {
	t.numbers, t.used = make(map[string]map[string]string), make(map[string]bool)
}

var (
	word      = regexp.MustCompile(`[A-Za-z0-9_:-]+`)
	systemID  = regexp.MustCompile(`^[0-9a-z]{6}$`)
	uriIDs    = regexp.MustCompile(`(vm-hosts|pods|interfaces|dnsresources|dnsresourcerecords|boot-resources|blockdevices|vlans|fabrics|spaces|partition)/(\d+)`)
	textIDs   = regexp.MustCompile(`(Pod |after=|before=)(\d+)\b`)
	quotedIDs = regexp.MustCompile(`'(\d+)'`)
)

// number translates an id of one kind; unknown ids stay.
func (t *translator) number(kind, id string) string {
	if to, ok := t.numbers[kind][id]; ok {
		return to
	}
	return id
}

func (t *translator) learnNumber(kind, recorded, got string) {
	if t.numbers[kind] == nil {
		t.numbers[kind] = make(map[string]string)
	}
	if _, known := t.numbers[kind][recorded]; known || t.used[kind+"/"+got] {
		return
	}
	t.numbers[kind][recorded], t.used[kind+"/"+got] = got, true
}

func (t *translator) learnWord(recorded, got string) {
	if _, known := t.words[recorded]; known || t.taken[got] || recorded == "" || got == "" {
		return
	}
	t.words[recorded], t.taken[got] = got, true
}

// text translates all ids in a text.
func (t *translator) text(s string) string {
	if to, ok := t.words[s]; ok {
		return to
	}
	s = word.ReplaceAllStringFunc(s, func(w string) string {
		if to, ok := t.words[w]; ok {
			return to
		}
		return w
	})
	s = uriIDs.ReplaceAllStringFunc(s, func(part string) string {
		m := uriIDs.FindStringSubmatch(part)
		return m[1] + "/" + t.number(kindOf(m[1]), m[2])
	})
	if strings.Contains(s, "is not a valid id.") { // of a link that is to be removed
		s = quotedIDs.ReplaceAllStringFunc(s, func(part string) string { return "'" + t.number("links", strings.Trim(part, "'")) + "'" })
	}
	return textIDs.ReplaceAllStringFunc(s, func(part string) string {
		m := textIDs.FindStringSubmatch(part)
		if m[1] == "Pod " {
			return m[1] + t.number("vm-hosts", m[2])
		}
		return m[1] + t.number("events", m[2])
	})
}

// kindOf unites the two names of VM hosts.
func kindOf(collection string) string {
	if collection == "pods" {
		return "vm-hosts"
	}
	return collection
}

// request translates a recorded request's path and query, or its body. Machines that no answer has shown yet are looked up by hostname.
func (t *translator) request(s string) string {
	for _, w := range word.FindAllString(s, -1) {
		if _, known := t.words[w]; known || !systemID.MatchString(w) || t.hostnames[w] == "" {
			continue
		}
		t.learnWord(w, t.machineNamed(t.text(t.hostnames[w])))
	}
	for _, m := range regexp.MustCompile(`nodes/(\w+)/interfaces/(\d+)/`).FindAllStringSubmatch(s, -1) {
		if _, known := t.numbers["interfaces"][m[2]]; !known {
			name, shown := t.interfaces[m[1]+"/"+m[2]]
			if !shown {
				name = "eth0" // what every VM has
			}
			t.learnNumber("interfaces", m[2], t.interfaceNamed(t.text(m[1]), name))
		}
	}
	return t.text(s)
}

// form translates a form body: ids of machines anywhere, and the id of a link to be unlinked.
func (t *translator) form(path, body string) string {
	if strings.Contains(path, "unlink_subnet") {
		if values, err := url.ParseQuery(body); err == nil && values.Get("id") != "" {
			return "id=" + t.number("links", values.Get("id"))
		}
	}
	return t.request(body)
}

// learn walks both answers. parent is the key under which the values stand.
func (t *translator) learn(parent string, recorded, got any) {
	switch r := recorded.(type) {
	case []any:
		if g, ok := got.([]any); ok && len(g) == len(r) {
			for i := range r {
				t.learn(parent, r[i], g[i])
			}
		}
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || !t.sameThing(r, g) {
			return
		}
		t.learnObject(parent, r, g)
		for key := range r {
			t.learn(key, r[key], g[key])
		}
	}
}

// sameThing refuses to learn from machines that obviously are two.
func (t *translator) sameThing(r, g map[string]any) bool {
	name, ok := r["hostname"].(string)
	return !ok || !t.wished[name] || g["hostname"] == name
}

func (t *translator) learnObject(parent string, r, g map[string]any) {
	t.learnWords(r["system_id"], g["system_id"])
	if name, ok := r["hostname"].(string); ok && !t.wished[name] {
		t.learnWords(r["hostname"], g["hostname"])
	}
	for key, value := range r {
		if kind := idKind(parent, key, r); kind != "" && value != nil && g[key] != nil {
			t.learnNumber(kind, fmt.Sprint(value), fmt.Sprint(g[key]))
		}
	}
}

func (t *translator) learnWords(recorded, got any) {
	r, ok := recorded.(string)
	g, also := got.(string)
	if ok && also {
		t.learnWord(r, g)
	}
}

// macsOf names the MAC addresses of one machine: the stand-in LXD drew some twice, for machines of different times.
func macsOf(object map[string]any) string {
	return fmt.Sprintf("MAC addresses of %v", object["system_id"])
}

// idKind tells which kind of object a number identifies, "" if it is none that MAAS drew.
func idKind(parent, key string, object map[string]any) string {
	switch {
	case key == "virtualmachine_id":
		return "virtual machines"
	case strings.HasSuffix(key, "_result_id"):
		return "script sets"
	case key == "mac_address":
		return macsOf(object)
	case key == "device_id":
		return "blockdevices"
	case key == "link_id":
		return "links"
	case key == "fabric_id":
		return "fabrics"
	case key != "id":
		return ""
	case parent == "links":
		return "links"
	case parent == "events":
		return "events"
	case parent == "pod":
		return "vm-hosts"
	}
	uri, _ := object["resource_uri"].(string)
	if m := uriIDs.FindAllStringSubmatch(uri, -1); len(m) > 0 {
		return kindOf(m[len(m)-1][1])
	}
	return ""
}
