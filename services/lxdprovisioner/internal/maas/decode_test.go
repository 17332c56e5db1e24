package maas_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
)

// answered reads an answer that a real MAAS 3.4.10 gave to an operation; ids are those of calls_test.go.
func answered(tb testing.TB, op string) string {
	tb.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", "answers", op+".json"))
	require.NoError(tb, err)
	return string(content)
}

func TestAnswers_of_a_real_MAAS_are_read(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/answers/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		op := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, calls, op)
			g := serve(t, answer{200, form, "", answered(t, op)})
			err := calls[op](t.Context(), client(t, g.URL))
			if op == "dnsresources.find" { // of another name than the recorded one
				requireFault(t, err, fault.NotFound, fault.ReasonEndpointNotFound)
				return
			}
			require.NoError(t, err)
		})
	}
}

// minimal is a machine with what must be there, and more.
func minimal(more string) string {
	return `{"system_id": "abc123", "hostname": "cp-0", "status": 4` + more + `}`
}

func TestAnswers_that_are_not_what_they_should_be_are_refused_by_the_name_of_the_field(t *testing.T) {
	t.Parallel()
	const host = `{"id": 3, "name": "lxd-1"`
	for _, row := range []struct{ op, body, want string }{
		{"machines.read", `null`, "is null, want an object"},
		{"machines.read", `[]`, "is a list, want an object"},
		{"machines.read", `{}`, "system_id is missing"},
		{"machines.read", `"hunter2hunter2"`, "is a string, want an object"},
		{"machines.read", `{"system_id": "abc123", "hunter2hunter2`, "is no JSON at byte"},
		{"machines.read", `{"system_id": "abc123"} hunter2hunter2`, "is no JSON at byte"},
		{"machines.read", ``, "is no JSON at byte 0"},
		{"machines.read", `{"system_id": "../users"}`, "system_id is no system id"},
		{"machines.read", `{"system_id": null}`, "system_id is missing"},
		{"machines.read", `{"system_id": 42424242424242}`, "system_id is a number, want a string"},
		{"machines.read", `{"system_id": "abc123"}`, "hostname is missing"},
		{"machines.read", `{"system_id": "abc123", "hostname": "cp-0"}`, "status is missing"},
		{"machines.read", `{"system_id": "abc123", "hostname": "cp-0", "status": null}`, "status is missing"},
		{"machines.read", `{"system_id": "abc123", "hostname": "cp-0", "status": "hunter2hunter2"}`, "status is a string, want a whole number"},
		{"machines.read", `{"system_id": "abc123", "hostname": "cp-0", "status": 4.5}`, "status is a number, want a whole number"},
		{"machines.read", `{"system_id": "abc123", "hostname": "cp-0", "status": -1}`, "status is no status"},
		{"machines.read", minimal(`, "memory": {}`), "memory is an object, want a number"},
		{"machines.read", minimal(`, "memory": "0x1p9"`), "memory is a string, want a number"},
		{"machines.read", minimal(`, "memory": 1e300`), "memory is too large"},
		{"machines.read", minimal(`, "locked": "yes"`), "locked is a string, want true or false"},
		{"machines.read", minimal(`, "tag_names": "a"`), "tag_names is a string, want a list"},
		{"machines.read", minimal(`, "tag_names": [1]`), "tag_names is a number, want a string"},
		{"machines.read", minimal(`, "zone": []`), "zone is a list, want an object"},
		{"machines.read", minimal(`, "zone": {}`), "zone.id is missing"},
		{"machines.read", minimal(`, "pod": {"id": -4}`), "pod.id is below 0"},
		{"machines.read", minimal(`, "pool": {"id": true}`), "pool.id is true or false, want a whole number"},
		{"machines.read", minimal(`, "interface_set": [{"id": 1}, {"id": 0}]`), "interface_set[1].id is below 1"},
		{"machines.read", minimal(`, "interface_set": [{"id": 1, "links": [{"id": 5}, {}]}]`), "interface_set[0].links[1].id is missing"},
		{"machines.read", minimal(`, "interface_set": [{"id": 1, "links": [{"id": 5, "subnet": {}}]}]`), "interface_set[0].links[0].subnet.id is missing"},
		{"machines.read", minimal(`, "interface_set": [{"id": 1, "links": {}}]`), "interface_set.links is an object, want a list"},
		{"machines.read", minimal(`, "boot_interface": {"id": 1, "vlan": {}}`), "boot_interface.vlan.id is missing"},
		{"machines.read", minimal(`, "workload_annotations": ["hunter2hunter2"]`), "workload_annotations is a list, want an object"},
		{"machines.list", `null`, "is null, want a list"},
		{"machines.list", `{}`, "is an object, want a list"},
		{"machines.list", `[null]`, "[0] is null, want an object"},
		{"machines.list", "[" + minimal("") + `, {"system_id": "abc124"}]`, "[1].hostname is missing"},
		{"machines.find", "[" + minimal("") + `, 7]`, "[1] is a number, want an object"},
		{"machines.claim", `{"system_id": "abc123"}`, "hostname is missing"},
		{"machines.query_power_state", `{}`, "state is missing"},
		{"vm-hosts.list", `null`, "is null, want a list"},
		{"vm-hosts.list", `[{"name": "x"}]`, "[0].id is missing"},
		{"vm-hosts.list", `[` + host + `}, {"id": 4}]`, "[1].name is missing"},
		{"vm-hosts.read", host + `, "host": {"system_id": ".."}}`, "host.system_id is no system id"},
		{"vm-hosts.read", host + `, "zone": {"name": "x"}}`, "zone.id is missing"},
		{"vm-hosts.read", host + `, "total": {"cores": [1]}}`, "total.cores is a list, want a number"},
		{"vm-hosts.read", host + `, "storage_pools": [{"available": "hunter2hunter2"}]}`, "storage_pools.available is a string, want a number"},
		{"vm-hosts.parameters", `{"project": {}, "key": "hunter2hunter2"}`, "project is an object, want a string"},
		{"vm-hosts.compose", `{"system_id": ""}`, "system_id is no system id"},
		{"subnets.list", `[{"id": 1, "cidr": "hunter2hunter2"}]`, "[0].cidr is no network"},
		{"subnets.list", `[{"id": 1, "cidr": "10.0.0.0/8", "gateway_ip": "hunter2hunter2"}]`, "[0].gateway_ip is no address"},
		{"subnets.reserved_ip_ranges", `[{"start": "10.0.0.1"}]`, "[0].end is no address"},
		{"subnets.reserved_ip_ranges", `[{"start": "10.0.0.9", "end": "10.0.0.1"}]`, "[0].end is before start"},
		{"subnets.ip_addresses", `[{"ip": "hunter2hunter2"}]`, "[0].ip is no address"},
		{"interfaces.link_subnet", `{"id": null}`, "id is missing"},
		{"dnsresources.find", `[{"id": 7}]`, "[0].fqdn is missing"},
		{"dnsresources.create", `{"id": 7, "fqdn": "a.b", "ip_addresses": [{"ip": "hunter2hunter2"}]}`, "ip_addresses[0].ip is no address"},
		{"dnsresources.create", `{"id": 7, "fqdn": "a.b", "address_ttl": "hunter2hunter2"}`, "address_ttl is a string, want a whole number"},
		{"events.query", `{}`, "events is missing"},
		{"events.query", `{"events": [{"id": null}]}`, "events[0].id is missing"},
		{"zones.list", `[{"id": 1}]`, "[0].name is missing"},
		{"resourcepools.list", `[{"name": "default"}]`, "[0].id is missing"},
		{"boot-resources.list", `[{}]`, "[0].name is missing"},
		{"users.whoami", `{"is_superuser": true}`, "username is missing"},
		{"users.whoami", `{"username": "x", "is_superuser": null}`, "is_superuser is missing"},
		{"version.read", `{"version": "hunter2hunter2"}`, "version is no version"},
		{"version.read", `{"version": "3"}`, "version is no version"},
	} {
		g := serve(t, answer{200, form, "", row.body})
		err := calls[row.op](t.Context(), client(t, g.URL))
		requireFault(t, err, fault.Unavailable, unclear(row.op))
		require.ErrorContains(t, err, row.op+": MAAS's answer can't be read: "+row.want)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

// changing are the operations that change something.
var changing = func() map[string]bool {
	out := map[string]bool{}
	for _, o := range maas.Operations() {
		out[o.Name] = o.Changes
	}
	return out
}()

func TestAnswers_that_unfold_to_too_much_are_refused_before_memory_is_spent(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ body, want string }{
		"deep":       {strings.Repeat("[", 10_000), "is nested too deeply"},
		"deep_field": {`{"x":` + strings.Repeat(`{"x":`, 100) + "1" + strings.Repeat("}", 101), "is nested too deeply"},
		"many":       {"[" + strings.Repeat("[],", 3_000_000) + "[]]", "has too many values"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := serve(t, answer{200, form, "", row.body})
			err := calls["machines.list"](t.Context(), client(t, g.URL))
			requireFault(t, err, fault.Unavailable, fault.ReasonMAASUnavailable)
			require.ErrorContains(t, err, row.want)
		})
	}
	g := serve(t, answer{200, form, "", "[" + minimal(`, "description": "`+strings.Repeat(`[{,\"`, 100_000)+`"`) + "]"})
	require.NoError(t, calls["machines.list"](t.Context(), client(t, g.URL)), "what stands in a string is no value")
}

func TestAnswers_what_MAAS_tells_of_a_failure_becomes_one_short_line(t *testing.T) {
	t.Parallel()
	log := `curtin: Installation failed\n` + strings.Repeat(`finish: cmd-install/stage-curthooks: FAIL: ü\n\t`, 1000)
	for name, field := range map[string]string{"its_error": "error_description", "its_last_event": "status_message"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := serve(t, answer{200, form, "", `{"system_id":"abc123","hostname":"cp-0","status":11,"` + field + `":"` + log + `"}`})
			m, err := client(t, g.URL).Machine(t.Context(), "abc123")
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(m.Message, "curtin: Installation failed finish: cmd-install"), m.Message)
			require.Less(t, len(m.Message), 320)
			require.NotContains(t, m.Message, "\n")
		})
	}
	t.Run("an_event", func(t *testing.T) {
		t.Parallel()
		g := serve(t, answer{200, form, "", `{"events":[{"id":7,"level":"ERROR","type":"x","description":"` + log + `"}]}`})
		event, ok, err := client(t, g.URL).LastError(t.Context(), "abc123")
		require.NoError(t, err)
		require.True(t, ok)
		require.Less(t, len(event.Description), 320)
	})
}
