package maassim_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

// modes returns the modes of an interface's links.
func modes(o map[string]any) []string {
	all := []string{}
	for _, l := range o["links"].([]any) {
		all = append(all, l.(map[string]any)["mode"].(string))
	}
	return all
}

func TestLinks_recordings_379_384_of_every_mode(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	id := m.compose("va-0", "")
	nic := m.nic(id)
	link := func(form string) answer { return m.post(nic+"?op=link_subnet", form) }
	o := link("mode=STATIC&subnet=data&force=true").object(t)
	assert.Equal(t, []string{"static data 10.30.0.4"}, links(o), "recording 380: without an address MAAS picks one")
	assert.Equal(t, []string{"static data 10.30.0.60"}, links(link("mode=static&subnet=10.30.0.0%2F24&ip_address=10.30.0.60&force=True").object(t)), "recording 381")
	assert.Len(t, links(link("mode=AUTO&subnet=data6").object(t)), 2, "recording 383")
	assert.Len(t, links(link("mode=AUTO&subnet=data6").object(t)), 3, "recording 384: again adds another")
	assert.Equal(t, []string{"dhcp"}, modes(link("mode=DHCP&force=true").object(t)), "without a subnet")
	want(t, link("mode=DHCP"), 400, asJS, `{"mode": ["Interface is already set to DHCP."]}`)
	assert.Equal(t, []string{"auto"}, modes(link("mode=AUTO&subnet=data").object(t)), "an AUTO link takes the place of DHCP")
	assert.Equal(t, []string{"auto", "dhcp"}, modes(link("mode=DHCP&subnet=data6").object(t)), "of another family it stands beside")
	want(t, link("mode=DHCP"), 400, asJS, `{"mode": ["Interface is already set to DHCP from 'data6:fd00:30::/64(vid=0)'."]}`)
	want(t, link("mode=LINK_UP"), 400, asJS, `{"mode": ["Cannot configure interface to link up (with no IP address) while other links are already configured. Specify force=True to override this behavior and delete all links."]}`)
	assert.Equal(t, []string{"link_up"}, modes(link("mode=LINK_UP&force=true").object(t)))
	assert.Equal(t, []string{"auto"}, modes(link("mode=AUTO&subnet=data").object(t)), "an AUTO link takes the place of LINK_UP")

	want(t, link(""), 400, asJS, `{"mode": ["This field is required."]}`)
	want(t, link("mode=BRIDGE"), 400, asJS, `{"mode": ["'bridge' is not a valid mode.  It should be one of: 'auto', 'dhcp', 'static', 'link_up'."]}`)
	want(t, link("mode=AUTO"), 400, asJS, `{"subnet": ["This field is required."]}`)
	want(t, link("mode=DHCP&default_gateway=true"), 400, asJS, `{"default_gateway": ["Cannot use in mode 'dhcp'."]}`)
	want(t, m.post(fmt.Sprintf("nodes/%s/interfaces/9999/?op=link_subnet", id), ""), 404, plain, "No Interface matches the given query.")
	want(t, m.post("nodes/nosuch/interfaces/1/?op=link_subnet", ""), 404, plain, "No Interface matches the given query.")
	want(t, m.get("nodes/nosuch/interfaces/"), 404, plain, "No Node matches the given query.")
}

func TestInterfaces_recording_393_are_changed_and_disconnected(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	id := m.compose("va-0", "")
	nic := m.nic(id)
	assert.Equal(t, []string{"auto"}, modes(m.put(nic, "vlan=1").object(t)), "the same VLAN changes nothing")
	o := m.put(nic, "vlan=2&name=data0&mac_address=AA:BB:CC:00:11:22").object(t)
	assert.Equal(t, []any{"data0", "aa:bb:cc:00:11:22", 2.0}, []any{o["name"], o["mac_address"], o["vlan"].(map[string]any)["id"]})
	assert.Empty(t, modes(o), "another VLAN takes the links away")
	assert.Nil(t, m.put(nic, "vlan=").object(t)["vlan"])
	want(t, m.put(nic, "vlan=99"), 400, asJS, `{"vlan": ["Select a valid choice. That choice is not one of the available choices."]}`)
	want(t, m.put(nic, "mac_address=x"), 400, asJS, `{"mac_address": ["'x' is not a valid MAC address."]}`)
	want(t, m.put(nic, "mtu=9000"), 501, text, "The simulator does not have the field mtu of interfaces of MAAS.")
	want(t, m.as(m.UserAPIKey()).put(nic, "name=x"), 403, text, "")
	want(t, m.put("nodes/"+id+"/interfaces/9999/", "name=x"), 404, plain, "No Interface matches the given query.")

	o = m.post(nic+"?op=link_subnet", "mode=STATIC&subnet=data&ip_address=10.30.0.60").object(t)
	assert.InDelta(t, 2, o["vlan"].(map[string]any)["id"], 0, "an interface without a VLAN takes that of the subnet")
	o = m.post(nic+"?op=disconnect", "").object(t)
	assert.Empty(t, modes(o))
	assert.Nil(t, o["vlan"])
	assert.Equal(t, 200, m.post("ipaddresses/?op=reserve", "ip=10.30.0.60").status, "its address is free")
	want(t, m.post(nic+"?op=unlink_subnet", ""), 400, asJS, `{"id": ["This field is required."]}`)
	assert.Equal(t, 501, m.post("nodes/"+id+"/interfaces/?op=create_bond", "").status)
}

func TestInterfaces_recordings_391_392_425_426_in_the_wrong_status(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	id := m.compose("va-0", "")
	nic := m.nic(id)
	require.Equal(t, 200, m.post("machines/"+id+"/?op=deploy", "").status)
	for op, verb := range map[string]string{"link_subnet": "link subnet", "unlink_subnet": "unlink subnet", "disconnect": "disconnect"} {
		want(t, m.post(nic+"?op="+op, "mode=AUTO&subnet=1&id=1"), 409, text,
			"Cannot "+verb+" interface because the machine is not New, Ready, Allocated, or Broken.")
	}
	o := m.put(nic, "name=eth9&vlan=2").object(t)
	assert.Equal(t, []any{"eth9", 1.0}, []any{o["name"], o["vlan"].(map[string]any)["id"]}, "a deployed machine's VLAN stays")
	require.Equal(t, 200, m.post("machines/"+id+"/?op=lock", "").status)
	want(t, m.put(nic, "name=x"), 403, text, "")
}

func TestInterfaces_a_MAC_address_that_another_has_is_refused(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	first, second := m.compose("va-0", ""), m.compose("va-1", "&interfaces=a:name%3Dbr0;b:name%3Dbr1")
	mac, _ := m.get(m.nic(first)).object(t)["mac_address"].(string)
	want(t, m.put(m.nic(second), "mac_address="+mac), 400, asJS, `{"mac_address": ["This MAC address is already in use by eth0 on va-0."]}`)
	assert.Equal(t, mac, m.put(m.nic(first), "name=lan0&mac_address="+mac).object(t)["mac_address"], "its own is no other's")
	other, _ := m.get("nodes/" + second + "/interfaces/b/").object(t)["mac_address"].(string)
	want(t, m.put(m.nic(second), "mac_address="+other), 400, asJS, `{"mac_address": ["This MAC address is already in use by b on va-1."]}`)
}
