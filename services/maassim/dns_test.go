package maassim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

// recordPath returns the path of the one record of a name.
func recordPath(t *testing.T, m *maas, fqdn string) string {
	t.Helper()
	list := m.get("dnsresources/?fqdn=" + fqdn).list(t)
	require.Len(t, list, 1, fqdn)
	return fmt.Sprintf("dnsresources/%v/", list[0]["id"])
}

// recordIPs returns the addresses of a record answer.
func recordIPs(o map[string]any) []string {
	ips := []string{}
	for _, a := range o["ip_addresses"].([]any) {
		ips = append(ips, a.(map[string]any)["ip"].(string))
	}
	return ips
}

func TestDNS_recordings_213_225_what_a_record_may_be(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	assert.Equal(t, []string{"10.10.1.101", "10.10.1.102"}, recordIPs(m.post("dnsresources/", "fqdn=api-c2.cluster.example&ip_addresses=10.10.1.101+10.10.1.102").object(t)))
	assert.Equal(t, []string{"10.10.1.9"}, recordIPs(m.post("dnsresources/", "name=last&domain=1&ip_addresses=10.10.1.8&ip_addresses=10.10.1.9").object(t)), "of two the last counts")
	assert.Equal(t, []string{"10.10.1.7", "10.10.1.6"}, recordIPs(m.post("dnsresources/", "name=blanks&domain=1&ip_addresses=%0A10.10.1.7%09+10.10.1.6+").object(t)))
	assert.Empty(t, recordIPs(m.post("dnsresources/", "name=api-c6&domain=cluster.example").object(t)), "recording 220")
	outside := m.post("dnsresources/", "name=api-c7&domain=cluster.example&ip_addresses=192.0.2.55").object(t) // recording 222
	assert.Nil(t, outside["ip_addresses"].([]any)[0].(map[string]any)["subnet"])
	assert.Equal(t, 200, m.post("dnsresources/", "name=api-c9&domain=cluster.example&ip_addresses=192.0.2.55").status, "recording 224: one address, two records")
	assert.Equal(t, 200, m.post("dnsresources/", "name=api-c10&domain=cluster.example&ip_addresses=10.10.205.1").status, "recording 225: in the dynamic range")
	assert.Equal(t, 200, m.post("dnsresources/", "name=_txt&domain=cluster.example").status, "without addresses any name will do")
	assert.Equal(t, "cluster.example", m.post("dnsresources/", "fqdn=cluster.example").object(t)["fqdn"], "the domain itself")

	for name, tt := range map[string]struct {
		form, body string
		status     int
	}{
		"recording_215_duplicate":       {"name=api-c2&domain=cluster.example", `{"__all__": ["Labels must be unique within their zone."]}`, 400},
		"recording_216_bad_address":     {"name=x&domain=1&ip_addresses=not-an-ip", "failed to detect a valid IP address from 'not-an-ip'", 500},
		"recording_217_commas":          {"name=x&domain=1&ip_addresses=10.10.1.1%2C10.10.1.2", "failed to detect a valid IP address from '10.10.1.1,10.10.1.2'", 500},
		"recording_219_no_domain":       {"name=x&ip_addresses=10.10.1.1", `{"domain": ["This field is required."]}`, 400},
		"recording_221_bad_name":        {"name=bad_name%21&domain=1&ip_addresses=10.10.1.1", `{"__all__": ["Invalid dnsresource name: bad_name!."]}`, 400},
		"a_name_with_a_dot":             {"name=a.b&domain=1&ip_addresses=10.10.1.1", `{"__all__": ["Invalid dnsresource name: a.b."]}`, 400},
		"neither":                       {"ip_addresses=10.10.1.1", `{"name": ["This field is required."], "domain": ["This field is required."]}`, 400},
		"TTL_below_0":                   {"name=x&domain=1&address_ttl=-1", `{"address_ttl": ["Ensure this value is greater than or equal to 0."]}`, 400},
		"TTL_no_number":                 {"name=x&domain=1&address_ttl=x", `{"address_ttl": ["Enter a whole number."]}`, 400},
		"a_name_that_cannot_be_divided": {"fqdn=xy&ip_addresses=10.10.1.1", "cannot unpack non-iterable NoneType object", 500},
	} {
		t.Run(name, func(t *testing.T) {
			kind := asJS
			if tt.status == 500 {
				kind = text
			}
			want(t, m.post("dnsresources/", tt.form), tt.status, kind, tt.body)
		})
	}
	unknown := m.post("dnsresources/", "name=api-c4&domain=nosuch.example&ip_addresses=10.10.1.106")
	want(t, unknown, 404, plain, "No Domain matches the given query.") // recording 218
	assert.NotContains(t, m.Reservations(), "10.10.1.106", "what is refused reserves nothing")
	want(t, m.post("dnsresources/", "fqdn=nodot"), 404, plain, "No Domain matches the given query.")
}

func TestDNS_recordings_227_233_filters(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	for _, fqdn := range []string{"b.cluster.example", "a.cluster.example", "c.maas"} {
		require.Equal(t, 200, m.post("dnsresources/", "fqdn="+fqdn+"&ip_addresses=10.10.7.7").status)
	}
	require.Equal(t, 200, m.post("dnsresourcerecords/", "fqdn=b.cluster.example&rrtype=txt&rrdata=x").status)
	for query, want := range map[string][]string{
		"":                               {"c.maas", "a.cluster.example", "b.cluster.example"},
		"?domain=cluster.example":        {"a.cluster.example", "b.cluster.example"},
		"?domain=1":                      {"a.cluster.example", "b.cluster.example"},
		"?name=a":                        {"a.cluster.example"},
		"?name=a&domain=maas":            {},
		"?fqdn=b.cluster.example":        {"b.cluster.example"},
		"?fqdn=x.cluster.example":        {},
		"?rrtype=txt":                    {"b.cluster.example"},
		"?rrtype=A":                      {},
		"?fqdn=b.cluster.example&name=a": {"a.cluster.example"}, // the name wins
	} {
		assert.Equal(t, want, names(m.get("dnsresources/"+query).list(t), "fqdn"), query)
	}
	want(t, m.get("dnsresources/?fqdn=x"), 500, text, "cannot unpack non-iterable NoneType object")
	want(t, m.get("dnsresources/?domain=nosuch.example"), 404, plain, "No Domain matches the given query.")
}

func TestDNS_recording_233_all_adds_what_MAAS_publishes_by_itself(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	id := m.compose("cp-0", "")
	require.Equal(t, 200, m.post("machines/"+id+"/?op=deploy", "").status)
	ip := m.machine(id)["ip_addresses"].([]any)[0].(string)
	require.Equal(t, 200, m.post("dnsresources/", "fqdn=api.cluster.example&ip_addresses="+ip+"+10.10.9.9").status)
	require.Equal(t, 200, m.post("ipaddresses/?op=reserve", "ip=10.10.9.8").status)

	var got []string
	for _, o := range m.get("dnsresources/?all=true").list(t) {
		for _, d := range o["resource_records"].([]any) {
			r := d.(map[string]any)
			got = append(got, fmt.Sprint(o["fqdn"], " ", r["rrtype"], " ", r["rrdata"], " ", r["system_id"] == id, " ", r["user_id"], " ", r["dnsresource_id"]))
			assert.InDelta(t, -1, o["id"], 0)
			assert.Nil(t, o["ip_addresses"])
		}
	}
	for _, line := range []string{
		"api.cluster.example A " + ip + " true 1 1", "api.cluster.example A 10.10.9.9 true 1 1", "api.maas A " + ip + " true <nil> 1",
		"10-10-9-8.maas A 10.10.9.8 false 1 <nil>", "cp-0.maas A " + ip + " true <nil> <nil>",
	} {
		assert.Contains(t, got, line)
	}
	assert.True(t, slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "lxd-1.maas A 10.10.0.3 ") }), "%q", got)
	assert.True(t, slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "br1.maas A 10.30.0.3 ") }), "the second interface: %q", got)
	assert.Equal(t, []string{"10-10-9-8.maas"}, names(m.get("dnsresources/?all=true&name=10-10-9-8").list(t), "fqdn"))
	assert.Empty(t, m.as(m.UserAPIKey()).get("dnsresources/?all=true&name=10-10-9-8").list(t), "what others reserved is not for plain users")
	assert.Empty(t, m.get("dnsresources/?all=true&rrtype=AAAA").list(t))
}

func TestDNS_TTL_and_updates(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	o := m.post("dnsresources/", "fqdn=api.cluster.example&ip_addresses=10.10.1.1&address_ttl=0").object(t)
	path := recordPath(t, m, "api.cluster.example")
	assert.InDelta(t, 0, o["address_ttl"], 0)
	assert.InDelta(t, 0, m.put(path, "ip_addresses=10.10.1.1").object(t)["address_ttl"], 0, "what is not sent stays")
	assert.InDelta(t, 5, m.put(path, "address_ttl=5").object(t)["address_ttl"], 0)
	assert.Nil(t, m.put(path, "address_ttl=").object(t)["address_ttl"], "an empty one is inherited")
	assert.Equal(t, "b.cluster.example", m.put(path, "name=b").object(t)["fqdn"], "recording 239")
	assert.Equal(t, "b.maas", m.put(path, "domain=maas").object(t)["fqdn"])
	assert.Equal(t, "c.cluster.example", m.put(path, "fqdn=c.cluster.example").object(t)["fqdn"])
	assert.Len(t, m.get("dnsresources/?fqdn=c.cluster.example").list(t), 1)
	assert.Empty(t, recordIPs(m.put(path, "ip_addresses=").object(t)), "recording 237")
	want(t, m.put(path, "ip_addresses=x"), 500, text, "failed to detect a valid IP address from 'x'")                      // recording 238
	want(t, m.put("dnsresources/99999/", "ip_addresses=10.10.1.1"), 404, plain, "No DNSResource matches the given query.") // recording 240
	alice := m.as(m.UserAPIKey())
	want(t, alice.put(path, "name=x"), 403, text, "")
	want(t, alice.delete(path), 403, text, "")
	assert.Equal(t, 200, alice.get(path).status)
	require.Equal(t, 204, m.delete(path).status)                                   // recording 244
	want(t, m.delete(path), 404, plain, "No DNSResource matches the given query.") // recording 245
}

func TestX8_1_reservations_that_a_record_made(t *testing.T) {
	t.Parallel()
	for version, left := range map[string][]string{"3.5": {"10.10.9.1", "10.10.9.2"}, "3.6": {"10.10.9.2"}} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			cfg := maassim.DefaultConfig(1, 1, 0)
			cfg.Version = version
			m := start(t, cfg)
			require.Equal(t, 200, m.post("dnsresources/", "fqdn=a.cluster.example&ip_addresses=10.10.9.1+10.10.9.2").status)
			require.Equal(t, 200, m.post("dnsresources/", "fqdn=b.cluster.example&ip_addresses=10.10.9.2").status)
			require.Equal(t, 204, m.delete(recordPath(t, m, "a.cluster.example")).status)
			assert.ElementsMatch(t, left, m.Reservations(), "one that another record holds stays in any case")
		})
	}
}

func TestDNS_recordings_241_243_other_data(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	create := func(form string) answer { return m.post("dnsresourcerecords/", form) }
	o := create("fqdn=api.cluster.example&rrtype=txt&rrdata=owner%3Dc2").object(t)
	assert.Equal(t, map[string]any{
		"id": 1.0, "fqdn": "api.cluster.example", "ttl": nil, "rrtype": "TXT", "rrdata": "owner=c2", "resource_uri": "/MAAS/api/2.0/dnsresourcerecords/1/",
	}, o)
	assert.Equal(t, []map[string]any{o}, m.get("dnsresourcerecords/").list(t))
	assert.Equal(t, o, m.get("dnsresourcerecords/1/").object(t))
	assert.Equal(t, o, m.get(recordPath(t, m, "api.cluster.example")).object(t)["resource_records"].([]any)[0])
	want(t, create("fqdn=_capi.cluster.example&rrtype=txt&rrdata=x"), 500, text, "cannot unpack non-iterable NoneType object") // recording 242
	assert.Equal(t, "_http._tcp.cluster.example", create("name=_http._tcp&domain=1&rrtype=SRV&rrdata=0+0+80+api.maas").object(t)["fqdn"])
	assert.Equal(t, []string{"TXT"}, names(m.get("dnsresourcerecords/?rrtype=TXT").list(t), "rrtype"))
	assert.Empty(t, m.get("dnsresourcerecords/?rrtype=txt").list(t), "the type is compared as it is")

	const alone = `{"__all__": ["CNAME records for a name cannot coexist with non-CNAME records."]}`
	want(t, create("fqdn=api.cluster.example&rrdata=x"), 400, text, "rrtype must be provided.")
	want(t, create("fqdn=api.cluster.example&rrtype=TXT"), 400, text, "rrdata must be provided.")
	want(t, create("rrtype=TXT&rrdata=x"), 400, text, "Either name and domain (or fqdn) must be specified")
	want(t, create("fqdn=new.cluster.example&rrtype=A&rrdata=x"), 400, asJS, `{"rrtype": ["A is not one of CNAME MX NS SRV SSHFP TXT."]}`)
	assert.Empty(t, m.get("dnsresources/?fqdn=new.cluster.example").list(t), "a refusal leaves no record behind")
	want(t, create("fqdn=api.cluster.example&rrtype=MX&rrdata=x"), 400, asJS, `{"__all__": ["Invalid MX: Should be '<preference> <server>'. Range for preference is 0-65535."]}`)
	want(t, create("fqdn=api.cluster.example&rrtype=CNAME&rrdata=x"), 400, asJS, alone)
	require.Equal(t, 200, create("fqdn=alias.cluster.example&rrtype=CNAME&rrdata=api.cluster.example").status)
	want(t, create("fqdn=alias.cluster.example&rrtype=CNAME&rrdata=x"), 400, asJS, `{"__all__": ["Only one CNAME can be associated with a name."]}`)
	want(t, create("fqdn=alias.cluster.example&rrtype=TXT&rrdata=x"), 400, asJS, alone)

	alias := recordPath(t, m, "alias.cluster.example")
	require.Equal(t, 200, m.put(alias, "ip_addresses=10.10.1.1").status, "MAAS looks at the record as it was")
	want(t, m.put(alias, "ip_addresses=10.10.1.1+10.10.1.2"), 400, asJS, `{"__all__": ["Cannot add address: CNAME present."]}`)

	assert.InDelta(t, 9, m.put("dnsresourcerecords/1/", "ttl=9").object(t)["ttl"], 0)
	want(t, m.as(m.UserAPIKey()).delete("dnsresourcerecords/1/"), 403, text, "")
	require.Equal(t, 204, m.delete("dnsresourcerecords/1/").status)
	assert.Empty(t, m.get("dnsresources/?fqdn=api.cluster.example").list(t), "the empty record goes with its last data")
	want(t, m.get("dnsresourcerecords/1/"), 404, plain, "No DNSData matches the given query.")
}

func TestX8_1_a_record_is_not_renamed_onto_another(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	const unique = `{"__all__": ["Labels must be unique within their zone."]}`
	for _, fqdn := range []string{"api.cluster.example", "api.maas", "other.cluster.example"} {
		require.Equal(t, 200, m.post("dnsresources/", "fqdn="+fqdn+"&ip_addresses=10.10.1.1").status)
	}
	other := recordPath(t, m, "other.cluster.example")
	want(t, m.put(other, "name=api"), 400, asJS, unique)
	assert.Equal(t, 200, m.put(other, "name=other").status, "its own name is no other's")
	want(t, m.put(recordPath(t, m, "api.maas"), "domain=cluster.example"), 400, asJS, unique)
	assert.Len(t, m.get("dnsresources/?fqdn=api.cluster.example").list(t), 1)
}
