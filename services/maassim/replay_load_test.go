package maassim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// recording is one exchange with a real MAAS.
type recording struct {
	number int
	name   string // of its file, without the extension

	Request  recordedRequest   `json:"request"`
	Response *recordedResponse `json:"response"` // nil: the answer is not given
}

type recordedRequest struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Query   string            `json:"query"`
	Headers map[string]string `json:"headers"`
	Body    *string           `json:"body"`
}

type recordedResponse struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    any               `json:"body"` // a string when IsJSON is false
	IsJSON  bool              `json:"body_is_json"`
}

// loadRecordings reads the exchanges in the order in which they took place.
func loadRecordings(t *testing.T) []*recording {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "recordings", "*.json"))
	require.NoError(t, err)
	all := make([]*recording, 0, len(files))
	for _, file := range files { // Glob sorts, and the names begin with their numbers
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		r := &recording{name: strings.TrimSuffix(filepath.Base(file), ".json")}
		require.NoError(t, decodeJSON(raw, r), file)
		number, _, _ := strings.Cut(r.name, "-")
		r.number, err = strconv.Atoi(number)
		require.NoError(t, err)
		all = append(all, r)
	}
	return all
}

func loadJSON(t *testing.T, file string, into any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", file))
	require.NoError(t, err)
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(into), file)
}

// decodeJSON keeps numbers as they are written.
func decodeJSON(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec.Decode(into)
}

var wishedHostname = regexp.MustCompile(`(?:^|[?&"])(?:hostname|name)"?(?:=|: ?"|\r\n\r\n)([A-Za-z0-9.-]+)`)

// prescan is what is known from all recordings together, before the first is replayed.
type prescan struct {
	hostnames  map[string]string // by system id
	interfaces map[string]string // names, by system id and interface id: "c86bp8/46"
	wished     map[string]bool   // hostnames that a request asked for; MAAS drew the others
}

func scanRecordings(all []*recording) prescan {
	p := prescan{hostnames: make(map[string]string), interfaces: make(map[string]string), wished: make(map[string]bool)}
	for _, r := range all {
		if r.Request.Body != nil && r.Request.Method != http.MethodGet {
			for _, m := range wishedHostname.FindAllStringSubmatch(*r.Request.Body, -1) {
				p.wished[m[1]] = true
			}
		}
		if r.Response != nil {
			p.scan(r.Response.Body)
		}
	}
	return p
}

func (p *prescan) scan(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			p.scan(item)
		}
	case map[string]any:
		id, ok := v["system_id"].(string)
		if name, named := v["hostname"].(string); ok && named {
			p.hostnames[id] = name
		}
		if uri, _ := v["resource_uri"].(string); ok && strings.Contains(uri, "/interfaces/") {
			p.interfaces[fmt.Sprintf("%s/%v", id, v["id"])], _ = v["name"].(string)
		}
		for _, item := range v {
			p.scan(item)
		}
	}
}
