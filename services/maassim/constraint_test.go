package maassim_test

import (
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

func TestFilters_that_look_into_disks_and_networks(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 1))
	m.compose("small-0", "&storage=root:20,data:5(gold)&interfaces=eth0:name%3Dbr1")
	id := m.compose("memory-0", "&cpu_speed=1000")
	require.Equal(t, 200, m.post("machines/"+id+"/?op=deploy", "ephemeral_deploy=true").status)
	for query, names := range map[string][]string{
		"storage=root:20&pod_type=lxd":                {"small-0"},
		"storage=root:10,5(gold)":                     {"small-0"},
		"storage=root:10,50":                          {},
		"interfaces=a:fabric%3Dfabric-data":           {"lxd-1", "small-0"},
		"interfaces=a:subnet%3Dmgmt;b:subnet%3Dmgmt":  {"lxd-1", "memory-0"},
		"vlans=id:2&pod_type=lxd":                     {"small-0"},
		"not_vlans=id:2&pod_type=lxd":                 {"memory-0"},
		"subnets=mgmt&pod_type=lxd":                   {"memory-0"},
		"subnets=mgmt&subnets=data&not_pod_type=lxd":  {"lxd-1"},
		"fabric_classes=10g":                          {},
		"not_fabric_classes=10g&pod_type=lxd":         {"small-0", "memory-0"},
		"link_speed=0&pod_type=lxd":                   {"small-0", "memory-0"},
		"link_speed=1000":                             {},
		"cpu_speed=2000&pod_type=lxd":                 {"small-0"},
		"cpu_count=8&cpu_count=1&pod_type=lxd":        {"small-0", "memory-0"}, // the least counts
		"deployment_target=memory":                    {"memory-0"},
		"deployment_target=disk&pod_type=lxd":         {"small-0"},
		"not_deployment_target=disk":                  {"memory-0"},
		"not_tags=nosuch&pod_type=lxd&hostname=small": {},
	} {
		got := []string{}
		for _, o := range m.get("machines/?" + query).list(t) {
			got = append(got, o["hostname"].(string))
		}
		assert.Equal(t, names, got, query)
	}
	for query, body := range map[string]string{
		"subnets=nosuch":             `{"subnets": ["No matching subnets found."]}`,
		"vlans=99":                   `{"vlans": ["No matching VLANs found."]}`,
		"mem=x":                      `{"mem": ["Invalid memory: number of MiB required."]}`,
		"storage=root":               `{"storage": ["Malformed storage constraint, \"root\"."]}`,
		"interfaces=eth0:odd%3D1":    `{"interfaces": ["Unknown interfaces constraint: 'odd"]}`,
		"deployment_target=tape":     `{"deployment_target": ["Select a valid choice. tape is not one of the available choices."]}`,
		"simple_status=odd":          `{"simple_status": ["Select a valid choice. odd is not one of the available choices."]}`,
		"name=small-0":               `{"name": ["No such constraint."]}`,
		"not_system_id=abc123":       `{"not_system_id": ["No such constraint."]}`, // MAAS has a condition for it, and no field
		"hostname=small-0&parent=x1": `{"parent": ["No such constraint."]}`,
	} {
		want(t, m.get("machines/?"+query), 400, asJS, body)
	}
	broken := m.get("machines/?not_simple_status=deployed") // recording 464
	assert.Equal(t, 500, broken.status)
	assert.True(t, strings.HasPrefix(broken.body, "Cannot resolve keyword 'simple_status' into field."), broken.body)
	assert.Equal(t, 501, m.get("machines/?devices=vendor_id%3D8086").status)

	old := maassim.DefaultConfig(1, 1, 0)
	old.Version = "3.4"
	before := start(t, old)
	for _, name := range []string{"deployment_target", "not_deployment_target"} {
		want(t, before.get("machines/?"+name+"=disk"), 400, asJS, `{"`+name+`": ["No such constraint."]}`)
	}
}

func TestAllocate_knows_other_constraints_than_lists(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 2)
	cfg.Metal[0].Cores, cfg.Metal[1].Cores = 8, 16
	m := start(t, cfg)
	const metal = "not_pod_type=lxd&not_pod_type=virsh&"
	for _, name := range []string{"hostname", "id", "status", "mac_address", "domain"} {
		want(t, m.post("machines/?op=allocate", metal+name+"=x"), 400, asJS, `{"`+name+`": ["No such constraint."]}`)
	}
	want(t, m.post("machines/?op=allocate", metal+"storage=root:10000"), 409, text,
		`No available machine matches constraints: [('not_pod_type', ['lxd', 'virsh']), ('storage', ['root:10000'])] (resolved to "not_pod_type=lxd,virsh storage=root:10000")`)
	want(t, m.post("machines/?op=allocate", "system_id="), 409, text, "No machine with system ID  available.")
	assert.Equal(t, "metal-2", m.post("machines/?op=allocate", metal+"name=metal-2.maas").object(t)["hostname"], "by FQDN")
	assert.Equal(t, "metal-1", m.post("machines/?op=allocate", metal+"not_tags=nosuch").object(t)["hostname"], "recording 125: an unknown tag to shun is no error")
	assert.Empty(t, m.LXD())
}

func TestAllocate_composes_with_the_storage_and_interfaces_asked_for(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(2, 2, 0))
	require.Equal(t, 200, m.post("vm-hosts/1/?op=add_tag", "tag=gold").status)
	require.Equal(t, 200, m.post("tags/", "name=gold").status)
	o := m.post("machines/?op=allocate", "tags=gold&storage=root:30&interfaces=nic0:name%3Dbr1&cpu_count=3").object(t)
	vm, ok := m.instance(o["hostname"].(string))
	require.True(t, ok)
	assert.Equal(t, []any{"lxd-1", int64(30e9), "br1", 3}, []any{vm.Host, vm.Disks[0].Size, vm.NICs[0].Parent, vm.Cores})
	assert.Equal(t, 409, m.post("machines/?op=allocate", "not_pod=lxd-1&not_pod=lxd-2").status)
	require.NoError(t, m.SetHostOffline("lxd-1", true))
	next := m.post("machines/?op=allocate", "cpu_count=2").object(t)
	assert.Equal(t, "lxd-2", next["pod"].(map[string]any)["name"], "a host that cannot be reached is passed over")
	m.claim(m.compose2("free-0"), "a")
	assert.Equal(t, 409, m.post("machines/?op=allocate", "name=nosuch&pod=lxd-1").status)
}

// compose2 makes a Ready VM on host 2.
func (m *maas) compose2(name string) string {
	m.t.Helper()
	id, _ := m.post("vm-hosts/2/?op=compose", "hostname="+name+"&skip_commissioning=true").object(m.t)["system_id"].(string)
	return id
}

func TestAllocate_calls_wait_for_each_other_in_the_whole_region(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	id := m.compose("l-0", "&pool=0")
	m.Hold(maassim.PlaceLXDCreated, "lxd-1")
	var wg sync.WaitGroup
	allocate := func(form string) {
		wg.Go(func() { assert.Equal(t, 200, m.post("machines/?op=allocate", form).status) })
	}
	allocate("cpu_count=9")
	require.NoError(t, m.AwaitHeld(t.Context(), maassim.PlaceLXDCreated, "lxd-1"))
	allocate("system_id=" + id)
	require.Eventually(t, func() bool { return m.Requests()["machines.allocate"] == 2 }, 10*time.Second, time.Millisecond)
	assert.Equal(t, "Ready", m.machine(id)["status_name"], "the advisory lock is held while LXD composes")
	require.NoError(t, m.LetGo(maassim.PlaceLXDCreated, "lxd-1"))
	wg.Wait()
	assert.Equal(t, "Allocated", m.machine(id)["status_name"])
}

func TestCompose_every_field_and_its_errors(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	for form, body := range map[string]string{
		"pinned_cores=0&pinned_cores=32":      `{"pinned_cores": ["Select a valid choice. 32 is not one of the available choices."]}`,
		"cpu_speed=299":                       `{"cpu_speed": ["Ensure this value is greater than or equal to 300."]}`,
		"memory=1023":                         `{"memory": ["Ensure this value is greater than or equal to 1024."]}`,
		"cores=0":                             `{"cores": ["Ensure this value is greater than or equal to 1."]}`,
		"domain=maas":                         `{"domain": ["Select a valid choice. That choice is not one of the available choices."]}`,
		"hostname=-x":                         `{"hostname": ["Label cannot start or end with hyphen: '-x'."]}`,
		"hostname=a.b_c":                      `{"hostname": ["Host label cannot contain underscore: 'b_c'."]}`,
		"hostname=lxd-1":                      `{"hostname": ["Node with hostname \"lxd-1\" already exists"]}`,
		"storage=root:20 GB":                  `{"storage": ["Malformed storage constraint, \"root:20 GB\"."]}`,
		"storage=my-disk:20":                  `{"storage": ["Malformed storage constraint, \"my-disk:20\"."]}`,
		"storage=20,":                         `{"storage": ["Malformed storage constraint, \"20,\"."]}`,
		"interfaces=eth0":                     `{"interfaces": ["Malformed constraint: 'eth0' (required format: '<label>:<key>=<value>[,<key2>=<value2>[,...]]')"]}`,
		"interfaces=eth0:name":                `{"interfaces": ["Malformed key/value pair in constraint: 'name'"]}`,
		"interfaces=a:name=br0;a:name=br1":    `{"interfaces": ["Constraint label defined more than once: 'a'"]}`,
		"interfaces=:name=br0":                `{"interfaces": ["Invalid label name: '' (Must begin with an alphanumeric character, and include only alphanumeric characters, dashes, and underscores.)"]}`,
		"cores=33&zone=9&interfaces=a:nope=1": `{"cores": ["Ensure this value is less than or equal to 32."], "zone": ["Select a valid choice. That choice is not one of the available choices."], "interfaces": ["Unknown interfaces constraint: 'nope"]}`,
	} {
		want(t, m.post("vm-hosts/1/?op=compose", asForm(form)), 400, asJS, body)
	}
	want(t, m.post("vm-hosts/1/?op=compose", "storage=1.2.3"), 500, text, "could not convert string to float: '1.2.3'")
	want(t, m.post("vm-hosts/1/?op=compose", asForm("interfaces=a:id=x")), 400, text, "Interface ID must be numeric.")
	want(t, m.post("vm-hosts/1/?op=compose", "hostname=9lives"), 503, text, "Unable to compose machine because: Invalid instance name: Name must not start with a number")
	assert.Empty(t, m.LXD())

	id := m.compose("full-0", "&pinned_cores=3&pinned_cores=1&pinned_cores=2&cpu_speed=1200&domain=1&"+
		asForm("interfaces=0:name=br0;averyveryverylonglabel:name=br1,mode=unconfigured&storage=20.5,5,data:6(default,x)"))
	o := m.machine(id)
	assert.Equal(t, []any{"full-0.cluster.example", 3.0, 1200.0}, []any{o["fqdn"], o["cpu_count"], o["cpu_speed"]}, "pinned cores win")
	nics := o["interface_set"].([]any)
	assert.Equal(t, "eth0", nics[0].(map[string]any)["name"], "a number becomes ethN")
	assert.Regexp(t, `^eth-[0-9a-f]{5}-label$`, nics[1].(map[string]any)["name"], "a long label is shortened to 15 bytes")
	assert.Equal(t, "link_up", nics[1].(map[string]any)["links"].([]any)[0].(map[string]any)["mode"])
	vm, _ := m.instance("full-0")
	assert.Equal(t, []int64{20.5e9, 6e9, 5e9}, []int64{vm.Disks[0].Size, vm.Disks[1].Size, vm.Disks[2].Size}, "after the first the one with the most tags")
}

// asForm writes the values of a form as a client would.
func asForm(form string) string {
	pairs := strings.Split(form, "&")
	for n, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		pairs[n] = name + "=" + url.QueryEscape(value)
	}
	return strings.Join(pairs, "&")
}

func TestCompose_an_address_asked_for_is_taken_or_found_taken_too_late(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	id := m.compose("ip-0", "&"+asForm("interfaces=eth0:subnet=mgmt,ip=10.10.1.50"))
	assert.Equal(t, []any{"10.10.1.50"}, m.machine(id)["ip_addresses"])
	want(t, m.post("vm-hosts/1/?op=compose", "hostname=bad-6&"+asForm("interfaces=eth0:ip=10.10.1.50")), 404, text, "The IP address 10.10.1.50 is already in use.")
	_, left := m.instance("bad-6")
	assert.True(t, left, "recording 069: LXD had made the VM")
	want(t, m.post("vm-hosts/1/?op=compose", asForm("interfaces=eth0:ip=192.0.2.9")), 400, text, "This pod does not match the specified networks.")
}

func TestCompose_recording_285_without_a_rack_controller(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	id := m.compose("r-0", "")
	m.Disconnect(true)
	a := m.post("vm-hosts/1/?op=compose", "hostname=norack-0")
	want(t, a, 503, text, "Unable to connect to any rack controller ; no connections available.")
	assert.Equal(t, "10", a.header.Get("Retry-After"))
	assert.Equal(t, 503, m.post("vm-hosts/1/?op=refresh", "").status)
	assert.Equal(t, 204, m.delete("machines/"+id+"/").status, "recording 286")
	assert.Len(t, m.LXD(), 1)
}

func TestCompose_recording_285_no_rack_controller_comes_before_what_LXD_refuses(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(2, 1, 0)
	cfg.Hosts[1].LXDVersion = "6.7"
	m := start(t, cfg)
	m.Disconnect(true)
	for path, form := range map[string]string{"vm-hosts/1/?op=compose": "hostname=9lives", "vm-hosts/2/?op=compose": "hostname=vm-0"} {
		a := m.post(path, form)
		want(t, a, 503, text, "Unable to connect to any rack controller ; no connections available.")
		assert.Equal(t, "10", a.header.Get("Retry-After"))
	}
}
