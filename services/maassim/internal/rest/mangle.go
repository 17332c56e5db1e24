package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/capmaas/capmaas/services/maassim/internal/fault"
)

// page is what a proxy with a login answers to everybody.
const page = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><form method=\"post\">Please sign in.</form></body></html>\n"

// mangle spoils an answer. What is no JSON stays as it is where only JSON can be spoiled.
func mangle(out *reply, how fault.Mangle, field string) *reply {
	spoilt := &reply{status: out.status, header: out.header.Clone(), body: out.body}
	switch how {
	case fault.Garbage:
		spoilt.status = http.StatusOK
		spoilt.header.Set("Content-Type", typeJSON)
		spoilt.body = []byte("{\"system_id\": \"\xff\xfe, [}")
	case fault.HTMLPage:
		spoilt.status = http.StatusOK
		spoilt.header.Set("Content-Type", "text/html")
		spoilt.body = []byte(page)
	case fault.Empty:
		spoilt.body = nil
	case fault.Nulls:
		spoilt.body = respell(out.body, field, func(any) any { return nil })
	case fault.WrongTypes:
		spoilt.body = respell(out.body, field, wrongType)
	case fault.Intact, fault.Truncated:
	}
	return spoilt
}

// respell replaces the values of JSON: those of one name, or with no name every one that is neither an object nor a list.
func respell(body []byte, field string, change func(any) any) []byte {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return body
	}
	changed, err := json.MarshalIndent(walk(value, field, change), "", "    ")
	if err != nil {
		return body
	}
	return changed
}

func walk(value any, field string, change func(any) any) any {
	switch v := value.(type) {
	case map[string]any:
		for name, each := range v {
			if name == field {
				v[name] = change(each)
			} else {
				v[name] = walk(each, field, change)
			}
		}
		return v
	case []any:
		for i, each := range v {
			v[i] = walk(each, field, change)
		}
		return v
	}
	if field == "" {
		return change(value)
	}
	return value
}

// wrongType makes a value of another type.
func wrongType(value any) any {
	switch v := value.(type) {
	case string:
		return len(v)
	case json.Number, bool:
		return fmt.Sprint(v)
	case nil:
		return "None"
	case []any:
		return map[string]any{}
	default:
		return []any{}
	}
}
