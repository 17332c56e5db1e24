package command

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// quantity is a flag that holds an amount, given in some unit.
type quantity struct {
	value int64
	text  string
	// base is how many bytes the value counts in, bare the suffix of a bare number.
	base int64
	bare string
}

const (
	mib = 1 << 20
	gb  = 1e9
)

// units are how many bytes a suffix means, in lower case and without the final "b" that may follow it.
var units = map[string]int64{
	"mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40, "m": 1e6, "g": 1e9, "t": 1e12,
}

// newMemory is an amount of memory in MiB; a bare number is MiB.
func newMemory(text string) *quantity { return newQuantity(text, mib, "mi") }

// newDisk is an amount of disk in GB; a bare number is GB.
func newDisk(text string) *quantity { return newQuantity(text, gb, "g") }

func newQuantity(text string, base int64, bare string) *quantity {
	q := &quantity{base: base, bare: bare}
	if err := q.Set(text); err != nil {
		panic(err) // a default that is not an amount
	}
	return q
}

// String is what was given.
func (q *quantity) String() string { return q.text }

// Type is what the help calls a value.
func (q *quantity) Type() string { return "size" }

// Set takes a whole number with a unit, in whatever case.
func (q *quantity) Set(text string) error {
	digits := strings.TrimRight(strings.ToLower(strings.TrimSpace(text)), "abcdefghijklmnopqrstuvwxyz ")
	suffix := strings.TrimSuffix(strings.TrimSpace(strings.ToLower(strings.TrimSpace(text))[len(digits):]), "b")
	if suffix == "" {
		suffix = q.bare
	}
	number, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return errors.New("must be a number with a unit, for example 32GiB or 40GB")
	}
	unit, ok := units[suffix]
	if !ok {
		return fmt.Errorf("%q is none of the units MiB, GiB, TiB, MB, GB, TB", suffix)
	}
	value := int64(number * float64(unit) / float64(q.base))
	if value < 1 {
		return errors.New("is too small")
	}
	q.value, q.text = value, strings.TrimSpace(text)
	return nil
}
