package maas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
)

const (
	// maxDepth and maxValues bound what an answer may unfold to; MAAS's own are about 8 deep, and the
	// largest that fits maxAnswer, 3,900 machines in full, has 2 million values.
	maxDepth  = 64
	maxValues = 3_000_000
)

// unfit says which field of an answer can't be what MAAS means. It names fields of ours and never
// quotes the answer, which may hold a secret.
type unfit struct {
	path    string
	problem string
}

// Error is the path, for example "[3].interface_set.vlan.id", and what is wrong there.
func (u *unfit) Error() string { return strings.TrimSpace(u.path + " " + u.problem) }

// in puts the error of a part under the part's name.
func (u *unfit) in(parent string) *unfit {
	return &unfit{path: strings.TrimSuffix(parent+"."+u.path, "."), problem: u.problem}
}

func missing(path string) *unfit { return &unfit{path, "is missing"} }

// anothers is said of an answer about something else than what was asked for.
func anothers(path string) *unfit { return &unfit{path, "is another's"} }

// reader reads the body of a success.
type reader func(body []byte) error

// checked is a value of MAAS's JSON that knows what it must hold.
type checked[T any] interface {
	*T
	check() *unfit
}

// one reads a single object.
func one[T any, P checked[T]](into *T) reader {
	return func(body []byte) error {
		if err := measure(body); err != nil {
			return err
		}
		return read[T, P](body, into)
	}
}

// that reads a single object and holds it against what was asked for: an answer about something else,
// or in another state than the request leads to, is no success.
func that[T any, P checked[T]](into *T, fits func() *unfit) reader {
	whole := one[T, P](into)
	return func(body []byte) error {
		if err := whole(body); err != nil {
			return err
		}
		if u := fits(); u != nil {
			return u
		}
		return nil
	}
}

// each reads a list. No list, null among them, is an error: from an empty list absence is concluded.
func each[T any, P checked[T]](into *[]T) reader {
	return func(body []byte) error {
		if err := measure(body); err != nil {
			return err
		}
		var items []json.RawMessage
		if err := json.Unmarshal(body, &items); err != nil {
			return explain(err)
		}
		if items == nil {
			return &unfit{"", "is null, want a list"}
		}
		*into = make([]T, len(items))
		for i, item := range items {
			if err := read[T, P](item, &(*into)[i]); err != nil {
				return under("["+strconv.Itoa(i)+"]", err)
			}
		}
		return nil
	}
}

func read[T any, P checked[T]](body []byte, into *T) error {
	if bytes.Equal(bytes.TrimSpace(body), []byte("null")) {
		return &unfit{"", "is null, want an object"}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return explain(err)
	}
	if u := P(into).check(); u != nil {
		return u
	}
	return nil
}

// under prefixes the path of an error.
func under(parent string, err error) error {
	u, ok := errors.AsType[*unfit](err)
	if !ok {
		return err
	}
	if u.path == "" {
		return &unfit{parent, u.problem}
	}
	return u.in(parent)
}

// explain turns an error of encoding/json into ours. Its own text quotes numbers and characters of
// the answer.
func explain(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		found, _, _ := strings.Cut(wrong.Value, " ")
		if found == "number" && wrong.Type == reflect.TypeFor[number]() {
			return &unfit{wrong.Field, "is too large"}
		}
		return &unfit{wrong.Field, fmt.Sprintf("is %s, want %s", article(found), wanted(wrong.Type))}
	}
	if broken, ok := errors.AsType[*json.SyntaxError](err); ok {
		return &unfit{"", fmt.Sprintf("is no JSON at byte %d", broken.Offset)}
	}
	return &unfit{"", "is no JSON"}
}

func article(kind string) string {
	switch kind {
	case "array":
		return "a list"
	case "object":
		return "an object"
	case "bool":
		return "true or false"
	case "string", "number":
		return "a " + kind
	default:
		return "something else"
	}
}

func wanted(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[number]():
		return "a number"
	case reflect.TypeFor[integer]():
		return "a whole number"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "a list"
	default:
		return "an object"
	}
}

// measure looks at the size of a JSON text before memory is spent on it. What is no JSON is left to
// the decoder.
func measure(body []byte) error {
	depth, values := 0, 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			i = endOfString(body, i)
		case '{', '[':
			depth++
			values++
		case '}', ']':
			depth--
		case ',':
			values++
		}
		if depth > maxDepth {
			return &unfit{"", "is nested too deeply"}
		}
		if values > maxValues {
			return &unfit{"", "has too many values"}
		}
	}
	return nil
}

// endOfString gives the index of the quote that ends the string that begins at i.
func endOfString(body []byte, i int) int {
	for i++; i < len(body); i++ {
		switch body[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return i
}

// errTooLarge says that an answer is above maxAnswer.
var errTooLarge = &unfit{problem: fmt.Sprintf("the answer is larger than %d bytes", maxAnswer)}

// readAll reads a body up to a limit and says whether there is more.
func readAll(body io.Reader, limit int64) (content []byte, more bool, err error) {
	content, err = io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, false, fmt.Errorf("read the answer: %w", err)
	}
	if int64(len(content)) > limit {
		return content[:limit], true, nil
	}
	return content, false, nil
}
