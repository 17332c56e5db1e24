package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
)

// maxBody bounds what the simulator reads of one request; user data of a machine are a few MiB at most. To more nginx says no.
const maxBody = 64 << 20

// errTooLarge stands for nginx's refusal of a body, which MAAS never sees.
var errTooLarge = &Error{Status: http.StatusRequestEntityTooLarge}

// bodyKind is what piston makes of a request's body.
type bodyKind int

const (
	formBody  bodyKind = iota // request.POST and request.data are the form
	jsonBody                  // request.data is what was decoded, request.POST an empty dict
	otherBody                 // request.data is None, request.POST an empty form
)

// parseBody reads the body of a POST or PUT; MAAS looks at no other method's. A body that cannot be decoded is a 400.
func (q *Request) parseBody(r *http.Request) *Error {
	if r.Method != http.MethodPost && r.Method != http.MethodPut {
		return nil
	}
	if r.ContentLength > maxBody {
		return errTooLarge
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return Text(http.StatusBadRequest, "read the body: %v", err)
	}
	if len(raw) > maxBody {
		return errTooLarge
	}
	given := r.Header.Get("Content-Type")
	if given == "" {
		return nil // a body of no type carries no parameters
	}
	kind, params, err := mime.ParseMediaType(given)
	if err != nil {
		q.body = otherBody
		return nil //nolint:nilerr // to MAAS it is a body of a type that it does not know
	}
	switch kind {
	case "application/x-www-form-urlencoded":
		q.Form = parseQuery(string(raw))
	case "multipart/form-data":
		err = q.parseMultipart(multipart.NewReader(bytes.NewReader(raw), params["boundary"]))
	case "application/json":
		q.body = jsonBody
		return q.parseJSON(raw)
	default:
		q.body = otherBody
	}
	if err != nil {
		return Text(http.StatusBadRequest, "%v", err)
	}
	return nil
}

func (q *Request) parseJSON(raw []byte) *Error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return &Error{Status: http.StatusBadRequest, ContentType: "text/plain", Body: []byte("Bad Request"), Resource: true}
	}
	q.JSON = map[string]any{}
	if object, ok := value.(map[string]any); ok {
		q.JSON = object
	}
	return nil
}

func (q *Request) parseMultipart(parts *multipart.Reader) error {
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read form: %w", err)
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return fmt.Errorf("read form field %q: %w", part.FormName(), err)
		}
		q.Form.Add(part.FormName(), string(value))
	}
}

// useBody gives the operation the body in the way in which it reads it: operations that read request.data take JSON for a form, those
// that read request.POST see an empty form, and those that want several values of one name crash on it.
func (q *Request) useBody(a *Action) *Error {
	switch {
	case q.body == formBody:
	case a.Data && q.body == otherBody:
		return Text(http.StatusInternalServerError, "'NoneType' object has no attribute 'get'")
	case a.Data:
		for name, value := range q.JSON {
			addJSON(&q.Form, name, value)
		}
	case a.Lists && q.body == jsonBody:
		return Text(http.StatusInternalServerError, "'dict' object has no attribute 'getlist'")
	}
	return nil
}

// addJSON adds a JSON value as a form would carry it; a list is a name with several values, null is no value.
func addJSON(form *Values, name string, value any) {
	switch v := value.(type) {
	case nil:
	case []any:
		for _, each := range v {
			addJSON(form, name, each)
		}
	case map[string]any:
		if raw, err := json.Marshal(v); err == nil {
			form.Add(name, string(raw))
		}
	default:
		form.Add(name, fmt.Sprint(v))
	}
}
