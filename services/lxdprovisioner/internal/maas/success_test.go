package maas_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
)

// unclear is what an answer leaves behind that can't be believed.
func unclear(op string) fault.Reason {
	if changing[op] {
		return fault.ReasonOutcomeUnknown
	}
	return fault.ReasonMAASUnavailable
}

func TestSuccess_X9_1_of_a_proxy_is_believed_of_no_request(t *testing.T) {
	t.Parallel()
	for name, said := range map[string]answer{
		"page":                {200, page, "", "<html><body>Please log in</body></html>"},
		"page_called_JSON":    {200, form, "", "<html><body>Please log in</body></html>"},
		"nothing":             {200, plain, "", ""},
		"queued":              {202, plain, "", "queued"},
		"another_status":      {204, plain, "", ""},
		"another_API's_words": {200, form, "", `"ok"`},
	} {
		for op, ask := range calls {
			if name == "another_status" && silent[op] {
				continue // there it is MAAS's word
			}
			t.Run(name+"/"+op, func(t *testing.T) {
				t.Parallel()
				g := serve(t, said)
				var seen []maas.Observation
				c := client(t, g.URL, func(cfg *maas.Config) { cfg.Observe = func(o maas.Observation) { seen = append(seen, o) } })
				requireFault(t, ask(t.Context(), c), fault.Unavailable, unclear(op))
				require.Len(t, seen, 1, "asked again it would say the same")
				assert.Equal(t, string(unclear(op)), seen[0].Outcome)
			})
		}
	}
}

// silent are the requests to which MAAS answers 204 (recordings 202, 244; release of an address: 483).
var silent = map[string]bool{"machines.delete": true, "dnsresources.delete": true, "ipaddresses.release": true}

func TestSuccess_X4_3_without_a_word_is_a_204(t *testing.T) {
	t.Parallel()
	for op := range silent {
		g := serve(t, answer{http.StatusNoContent, plain, "", ""})
		require.NoError(t, calls[op](t.Context(), client(t, g.URL)), op)
		for _, odd := range []answer{{200, form, "", machineJSON}, {200, form, "", "{}"}, {201, plain, "", ""}} {
			g = serve(t, odd)
			requireFault(t, calls[op](t.Context(), client(t, g.URL)), fault.Unavailable, fault.ReasonOutcomeUnknown)
		}
	}
}

func TestSuccess_of_another_thing_or_in_another_state_is_not_believed(t *testing.T) {
	t.Parallel()
	const (
		strange  = `{"system_id": "zzz999", "hostname": "cp-9", "status": 10}`
		deployed = `{"system_id": "abc123", "hostname": "cp-0", "status": 6}`
	)
	for _, row := range []struct{ op, body, want string }{
		{"machines.read", strange, "system_id is another's"},
		{"machines.claim", strange, "system_id is another's"},
		{"machines.annotate", strange, "system_id is another's"},
		{"machines.deploy", strange, "system_id is another's"},
		{"machines.release", strange, "system_id is another's"},
		{"machines.abort", strange, "system_id is another's"},
		{"machines.update", strange, "system_id is another's"},
		{"machines.claim", machineJSON, "status is not what the request leads to"},
		{"machines.allocate", machineJSON, "status is not what the request leads to"},
		{"machines.deploy", claimedJSON, "status is not what the request leads to"},
		{"machines.power_on", strange, "system_id is another's"},
		{"machines.power_on", `{"system_id": "abc123", "hostname": "cp-0", "status": 9}`, "status is not what the request leads to"},
		{"machines.release", deployed, "status is not what the request leads to"},
		{"vm-hosts.read", `{"id": 4, "name": "lxd-2"}`, "id is another's"},
		{"vm-hosts.refresh", `{"id": 4, "name": "lxd-2"}`, "id is another's"},
		{"interfaces.link_subnet", `{"id": 47, "links": [{"id": 1, "subnet": {"id": 3}, "ip_address": "10.10.1.151"}]}`, "id is another's"},
		{"interfaces.link_subnet", `{"id": 46, "links": []}`, "links is without the link that was asked for"},
		{"interfaces.link_subnet", `{"id": 46, "links": [{"id": 1, "subnet": {"id": 4}, "ip_address": "10.10.1.151"}]}`, "links is without the link that was asked for"},
		{"interfaces.link_subnet", `{"id": 46, "links": [{"id": 1, "subnet": {"id": 3}, "ip_address": "10.10.1.152"}]}`, "links is without the link that was asked for"},
		{"interfaces.link_subnet", `{"id": 46, "links": [{"id": 1, "ip_address": "10.10.1.151"}]}`, "links is without the link that was asked for"},
		{"dnsresources.create", `{"id": 7, "fqdn": "web.cluster.example"}`, "fqdn is another's"},
		{"dnsresources.create", `{"id": -1, "fqdn": "api-c1.cluster.example"}`, "id is below 1"},
		{"dnsresources.update", `{"id": 13, "fqdn": "api.cluster.example"}`, "id is another's"},
	} {
		g := serve(t, answer{200, form, "", row.body})
		err := calls[row.op](t.Context(), client(t, g.URL))
		requireFault(t, err, fault.Unavailable, unclear(row.op))
		require.ErrorContains(t, err, row.op+": MAAS's answer can't be read: "+row.want)
	}
}

func TestSuccess_is_believed_in_every_state_that_the_request_leads_to(t *testing.T) {
	t.Parallel()
	for op, statuses := range map[string][]string{
		"machines.claim": {"10"}, "machines.allocate": {"10"}, "machines.deploy": {"9", "6"}, "machines.release": {"12", "14", "4", "0"},
		"machines.annotate": {"10", "6", "9", "1"}, "machines.abort": {"9", "10", "1", "0"}, "machines.update": {"10"}, "machines.power_on": {"6"},
	} {
		for _, status := range statuses {
			g := serve(t, answer{200, form, "", `{"system_id": "abc123", "hostname": "cp-0", "status": ` + status + `}`})
			require.NoError(t, calls[op](t.Context(), client(t, g.URL)), "%s %s", op, status)
		}
	}
}
