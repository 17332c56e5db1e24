package maassim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

// unregistered is a MAAS with one VM host and an LXD server that it does not know, at 10.20.0.2.
func unregistered() maassim.Config {
	cfg := maassim.DefaultConfig(2, 2, 0)
	cfg.Pools = []maassim.PoolConfig{{Name: "capi"}}
	cfg.Hosts[1].Unregistered = true
	return cfg
}

func TestVMHosts_recordings_037_to_048_a_server_becomes_a_VM_host(t *testing.T) {
	t.Parallel()
	m := start(t, unregistered())
	require.NoError(t, m.AddInstance(maassim.Instance{Host: "lxd-2", Name: "old-0", Cores: 2, MemoryMiB: 2048}))
	h := m.post("vm-hosts/", "type=lxd&power_address=10.20.0.2&project=maas&name=lxd-11&zone=az1&pool=capi").object(t)
	assert.Equal(t, []any{"lxd-11", "lxd", "5.21.3", []any{"pod-console-logging"}, []any{"amd64/generic"}},
		[]any{h["name"], h["type"], h["version"], h["tags"], h["architectures"]})
	assert.Equal(t, map[string]any{"cores": 32.0, "memory": 131072.0, "local_storage": 2e12}, h["total"])
	assert.Equal(t, "az1", h["zone"].(map[string]any)["name"])

	own := m.get("machines/?hostname=lxd-11").list(t)
	require.Len(t, own, 1)
	assert.Equal(t, []any{"Deployed", "admin", "", "unknown", "default"},
		[]any{own[0]["status_name"], own[0]["owner"], own[0]["power_type"], own[0]["power_state"], own[0]["zone"].(map[string]any)["name"]})
	imported, ok := m.Machine("old-0")
	require.True(t, ok, "a VM of the project is imported at once")
	assert.Equal(t, []string{"ready", "az1", "capi"}, []string{imported.Status, imported.Zone, imported.Pool})

	parameters := m.get(fmt.Sprintf("vm-hosts/%v/?op=parameters", h["id"])).object(t)
	assert.Equal(t, []any{"10.20.0.2", "maas"}, []any{parameters["power_address"], parameters["project"]})
	require.Equal(t, 200, m.post(fmt.Sprintf("vm-hosts/%v/?op=compose", h["id"]), "hostname=new-0").status, "it has a bridge by now")
}

func TestVMHosts_creation_is_refused_as_MAAS_does(t *testing.T) {
	t.Parallel()
	m := start(t, unregistered())
	for name, tt := range map[string]struct{ form, body string }{
		"recording_039_type":  {"type=nonsense&power_address=10.20.0.13", `{"type": ["Select a valid choice. nonsense is not one of the available choices."]}`},
		"no_type":             {"power_address=10.20.0.13", `{"type": ["This field is required."]}`},
		"no_address":          {"type=lxd", `{"power_address": ["This field is required."]}`},
		"unknown_zone":        {"type=lxd&power_address=x&zone=nozone", `{"zone": ["Select a valid choice. That choice is not one of the available choices."]}`},
		"ratio_out_of_bounds": {"type=lxd&power_address=x&cpu_over_commit_ratio=11", `{"cpu_over_commit_ratio": ["Ensure this value is less than or equal to 10."]}`},
		"name_taken":          {"type=lxd&power_address=x&name=lxd-1", `{"name": ["Pod with this Name already exists."]}`},
		"macvlan_mode":        {"type=lxd&power_address=x&default_macvlan_mode=odd", `{"default_macvlan_mode": ["Select a valid choice. odd is not one of the available choices."]}`},
	} {
		t.Run(name, func(t *testing.T) { want(t, m.post("vm-hosts/", tt.form), 400, asJS, tt.body) })
	}
	for _, call := range []answer{
		m.as(m.UserAPIKey()).post("vm-hosts/", "type=lxd&power_address=10.20.0.2"), // recording 040
		m.as(m.UserAPIKey()).put("vm-hosts/1/", "cpu_over_commit_ratio=2"),
		m.as(m.UserAPIKey()).delete("vm-hosts/1/"),
	} {
		want(t, call, 403, text, "This method is reserved for admin users.")
	}
}

func TestVMHosts_one_that_cannot_be_reached_is_saved_and_cannot_compose(t *testing.T) {
	t.Parallel()
	m := start(t, unregistered())
	h := m.post("vm-hosts/", "type=lxd&power_address=10.99.0.1&name=far").object(t)
	assert.Equal(t, []any{[]any{}, []any{}}, []any{h["capabilities"], h["architectures"]})
	path := fmt.Sprintf("vm-hosts/%v/", h["id"])
	want(t, m.post(path+"?op=compose", "hostname=x-0"), 400, text, "VM host does not support composability.")
	assert.Equal(t, 503, m.post(path+"?op=refresh", "").status)
	moved := m.put(path, "power_address=https%3A%2F%2F10.20.0.2%3A8443&project=maas").object(t)
	assert.Len(t, moved["capabilities"], 4, "at another address it can be reached")
}

func TestVMHosts_update_keeps_what_is_not_sent(t *testing.T) {
	t.Parallel()
	cfg := unregistered()
	cfg.Hosts[0].StoragePools = []maassim.StoragePool{{Name: "slow", Total: 1e12, Default: true}, {Name: "fast", Total: 1e12}}
	m := start(t, cfg)
	h := m.put("vm-hosts/1/", "tags=gold%2Cbig&default_storage_pool=fast").object(t)
	assert.Equal(t, []any{"lxd-1", "az1", ""}, []any{h["name"], h["zone"].(map[string]any)["name"], h["default_macvlan_mode"]}, "recording 288")
	assert.Equal(t, []any{"gold", "big", "pod-console-logging"}, h["tags"])
	m.compose("d-0", "")
	vm, _ := m.instance("d-0")
	assert.Equal(t, "fast", vm.Disks[0].Pool, "the host's default")
	require.NoError(t, m.AddInstance(maassim.Instance{Host: "lxd-1", Name: "behind", Cores: 1, MemoryMiB: 1024}))
	require.Equal(t, 200, m.put("vm-hosts/1/", "cpu_over_commit_ratio=2").status)
	_, ok := m.Machine("behind")
	assert.True(t, ok, "a PUT discovers the host anew")
}

func TestVMHosts_recordings_291_296_deletion_forgets_or_decomposes(t *testing.T) {
	t.Parallel()
	for query, left := range map[string]int{"": 1, "?decompose=true": 0} {
		m := start(t, unregistered())
		h := m.post("vm-hosts/", "type=lxd&power_address=10.20.0.2&name=lxd-2").object(t)
		path := fmt.Sprintf("vm-hosts/%v/", h["id"])
		require.Equal(t, 200, m.post(path+"?op=compose", "hostname=vm-0").status)
		want(t, m.delete(path+query), 204, plain, "")
		assert.Len(t, m.LXD(), left, query)
		for _, gone := range []string{"vm-0", "lxd-2"} {
			_, ok := m.Machine(gone)
			assert.False(t, ok, "%s: MAAS made the host's machine and takes it along", gone)
		}
		want(t, m.delete(path), 404, plain, "No Pod matches the given query.")
	}
}

func TestVMHosts_a_host_that_was_a_machine_before_stays_one(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	m.compose("vm-0", "")
	host, _ := m.Machine("lxd-1")
	release := "machines/" + host.SystemID + "/?op=release"
	want(t, m.post(release, ""), 400, text, "The following VM hosts must be removed first: lxd-1")
	require.Equal(t, 200, m.post(release, "force=true").status)
	_, ok := m.Machine("vm-0")
	assert.False(t, ok, "its VMs' machines go with the VM host")
	assert.Empty(t, m.get("vm-hosts/").list(t))
	assert.Len(t, m.LXD(), 1)
}

func TestVirtualMachines_show_what_has_no_machine(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	m.compose("vm-0", "&pinned_cores=3&pinned_cores=1&hugepages_backed=true")
	require.NoError(t, m.AddInstance(maassim.Instance{Host: "lxd-1", Project: "other", Name: "private", Cores: 1, MemoryMiB: 2048}))
	require.Equal(t, 200, m.post("vm-hosts/1/?op=refresh", "").status)
	vms := m.get("virtual-machines/").list(t)
	require.Len(t, vms, 2)
	assert.Equal(t, []any{"vm-0", "maas", []any{1.0, 3.0}, true}, []any{vms[0]["identifier"], vms[0]["project"], vms[0]["pinned_cores"], vms[0]["hugepages_backed"]})
	assert.Equal(t, []any{"private", "other", nil}, []any{vms[1]["identifier"], vms[1]["project"], vms[1]["machine_id"]})
	assert.Equal(t, "private", m.get(fmt.Sprintf("virtual-machines/%v", vms[1]["id"])).object(t)["identifier"])
	assert.Equal(t, 404, m.get(fmt.Sprintf("virtual-machines/%v/", vms[1]["id"])).status, "the item has no slash")
	assert.Empty(t, m.get("vm-clusters/").list(t))
}

func TestX4_4_recordings_606_607_a_refresh_runs_again_when_another_transaction_changed_what_it_writes(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	id := m.compose("vr-0", "")
	m.Hold(maassim.PlaceLXDListed, "lxd-1")
	done := make(chan answer, 1)
	go func() { done <- m.post("vm-hosts/1/?op=refresh", "") }()
	require.NoError(t, m.AwaitHeld(t.Context(), maassim.PlaceLXDListed, "lxd-1"))
	m.claim(id, "capmaas/vr-0") // recording 606: at once
	require.NoError(t, m.AddInstance(maassim.Instance{Host: "lxd-1", Name: "late-0", Cores: 1, MemoryMiB: 1024}))
	require.NoError(t, m.LetGo(maassim.PlaceLXDListed, "lxd-1"))
	require.Equal(t, 200, (<-done).status)
	_, ok := m.Machine("late-0")
	assert.True(t, ok, "recording 607: the discovery was repeated, and saw what came meanwhile")
	claimed, _ := m.Machine("vr-0")
	assert.Equal(t, []string{"allocated", "capmaas/vr-0"}, []string{claimed.Status, claimed.AgentName})
}

func TestX4_4_recordings_499_to_501_a_refresh_spares_a_machine_that_it_cannot_have_seen(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	m.Hold(maassim.PlaceLXDListed, "lxd-1")
	done := make(chan answer, 1)
	go func() { done <- m.post("vm-hosts/1/?op=refresh", "") }()
	require.NoError(t, m.AwaitHeld(t.Context(), maassim.PlaceLXDListed, "lxd-1"))
	m.compose("vs-b", "")
	require.NoError(t, m.LetGo(maassim.PlaceLXDListed, "lxd-1"))
	h := (<-done).object(t)
	assert.InDelta(t, 0, h["used"].(map[string]any)["cores"], 0, "recording 500: the answer is of the moment when it began")
	_, ok := m.Machine("vs-b")
	assert.True(t, ok)
}

func TestX2_7_recordings_496_to_498_a_compose_loses_against_a_refresh_in_its_window(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Durations.Commission = time.Minute
	cfg.Clock = newClock().Now
	m := start(t, cfg)
	m.Hold(maassim.PlaceLXDCreated, "lxd-1")
	done := make(chan answer, 1)
	go func() { done <- m.post("vm-hosts/1/?op=compose", "hostname=vs-a&skip_commissioning=true&zone=1") }()
	require.NoError(t, m.AwaitHeld(t.Context(), maassim.PlaceLXDCreated, "lxd-1"))
	require.Equal(t, 200, m.post("vm-hosts/1/?op=refresh", "").status)
	require.NoError(t, m.LetGo(maassim.PlaceLXDCreated, "lxd-1"))
	want(t, <-done, 400, asJS, `{"hostname": ["Node with hostname \"vs-a\" already exists"]}`)
	vm, _ := m.Machine("vs-a")
	assert.Equal(t, []string{"commissioning", "az1"}, []string{vm.Status, vm.Zone}, "what the compose wanted is lost")
}

func TestX4_4_recordings_608_to_612_a_MAC_address_that_LXD_draws_twice(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(2, 1, 0))
	victim := m.compose("vl-0", "")
	require.Equal(t, 200, m.post("machines/"+victim+"/?op=deploy", "").status)
	vm, _ := m.instance("vl-0")
	require.NoError(t, m.AttachNext("lxd-2", "", vm.NICs[0].MAC))
	thief, _ := m.post("vm-hosts/2/?op=compose", "hostname=vr-2&skip_commissioning=true").object(t)["system_id"].(string)
	stripped, _ := m.Machine("vl-0")
	assert.Equal(t, "deployed", stripped.Status)
	assert.Empty(t, stripped.IPs, "its addresses are freed")
	assert.Empty(t, m.machine(victim)["interface_set"])

	require.Equal(t, 200, m.post("vm-hosts/1/?op=refresh", "").status)
	_, ok := m.Machine("vl-0")
	assert.False(t, ok)
	_, ok = m.instance("vl-0")
	assert.False(t, ok, "and its VM is decomposed")
	assert.Equal(t, "lxd-1", m.machine(thief)["pod"].(map[string]any)["name"], "the other is shown under the wrong host")
}

func TestEvents_page_as_MAAS_pages_them(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	id := m.compose("e-0", "")
	for range 3 {
		m.claim(id, "a")
		require.Equal(t, 200, m.post("machines/"+id+"/?op=deploy", "").status)
		require.Equal(t, 200, m.post("machines/"+id+"/?op=release", "").status)
		require.Equal(t, 200, m.post("machines/"+id+"/?op=commission", "").status)
	}
	ids := func(query string) (found []float64) {
		for _, e := range m.get("events/?op=query&id=" + id + query).object(t)["events"].([]any) {
			found = append(found, e.(map[string]any)["id"].(float64))
		}
		return found
	}
	all := ids("")
	require.Greater(t, len(all), 8)
	assert.Equal(t, all[:2], ids("&limit=2"), "the newest first")
	assert.Equal(t, all[:1], ids("&limit=0"), "never less than one")
	assert.Equal(t, all[3:5], ids(fmt.Sprintf("&limit=2&before=%.0f", all[2])))
	assert.Equal(t, all[1:3], ids(fmt.Sprintf("&limit=2&after=%.0f", all[3])), "after an event: the oldest of the newer")
	assert.Empty(t, ids("&level=ERROR"))
	assert.Equal(t, all, ids("&hostname=e-0"))
	want(t, m.get("events/?op=query&limit=1001"), 400, text, "Requested number of events 1001 is greater than limit: 1000")
	want(t, m.get("events/?op=query&level=LOUD"), 400, text, "Unrecognised log level: LOUD")
	want(t, m.get("events/?op=query&after=1&before=2"), 400, text, "There is undetermined behaviour when both `after` and `before` are specified.")
	page := m.get("events/?op=query&id=nosuch&id=" + id + "&limit=1").object(t)
	assert.Equal(t, fmt.Sprintf("/MAAS/api/2.0/events/?op=query&id=%s&limit=1&after=%.0f", id, all[0]), page["next_uri"], "recording 574: the last id alone")
	assert.Nil(t, m.get("events/?op=query&id=nosuch").object(t)["prev_uri"], "recording 576")
	assert.True(t, strings.HasSuffix(page["prev_uri"].(string), fmt.Sprintf("&before=%.0f", all[0])))
}
