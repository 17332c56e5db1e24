package output

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// Format is how a result is written.
type Format string

// The formats.
const (
	Table Format = "table"
	JSON  Format = "json"
	YAML  Format = "yaml"
)

// Formats lists the formats, the one that is taken where none is named first.
func Formats() []string { return []string{string(Table), string(JSON), string(YAML)} }

// String, Set and Type let a flag hold a format.
func (f *Format) String() string { return string(*f) }

// Set takes a format by its name.
func (f *Format) Set(name string) error {
	switch Format(name) {
	case Table, JSON, YAML:
		*f = Format(name)
		return nil
	default:
		return fmt.Errorf("there are %s", strings.Join(Formats(), ", "))
	}
}

// Type is what the help calls a value.
func (f *Format) Type() string { return "format" }

// Result is what a command has found. Its JSON is what programs get.
type Result interface {
	// Write writes it for people.
	Write(p *Page)
}

// Style says what the reader's terminal can show.
type Style struct {
	// Colour lets states be coloured, Unicode lets bars be made of blocks.
	Colour, Unicode bool
	// Now is the moment against which ages are told.
	Now time.Time
}

// Printer writes results.
type Printer struct {
	Out    io.Writer
	Format Format
	Style  Style
}

// Print writes one result.
func (p Printer) Print(result Result) error {
	switch p.Format {
	case JSON:
		text, err := json.MarshalIndent(result, "", "  ")
		if err != nil {
			return fmt.Errorf("write as JSON: %w", err)
		}
		fmt.Fprintln(p.Out, string(text))
	case YAML:
		text, err := yaml.Marshal(result)
		if err != nil {
			return fmt.Errorf("write as YAML: %w", err)
		}
		fmt.Fprint(p.Out, string(text))
	default:
		result.Write(&Page{out: p.Out, style: p.Style})
	}
	return nil
}
