package maassim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

const noRoute = "Failed to connect to the LXD REST API: [Errno 113] No route to host"

func TestHostOffline_MAAS_goes_on_believing(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(2, 2, 0))
	id := m.compose("vt-3", "&zone=3")
	before := m.get("vm-hosts/1/").body
	require.NoError(t, m.SetHostOffline("lxd-1", true))

	assert.Equal(t, before, m.get("vm-hosts/1/").body, "recording 528: the host's JSON does not show it")
	host, _ := m.Machine("lxd-1")
	assert.Equal(t, "off", host.PowerState, "recording 529")
	want(t, m.post("vm-hosts/1/?op=compose", "hostname=vo-0"), 503, text, "Unable to compose machine because: Pod 1: "+noRoute) // recording 530
	want(t, m.post("vm-hosts/1/?op=refresh", ""), 503, text, "Pod 1: "+noRoute)                                                 // recording 531
	want(t, m.get("machines/"+id+"/?op=query_power_state"), 500, text, "Pod: "+noRoute)                                         // recording 533

	want(t, m.delete("machines/"+id+"/"), 204, plain, "") // recording 534
	want(t, m.get("machines/"+id+"/"), 404, plain, "No Machine matches the given query.")
	_, left := m.instance("vt-3")
	assert.True(t, left, "the VM lives")

	require.NoError(t, m.SetHostOffline("lxd-1", false))
	require.Equal(t, 200, m.post("vm-hosts/1/?op=refresh", "").status)
	back, ok := m.Machine("vt-3")
	require.True(t, ok, "recordings 536 and 537: it is a machine again")
	assert.Equal(t, "az1", back.Zone, "in the host's zone")
	assert.NotEqual(t, id, back.SystemID)
}

func TestRefresh_imports_strangers_and_drops_what_is_gone(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(2, 2, 0)
	cfg.Durations.Commission = time.Hour
	m := start(t, cfg)
	id := m.compose("vh-0", "")
	m.post("machines/"+id+"/?op=deploy", "")
	require.Equal(t, 200, m.post("machines/"+id+"/?op=lock", "").status)
	require.NoError(t, m.RemoveInstance("lxd-1", "maas", "vh-0"))
	require.NoError(t, m.AddInstance(maassim.Instance{Host: "lxd-1", Name: "vk-0", Cores: 3, MemoryMiB: 2048}))
	require.NoError(t, m.AddInstance(maassim.Instance{Host: "lxd-1", Name: "vk-1", Cores: 1, MemoryMiB: 2048}))
	require.NoError(t, m.AddInstance(maassim.Instance{Host: "lxd-1", Project: "other", Name: "private", Cores: 1, MemoryMiB: 2048}))
	require.Equal(t, 200, m.post("vm-hosts/2/?op=compose", "hostname=vk-1").status)

	host := m.post("vm-hosts/1/?op=refresh", "").object(t)
	assert.InDelta(t, 4, host["used"].(map[string]any)["cores"], 0)
	want(t, m.get("machines/"+id+"/"), 404, plain, "No Machine matches the given query.") // recordings 507 to 509: locked or not

	imported, ok := m.Machine("vk-0")
	require.True(t, ok)
	assert.Equal(t, []string{"commissioning", "admin", "az1", "lxd-1"}, []string{imported.Status, imported.Owner, imported.Zone, imported.Host}, "recording 492")
	var renamed maassim.Machine
	for _, other := range m.Machines() {
		if other.Instance == "vk-1" && other.Host == "lxd-1" {
			renamed = other
		}
	}
	assert.Regexp(t, `^[a-z]+-[a-z]+$`, renamed.Hostname, "recording 494: the name was taken on another host")
	parameters := m.get("machines/" + renamed.SystemID + "/?op=power_parameters").object(t)
	assert.Equal(t, "vk-1", parameters["instance_name"])
	_, ok = m.Machine("private")
	assert.False(t, ok, "only the tracked project counts")
}

func TestDelete_of_a_VM_that_LXD_lost_and_of_a_host(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	id := m.compose("x-0", "")
	require.NoError(t, m.RemoveInstance("lxd-1", "maas", "x-0"))
	assert.Equal(t, 204, m.delete("machines/"+id+"/").status)
	want(t, m.delete("machines/"+id+"/"), 404, plain, "No Machine matches the given query.") // recording 203

	host, _ := m.Machine("lxd-1")
	want(t, m.delete("machines/"+host.SystemID+"/"), 400, text, "The following VM hosts must be removed first: lxd-1") // recording 207
	other := m.compose("x-1", "")
	want(t, m.as(m.UserAPIKey()).delete("machines/"+other+"/"), 403, text, "") // recording 201
}

func TestDeploy_on_a_dead_host_by_version(t *testing.T) {
	t.Parallel()
	for version, wanted := range map[string]struct {
		status int
		after  string
	}{"3.5": {500, "allocated"}, "3.6": {200, "failed_deployment"}} {
		cfg := maassim.DefaultConfig(1, 1, 0)
		cfg.Version = version
		m := start(t, cfg)
		id := m.compose("d-0", "")
		require.NoError(t, m.SetHostOffline("lxd-1", true))
		assert.Equal(t, wanted.status, m.post("machines/"+id+"/?op=deploy", "").status, version)
		after, _ := m.Machine(id)
		assert.Equal(t, wanted.after, after.Status, version)
	}
}
