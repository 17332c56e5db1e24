package maassim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"
)

// LoadConfig reads a configuration from a JSON file. Names are those of the fields of Config and of what it holds, in any case; durations are
// written "90s"; what the file does not name stays as it is in cfg. Names that there are not are refused.
func LoadConfig(path string, cfg Config) (Config, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return cfg, fmt.Errorf("read the configuration: %w", err)
	}
	if err := decodeConfig(data, &cfg); err != nil {
		return cfg, fmt.Errorf("configuration %s: %w", path, err)
	}
	return cfg, nil
}

func decodeConfig(data []byte, cfg *Config) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var file map[string]any
	if err := dec.Decode(&file); err != nil {
		return err
	}
	if err := endOf(dec); err != nil {
		return err
	}
	// Lists are replaced rather than merged element by element.
	fields := reflect.ValueOf(cfg).Elem()
	for i := range fields.NumField() {
		if field := fields.Field(i); field.Kind() == reflect.Slice && fieldNamed(file, fields.Type().Field(i).Name) != "" {
			field.SetZero()
		}
	}
	value, err := withDurations(file, fields.Type())
	if err != nil {
		return err
	}
	plain, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return decodeStrictly(bytes.NewReader(plain), cfg)
}

// fieldNamed finds the name in a JSON object that encoding/json would read into this field.
func fieldNamed(object map[string]any, field string) string {
	for name := range object {
		if strings.EqualFold(name, field) {
			return name
		}
	}
	return ""
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	decoderType  = reflect.TypeFor[json.Unmarshaler]()
)

// withDurations replaces durations that are written as text by their nanoseconds, wherever a value of type t holds some.
func withDurations(value any, t reflect.Type) (any, error) {
	if text, ok := value.(string); ok && t == durationType {
		d, err := time.ParseDuration(text)
		return int64(d), err
	}
	if reflect.PointerTo(t).Implements(decoderType) {
		return value, nil
	}
	switch v := value.(type) {
	case []any:
		if t.Kind() != reflect.Slice {
			return value, nil
		}
		for i := range v {
			var err error
			if v[i], err = withDurations(v[i], t.Elem()); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		return durationsIn(v, t)
	}
	return value, nil
}

// durationsIn does it for an object.
func durationsIn(v map[string]any, t reflect.Type) (any, error) {
	var err error
	switch t.Kind() {
	case reflect.Map:
		for name := range v {
			if v[name], err = withDurations(v[name], t.Elem()); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	case reflect.Struct:
		for field := range t.Fields() {
			name := fieldNamed(v, field.Name)
			if name == "" {
				continue
			}
			if v[name], err = withDurations(v[name], field.Type); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	default:
	}
	return v, nil
}
