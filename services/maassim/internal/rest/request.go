package rest

import (
	"net/url"
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

func parseQuery(raw string) (Values, error) {
	var v Values
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return v, err
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return v, err
		}
		v.Add(name, value)
	}
	return v, nil
}
