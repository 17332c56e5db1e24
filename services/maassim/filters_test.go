package maassim_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/capmaas/capmaas/services/maassim"
)

func TestFilters_of_machine_lists(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(2, 2, 1)
	cfg.Durations.Deploy = time.Hour
	m := start(t, cfg)
	a, b, c := m.compose("va-0", "&zone=2"), m.compose("va-1", "&zone=3"), m.compose("va-2", "")
	m.post("machines/"+a+"/?op=deploy", "agent_name=one")
	m.as(m.UserAPIKey()).claim(b, "two")
	ids := "id=" + a + "&id=" + b + "&id=" + c
	names := func(query string) []string {
		t.Helper()
		got := []string{}
		for _, o := range m.get("machines/?" + query).list(t) {
			got = append(got, o["hostname"].(string))
		}
		slices.Sort(got)
		return got
	}
	for query, hosts := range map[string][]string{
		"hostname=va-0":                               {"va-0"},
		"hostname=VA-0":                               {}, // recording 084
		"hostname=va":                                 {}, // recording 085
		"hostname=va-0&hostname=va-1&hostname=x":      {"va-0", "va-1"},
		"id=" + a + "&id=nosuch":                      {"va-0"}, // recording 089
		"system_id=" + a:                              {"va-0"}, // recording 090
		"id=":                                         {},       // recording 456
		"id=" + a + "&id=" + a:                        {"va-0"}, // recording 457
		"zone=az1&pod=lxd-1":                          {"va-0"},
		"pod=lxd":                                     {}, // recording 455
		"pod=lxd-1":                                   {"va-0", "va-1", "va-2"},
		"not_pod=lxd-1":                               {"lxd-1", "lxd-2", "metal-1"},
		"not_pod_type=lxd&not_pod_type=virsh":         {"lxd-1", "lxd-2", "metal-1"},
		"status=ready":                                {"metal-1", "va-2"},
		ids + "&not_status=deploying":                 {"va-1", "va-2"},
		ids + "&owner=admin":                          {"va-0"},         // recording 438
		ids + "&not_owner=admin":                      {"va-1", "va-2"}, // recording 434
		ids + "&not_owner=admin&not_owner=alice":      {"va-2"},         // recording 437
		ids + "&not_owner=nobody":                     {"va-0", "va-1", "va-2"},
		ids + "&not_power_state=on":                   {"va-1", "va-2"},
		ids + "&agent_name=one&agent_name=two":        {"va-0", "va-1"}, // recording 446
		ids + "&not_agent_name=":                      {"va-0", "va-1"}, // recording 448
		ids + "&agent_name=":                          {"va-2"},
		ids + "&tags=pod-console-logging":             {"va-0", "va-1", "va-2"},
		"domain=maas&hostname=va-0":                   {"va-0"},
		"mem=65536&not_pod_type=lxd&cpu_count=16":     {"lxd-1", "lxd-2", "metal-1"},
		ids + "&not_in_zone=default":                  {"va-0", "va-1"},
		ids + "&not_id=" + a:                          {"va-1", "va-2"},
		ids + "&not_status=deploying&not_owner=alice": {"va-2"}, // recording 449: they are ANDed
	} {
		assert.Equal(t, hosts, names(query), query)
	}
	for query, body := range map[string]string{
		"pool=nopool":           `{"pool": ["No such pool(s): nopool."]}`,                                                 // recording 092
		"zone=nozone":           `{"zone": ["No such zone(s): nozone."]}`,                                                 // recording 094
		"status=4":              `{"status": ["Select a valid choice. 4 is not one of the available choices."]}`,          // recording 097
		"mac_address=zz":        `{"mac_address": ["'zz' is not a valid MAC address."]}`,                                  // recording 102
		"not_a_filter=1":        `{"not_a_filter": ["No such constraint."]}`,                                              // recording 103
		"tags=nosuchtag":        `{"tags": ["No such tag(s): 'nosuchtag'."]}`,                                             // recording 106
		"workloads=a:b":         `{"workloads": ["No such constraint."]}`,                                                 // recording 154
		"not_status=bogus":      `{"not_status": ["Select a valid choice. bogus is not one of the available choices."]}`,  // recording 431
		"owner=nobody":          `{"owner": ["No such owner: 'nobody'."]}`,                                                // recording 439
		"owner=":                `{"owner": ["No such owner: ''."]}`,                                                      // recording 440
		"power_state=bogus":     `{"power_state": ["Select a valid choice. bogus is not one of the available choices."]}`, // recording 444
		"not_zone=az1&limit=10": `{"not_zone": ["No such constraint."], "limit": ["No such constraint."]}`,
	} {
		want(t, m.get("machines/?"+query), 400, asJS, body)
	}
	assert.Len(t, m.as(m.UserAPIKey()).get("machines/?"+ids).list(t), 2, "recording 461: a plain user sees its own and the ownerless")
}
