package maassim_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

const notYours = "IP address %s does not exist, is not the correct type of address, or does not belong to the requesting user.\n" +
	"If you are sure you want to release this address, use force=true as a MAAS administrator."

func TestReserve_recordings_248_252(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	reserve := func(form string) answer { return m.post("ipaddresses/?op=reserve", form) }
	o := reserve("subnet=10.30.0.0%2F24").object(t)
	assert.Equal(t, []any{"10.30.0.4", 4.0, "User reserved"}, []any{o["ip"], o["alloc_type"], o["alloc_type_name"]}, "the first of the smallest free range")
	assert.Equal(t, "admin", o["owner"].(map[string]any)["username"])
	assert.Equal(t, "10.30.0.70", reserve("ip=10.30.0.70&subnet=data").object(t)["ip"], "recording 375")
	assert.Equal(t, "10.30.0.71", reserve("ip_address=10.30.0.71").object(t)["ip"], "the old name of the parameter")
	assert.Equal(t, "10.30.0.1", reserve("ip=10.30.0.1").object(t)["ip"], "even the gateway's")
	assert.Equal(t, 200, m.as(m.UserAPIKey()).post("ipaddresses/?op=reserve", "ip=10.30.0.72").status, "everybody may")

	t.Run("recording_249_under_a_name", func(t *testing.T) {
		require.Equal(t, 200, reserve("ip=10.10.1.200&hostname=vip-c1").status)
		assert.Equal(t, []string{"10.10.1.200"}, recordIPs(m.get(recordPath(t, m, "vip-c1.maas")).object(t)))
		require.Equal(t, 200, reserve("ip=10.10.1.201&hostname=vip-c1.cluster.example").status)
		require.Equal(t, 200, reserve("ip=10.10.1.202&hostname=vip-c1.cluster.example").status)
		assert.Equal(t, []string{"10.10.1.201", "10.10.1.202"}, recordIPs(m.get(recordPath(t, m, "vip-c1.cluster.example")).object(t)))
		want(t, reserve("ip=10.10.1.203&hostname=x.nosuch.example"), 404, plain, "No Domain matches the given query.")
	})
	t.Run("for_a_MAC_address", func(t *testing.T) {
		o := reserve("ip=10.10.1.210&mac=aa:bb:cc:dd:ee:ff").object(t)
		nic := o["interface_set"].([]any)[0].(map[string]any)
		assert.Equal(t, []any{"aa:bb:cc:dd:ee:ff", "unknown", nil}, []any{nic["mac_address"], nic["type"], nic["system_id"]})
		nic = reserve("ip=10.10.1.211&mac=AA-BB-CC-DD-EE-FF").object(t)["interface_set"].([]any)[0].(map[string]any)
		assert.Len(t, nic["links"], 2)
		want(t, reserve("ip=10.10.1.211&mac=aa:bb:cc:dd:ee:ff"), 404, text, "IP address is already in use.")
		mac := m.machine(m.compose("r-0", ""))["boot_interface"].(map[string]any)["mac_address"]
		want(t, reserve(fmt.Sprint("ip=10.10.1.212&mac=", mac)), 400, text, fmt.Sprintf(
			"MAC address %s already belongs to r-0. Use of the interface API is required, for an interface that belongs to a node.", mac))
		require.Equal(t, 204, m.post("ipaddresses/?op=release", "ip=10.10.1.210").status)
		require.Equal(t, 204, m.post("ipaddresses/?op=release", "ip=10.10.1.211").status)
	})
	for name, tt := range map[string]struct {
		form   string
		status int
		kind   string
		body   string
	}{
		"recording_250_in_use":        {"ip=10.30.0.70", 404, text, "The IP address 10.30.0.70 is already in use."},
		"recording_251_dynamic_range": {"ip=10.10.205.9", 403, text, "IP address 10.10.205.9 belongs to an existing dynamic range. To reserve this IP address, a MAC address is required. (Create a device instead.)"},
		"recording_252_no_subnet":     {"ip=192.0.2.9", 400, text, "No known subnet for IP address: 192.0.2.9."},
		"reserved_range":              {"ip=10.30.0.12", 404, text, "10.30.0.12 is within the reserved range from 10.30.0.10 to 10.30.0.19"},
		"unknown_subnet":              {"subnet=nosuch", 400, text, "Unable to identify subnet: nosuch."},
		"nothing":                     {"", 400, text, "Must supply either the 'subnet' or the 'ip' parameter."},
		"no_address":                  {"ip=x", 400, asJS, `{"ip_address": ["Enter a valid IPv4 or IPv6 address."]}`},
		"no_MAC_address":              {"subnet=data&mac=x", 400, asJS, `{"mac_address": ["'x' is not a valid MAC address."]}`},
	} {
		t.Run(name, func(t *testing.T) { want(t, reserve(tt.form), tt.status, tt.kind, tt.body) })
	}
}

func TestRelease_recordings_254_255_483_602_603(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	alice := m.as(m.UserAPIKey())
	release := "ipaddresses/?op=release"
	require.Equal(t, 200, m.post("ipaddresses/?op=reserve", "ip=10.10.1.200&hostname=vip").status)
	want(t, alice.post(release, "ip=10.10.1.200"), 400, text, fmt.Sprintf(notYours, "10.10.1.200"))
	want(t, alice.post(release, "ip=10.10.1.200&force=true"), 403, text, "Force-releasing an IP address requires admin privileges.")
	require.Equal(t, 204, m.post(release, "ip=10.10.1.200").status)
	want(t, m.post(release, "ip=10.10.1.200"), 400, text, fmt.Sprintf(notYours, "10.10.1.200"))
	assert.Empty(t, m.get("dnsresources/?fqdn=vip.maas").list(t), "its record goes with it")

	id := m.compose("r-0", "")
	require.Equal(t, 200, m.post(m.nic(id)+"?op=link_subnet", "mode=STATIC&subnet=1&ip_address=10.10.1.60&force=true").status)
	want(t, m.post(release, "ip=10.10.1.60"), 400, text, fmt.Sprintf(notYours, "10.10.1.60"))
	want(t, m.post(release, "ip=10.10.1.60&force=true&discovered=true"), 400, text, "IP address 10.10.1.60 does not exist.")
	require.Equal(t, 204, m.post(release, "ip=10.10.1.60&force=true").status, "an administrator may take even a machine's")
	assert.Empty(t, m.machine(id)["ip_addresses"])
	want(t, m.post(release, "ip=10.10.1.60&force=true"), 400, text, "IP address 10.10.1.60 does not exist.")
	require.Equal(t, 200, alice.post("ipaddresses/?op=reserve", "ip=10.10.1.61").status)
	require.Equal(t, 204, m.post(release, "ip=10.10.1.61&force=true").status, "or another user's")
	want(t, m.post(release, ""), 400, text, "No provided ip!")
	want(t, m.post(release, "ip=x"), 400, asJS, `{"ip": ["Enter a valid IPv4 or IPv6 address."]}`)
}

func TestAddresses_recordings_247_253_who_sees_which(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	alice := m.as(m.UserAPIKey())
	require.Equal(t, 200, m.post("ipaddresses/?op=reserve", "ip=10.10.1.200").status)
	require.Equal(t, 200, alice.post("ipaddresses/?op=reserve", "ip=10.10.1.201").status)
	ips := func(a answer) []string { t.Helper(); return names(a.list(t), "ip") }
	assert.Equal(t, []string{"10.10.1.200"}, ips(m.get("ipaddresses/")))
	assert.Equal(t, []string{"10.10.1.201"}, ips(alice.get("ipaddresses/")))
	assert.Equal(t, []string{"10.10.1.201"}, ips(m.get("ipaddresses/?owner=alice")))
	assert.Empty(t, ips(m.get("ipaddresses/?owner=nobody")))
	assert.Equal(t, []string{"10.10.0.3", "10.30.0.3", "10.10.1.200", "10.10.1.201"}, ips(m.get("ipaddresses/?all=true")), "the host's bridges too")
	assert.Equal(t, []string{"10.10.0.3"}, ips(m.get("ipaddresses/?all=true&ip=10.10.0.3")))
	assert.Empty(t, ips(m.get("ipaddresses/?ip=10.10.0.3")), "not a reservation")
	host := m.get("ipaddresses/?all=true&ip=10.10.0.3").list(t)[0]
	assert.Equal(t, []any{"Static", nil}, []any{host["alloc_type_name"], host["owner"]}, "what a machine holds has no owner")
	assert.Equal(t, "br0", host["interface_set"].([]any)[0].(map[string]any)["name"])
	want(t, m.get("ipaddresses/?ip=x"), 400, text, "Parameter 'ip' must contain an IP address.")
	want(t, alice.get("ipaddresses/?all=true"), 403, text, "Listing all IP addresses requires admin privileges.")
	want(t, alice.get("ipaddresses/?owner=admin"), 403, text, "Listing another user's IP addresses requires admin privileges.")
}

func TestReservedIPs_of_MAAS_3_6_keep_an_address_for_a_MAC_address(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Version = "3.6"
	cfg.Subnets = append(cfg.Subnets, maassim.SubnetConfig{Name: "small", CIDR: "10.40.0.0/29", Gateway: "10.40.0.1", Fabric: "fabric-mgmt"})
	m := start(t, cfg)
	mine, other := m.compose("r-0", ""), m.compose("r-1", "")
	mac := m.machine(mine)["boot_interface"].(map[string]any)["mac_address"]
	o := m.post("reservedips/", fmt.Sprint("ip=10.40.0.2&comment=mine&mac_address=", mac)).object(t)
	assert.Equal(t, []any{1.0, "10.40.0.2", mac, "mine"}, []any{o["id"], o["ip"], o["mac_address"], o["comment"]})
	assert.Equal(t, []map[string]any{o}, m.get("reservedips/").list(t))

	link := "?op=link_subnet"
	want(t, m.post(m.nic(other)+link, "mode=STATIC&force=true&subnet=small&ip_address=10.40.0.2"), 409, text,
		fmt.Sprintf("The static IP 10.40.0.2 is already reserved for the MAC address %s.", mac))
	want(t, m.post(m.nic(mine)+link, "mode=STATIC&force=true&subnet=small&ip_address=10.40.0.3"), 409, text,
		fmt.Sprintf("The static IP 10.40.0.3 does not match the reserved IP 10.40.0.2 for the MAC address %s.", mac))
	for id, ip := range map[string]string{other: "10.40.0.3", mine: "10.40.0.2"} {
		require.Equal(t, 200, m.post(m.nic(id)+link, "mode=AUTO&force=true&subnet=small").status)
		require.Equal(t, 200, m.post("machines/"+id+"/?op=deploy", "").status)
		assert.Equal(t, []any{ip}, m.machine(id)["ip_addresses"])
	}
	for form, body := range map[string]string{
		"ip=10.40.0.2&mac_address=aa:bb:cc:dd:ee:01":  `{"ip": ["The ip 10.40.0.2 is already in use by another machine.", "Reserved IP with this IP address already exists."]}`,
		"ip=10.40.0.0&mac_address=aa:bb:cc:dd:ee:01":  `{"ip": ["The network address cannot be a reserved IP."]}`,
		"ip=10.40.0.7&mac_address=aa:bb:cc:dd:ee:01":  `{"ip": ["The broadcast address cannot be a reserved IP."]}`,
		"ip=10.10.200.7&mac_address=aa:bb:cc:dd:ee:1": `{"ip": ["The reserved IP 10.10.200.7 must be outside the dynamic range 10.10.200.0 - 10.10.220.255."]}`,
		"ip=192.0.2.1&mac_address=aa:bb:cc:dd:ee:01":  `{"subnet": ["There is no subnet for 192.0.2.1. Create the subnet and try again."]}`,
		"ip=10.40.0.5": `{"mac_address": ["This field is required."]}`,
	} {
		want(t, m.post("reservedips/", form), 400, asJS, body)
	}
	require.Equal(t, 204, m.delete("reservedips/1/").status)
	want(t, m.get("reservedips/1/"), 404, plain, "No ReservedIP matches the given query.")

	older := start(t, maassim.DefaultConfig(1, 1, 0))
	want(t, older.get("reservedips/"), 404, text, "Unknown API endpoint: /MAAS/api/2.0/reservedips/.")
}

func TestX8_1_MAAS_3_6_keeps_an_address_for_a_MAC_address_when_its_record_goes(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Version = "3.6"
	m := start(t, cfg)
	require.Equal(t, 200, m.post("ipaddresses/?op=reserve", "ip=10.10.1.60&mac=aa:bb:cc:dd:ee:01&hostname=printer.cluster.example").status)
	require.Equal(t, 200, m.post("dnsresources/", "fqdn=plain.cluster.example&ip_addresses=10.10.1.61").status)
	for _, fqdn := range []string{"printer.cluster.example", "plain.cluster.example"} {
		require.Equal(t, 204, m.delete(recordPath(t, m, fqdn)).status)
	}
	assert.Equal(t, []string{"10.10.1.60"}, m.Reservations(), "what only the record held is freed")
}
