package maassim_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// comparedHeaders are the headers that clients may rely on.
var comparedHeaders = []string{"Content-Type", "Retry-After", "WWW-Authenticate", "Allow", "Vary"}

// generated are the fields whose values MAAS draws or reads off a clock. Their form is compared instead.
var generated = map[string]*regexp.Regexp{
	"created": timeForm, "updated": timeForm, "uuid": uuidForm, "hardware_uuid": uuidForm, "certificate": pemForm, "key": pemForm,
}

var (
	timeForm = regexp.MustCompile(`^\w{3}, \d\d \w{3}\.? \d{4} \d\d:\d\d:\d\d$|^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}$`)
	uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	pemForm  = regexp.MustCompile(`^-----BEGIN [A-Z ]+-----\n`)
)

// replayed is what the simulator answered.
type replayed struct {
	status int
	header http.Header
	body   []byte
}

// mismatch is a difference between two answers.
type mismatch struct {
	text string
	form bool // in status, JSON keys or types rather than in values
}

// mismatches are those of one answer by their places.
type mismatches map[string]mismatch

// valuef notes that a value is another one.
func (m mismatches) valuef(at, format string, args ...any) {
	m[at] = mismatch{text: fmt.Sprintf(format, args...)}
}

// formf notes that a status, a key or a type is another one.
func (m mismatches) formf(at, format string, args ...any) {
	m[at] = mismatch{text: fmt.Sprintf(format, args...), form: true}
}

// compare returns every difference between a recorded answer and the simulated one, by place.
func (t *translator) compare(recorded *recordedResponse, got replayed) mismatches {
	found := make(mismatches)
	if recorded.Status != got.status {
		found.formf("status", "recorded %d, got %d: %.200s", recorded.Status, got.status, got.body)
		return found
	}
	t.compareHeaders(recorded.Headers, got.header, found)
	if !recorded.IsJSON {
		if want := t.text(fmt.Sprint(orEmpty(recorded.Body))); want != string(got.body) && !t.sameText(want, string(got.body)) {
			found.valuef("text", "recorded %.300q, got %.300q", want, got.body)
		}
		return found
	}
	var body any
	if err := decodeJSON(got.body, &body); err != nil {
		found.formf("text", "got no JSON: %v: %.200s", err, got.body)
		return found
	}
	unordered("", recorded.Body)
	unordered("", body)
	t.learn("", recorded.Body, body)
	t.values("", "", recorded.Body, body, found)
	return found
}

// unordered sorts the addresses of records, which MAAS reads without an order.
func unordered(key string, v any) {
	switch v := v.(type) {
	case []any:
		if key == "ip_addresses" {
			slices.SortStableFunc(v, func(a, b any) int { return strings.Compare(addressIn(a), addressIn(b)) })
		}
		for _, item := range v {
			unordered("", item)
		}
	case map[string]any:
		for name, item := range v {
			unordered(name, item)
		}
	}
}

// addressIn is the address of an element; elements that are plain addresses keep their order.
func addressIn(v any) string {
	o, _ := v.(map[string]any)
	ip, _ := o["ip"].(string)
	return ip
}

func orEmpty(v any) any {
	if v == nil {
		return ""
	}
	return v
}

func (t *translator) sameText(want, got string) bool {
	want = timestamps.ReplaceAllString(want, "<time>")
	return want == timestamps.ReplaceAllString(got, "<time>")
}

// timestamps stand in the text of one refusal of OAuth.
var timestamps = regexp.MustCompile(`\b1[78]\d{8}\b`)

func (t *translator) compareHeaders(recorded map[string]string, got http.Header, found mismatches) {
	want := make(http.Header)
	for name, value := range recorded {
		want.Set(name, value)
	}
	for _, name := range comparedHeaders {
		if want.Get(name) != got.Get(name) {
			found.valuef("header "+name, "recorded %q, got %q", want.Get(name), got.Get(name))
		}
	}
	const hash = "X-Maas-Api-Hash"
	form := regexp.MustCompile(`^[0-9a-f]{40}$`)
	if form.MatchString(want.Get(hash)) != form.MatchString(got.Get(hash)) {
		found.valuef("header "+hash, "recorded %q, got %q", want.Get(hash), got.Get(hash))
	}
}

// values compares two JSON values at a place; key is the last field on the way to them.
func (t *translator) values(at, key string, recorded, got any, found mismatches) {
	switch r := recorded.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			found.formf(at, "recorded an object, got %.100v", got)
			return
		}
		t.objects(at, key, r, g, found)
	case []any:
		g, ok := got.([]any)
		switch {
		case !ok:
			found.formf(at, "recorded a list, got %.100v", got)
		case len(g) != len(r):
			found.valuef(at+"[]", "recorded %d elements, got %d: %s ≠ %s", len(r), len(g), summary(r), summary(g))
		default:
			for i := range r {
				t.values(at+"["+strconv.Itoa(i)+"]", key, r[i], g[i], found)
			}
		}
	default:
		t.scalars(at, key, recorded, got, found)
	}
}

// summary names the elements of a list.
func summary(all []any) string {
	var names []string
	for _, v := range all {
		if o, ok := v.(map[string]any); ok {
			for _, key := range []string{"hostname", "name", "ip", "start", "mode", "id"} {
				if o[key] != nil {
					names = append(names, fmt.Sprint(o[key]))
					break
				}
			}
			continue
		}
		names = append(names, fmt.Sprint(v))
	}
	return fmt.Sprintf("%.300q", names)
}

func (t *translator) objects(at, parent string, r, g map[string]any, found mismatches) {
	for _, key := range slices.Sorted(maps.Keys(r)) {
		value, ok := g[key]
		place := strings.TrimPrefix(at+"."+key, ".")
		switch {
		case !ok:
			found.formf(place, "recorded %.100v, got no such field", r[key])
		case idKind(parent, key, r) != "" && r[key] != nil:
			if want := t.number(idKind(parent, key, r), fmt.Sprint(r[key])); want != fmt.Sprint(value) {
				found.valuef(place, "recorded id %v, which is %s here, got %v", r[key], want, value)
			}
		default:
			t.values(place, key, r[key], value, found)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(g)) {
		if _, ok := r[key]; !ok {
			found.formf(strings.TrimPrefix(at+"."+key, "."), "got %.100v, recorded no such field", g[key])
		}
	}
}

func (t *translator) scalars(at, key string, recorded, got any, found mismatches) {
	same := recorded == got
	switch r := recorded.(type) {
	case json.Number:
		g, ok := got.(json.Number)
		same = ok && sameNumber(r, g)
	case string:
		g, ok := got.(string)
		form := generated[key]
		same = ok && (t.same(r, g) || form != nil && form.MatchString(r) && form.MatchString(g))
	}
	switch {
	case same:
	case typeOf(recorded) == typeOf(got):
		found.valuef(at, "recorded %.300v, got %.300v", recorded, got)
	default:
		found.formf(at, "recorded %s %.300v, got %s %.300v", typeOf(recorded), recorded, typeOf(got), got)
	}
}

// typeOf names a type of JSON; to Python numbers are of two.
func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case json.Number:
		if isFloat(v) {
			return "float"
		}
		return "int"
	default:
		return fmt.Sprintf("%T", v)
	}
}

// same compares a recorded text with a simulated one.
func (t *translator) same(recorded, got string) bool {
	if _, drawn := t.words[recorded]; recorded == got && !drawn {
		return true // most are: this spares their translation
	}
	return t.text(recorded) == got
}

// sameNumber compares numbers with their form: to Python 8000 and 8000.0 are of two types.
func sameNumber(a, b json.Number) bool {
	if isFloat(a) != isFloat(b) {
		return false
	}
	x, err := a.Float64()
	y, wrong := b.Float64()
	return a == b || err == nil && wrong == nil && x == y
}

func isFloat(n json.Number) bool { return strings.ContainsAny(string(n), ".eE") }
