package maas

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// maxNumber is what a float64 holds exactly; bytes of an LXD host's storage are far below it.
const maxNumber = 1 << 53

// number is a number that MAAS may also send as a string or with decimals; 0 for null.
type number float64

// UnmarshalJSON reads a number, a quoted number or null.
func (n *number) UnmarshalJSON(data []byte) error {
	f, _, ok := parseNumber(data)
	if !ok {
		return &json.UnmarshalTypeError{Value: kindOf(data), Type: reflect.TypeFor[number]()}
	}
	*n = number(f)
	return nil
}

func (n number) int64() int64 { return int64(n) }

// integer is an id, a status or a count: a whole number that may be missing or null.
type integer struct {
	value int64
	set   bool
}

// UnmarshalJSON reads a whole number, a quoted one or null.
func (n *integer) UnmarshalJSON(data []byte) error {
	f, set, ok := parseNumber(data)
	if !ok || f != math.Trunc(f) {
		return &json.UnmarshalTypeError{Value: kindOf(data), Type: reflect.TypeFor[integer]()}
	}
	*n = integer{value: int64(f), set: set}
	return nil
}

func (n integer) int() int     { return int(n.value) }
func (n integer) int64() int64 { return n.value }

// parseNumber reads a number, quoted or not. ok is false for anything else, and for numbers that no
// int64 or float64 holds exactly; set is false for null and the empty string.
func parseNumber(data []byte) (f float64, set, ok bool) {
	text := string(data)
	if quoted, found := strings.CutPrefix(text, `"`); found {
		text = strings.TrimSuffix(quoted, `"`)
	}
	if text == "null" || text == "" {
		return 0, false, true
	}
	if strings.Trim(text, "0123456789+-.eE") != "" { // what ParseFloat takes besides: hexadecimal, infinity
		return 0, false, false
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.Abs(f) > maxNumber {
		return 0, false, false
	}
	return f, true, true
}

// kindOf names the kind of a JSON value as encoding/json does.
func kindOf(data []byte) string {
	if len(data) == 0 {
		return ""
	}
	switch data[0] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "bool"
	default:
		return "number"
	}
}
