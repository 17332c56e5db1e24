package maassim_test

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

func TestNetworks_recordings_030_032_401_410_are_read(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Subnets = append(cfg.Subnets, maassim.SubnetConfig{Name: "vlan7", CIDR: "10.70.0.0/24", Fabric: "fabric-data", VID: 7, Space: "dmz"})
	m := start(t, cfg)
	assert.Equal(t, []string{"mgmt", "data", "data6", "vlan7"}, names(m.get("subnets/").list(t), "name"))
	assert.Equal(t, []string{"mgmt", "dmz", "undefined"}, names(m.get("spaces/").list(t), "name"), "VLANs without a space come last")
	assert.Equal(t, []string{"1", "2", "-1"}, names(m.get("spaces/").list(t), "id"))
	assert.Equal(t, "dmz", m.get("spaces/2/").object(t)["name"])
	assert.Equal(t, "undefined", m.get("spaces/-1/").object(t)["name"])
	want(t, m.get("spaces/9/"), 404, plain, "No Space matches the given query.")
	fabrics := m.get("fabrics/").list(t)
	assert.Equal(t, []string{"fabric-mgmt", "fabric-data"}, names(fabrics, "name"))
	data := fmt.Sprintf("fabrics/%v/", fabrics[1]["id"])
	assert.Equal(t, fabrics[1], m.get("fabrics/fabric-data/").object(t))
	assert.Equal(t, []string{"0", "7"}, names(m.get(data+"vlans/").list(t), "vid"))
	vlan := m.get(data + "vlans/7/").object(t)
	assert.Equal(t, "dmz", vlan["space"])
	assert.Equal(t, vlan, m.get(fmt.Sprintf("vlans/%v/", vlan["id"])).object(t))
	want(t, m.get("vlans/99/"), 404, plain, "VLAN with specified ID does not exist.")
	want(t, m.get(data+"vlans/99/"), 404, plain, "No VLAN matches the given query.")
	want(t, m.get("fabrics/99/vlans/"), 404, plain, "No Fabric matches the given query.")
	for _, spec := range []string{"id:2", "cidr:10.30.0.0%2F24", "10.30.0.0/24"} {
		assert.Equal(t, "data", m.get("subnets/" + spec + "/").object(t)["name"], spec)
	}
}

func TestSubnets_recordings_394_396_469_what_holds_addresses(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	alice := m.as(m.UserAPIKey())
	id := m.compose("va-0", "")
	m.claim(id, "x")
	require.Equal(t, 200, m.post(m.nic(id)+"?op=link_subnet", "mode=STATIC&subnet=2&ip_address=10.30.0.60&force=true").status)
	require.Equal(t, 200, alice.post("ipaddresses/?op=reserve", "ip=10.30.0.5").status)
	require.Equal(t, 200, m.post("dnsresources/", "fqdn=api.cluster.example&ip_addresses=10.30.0.60").status)
	list := alice.get("subnets/2/?op=ip_addresses").list(t)
	assert.Equal(t, []string{"10.30.0.3", "10.30.0.5", "10.30.0.60"}, names(list, "ip"), "in their order, for every user")
	assert.Equal(t, []string{"admin", "alice", "admin"}, names(list, "user"), "a machine's owner stands for the user")
	summary := list[2]["node_summary"].(map[string]any)
	assert.Equal(t, []any{id, "va-0.maas", true, "eth0"}, []any{summary["system_id"], summary["fqdn"], summary["is_container"], summary["via"]})
	assert.Equal(t, "api", list[2]["dns_records"].([]any)[0].(map[string]any)["name"])
	assert.NotContains(t, list[1], "node_summary")

	short := m.get("subnets/2/?op=ip_addresses&with_username=0&with_summary=0").list(t) // recording 395
	for _, o := range short {
		assert.Len(t, o, 4, "no more than ip, alloc_type, created and updated")
	}
	assert.NotContains(t, m.get("subnets/2/?op=ip_addresses&with_username=0").list(t)[2], "user")
	assert.Contains(t, m.get("subnets/2/?op=ip_addresses&with_summary=0").list(t)[1], "user")
	require.Equal(t, 204, m.delete("machines/"+id+"/").status)
	assert.Equal(t, []string{"10.30.0.3", "10.30.0.5"}, names(m.get("subnets/2/?op=ip_addresses").list(t), "ip"), "free at once")
}

func TestSubnets_recordings_398_400_statistics(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Subnets = append(cfg.Subnets, maassim.SubnetConfig{Name: "bare", CIDR: "10.32.0.0/24", Fabric: "fabric-data"})
	m := start(t, cfg)
	unused := m.get("subnets/data/?op=unreserved_ip_ranges").list(t)
	assert.Equal(t, []string{"10.30.0.4", "10.30.0.20", "10.30.0.221"}, names(unused, "start"))
	assert.NotContains(t, unused[0], "purpose")
	o := m.get("subnets/data/?op=statistics&include_ranges=1&include_suggestions=1").object(t)
	assert.Equal(t, []any{nil, nil}, []any{o["suggested_gateway"], o["suggested_dynamic_range"]}, "it has both")
	assert.Len(t, o["ranges"], 8)
	assert.NotContains(t, m.get("subnets/data/?op=statistics").object(t), "ranges")
	o = m.get("subnets/bare/?op=statistics&include_suggestions=true").object(t)
	assert.Equal(t, "10.32.0.1", o["suggested_gateway"])
	assert.Equal(t, "10.32.0.191", o["suggested_dynamic_range"].(map[string]any)["start"])
	assert.Equal(t, []any{"0%", "100%", 4.0}, []any{o["usage_string"], o["available_string"], o["ip_version"]})
	assert.InDelta(t, 6, m.get("subnets/data6/?op=statistics").object(t)["ip_version"], 0)
	for _, op := range []string{"statistics", "ip_addresses", "reserved_ip_ranges", "unreserved_ip_ranges"} {
		want(t, m.get("subnets/9999/?op="+op), 404, plain, "No Subnet matches the given query.")
	}
	assert.Equal(t, 404, m.get("subnets/"+url.PathEscape("10.99.0.0/24")+"/").status)
}

func TestRanges_recording_408_are_listed_made_and_deleted(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	alice := m.as(m.UserAPIKey())
	assert.ElementsMatch(t, []string{"10.10.200.0", "10.30.0.200", "10.30.0.10"}, names(m.get("ipranges/").list(t), "start_ip"))
	o := alice.post("ipranges/", "type=reserved&start_ip=10.30.0.100&end_ip=10.30.0.109&comment=vips").object(t)
	assert.Equal(t, []any{"reserved", "vips", "alice"}, []any{o["type"], o["comment"], o["user"].(map[string]any)["username"]})
	path := fmt.Sprintf("ipranges/%v/", o["id"])
	assert.Equal(t, o, m.get(path).object(t))
	reserved := m.get("subnets/data/?op=reserved_ip_ranges").list(t)
	assert.Contains(t, names(reserved, "start"), "10.30.0.100")

	for form, body := range map[string]string{
		"type=reserved&start_ip=10.30.0.105&end_ip=10.30.0.120":               `{"__all__": ["Requested reserved range conflicts with an existing range."]}`,
		"type=dynamic&start_ip=10.30.0.2&end_ip=10.30.0.5":                    `{"__all__": ["Requested dynamic range conflicts with an existing IP address or range."]}`,
		"type=reserved&start_ip=10.30.0.120&end_ip=10.30.0.110":               `{"end_ip": ["End IP address must not be less than Start IP address."]}`,
		"type=reserved&start_ip=10.30.0.120&end_ip=10.31.0.1":                 `{"end_ip": ["End IP address must be within subnet: 10.30.0.0/24."]}`,
		"type=reserved&subnet=data&start_ip=10.31.0.1&end_ip=10.31.0.2":       `{"__all__": ["IP addresses must be within subnet: 10.30.0.0/24."]}`,
		"type=reserved&start_ip=10.30.0.0&end_ip=10.30.0.2":                   `{"start_ip": ["Reserved network address cannot be included in IP range."]}`,
		"type=reserved&start_ip=10.30.0.250&end_ip=10.30.0.255":               `{"end_ip": ["Broadcast address cannot be included in IP range."]}`,
		"type=dynamic&start_ip=fd00:30:0:0:2::1&end_ip=fd00:30:0:0:2::9":      `{"__all__": ["IPv6 dynamic range must be at least 256 addresses in size."]}`,
		"start_ip=10.30.0.120&end_ip=x":                                       `{"type": ["This field is required."], "end_ip": ["Enter a valid IPv4 or IPv6 address."]}`,
		"type=reserved&start_ip=192.0.2.1&end_ip=192.0.2.2":                   `{"subnet": ["This field is required."]}`,
		"type=reserved&start_ip=10.30.0.120&end_ip=fd00:30::1&subnet=data":    `{"__all__": ["Start IP address and end IP address must be in the same address family."]}`,
		"type=reserved&subnet=nosuch&start_ip=10.30.0.120&end_ip=10.30.0.120": `{"subnet": ["None found with id=nosuch."]}`,
	} {
		want(t, m.post("ipranges/", form), 400, asJS, body)
	}
	assert.Equal(t, 200, m.post("ipranges/", "type=reserved&start_ip=10.30.0.2&end_ip=10.30.0.5").status, "a reserved range may hold addresses in use")
	want(t, alice.post("ipranges/", "type=dynamic&start_ip=10.30.0.120&end_ip=10.30.0.130"), 403, text,
		"Unable to create dynamic IP range. You don't have sufficient privileges.")
	want(t, alice.delete("ipranges/1/"), 403, text, "Unable to modify IP range. You don't own the IP range.")
	require.Equal(t, 204, alice.delete(path).status)
	want(t, alice.delete(path), 404, plain, "No IPRange matches the given query.")
}

func TestAssignment_of_addresses_ends_when_the_subnet_is_exhausted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		subnet maassim.SubnetConfig
		got    []string
	}{
		"IPv4": {
			subnet: maassim.SubnetConfig{
				CIDR: "10.40.0.0/28", Gateway: "10.40.0.1", DNS: []string{"10.40.0.2"}, Dynamic: []maassim.Range{{Start: "10.40.0.8", End: "10.40.0.12"}},
				ReservedRanges: []maassim.Range{{Start: "10.40.0.4", End: "10.40.0.6"}}, Neighbours: []string{"10.40.0.13"},
			},
			got: []string{"10.40.0.3", "10.40.0.7", "10.40.0.14", "10.40.0.13"}, // the neighbour's last
		},
		"IPv6":      {subnet: maassim.SubnetConfig{CIDR: "fd00:40::/126", Gateway: "fd00:40::1"}, got: []string{"fd00:40::2", "fd00:40::3"}},
		"unmanaged": {subnet: maassim.SubnetConfig{CIDR: "10.40.0.0/28", Unmanaged: true, ReservedRanges: []maassim.Range{{Start: "10.40.0.4", End: "10.40.0.4"}}}, got: []string{"10.40.0.4"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := maassim.DefaultConfig(1, 1, 0)
			tt.subnet.Name, tt.subnet.Fabric = "small", "fabric-mgmt"
			cfg.Subnets = append(cfg.Subnets, tt.subnet)
			m := start(t, cfg)
			var got []string
			for range tt.got {
				got = append(got, m.post("ipaddresses/?op=reserve", "subnet=small").object(t)["ip"].(string))
			}
			assert.Equal(t, tt.got, got)
			full := "No more IPs available in subnet: " + tt.subnet.CIDR + "."
			want(t, m.post("ipaddresses/?op=reserve", "subnet=small"), 503, text, full)
			id := m.compose("va-0", "")
			want(t, m.post(m.nic(id)+"?op=link_subnet", "mode=STATIC&subnet=small&force=true"), 503, text, full)
			require.Equal(t, 200, m.post(m.nic(id)+"?op=link_subnet", "mode=AUTO&subnet=small&force=true").status)
			a := m.post("machines/"+id+"/?op=deploy", "")
			want(t, a, 503, text, id+": Unable to allocate static IP due to address exhaustion.")
			assert.Empty(t, a.header.Get("Retry-After"))
			require.Equal(t, 204, m.post("ipaddresses/?op=release", "ip="+url.QueryEscape(tt.got[0])).status)
			require.Equal(t, 200, m.post("machines/"+id+"/?op=deploy", "").status, "what is released is handed out again")
			assert.Equal(t, []any{tt.got[0]}, m.machine(id)["ip_addresses"])
		})
	}
}
