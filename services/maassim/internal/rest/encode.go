package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"unicode/utf8"
)

// indentation is what each level of MAAS's JSON is moved right by.
const indentation = "    "

// encode writes JSON as json.MarshalIndent does, with the keys in order and floats as Python writes them. A machine has hundreds of values: what handlers make of them is written
// without reflection and in one go.
func encode(value any) ([]byte, error) {
	e, _ := encoders.Get().(*encoder)
	defer e.giveBack()
	if err := e.value(value, 0); err != nil {
		return nil, err
	}
	return slices.Clone(e.out), nil
}

// encoders keep their memory from one answer to the next.
var encoders = sync.Pool{New: func() any { return new(encoder) }}

// keptOutput is how much memory an encoder may keep: that of a long list would be held for nothing.
const keptOutput = 4 << 20

func (e *encoder) giveBack() {
	if cap(e.out) > keptOutput {
		return
	}
	e.out, e.keys = e.out[:0], e.keys[:0]
	encoders.Put(e)
}

type encoder struct {
	out  []byte
	keys []string // of the objects that are being written, the innermost last
}

func (e *encoder) value(value any, depth int) error {
	switch v := value.(type) {
	case nil:
		e.out = append(e.out, "null"...)
	case string:
		e.text(v)
	case bool:
		e.out = strconv.AppendBool(e.out, v)
	case int:
		e.out = strconv.AppendInt(e.out, int64(v), 10)
	case float64:
		return e.float(v)
	case map[string]any:
		return e.object(v, depth)
	case []map[string]any:
		return array(e, v, depth, func(o map[string]any) error { return e.object(o, depth+1) })
	case []any:
		return array(e, v, depth, func(x any) error { return e.value(x, depth+1) })
	case []string:
		return array(e, v, depth, func(s string) error { e.text(s); return nil })
	case []int:
		return array(e, v, depth, func(n int) error { return e.value(n, depth+1) })
	case map[string]string:
		return e.texts(v, depth)
	default:
		return e.reflected(v, depth)
	}
	return nil
}

// reflected leaves to package json what handlers use rarely.
func (e *encoder) reflected(value any, depth int) error {
	plain, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %T: %w", value, err)
	}
	if len(plain) == 0 || plain[0] != '{' && plain[0] != '[' {
		e.out = append(e.out, plain...)
		return nil
	}
	var b bytes.Buffer
	if err := json.Indent(&b, plain, string(slices.Repeat([]byte(indentation), depth)), indentation); err != nil {
		return fmt.Errorf("encode %T: %w", value, err)
	}
	e.out = append(e.out, b.Bytes()...)
	return nil
}

func (e *encoder) object(o map[string]any, depth int) error {
	if o == nil {
		e.out = append(e.out, "null"...)
		return nil
	}
	first := len(e.keys)
	for key := range o {
		e.keys = append(e.keys, key)
	}
	last := len(e.keys)
	slices.Sort(e.keys[first:last])
	e.out = append(e.out, '{')
	for at := first; at < last; at++ {
		key := e.keys[at]
		e.member(key, at == first, depth+1)
		if err := e.value(o[key], depth+1); err != nil {
			return err
		}
	}
	e.keys = e.keys[:first]
	e.end('}', last > first, depth)
	return nil
}

// texts writes an object whose values are all strings.
func (e *encoder) texts(o map[string]string, depth int) error {
	if o == nil {
		e.out = append(e.out, "null"...)
		return nil
	}
	general := make(map[string]any, len(o))
	for key, text := range o {
		general[key] = text
	}
	return e.object(general, depth)
}

func array[T any](e *encoder, values []T, depth int, write func(T) error) error {
	if values == nil {
		e.out = append(e.out, "null"...)
		return nil
	}
	e.out = append(e.out, '[')
	for at, v := range values {
		e.line(at == 0, depth+1)
		if err := write(v); err != nil {
			return err
		}
	}
	e.end(']', len(values) > 0, depth)
	return nil
}

func (e *encoder) member(key string, first bool, depth int) {
	e.line(first, depth)
	e.text(key)
	e.out = append(e.out, ": "...)
}

// line begins the line of an element.
func (e *encoder) line(first bool, depth int) {
	if !first {
		e.out = append(e.out, ',')
	}
	e.newline(depth)
}

func (e *encoder) end(bracket byte, filled bool, depth int) {
	if filled {
		e.newline(depth)
	}
	e.out = append(e.out, bracket)
}

func (e *encoder) newline(depth int) {
	e.out = append(e.out, '\n')
	for range depth {
		e.out = append(e.out, indentation...)
	}
}

// float writes a float as Python does: 8000.0, 1.5, 3e+20. Clients that look for a dot tell it from an integer.
func (e *encoder) float(f float64) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Errorf("encode %v: JSON has no such number", f)
	}
	if size := math.Abs(f); size >= 1e16 || size < 1e-4 && size != 0 {
		e.out = strconv.AppendFloat(e.out, f, 'e', -1, 64)
		return nil
	}
	e.out = strconv.AppendFloat(e.out, f, 'f', -1, 64)
	if f == math.Trunc(f) {
		e.out = append(e.out, ".0"...)
	}
	return nil
}

// text writes a string; package json writes those that need more than quotes.
func (e *encoder) text(s string) {
	for at := range len(s) {
		if c := s[at]; c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c >= utf8.RuneSelf {
			quoted, _ := json.Marshal(s) // a string can always be encoded
			e.out = append(e.out, quoted...)
			return
		}
	}
	e.out = append(e.out, '"')
	e.out = append(e.out, s...)
	e.out = append(e.out, '"')
}
