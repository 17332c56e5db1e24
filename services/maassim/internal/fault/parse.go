package fault

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Parse reads a fault as a flag holds it: "operation=vm-hosts.compose,host=lxd-3,status=503,count=2". The names are those of the JSON
// fields, and retry-after=5 stands for that header; a name without a value means true. A comma inside a value is written \, or, between
// patterns, |.
func Parse(text string) (Fault, error) {
	var f Fault
	for _, part := range splitUnescaped(text) {
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if !ok {
			value = "true"
		}
		if err := set(&f, name, value); err != nil {
			return f, fmt.Errorf("fault %q: %s: %w", text, name, err)
		}
	}
	return f, nil
}

func set(f *Fault, name, value string) (err error) {
	texts := map[string]*string{
		"operation": &f.Operation, "host": &f.Host, "machine": &f.Machine, "user": &f.User, "preset": &f.Preset, "body": &f.Body, "field": &f.Field,
		"effect": (*string)(&f.Effect), "mangle": (*string)(&f.Mangle),
	}
	numbers := map[string]*int{"skip": &f.Skip, "count": &f.Count, "status": &f.Status}
	switches := map[string]*bool{"reset": &f.Reset, "after": &f.After}
	switch {
	case texts[name] != nil:
		if name != "body" {
			value = strings.ReplaceAll(value, "|", ",")
		}
		*texts[name] = value
	case numbers[name] != nil:
		*numbers[name], err = strconv.Atoi(value)
	case switches[name] != nil:
		*switches[name], err = strconv.ParseBool(value)
	case name == "probability":
		f.Probability, err = strconv.ParseFloat(value, 64)
	case name == "latency":
		f.Latency, f.Spread, err = ParseLatency(value)
	case name == "trickle":
		f.Trickle, err = time.ParseDuration(value)
	case name == "retry-after":
		f.Header = map[string]string{"Retry-After": value}
	default:
		err = fmt.Errorf("there is no such field")
	}
	return err
}

// splitUnescaped splits at the commas that no backslash precedes.
func splitUnescaped(text string) []string {
	const kept = "\x00"
	parts := strings.Split(strings.ReplaceAll(text, `\,`, kept), ",")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], kept, ",")
	}
	return parts
}

// ParseAll reads JSON: one fault, a list of them, or {"faults": [...]}. It refuses fields that there are not, and anything else.
func ParseAll(data []byte) ([]Fault, error) {
	list, err := listOf(bytes.TrimSpace(data))
	if err != nil {
		return nil, err
	}
	var faults []Fault
	if err := json.Unmarshal(list, &faults); err != nil {
		return nil, err
	}
	return faults, nil
}

// listOf returns the JSON list that a fault plan is or has.
func listOf(plan []byte) ([]byte, error) {
	if bytes.HasPrefix(plan, []byte("[")) {
		return plan, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(plan, &object); err != nil || object == nil {
		return nil, fmt.Errorf(`want a fault, a list of faults or {"faults": [...]}: %w`, cmp.Or(err, errNoPlan))
	}
	list, ok := object["faults"]
	switch {
	case !ok:
		return slices.Concat([]byte("["), plan, []byte("]")), nil
	case len(object) > 1 || !bytes.HasPrefix(list, []byte("[")):
		return nil, errors.New(`"faults" holds a list of faults, and nothing stands beside it`)
	}
	return list, nil
}

var errNoPlan = errors.New("it is null")
