package maassim_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

func TestX4_4_a_refresh_takes_bare_metal_for_a_VM_that_has_its_MAC_address(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 1))
	metal, _ := m.Machine("metal-1")
	nic := m.machine(metal.SystemID)["boot_interface"].(map[string]any)
	mac, _ := nic["mac_address"].(string)
	require.Equal(t, http.StatusNoContent, m.direct(http.MethodPost, "lxd",
		`{"host": "lxd-1", "name": "twin", "cores": 3, "memory": 2048, "nics": [{"name": "eth0", "mac": "`+mac+`", "parent": "br0"}]}`).status)
	require.Equal(t, http.StatusOK, m.post("vm-hosts/1/?op=refresh", "").status)
	o := m.machine(metal.SystemID)
	assert.Equal(t, []any{"metal-1", "lxd", 3.0, 2048.0, "lxd-1", nil},
		[]any{o["hostname"], o["power_type"], o["cpu_count"], o["memory"], o["pod"].(map[string]any)["name"], o["parent"]})
	assert.Len(t, o["interface_set"], 1, "it keeps its interface")
	assert.Positive(t, o["virtualmachine_id"])
	_, ok := m.Machine("twin")
	assert.False(t, ok)
}

func TestX4_4_of_two_VMs_with_one_MAC_address_a_refresh_knows_the_first(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	id := m.compose("first", "")
	vm, _ := m.instance("first")
	require.NoError(t, m.AddInstance(maassim.Instance{Host: "lxd-1", Name: "second", Cores: 5, MemoryMiB: 1024, NICs: vm.NICs}))
	require.Equal(t, http.StatusOK, m.post("vm-hosts/1/?op=refresh", "").status)
	first := m.machine(id)
	second, ok := m.Machine("second")
	require.True(t, ok, "the other is a stranger and imported")
	assert.InDelta(t, 2, first["cpu_count"], 0, "it is not taken for the other")
	assert.Equal(t, 5, second.Cores)
	assert.Empty(t, first["interface_set"], "the import takes the interface away")
	assert.Len(t, m.LXD(), 2)
}

func TestX4_4_a_host_that_is_deleted_during_its_refresh_stays_deleted(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(m *maas) answer{
		"refresh": func(m *maas) answer { return m.post("vm-hosts/1/?op=refresh", "") },
		"update":  func(m *maas) answer { return m.put("vm-hosts/1/", "tags=gold") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := start(t, maassim.DefaultConfig(1, 1, 0))
			require.NoError(t, m.AddInstance(maassim.Instance{Host: "lxd-1", Name: "unknown", Cores: 1, MemoryMiB: 1024}))
			letGo := m.hold(maassim.PlaceLXDListed, "lxd-1", func() answer { return call(m) })
			require.Equal(t, http.StatusNoContent, m.delete("vm-hosts/1/").status)
			want(t, letGo(), http.StatusNotFound, plain, "No Pod matches the given query.")
			_, ok := m.Machine("unknown")
			assert.False(t, ok, "nothing is imported for it")
		})
	}
}

func TestVMHosts_deletion_takes_what_was_composed_while_it_waited(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Durations.Delete = time.Minute
	cfg.Hosts[0].Address = "10.10.0.77"
	m, clock := byHand(t, cfg)
	m.compose("early", "")
	deleted := behind(func() answer { return m.delete("vm-hosts/1/?decompose=true") })
	require.NoError(t, clock.AwaitWaiting(bounded(t), 1))
	again := behind(func() answer { return m.delete("vm-hosts/1/?decompose=true") })
	require.NoError(t, clock.AwaitWaiting(bounded(t), 2))
	m.compose("late", "")
	clock.Advance(time.Minute)

	assert.ElementsMatch(t, []int{http.StatusNoContent, http.StatusNotFound}, []int{(<-deleted).status, (<-again).status}, "one of two deletes it")
	for _, name := range []string{"early", "late"} {
		inLXD, inMAAS := m.where(name)
		assert.Equal(t, []bool{false, false}, []bool{inLXD, inMAAS}, name)
	}
	assert.Empty(t, m.get("vm-hosts/").list(t))
}

func TestVMHosts_a_call_goes_on_with_the_host_as_it_began(t *testing.T) {
	t.Parallel()
	m, clock := timed(t, 1, maassim.Durations{Compose: time.Second, Refresh: time.Minute})
	m.Hold(maassim.PlaceLXDCreated, "lxd-1")
	composed := behind(func() answer { return m.post("vm-hosts/1/?op=compose", "hostname=vm-0&skip_commissioning=true") })
	require.NoError(t, clock.AwaitWaiting(bounded(t), 1))
	renamed := behind(func() answer { return m.put("vm-hosts/1/", "name=renamed") })
	require.NoError(t, clock.AwaitWaiting(bounded(t), 2), "the row is changed, the discovery under way")
	clock.Advance(time.Second)
	require.NoError(t, m.AwaitHeld(bounded(t), maassim.PlaceLXDCreated, "lxd-1"), "under the name that it had")
	require.NoError(t, m.LetGo(maassim.PlaceLXDCreated, "lxd-1"))
	require.Equal(t, http.StatusOK, (<-composed).status)
	clock.Advance(time.Minute)
	require.NoError(t, clock.AwaitWaiting(bounded(t), 1), "the discovery met the new machine, and is done again")
	clock.Advance(time.Minute)
	require.Equal(t, http.StatusOK, (<-renamed).status)
	vm, _ := m.Machine("vm-0")
	assert.Equal(t, "renamed", vm.Host)
}

func TestX4_1_a_delete_is_held_by_the_name_of_the_VM_host(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	require.Equal(t, http.StatusOK, m.put("vm-hosts/1/", "name=renamed").status)
	id := m.compose("vm-0", "")
	letGo := m.hold(maassim.PlaceDeleting, "renamed", func() answer { return m.delete("machines/" + id + "/") })
	inLXD, inMAAS := m.where("vm-0")
	assert.Equal(t, []bool{true, true}, []bool{inLXD, inMAAS})
	require.Equal(t, http.StatusNoContent, letGo().status)
}
