package maassim_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

func TestX2_4_compose_refuses_bad_forms_in_MAAS_words(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(2, 2, 0)
	cfg.Hosts[0].Name = "lxd-11"
	m := start(t, cfg)
	m.compose("cp-0", "")
	long := strings.Repeat("x", 64)
	for name, tt := range map[string]struct{ form, body string }{
		"recording_054_duplicate_name":     {"hostname=cp-0", `{"hostname": ["Node with hostname \"cp-0\" already exists"]}`},
		"recording_058_more_than_total":    {"cores=100&memory=2048", `{"cores": ["Ensure this value is less than or equal to 32."]}`},
		"recording_060_bad_numbers":        {"cores=x&memory=512", `{"cores": ["Enter a whole number."], "memory": ["Ensure this value is greater than or equal to 1024."]}`},
		"recording_061_underscore":         {"hostname=bad_name%21", `{"hostname": ["Host label cannot contain underscore: 'bad_name!'."]}`},
		"recording_062_long_name":          {"hostname=" + long, `{"hostname": ["Label is too long: '` + long + `'.  Maximum allowed is 63 characters."]}`},
		"recording_064_storage":            {"storage=root", `{"storage": ["Malformed storage constraint, \"root\"."]}`},
		"recording_065_names_are_no_ids":   {"zone=az1&pool=default", `{"zone": ["Select a valid choice. That choice is not one of the available choices."], "pool": ["Select a valid choice. That choice is not one of the available choices."]}`},
		"recording_066_architecture":       {"architecture=arm64/generic", `{"architecture": ["Select a valid choice. arm64/generic is not one of the available choices."]}`},
		"recording_068_interface_key":      {"interfaces=eth0:nokey%3D1", `{"interfaces": ["Unknown interfaces constraint: 'nokey"]}`},
		"recording_281_unknown_zone_id":    {"zone=99", `{"zone": ["Select a valid choice. That choice is not one of the available choices."]}`},
		"recording_290_ratio_lifts_no_cap": {"cores=33", `{"cores": ["Ensure this value is less than or equal to 32."]}`},
	} {
		t.Run(name, func(t *testing.T) {
			a := m.post("vm-hosts/1/?op=compose", tt.form)
			require.Equal(t, 400, a.status)
			assert.Equal(t, asJS, a.header.Get("Content-Type"))
			assert.Equal(t, tt.body, a.body)
		})
	}
	assert.Len(t, m.LXD(), 1, "a refused form makes nothing")
}

func TestX2_4_recordings_056_057_over_commit_is_a_503_without_Retry_After(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Hosts[0].Name, cfg.Hosts[0].MemoryMiB = "lxd-11", 65536
	m := start(t, cfg)
	require.Equal(t, 200, m.post("vm-hosts/1/?op=compose", "cores=9&memory=18432&skip_commissioning=true").status)

	a := m.post("vm-hosts/1/?op=compose", "cores=31&memory=2048")
	want(t, a, 503, text, "Unable to compose KVM instance in 'lxd-11'. CPU overcommit ratio is 1.0 and there are 23 available resources; 31 requested.")
	assert.Empty(t, a.header.Get("Retry-After"))
	want(t, m.post("vm-hosts/1/?op=compose", "cores=2&memory=60000"), 503, text,
		"Unable to compose KVM instance in 'lxd-11'. Memory overcommit ratio is 1.0 and there are 47104 available resources; 60000 requested.")

	// recordings 288, 289: a ratio makes room for more, and available ignores it.
	require.Equal(t, 200, m.put("vm-hosts/1/", "cpu_over_commit_ratio=2.5").status)
	require.Equal(t, 200, m.post("vm-hosts/1/?op=compose", "cores=31&memory=2048").status)
	host := m.get("vm-hosts/1/").object(t)
	assert.InDelta(t, 2.5, host["cpu_over_commit_ratio"], 0)
	assert.Equal(t, map[string]any{"cores": -8.0, "memory": 45056.0, "local_storage": 1984e9}, host["available"])
}

func TestX2_2_recordings_049_076_default_zone_trap_and_host_pool(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Pools = []maassim.PoolConfig{{Name: "capi"}}
	cfg.Hosts[0].Pool = "capi"
	m := start(t, cfg)
	trapped := m.machine(m.compose("cp-0", ""))
	assert.Equal(t, "default", trapped["zone"].(map[string]any)["name"])
	assert.Equal(t, "capi", trapped["pool"].(map[string]any)["name"])

	placed := m.machine(m.compose("cp-1", "&zone=2&pool=0"))
	assert.Equal(t, "az1", placed["zone"].(map[string]any)["name"])
	assert.Equal(t, "default", placed["pool"].(map[string]any)["name"])
}

func TestCompose_recording_063_a_dotted_name_is_replaced_silently(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	id := m.compose("a.b", "")
	assert.Regexp(t, `^[a-z]+-[a-z]+$`, m.machine(id)["hostname"])
}

func TestCompose_commissions_unless_told_not_to(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Durations.Commission = 20 * time.Minute
	clock := newClock()
	cfg.Clock = clock.Now
	m := start(t, cfg)
	m.post("vm-hosts/1/?op=compose", "hostname=slow-0")
	slow, ok := m.Machine("slow-0")
	require.True(t, ok)
	assert.Equal(t, "commissioning", slow.Status)
	assert.Equal(t, "admin", slow.Owner, "the composer owns it meanwhile")

	clock.advance(2 * time.Hour)
	slow, _ = m.Machine("slow-0")
	assert.Equal(t, "ready", slow.Status)
	assert.Empty(t, slow.Owner)
	assert.Equal(t, "off", slow.PowerState)
}

func TestCompose_storage_goes_by_pool_name_and_falls_back_silently(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Hosts[0].StoragePools = []maassim.StoragePool{
		{Name: "fast", Total: 50e9},
		{Name: "default", Total: 100e9, Default: true},
	}
	m := start(t, cfg)
	pool := func(name, storage string) string {
		m.compose(name, "&storage="+storage)
		i, ok := m.instance(name)
		require.True(t, ok)
		return i.Disks[0].Pool
	}
	assert.Equal(t, "fast", pool("s-0", "root:20(fast)"))
	assert.Equal(t, "default", pool("s-1", "root:20(typo)"), "recording 319: a tag that names no pool is ignored")
	assert.Equal(t, "default", pool("s-2", "root:20"))
	want(t, m.post("vm-hosts/1/?op=compose", "storage=root:40(fast)"), 503, text,
		"Unable to compose machine because: Not enough storage space on storage pools: fast")
	want(t, m.post("vm-hosts/1/?op=compose", "storage=root:70"), 503, text,
		"Unable to compose machine because: Not enough space in default storage pool: default")
}

func TestCompose_interfaces_choose_the_bridge(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Hosts[0].Bridges[1].NoAddress = true // br1, on data
	cfg.Hosts = append(cfg.Hosts, maassim.HostConfig{
		Name: "stray", Cores: 8, MemoryMiB: 32768, Unknown: true, StoragePools: []maassim.StoragePool{{Name: "default", Total: 1e12, Default: true}},
	})
	m := start(t, cfg)
	n := 0
	subnet := func(interfaces string) string {
		n++
		id := m.compose(fmt.Sprintf("n-%d", n), "&interfaces="+interfaces)
		links := m.machine(id)["boot_interface"].(map[string]any)["links"].([]any)
		return links[0].(map[string]any)["subnet"].(map[string]any)["name"].(string)
	}
	t.Run("recording_305_none_is_the_first_bridge_with_DHCP", func(t *testing.T) { assert.Equal(t, "mgmt", subnet("")) })
	t.Run("recording_312_by_name", func(t *testing.T) { assert.Equal(t, "data", subnet("eth0:name=br1")) })
	t.Run("recording_583_by_VLAN_id", func(t *testing.T) { assert.Equal(t, "data", subnet("eth0:vlan=id:2")) })
	t.Run("recording_581_by_fabric_and_VID", func(t *testing.T) { assert.Equal(t, "data", subnet("eth0:fabric=fabric-data,vid=0")) })
	t.Run("recording_067_by_subnet_where_the_host_has_an_address", func(t *testing.T) { assert.Equal(t, "mgmt", subnet("eth0:subnet=mgmt")) })
	refused := "This pod does not match the specified networks."
	for name, interfaces := range map[string]string{
		"recording_310_by_subnet_without_an_address": "eth0:subnet=data", "recording_589_unknown_bridge": "eth0:name=br9",
		"recording_321_a_bare_number_is_a_VID": "eth0:vlan=2",
	} {
		t.Run(name, func(t *testing.T) {
			want(t, m.post("vm-hosts/1/?op=compose", "interfaces="+interfaces), 400, text, refused)
		})
	}
	t.Run("a_host_that_MAAS_does_not_know", func(t *testing.T) {
		want(t, m.post("vm-hosts/2/?op=compose", "interfaces=eth0:name=br0"), 400, text, "Pod must be on a known host if interfaces are specified.")
	})
}

func TestX1_2_recordings_274_275_one_name_on_two_hosts_makes_two_VMs(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(2, 2, 0))
	const form = "hostname=race-0&cores=20&skip_commissioning=true"
	letGo := m.hold(maassim.PlaceLXDCreated, "lxd-1", func() answer { return m.post("vm-hosts/1/?op=compose", form) })
	require.Equal(t, 200, m.post("vm-hosts/2/?op=compose", form).status)
	want(t, letGo(), 400, asJS, `{"hostname": ["Node with hostname \"race-0\" already exists"]}`)
	assert.Len(t, m.LXD(), 2, "the loser is an orphan")
}

func TestX2_6_recordings_278_279_280_capacity_is_not_held(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	const form = "&cores=20&skip_commissioning=true"
	letGo := m.hold(maassim.PlaceLXDCreated, "lxd-1", func() answer { return m.post("vm-hosts/1/?op=compose", "hostname=big-0"+form) })
	require.Equal(t, 200, m.post("vm-hosts/1/?op=compose", "hostname=big-1"+form).status)
	require.Equal(t, 200, letGo().status)
	host := m.get("vm-hosts/1/").object(t)
	assert.InDelta(t, -8, host["available"].(map[string]any)["cores"], 0)
}

func TestX2_4_recordings_276_488_LXD_refuses_a_name_that_it_has(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(2, 1, 0))
	require.NoError(t, m.AddInstance(maassim.Instance{Host: "lxd-1", Name: "vk-1", Cores: 1, MemoryMiB: 1024}))
	want(t, m.post("vm-hosts/1/?op=compose", "hostname=vk-1"), 503, text, `Unable to compose machine because: Instance "vk-1" already exists`)
	assert.Equal(t, 200, m.post("vm-hosts/2/?op=compose", "hostname=vk-1").status, "recording 489: another host takes it")
}

func TestCompose_recording_522_a_bad_host_tag_fails_after_LXD_made_the_VM(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	require.Equal(t, 200, m.post("vm-hosts/1/?op=add_tag", "tag=bad+tag%21").status)
	a := m.post("vm-hosts/1/?op=compose", "hostname=vt-0")
	assert.Equal(t, `{"name": ["Enter a valid value."]}`, a.body)
	assert.Len(t, m.LXD(), 1)
	require.Equal(t, 200, m.post("vm-hosts/1/?op=remove_tag", "tag=bad+tag%21").status)
	require.Equal(t, 200, m.post("vm-hosts/1/?op=add_tag", "tag=gold").status)
	assert.Equal(t, []any{"pod-console-logging", "gold"}, m.machine(m.compose("vt-1", ""))["tag_names"], "recording 523")
}

func TestCompose_a_fresh_host_reports_zeros_until_it_is_refreshed(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Hosts[0].NotInventoried = true
	m := start(t, cfg)
	a := m.post("vm-hosts/1/?op=compose", "hostname=f-0&cores=1&memory=2048")
	assert.Equal(t, `{"cores": ["Ensure this value is less than or equal to 0."], "memory": ["Ensure this value is less than or equal to 0."]}`, a.body)
	want(t, m.post("vm-hosts/1/?op=compose", "hostname=f-0"), 503, text, "Unable to compose KVM instance in 'lxd-1'. "+
		"CPU overcommit ratio is 1.0 and there are 0 available resources; 1 requested."+
		"Memory overcommit ratio is 1.0 and there are 0 available resources; 2048 requested.") // what is not sent is not checked by the form
	require.Equal(t, 200, m.post("vm-hosts/1/?op=refresh", "").status)
	m.compose("f-0", "")
}

func TestCompose_by_LXD_version(t *testing.T) {
	t.Parallel()
	for version, status := range map[string]int{"4.15": 503, "4.16": 200, "5.0.4": 200, "5.21.3": 200, "6.6": 200, "6.7": 503, "7.0": 503} {
		cfg := maassim.DefaultConfig(1, 1, 0)
		cfg.LXDVersion = version
		m := start(t, cfg)
		a := m.post("vm-hosts/1/?op=compose", "hostname=v-0&skip_commissioning=true")
		assert.Equal(t, status, a.status, version+" "+a.body)
		assert.Len(t, m.LXD(), map[int]int{200: 1, 503: 0}[status])
	}
}

func TestX2_5_a_compose_ends_though_its_client_is_gone(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	m.Hold(maassim.PlaceLXDCreated, "lxd-1")
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.base+"/MAAS/api/2.0/vm-hosts/1/?op=compose", strings.NewReader("hostname=gone-0"))
	require.NoError(t, err)
	req.Header.Set("Authorization", sign(m.APIKey()))
	req.Header.Set("Content-Type", form)
	gone := make(chan error, 1)
	go func() {
		resp, err := new(http.Transport).RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		gone <- err
	}()
	require.NoError(t, m.AwaitHeld(bounded(t), maassim.PlaceLXDCreated, "lxd-1"))
	hangUp()
	require.Error(t, <-gone)
	require.NoError(t, m.LetGo(maassim.PlaceLXDCreated, "lxd-1"))
	require.Eventually(t, func() bool {
		_, made := m.Machine("gone-0")
		return made
	}, 10*time.Second, 5*time.Millisecond)
}
