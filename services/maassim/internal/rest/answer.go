package rest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// recordedHash is the digest of its API's description that a MAAS 3.4.10 sends with each answer of a resource.
const recordedHash = "29b8898cd6164c9b0adae16fe79c9932fe40e145"

// apiHash stands for that digest: the same for ever in one version, another in each.
func apiHash(version string) string {
	if version == "" || strings.HasPrefix(version, "3.4") {
		return recordedHash
	}
	sum := sha256.Sum256([]byte("description of the API of MAAS " + version))
	return hex.EncodeToString(sum[:20])
}

const (
	typeJSON = "application/json; charset=utf-8"
	typeText = "text/plain; charset=utf-8"
)

// Error is an answer of MAAS that is not a success.
type Error struct {
	Status      int
	ContentType string
	Body        []byte
	Header      http.Header // further headers
	Resource    bool        // made by the resource rather than by the error middleware, which answers without X-MAAS-API-Hash
}

// Error returns the body, for tests of the simulator itself.
func (e *Error) Error() string { return strconv.Itoa(e.Status) + " " + string(e.Body) }

// Text is an error with a plain text body; most of MAAS's are.
func Text(status int, format string, args ...any) *Error {
	return &Error{Status: status, ContentType: typeText, Body: fmt.Appendf(nil, format, args...)}
}

// NotFound is the answer for an object that does not exist; kind is MAAS's name of its model.
func NotFound(kind string) *Error {
	return &Error{
		Status: http.StatusNotFound, ContentType: "text/plain", Resource: true,
		Body: fmt.Appendf(nil, "No %s matches the given query.", kind),
	}
}

// NotFoundText is a 404 in words of its own.
func NotFoundText(text string) *Error {
	return &Error{Status: http.StatusNotFound, ContentType: "text/plain", Resource: true, Body: []byte(text)}
}

// Forbidden is the answer to a user without the right; MAAS gives no reason.
func Forbidden() *Error { return Text(http.StatusForbidden, "") }

// Form collects the errors of a form, field by field; MAAS answers them as JSON.
type Form struct {
	names  []string
	fields map[string][]string
}

// Addf adds an error to a field.
func (f *Form) Addf(field, format string, args ...any) {
	if f.fields == nil {
		f.fields = make(map[string][]string)
	}
	if _, ok := f.fields[field]; !ok {
		f.names = append(f.names, field)
	}
	f.fields[field] = append(f.fields[field], fmt.Sprintf(format, args...))
}

// Has reports whether a field has an error.
func (f *Form) Has(field string) bool { return len(f.fields[field]) > 0 }

// Err returns the 400 of the form, or nil when the form is valid.
func (f *Form) Err() error {
	if len(f.fields) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteByte('{')
	for i, name := range f.names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(name) + ": [")
		for j, text := range f.fields[name] {
			if j > 0 {
				b.WriteString(", ")
			}
			b.WriteString(quote(text))
		}
		b.WriteByte(']')
	}
	b.WriteByte('}')
	return &Error{Status: http.StatusBadRequest, ContentType: typeJSON, Body: []byte(b.String())}
}

// Invalid is a form with one error.
func Invalid(field, format string, args ...any) error {
	var f Form
	f.Addf(field, format, args...)
	return f.Err()
}

// noContent is the answer of an operation that returns nothing.
type noContent struct{}

// NoContent is returned by handlers that answer 204.
var NoContent = noContent{}

// Created is returned by handlers that answer 201.
type Created struct{ Value any }

// reply is an answer that is ready to be sent.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// answer makes the reply of what a handler returned.
func (s *Server) answer(value any, err error) *reply {
	if err != nil {
		return s.failure(asError(err))
	}
	out := &reply{status: http.StatusOK, header: http.Header{}}
	out.header.Set("Vary", "Authorization, Cookie")
	out.header.Set("X-Maas-Api-Hash", s.hash)
	if value == NoContent {
		out.status = http.StatusNoContent
		out.header.Set("Content-Type", "text/plain")
		return out
	}
	if made, ok := value.(Created); ok {
		out.status, value = http.StatusCreated, made.Value
	}
	if text, ok := value.(Plain); ok {
		out.header.Set("Content-Type", text.Type)
		out.body = []byte(text.Body)
		return out
	}
	body, err := encode(value)
	if err != nil {
		return s.failure(Text(http.StatusInternalServerError, "%v", err))
	}
	out.header.Set("Content-Type", typeJSON)
	out.body = body
	return out
}

// send writes the reply.
func (a *reply) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	if a.status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// Plain is a successful answer that is not JSON of an object.
type Plain struct{ Type, Body string }

func asError(err error) *Error {
	if e, ok := err.(*Error); ok { //nolint:errorlint // handlers return MAAS's answers unwrapped
		return e
	}
	return Text(http.StatusInternalServerError, "%v", err)
}

func (s *Server) failure(e *Error) *reply {
	out := &reply{status: e.Status, header: http.Header{}, body: e.Body}
	maps.Copy(out.header, e.Header)
	out.header.Set("Content-Type", e.ContentType)
	out.header.Set("Vary", "Cookie")
	if e.Resource {
		out.header.Set("Vary", "Authorization, Cookie")
		out.header.Set("X-Maas-Api-Hash", s.hash)
	}
	return out
}

// quote writes a string as Python's json module does: everything beyond ASCII is escaped.
func quote(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return `""`
	}
	plain := strings.TrimSuffix(b.String(), "\n")
	if len(plain) == utf8.RuneCountInString(plain) {
		return plain
	}
	var out strings.Builder
	for _, r := range plain {
		switch {
		case r < utf8.RuneSelf:
			out.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}
