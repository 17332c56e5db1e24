package maassim_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

// difference is a place where the simulator differs from a recording, with the reason. Testdata's differences.json holds them.
type difference struct {
	Recordings []int    `json:"recordings"`
	At         []string `json:"at"` // JSON paths with [] for any element, "header Vary", "status" or "text"
	// Form says that they differ in status, JSON keys or types there; without it only values may.
	Form bool   `json:"form,omitempty"`
	Why  string `json:"why"`
}

// unanswered is a recording without an answer whose status is known nevertheless.
type unanswered struct {
	Recording int    `json:"recording"`
	Status    int    `json:"status"`
	Why       string `json:"why"`
	// Text is in the answer, Count is how many elements its list has; both where they are known.
	Text  string `json:"text"`
	Count *int   `json:"count"`
}

// TestReplay_answers_as_the_recorded_MAAS_did sends the requests of every recording in their order to one simulator.
func TestReplay_answers_as_the_recorded_MAAS_did(t *testing.T) {
	t.Parallel()
	all := loadRecordings(t)
	require.Len(t, all, 612)
	p := newPlayer(t, all)
	var listed []difference
	loadJSON(t, "differences.json", &listed)
	expected, forms := make(map[string]bool), make(map[string]bool) // by "079 status"; expected is true once it occurred
	for _, d := range listed {
		require.NotEmpty(t, d.Why, d.At)
		for _, number := range d.Recordings {
			for _, at := range d.At {
				key := fmt.Sprintf("%03d %s", number, at)
				require.NotContains(t, expected, key, "listed twice")
				expected[key], forms[key] = false, d.Form
			}
		}
	}
	var silent []unanswered
	loadJSON(t, "unanswered.json", &silent)
	known := make(map[int]unanswered)
	for _, u := range silent {
		require.NotEmpty(t, u.Why, u.Recording)
		require.Contains(t, p.recordings, u.Recording)
		require.Nil(t, p.recordings[u.Recording].Response, "recording %d has an answer", u.Recording)
		require.NotContains(t, known, u.Recording)
		known[u.Recording] = u
	}
	equal := 0
	for _, r := range all {
		t.Run(r.name, func(t *testing.T) {
			p.stage(t, r.number)
			got := p.answerTo(t, r)
			if r.Response == nil {
				checkUnanswered(t, got, known[r.number])
				return
			}
			found := p.compare(r.Response, got)
			if len(found) == 0 {
				equal++
			}
			for _, at := range slices.Sorted(maps.Keys(found)) {
				key := fmt.Sprintf("%03d %s", r.number, anyElement(at))
				if _, ok := expected[key]; ok {
					expected[key] = true
					if !found[at].form || forms[key] {
						continue
					}
				}
				t.Errorf("%s: %s", at, found[at].text)
			}
		})
	}
	t.Logf("%d of %d answers equal", equal, countAnswered(all))
	for key, occurred := range expected {
		assert.True(t, occurred, "listed as a difference, but there is none: %s", key)
	}
}

var index = regexp.MustCompile(`\[\d+\]`)

// anyElement replaces the indexes of a JSON path.
func anyElement(at string) string { return index.ReplaceAllString(at, "[]") }

// checkUnanswered holds an answer that was not given against what is known of it.
func checkUnanswered(t *testing.T, got replayed, known unanswered) {
	t.Helper()
	if got.status != known.Status {
		t.Errorf("status: known to be %d, got %d: %.300s", known.Status, got.status, got.body)
	}
	assert.Contains(t, string(got.body), known.Text)
	if known.Count != nil {
		var list []any
		require.NoError(t, json.Unmarshal(got.body, &list))
		assert.Len(t, list, *known.Count)
	}
	if strings.HasPrefix(got.header.Get("Content-Type"), "application/json") && !json.Valid(got.body) {
		t.Errorf("text: got no JSON: %.300s", got.body)
	}
}

func countAnswered(all []*recording) int {
	n := 0
	for _, r := range all {
		if r.Response != nil {
			n++
		}
	}
	return n
}

// newPlayer starts a simulator like the MAAS that was recorded.
func newPlayer(t *testing.T, all []*recording) *player {
	t.Helper()
	p := &player{
		maas: start(t, recordedWorld()), translator: newTranslator(scanRecordings(all)), recordings: make(map[int]*recording),
		script: make(map[int][]direction), sent: make(map[int]chan replayed),
	}
	for _, r := range all {
		p.recordings[r.number] = r
	}
	var script []direction
	loadJSON(t, "replay-script.json", &script)
	require.True(t, slices.IsSortedFunc(script, func(a, b direction) int { return cmp.Compare(a.Before, b.Before) }), "script out of order")
	for _, d := range script {
		require.NotEmpty(t, d.Why, "before %d", d.Before)
		p.script[d.Before] = append(p.script[d.Before], d)
	}
	p.machineNamed = func(hostname string) string {
		m, _ := p.Machine(hostname)
		return m.SystemID
	}
	p.interfaceNamed = func(systemID, name string) string {
		var all []map[string]any
		if err := json.Unmarshal([]byte(p.get("nodes/"+systemID+"/interfaces/").body), &all); err != nil {
			return "" // no such machine: the recorded request then asks for its own id
		}
		for _, i := range all {
			if i["name"] == name {
				return fmt.Sprint(i["id"])
			}
		}
		return ""
	}
	return p
}

// recordedTime is when the simulator believes to be: the day of the recordings.
var recordedTime = time.Date(2026, 11, 23, 20, 52, 0, 0, time.UTC)

// never is how long operations take which the script ends.
const never = 1000 * time.Hour

// recordedWorld is the MAAS of the recordings before the first of them.
func recordedWorld() maassim.Config {
	return maassim.Config{
		Version:    "3.4",
		APIKey:     "FakeConsumerKey001:FakeTokenKey000001:FakeTokenSecretForAdmin000000001",
		UserAPIKey: "FakeConsumerKey002:FakeTokenKey000002:FakeTokenSecretForAlice000000002",
		Zones:      []maassim.ZoneConfig{{Name: "az1", Description: "rack row 1"}, {Name: "az2"}},
		Pools:      []maassim.PoolConfig{{Name: "capi", Description: "cluster api"}},
		Domains:    []maassim.DomainConfig{{Name: "cluster.example"}},
		Subnets: []maassim.SubnetConfig{
			{
				ID: 3, Name: "mgmt", CIDR: "10.10.0.0/16", Gateway: "10.10.0.1", DNS: []string{"10.10.0.2"}, Fabric: "fabric-mgmt", Space: "mgmt",
				Dynamic: []maassim.Range{{Start: "10.10.200.1", End: "10.10.220.255"}},
			},
			{
				ID: 1, Name: "name-PQs0oq", CIDR: "172.35.219.64/26", Gateway: "172.35.219.65", Fabric: "fabric-2", NoDHCP: true,
				DNS: []string{"30.19.50.159", "254.75.71.190", "254.73.154.49"},
			},
			{
				ID: 2, Name: "name-3lenWP", CIDR: "fca6:7da3:4343:d6c0::/58", Gateway: "fca6:7da3:4343:d6c0::1",
				DNS: []string{"144.91.22.255"}, Fabric: "fabric-3", Space: "space-1", NoDHCP: true,
			},
		},
		Clock:     func() time.Time { return recordedTime },
		Durations: maassim.Durations{Inventory: never, Commission: never, Deploy: never, Release: never},
		Images:    []maassim.ImageConfig{{Name: "ubuntu/jammy"}},
		Hosts: []maassim.HostConfig{
			recordedHost("lxd-11", "10.20.0.11"), recordedHost("lxd-12", "10.20.0.12"), recordedHost("lxd-21", "10.20.0.21"),
			recordedHost("lxd-22", "10.20.0.22"), recordedHost("lxd-23", "10.20.0.23"),
			recordedHost("lxd-4", "10.20.0.4"),
		},
	}
}

// bridges are the addresses of the hosts of the first session; the script gives those of the second.
var bridges = map[string]string{"lxd-11": "10.10.0.13", "lxd-12": "10.10.0.14", "lxd-4": "10.10.2.1"}

// recordedHost is an LXD server of which MAAS does not know yet.
func recordedHost(name, address string) maassim.HostConfig {
	return maassim.HostConfig{
		Name: name, Address: address, Unregistered: true, Cores: 32, MemoryMiB: 64 << 10,
		StoragePools: []maassim.StoragePool{{Name: "default", Total: 1e12, Default: true, Endless: true}},
		Bridges:      []maassim.Bridge{{Name: "br0", Subnet: "mgmt", Address: bridges[name]}},
	}
}

// TestReplay_comparison_sees_every_kind_of_difference guards the comparison itself.
func TestReplay_comparison_sees_every_kind_of_difference(t *testing.T) {
	t.Parallel()
	recorded := recordedResponse{
		Status: 200, Headers: map[string]string{"Content-Type": asJS}, IsJSON: true,
		Body: map[string]any{
			"system_id": "wqhbg4", "hostname": "cp-0", "tags": []any{"a"}, "storage": json.Number("8000.0"),
			"links": []any{map[string]any{"id": json.Number("7")}},
		},
	}
	same := `{"system_id": "abcdef", "hostname": "cp-0", "tags": ["a"], "storage": 8000.0, "links": [{"id": 3}]}`
	for name, tt := range map[string]struct {
		body, at string
		form     bool
	}{
		"nothing":                  {same, "", false},
		"another_value":            {strings.Replace(same, "cp-0", "cp-1", 1), "hostname", false},
		"another_type":             {strings.Replace(same, `"cp-0"`, "null", 1), "hostname", true},
		"an_integer_for_a_float":   {strings.Replace(same, "8000.0", "8000", 1), "storage", true},
		"a_missing_field":          {strings.Replace(same, `"hostname": "cp-0", `, "", 1), "hostname", true},
		"a_field_too_many":         {strings.Replace(same, "{", `{"extra": 1, `, 1), "extra", true},
		"a_shorter_list":           {strings.Replace(same, `["a"]`, "[]", 1), "tags[]", false},
		"an_id_that_was_another's": {strings.Replace(same, `"id": 3`, `"id": 4`, 1), "links[0].id", false},
		"no_JSON":                  {"oops", "text", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := newTranslator(prescan{wished: map[string]bool{"cp-0": true}})
			header := map[string][]string{"Content-Type": {asJS}}
			require.Empty(t, tr.compare(&recorded, replayed{status: 200, header: header, body: []byte(same)}))
			found := tr.compare(&recorded, replayed{status: 200, header: header, body: []byte(tt.body)})
			if tt.at == "" {
				assert.Empty(t, found)
				return
			}
			require.Contains(t, found, tt.at)
			assert.Equal(t, tt.form, found[tt.at].form)
		})
	}
	tr := newTranslator(prescan{})
	assert.Contains(t, tr.compare(&recorded, replayed{status: 409}), "status")
	assert.Contains(t, tr.compare(&recorded, replayed{status: 200, body: []byte(same)}), "header Content-Type")
}
