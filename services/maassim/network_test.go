package maassim_test

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

// nic returns the path of a machine's first interface.
func (m *maas) nic(id string) string {
	m.t.Helper()
	i, _ := m.machine(id)["boot_interface"].(map[string]any)
	return fmt.Sprintf("nodes/%s/interfaces/%v/", id, i["id"])
}

// links returns mode and address of each link of an interface answer.
func links(o map[string]any) []string {
	var all []string
	for _, l := range o["links"].([]any) {
		link := l.(map[string]any)
		ip, _ := link["ip_address"].(string)
		all = append(all, fmt.Sprintf("%s %s %s", link["mode"], link["subnet"].(map[string]any)["name"], ip))
	}
	return all
}

func TestLinkSubnet_static_addresses(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Subnets = append(cfg.Subnets, maassim.SubnetConfig{Name: "nogw", CIDR: "10.32.0.0/24", Fabric: "fabric-data"})
	m := start(t, cfg)
	id, other := m.compose("va-0", ""), m.compose("va-1", "")
	m.claim(id, "a")
	link := m.nic(id) + "?op=link_subnet"
	otherLink := m.nic(other) + "?op=link_subnet"
	inUse := "IP address is already in use."

	t.Run("recording_356_another_VLAN_without_force", func(t *testing.T) {
		want(t, m.post(link, "mode=STATIC&subnet=2&ip_address=10.30.0.60"), 400, asJS, `{"subnet": ["None found with id=2.", "This field is required."]}`)
	})
	t.Run("recordings_358_359_without_force_it_adds_and_not_twice", func(t *testing.T) {
		o := m.post(link, "mode=STATIC&subnet=1&ip_address=10.10.1.150").object(t)
		assert.ElementsMatch(t, []string{"static mgmt 10.10.1.150", "auto mgmt "}, links(o))
		want(t, m.post(link, "mode=STATIC&subnet=1&ip_address=10.10.1.150"), 404, text, inUse)
	})
	t.Run("recordings_361_362_363_force_replaces_and_may_be_repeated", func(t *testing.T) {
		for range 2 {
			o := m.post(link, "mode=STATIC&subnet=2&ip_address=10.30.0.60&force=true&default_gateway=true").object(t)
			assert.Equal(t, []string{"static data 10.30.0.60"}, links(o))
		}
		o := m.machine(id)
		assert.Equal(t, []any{"10.30.0.60"}, o["ip_addresses"])
		gateway := o["default_gateways"].(map[string]any)["ipv4"].(map[string]any)
		assert.Equal(t, "10.30.0.1", gateway["gateway_ip"])
		assert.NotNil(t, gateway["link_id"])
	})
	t.Run("recordings_368_369_taken_is_404_and_changes_nothing", func(t *testing.T) {
		want(t, m.post(otherLink, "mode=STATIC&subnet=2&ip_address=10.30.0.60&force=true"), 404, text, inUse)
		assert.Equal(t, []string{"auto mgmt "}, links(m.get(m.nic(other)).object(t)))
	})
	t.Run("recording_376_our_own_reservation_is_in_the_way", func(t *testing.T) {
		require.Equal(t, 200, m.post("ipaddresses/?op=reserve", "ip=10.30.0.70").status)
		want(t, m.post(link, "mode=STATIC&subnet=2&ip_address=10.30.0.70&force=true"), 404, text, inUse)
	})
	for name, tt := range map[string]struct{ form, body string }{
		"recording_364_dynamic_range":  {"subnet=2&ip_address=10.30.0.205", `{"ip_address": ["IP address is inside a dynamic range 10.30.0.200 to 10.30.0.220."]}`},
		"recording_365_outside":        {"subnet=2&ip_address=10.99.0.5", `{"ip_address": ["IP address is not in the given subnet 'data:10.30.0.0/24(vid=0)'."]}`},
		"recording_366_no_address":     {"subnet=2&ip_address=10.30.0.999", `{"ip_address": ["Enter a valid IPv4 or IPv6 address."]}`},
		"recording_367_unknown_subnet": {"subnet=9999&ip_address=10.30.0.61", `{"subnet": ["None found with id=9999.", "This field is required."]}`},
		"recording_378_no_gateway":     {"subnet=4&ip_address=10.32.0.5&default_gateway=true", `{"default_gateway": ["Cannot set as default gateway because subnet nogw:10.32.0.0/24(vid=0) doesn't provide a gateway IP address."]}`},
	} {
		t.Run(name, func(t *testing.T) { want(t, m.post(link, "mode=STATIC&force=true&"+tt.form), 400, asJS, tt.body) })
	}
	for name, ip := range map[string]string{
		"recording_370_gateway": "10.30.0.1", "recording_371_DNS_server": "10.30.0.2", "recording_372_reserved_range": "10.30.0.12",
		"recording_373_broadcast": "10.30.0.255", "recording_374_network": "10.30.0.0",
	} {
		t.Run(name+"_is_accepted", func(t *testing.T) {
			assert.Equal(t, 200, m.post(otherLink, "mode=STATIC&force=true&subnet=2&ip_address="+ip).status)
		})
	}
	t.Run("recordings_382_422_both_families_survive_the_deployment", func(t *testing.T) {
		require.Equal(t, 200, m.post(link, "mode=STATIC&subnet=3&ip_address=fd00:30::60&default_gateway=true").status)
		require.Equal(t, 200, m.post("machines/"+id+"/?op=deploy", "").status)
		assert.Equal(t, []any{"10.30.0.60", "fd00:30::60"}, m.machine(id)["ip_addresses"])
		want(t, m.post(link, "mode=AUTO&subnet=2"), 409, text, "Cannot link subnet interface because the machine is not New, Ready, Allocated, or Broken.")
	})
	t.Run("recordings_468_470_delete_frees_at_once", func(t *testing.T) {
		require.Equal(t, 204, m.delete("machines/"+id+"/").status)
		assert.Equal(t, 200, m.post(otherLink, "mode=STATIC&force=true&subnet=2&ip_address=10.30.0.60").status)
	})
	t.Run("recording_388_not_for_a_plain_user", func(t *testing.T) {
		want(t, m.as(m.UserAPIKey()).post(otherLink, "mode=AUTO&subnet=1"), 403, text, "")
	})
	t.Run("recording_386_unlink_names_the_links", func(t *testing.T) {
		o := m.post(otherLink, "mode=AUTO&subnet=2&force=true").object(t)
		l := o["links"].([]any)[0].(map[string]any)["id"]
		unlink := m.nic(other) + "?op=unlink_subnet"
		want(t, m.post(unlink, "id=7777"), 400, asJS, fmt.Sprintf(`{"id": ["'7777' is not a valid id.  It should be one of: '%v'."]}`, l))
		left := m.post(unlink, fmt.Sprintf("id=%v", l)).object(t)["links"].([]any)
		require.Len(t, left, 1)
		assert.Equal(t, "link_up", left[0].(map[string]any)["mode"], "the interface stays up")
	})
}

func TestSubnets_recordings_397_401_405_ranges_and_specifiers(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Hosts[0].Bridges = cfg.Hosts[0].Bridges[:1]
	m := start(t, cfg)
	for _, spec := range []string{"2", "data", "name:data", "cidr:10.30.0.0/24", url.PathEscape("10.30.0.0/24")} {
		assert.Equal(t, "data", m.get("subnets/" + spec + "/").object(t)["name"], spec)
	}
	want(t, m.get("subnets/9999/"), 404, plain, "No Subnet matches the given query.")

	require.Equal(t, 200, m.post("ipaddresses/?op=reserve", "ip=10.30.0.70").status)
	var got []string
	for _, s := range m.get("subnets/2/?op=reserved_ip_ranges").list(t) {
		got = append(got, fmt.Sprint(s["start"], "-", s["end"], " ", s["num_addresses"], " ", s["purpose"]))
	}
	assert.Equal(t, []string{
		"10.30.0.1-10.30.0.1 1 [gateway-ip]", "10.30.0.2-10.30.0.2 1 [dns-server]", "10.30.0.10-10.30.0.19 10 [reserved]",
		"10.30.0.70-10.30.0.70 1 [assigned-ip]", "10.30.0.200-10.30.0.220 21 [dynamic]",
	}, got)
	stats := m.get("subnets/2/?op=statistics").object(t)
	assert.Equal(t, []any{254.0, 34.0, 220.0}, []any{stats["total_addresses"], stats["num_unavailable"], stats["num_available"]})
	held := m.get("subnets/2/?op=ip_addresses").list(t)
	require.Len(t, held, 1)
	assert.Equal(t, []any{"10.30.0.70", 4.0, "admin"}, []any{held[0]["ip"], held[0]["alloc_type"], held[0]["user"]})
}

func TestX8_1_DNS_replaces_vanishes_and_leaves_reservations(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Version = "3.4"
	m := start(t, cfg)
	var ids, ips []string
	for i := range 2 {
		id := m.compose(fmt.Sprintf("cp-%d", i), "")
		require.Equal(t, 200, m.post("machines/"+id+"/?op=deploy", "").status)
		o := m.machine(id)
		ids, ips = append(ids, id), append(ips, o["ip_addresses"].([]any)[0].(string))
	}
	rec := m.post("dnsresources/", "fqdn=api.cluster.example&ip_addresses="+ips[0]).object(t)
	path := fmt.Sprintf("dnsresources/%v/", rec["id"])
	assert.InDelta(t, 0, rec["ip_addresses"].([]any)[0].(map[string]any)["alloc_type"], 0, "recording 223: a machine's own address is linked")

	want(t, m.post("dnsresources/", "name=api&domain=cluster.example&ip_addresses="+ips[0]), 400, asJS, `{"__all__": ["Labels must be unique within their zone."]}`)
	want(t, m.get("dnsresources/?domain=nosuch.example"), 404, plain, "No Domain matches the given query.")
	assert.Empty(t, m.get("dnsresources/?fqdn=nosuch.cluster.example").list(t))
	want(t, m.put(path, "ip_addresses=10.10.1.1,10.10.1.2"), 500, text, "failed to detect a valid IP address from '10.10.1.1,10.10.1.2'")

	t.Run("recording_235_PUT_replaces_by_a_list_with_blanks", func(t *testing.T) {
		require.Equal(t, 200, m.put(path, "ip_addresses="+ips[0]+"+"+ips[1]).status)
		assert.Equal(t, ips, m.DNSRecords()[0].IPs)
		require.Equal(t, 200, m.put(path, "address_ttl=30").status)
		assert.Equal(t, ips[1:], m.DNSRecords()[0].IPs, "a PUT without addresses keeps only the last")
		require.Equal(t, 200, m.put(path, "ip_addresses="+ips[0]+"+"+ips[1]).status)
	})
	t.Run("recordings_473_599_members_vanish_and_the_last_takes_the_record", func(t *testing.T) {
		require.Equal(t, 204, m.delete("machines/"+ids[0]+"/").status)
		assert.Equal(t, ips[1:], m.DNSRecords()[0].IPs)
		require.Equal(t, 204, m.delete("machines/"+ids[1]+"/").status)
		want(t, m.get(path), 404, plain, "No DNSResource matches the given query.")
	})
	t.Run("recordings_600_601_an_address_that_nobody_holds_becomes_a_reservation_for_good", func(t *testing.T) {
		stale := m.post("dnsresources/", "fqdn=old.cluster.example&ip_addresses="+ips[0]).object(t)
		assert.InDelta(t, 4, stale["ip_addresses"].([]any)[0].(map[string]any)["alloc_type"], 0)
		require.Equal(t, 204, m.delete(fmt.Sprintf("dnsresources/%v/", stale["id"])).status)
		assert.Equal(t, ips[:1], m.Reservations())
		refused := m.as(m.UserAPIKey()).post("ipaddresses/?op=release", "ip="+ips[0])
		assert.Equal(t, 400, refused.status, "recording 602")
		require.Equal(t, 204, m.post("ipaddresses/?op=release", "ip="+ips[0]).status)
		assert.Empty(t, m.Reservations())
	})
	t.Run("recording_226_not_for_a_plain_user", func(t *testing.T) {
		want(t, m.as(m.UserAPIKey()).post("dnsresources/", "fqdn=x.cluster.example"), 403, text, "This method is reserved for admin users.")
	})
}
