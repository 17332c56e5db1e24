package reference

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// row is one field.
type row struct {
	path, kind, preset string
	rules              []string
	meaning            string
}

// conditions is the one list whose entries are Kubernetes' own.
const conditions = "conditions"

// rowsOf lists the fields below a schema, each after the one that holds it. shared names the kind whose spec a schema is.
func rowsOf(parent *apiextensionsv1.JSONSchemaProps, shared func(*apiextensionsv1.JSONSchemaProps) string) ([]row, error) {
	return below("", parent, shared)
}

func below(prefix string, parent *apiextensionsv1.JSONSchemaProps, shared func(*apiextensionsv1.JSONSchemaProps) string) ([]row, error) {
	var rows []row
	for _, name := range sortedKeys(parent.Properties) {
		schema := parent.Properties[name]
		kind, err := kindOf(&schema)
		if err != nil {
			return nil, fmt.Errorf("%s%s: %w", prefix, name, err)
		}
		one := row{path: prefix + name, kind: kind, meaning: meaningOf(name, schema.Description), rules: rulesOf(&schema)}
		if slices.Contains(parent.Required, name) {
			one.kind += ", required"
		}
		if schema.Default != nil {
			one.preset = "`" + string(schema.Default.Raw) + "`"
		}
		inner, at := &schema, prefix+name+"."
		if schema.Items != nil {
			inner, at = schema.Items.Schema, prefix+name+"[]."
		}
		same := shared(inner)
		switch {
		case same != "":
			one.meaning += fmt.Sprintf(" Its fields are those of the [spec of a %s](#spec-of-a-%s).", same, strings.ToLower(same))
		case name == conditions:
			one.meaning += " Each has type, status, reason, message, lastTransitionTime and observedGeneration, as everywhere in Kubernetes; see [conditions.md](../conditions.md)."
		}
		rows = append(rows, one)
		if same != "" || name == conditions {
			continue
		}
		more, err := below(at, inner, shared)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// meaningOf is the field's comment without its name at the beginning, which stands beside it, and without links.
func meaningOf(name, description string) string {
	text, _, _ := strings.Cut(line(description), " More info: ")
	return sentence(strings.TrimPrefix(text, name+" "))
}

// sentence begins a comment of which the subject was taken away with a capital, unless its first word is a value.
func sentence(text string) string {
	text = strings.TrimPrefix(strings.TrimPrefix(text, "is "), "are ")
	first, _, _ := strings.Cut(text, " ")
	if first == "" || strings.ContainsAny(first, "/<`") {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// kindOf is the type of a value in words.
func kindOf(s *apiextensionsv1.JSONSchemaProps) (string, error) {
	switch {
	case s.XIntOrString:
		return "integer or string", nil
	case s.Type == "array" && s.Items != nil && s.Items.Schema != nil:
		entry, err := kindOf(s.Items.Schema)
		return "list of " + entry, err
	case s.Type == "object" && s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil:
		value, err := kindOf(s.AdditionalProperties.Schema)
		return "map of string to " + value, err
	case s.Type == "":
		return "", fmt.Errorf("the schema has no type")
	default:
		return s.Type, nil
	}
}

// rulesOf are the rules of one value in words, those of a list's entries after those of the list.
func rulesOf(s *apiextensionsv1.JSONSchemaProps) []string {
	var rules []string
	add := func(format string, args ...any) { rules = append(rules, fmt.Sprintf(format, args...)) }
	if len(s.Enum) > 0 {
		add("one of %s", words(s.Enum))
	}
	within(add, s.Minimum, s.Maximum, "")
	if s.MinLength != nil && *s.MinLength == 1 && s.MaxLength == nil {
		add("not empty")
	} else {
		within(add, s.MinLength, s.MaxLength, " characters")
	}
	within(add, s.MinItems, s.MaxItems, " entries")
	if s.Pattern != "" {
		add("matches `%s`", s.Pattern)
	}
	if s.XListType != nil && *s.XListType == "set" {
		add("each entry once")
	}
	if s.XListType != nil && *s.XListType == "map" {
		add("one entry for each %s", strings.Join(s.XListMapKeys, " and "))
	}
	for _, v := range s.XValidations {
		if v.Message == "" {
			add("`%s`", line(v.Rule))
		} else {
			add("%s", line(v.Message))
		}
	}
	if s.Items != nil && s.Items.Schema != nil && s.Items.Schema.Type != "object" {
		for _, rule := range rulesOf(s.Items.Schema) {
			add("each %s", rule)
		}
	}
	return rules
}

// within adds the rule of a range, of which either end may be open.
func within[T int64 | float64](add func(string, ...any), least, most *T, unit string) {
	switch {
	case least != nil && most != nil:
		add("%v to %v%s", *least, *most, unit)
	case least != nil:
		add("at least %v%s", *least, unit)
	case most != nil:
		add("at most %v%s", *most, unit)
	}
}

// words lists values as they are written in a manifest.
func words(values []apiextensionsv1.JSON) string {
	all := make([]string, 0, len(values))
	for _, v := range values {
		var text string
		if err := json.Unmarshal(v.Raw, &text); err != nil {
			text = string(v.Raw)
		}
		all = append(all, "`"+text+"`")
	}
	return strings.Join(all, ", ")
}
