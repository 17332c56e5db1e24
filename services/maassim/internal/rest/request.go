package rest

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/fault"
)

// Values are the parameters of a form or a query, in the order in which they were sent.
type Values struct {
	order  []string
	values map[string][]string
}

// Add appends a value.
func (v *Values) Add(name, value string) {
	if v.values == nil {
		v.values = make(map[string][]string)
	}
	if _, ok := v.values[name]; !ok {
		v.order = append(v.order, name)
	}
	v.values[name] = append(v.values[name], value)
}

// Names returns the names in the order of their first appearance.
func (v *Values) Names() []string { return v.order }

// Has reports whether the parameter was sent, even if empty.
func (v *Values) Has(name string) bool { return len(v.values[name]) > 0 }

// Get returns the last value sent, as Django does, or "".
func (v *Values) Get(name string) string {
	all := v.values[name]
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

// All returns every value of the parameter.
func (v *Values) All(name string) []string { return v.values[name] }

// Bool reads a parameter as MAAS's StringBool does: true, on, yes and 1 mean yes.
func (v *Values) Bool(name string) bool {
	switch strings.ToLower(v.Get(name)) {
	case "true", "on", "yes", "1", "t", "y":
		return true
	}
	return false
}

// Request is a call of the API, authenticated and parsed.
type Request struct {
	User  *User             // who asks; nil only where anonymous access is allowed
	Path  map[string]string // the variables of the path
	URI   string            // path and query as sent
	Query Values
	Form  Values
	JSON  map[string]any // a JSON body; operations that read MAAS's request.data have its values in Form as well
	// Faults are what goes wrong inside MAAS during this call.
	Faults fault.Inside

	body bodyKind
}

// parseQuery reads a query or a form. As in Django nothing is wrong with any text: a % that begins no escape is a %.
func parseQuery(raw string) Values {
	var v Values
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		v.Add(unescape(name), unescape(value))
	}
	return v
}

// unescape is Python's unquote_plus.
func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	var b strings.Builder
	for at := 0; at < len(s); at++ {
		switch {
		case s[at] == '+':
			b.WriteByte(' ')
		case s[at] == '%' && at+2 < len(s) && isHex(s[at+1]) && isHex(s[at+2]):
			code, _ := strconv.ParseUint(s[at+1:at+3], 16, 8) // two digits always are a byte
			b.WriteByte(byte(code))
			at += 2
		default:
			b.WriteByte(s[at])
		}
	}
	return b.String()
}

func isHex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }
