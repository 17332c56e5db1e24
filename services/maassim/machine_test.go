package maassim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

// slowly is a MAAS whose operations take minutes of a clock that the test moves.
func slowly(t *testing.T, version string) (*maas, *clock) {
	t.Helper()
	cfg := maassim.DefaultConfig(1, 1, 1)
	cfg.Version = version
	cfg.Durations = maassim.Durations{
		Commission: 4 * time.Minute, Test: time.Minute, Deploy: 6 * time.Minute, Release: time.Minute, Erase: 10 * time.Minute, Rescue: 2 * time.Minute,
	}
	clock := newClock()
	cfg.Clock = clock.Now
	return start(t, cfg), clock
}

// status reads a machine's status over the API.
func (m *maas) status(id string) string {
	m.t.Helper()
	name, _ := m.machine(id)["status_name"].(string)
	return name
}

func TestMachines_recording_327_one_is_added_by_hand(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	const form = "hostname=new-0&architecture=amd64%2Fgeneric&mac_addresses=00%3A16%3A3e%3A00%3A00%3A01&power_type=manual"
	o := m.post("machines/", form+"&commission=false").object(t)
	assert.Equal(t, []any{"New", "manual", "unknown", nil, "default", 0.0, ""},
		[]any{o["status_name"], o["power_type"], o["power_state"], o["owner"], o["pool"].(map[string]any)["name"], o["cpu_count"], o["min_hwe_kernel"]})
	assert.Nil(t, o["boot_interface"].(map[string]any)["vlan"])
	assert.Equal(t, "true", m.get("machines/?op=is_registered&mac_address=00-16-3E-00-00-01").body)
	assert.Equal(t, "false", m.get("machines/?op=is_registered&mac_address=00:16:3e:00:00:02").body)
	want(t, m.get("machines/?op=is_registered"), 400, text, "No provided mac_address!") // recording 465
	id, _ := o["system_id"].(string)
	want(t, m.post("machines/"+id+"/?op=power_off", ""), 200, asJS, "null")
	assert.Equal(t, "unknown", m.get("machines/" + id + "/?op=query_power_state").object(t)["state"])

	for body, refused := range map[string]string{
		form:                             `{"hostname": ["Node with this Hostname already exists."], "mac_addresses": ["MAC address 00:16:3e:00:00:01 already in use on new-0."]}`,
		"hostname=x-0&power_type=manual": `{"architecture": ["This field is required."], "mac_addresses": ["This field is required."]}`,
		"hostname=x.nowhere&architecture=amd64&mac_addresses=00:16:3e:00:00:09":     `{"hostname": ["Nonexistant domain."]}`,
		"hostname=x-1&architecture=amd64&mac_addresses=zz":                          `{"mac_addresses": ["'zz' is not a valid MAC address."]}`,
		"hostname=x-2&architecture=amd64&mac_addresses=00:16:3e:00:00:09&zone=nope": `{"zone": ["Select a valid choice. That choice is not one of the available choices."]}`,
	} {
		want(t, m.post("machines/", body), 400, asJS, refused)
	}
	lxd := m.post("machines/", "hostname=direct-0.cluster.example&architecture=amd64&mac_addresses=00:16:3e:00:00:03&power_type=lxd&"+
		"power_parameters_power_address=10.0.0.5&power_parameters_instance_name=direct-0").object(t)
	assert.Equal(t, []any{"direct-0.cluster.example", "Commissioning"}, []any{lxd["fqdn"], lxd["status_name"]})
	direct, _ := lxd["system_id"].(string)
	both := m.get("machines/?op=power_parameters&id=" + direct + "&id=nosuch").object(t)
	assert.Equal(t, map[string]any{direct: map[string]any{"power_address": "10.0.0.5", "instance_name": "direct-0"}}, both, "recording 110: by system id")
}

func TestMachines_recordings_188_to_191_update_by_name(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(2, 2, 0))
	id, _ := m.compose("cp-0", ""), m.compose("cp-1", "")
	path := "machines/" + id + "/"
	o := m.put(path, "hostname=cp-0b&description=x&zone=az2&pool=default&domain=cluster.example&tag_names=a%2Cb").object(t)
	assert.Equal(t, []any{"cp-0b.cluster.example", "x", "az2", []any{"pod-console-logging"}},
		[]any{o["fqdn"], o["description"], o["zone"].(map[string]any)["name"], o["tag_names"]}, "tags are ignored")
	vm, _ := m.instance("cp-0")
	assert.Equal(t, "cp-0", vm.Name, "LXD's name stays")
	want(t, m.put(path, "hostname=cp-1"), 400, asJS, `{"hostname": ["Node with this Hostname already exists."]}`)
	want(t, m.put(path, "zone=2"), 400, asJS, `{"zone": ["Select a valid choice. That choice is not one of the available choices."]}`)
	want(t, m.as(m.UserAPIKey()).put(path, "description=y"), 403, text, "")
	assert.Len(t, m.get("machines/?hostname=cp-0b").list(t), 1)
	assert.Empty(t, m.get("nodes/?hostname=cp-0").list(t))
	assert.Len(t, m.get("nodes/?hostname=cp-0b").list(t), 1, "recording 108")
}

func TestStatus_commissioning_passes_through_testing_and_runs_out_of_time(t *testing.T) {
	t.Parallel()
	m, clock := slowly(t, "3.5")
	m.post("vm-hosts/1/?op=compose", "hostname=c-0")
	vm, _ := m.Machine("c-0")
	id := vm.SystemID
	clock.advance(4 * time.Minute)
	require.Equal(t, "Testing", m.status(id))
	clock.advance(time.Minute)
	require.Equal(t, "Ready", m.status(id))

	require.NoError(t, m.AddFaults(maassim.Fault{Operation: "machines.commission", Effect: maassim.EffectSlow, Latency: time.Hour}))
	require.Equal(t, "Commissioning", m.post("machines/"+id+"/?op=commission", "").object(t)["status_name"])
	want(t, m.post("machines/"+id+"/?op=commission", ""), 400, asJS, `{"__all__": ["Commission is not available because of the current state of the node."]}`)
	clock.advance(30 * time.Minute)
	o := m.machine(id)
	assert.Equal(t, []any{"Failed commissioning", "Marking node failed - Node operation 'Commissioning' timed out after 30 minutes."}, []any{o["status_name"], o["status_message"]})
	want(t, m.as(m.UserAPIKey()).post("machines/"+id+"/?op=commission", ""), 403, text, "")
}

func TestStatus_a_deployment_runs_out_of_time_by_version(t *testing.T) {
	t.Parallel()
	for version, limit := range map[string]time.Duration{"3.4": 30 * time.Minute, "3.6": 60 * time.Minute} {
		m, clock := slowly(t, version)
		require.NoError(t, m.AddFaults(maassim.Fault{Operation: "machines.deploy", Effect: maassim.EffectSlow, Latency: 2 * time.Hour}))
		id := m.compose("d-0", "")
		require.Equal(t, 200, m.post("machines/"+id+"/?op=deploy", "").status)
		clock.advance(limit - time.Minute)
		require.Equal(t, "Deploying", m.status(id), version)
		clock.advance(time.Minute)
		require.Equal(t, "Failed deployment", m.status(id), version)
	}
}

func TestStatus_abort_by_what_is_under_way(t *testing.T) {
	t.Parallel()
	m, clock := slowly(t, "3.5")
	m.post("vm-hosts/1/?op=compose", "hostname=a-0")
	vm, _ := m.Machine("a-0")
	abort := "machines/" + vm.SystemID + "/?op=abort"
	o := m.post(abort, "").object(t)
	assert.Equal(t, []any{"Commissioning", nil, "Aborted commissioning"}, []any{o["status_name"], o["owner"], o["status_message"]}, "recording 197")
	require.Equal(t, "New", m.status(vm.SystemID))

	id := m.compose("a-1", "")
	m.claim(id, "a")
	require.Equal(t, "Disk erasing", m.post("machines/"+id+"/?op=release", "erase=true").object(t)["status_name"])
	require.Equal(t, "Disk erasing", m.post("machines/"+id+"/?op=abort", "").object(t)["status_name"])
	require.Equal(t, "Failed disk erasing", m.status(id))
	require.Equal(t, 200, m.post("machines/"+id+"/?op=release", "erase=true").status)
	clock.advance(10 * time.Minute)
	require.Equal(t, "Releasing", m.status(id))
	clock.advance(time.Minute)
	require.Equal(t, "New", m.status(id), "it never passed a commissioning")
}

func TestStatus_testing_and_rescue_mode_return_to_what_was(t *testing.T) {
	t.Parallel()
	m, clock := slowly(t, "3.5")
	metal, _ := m.Machine("metal-1")
	path := "machines/" + metal.SystemID + "/?op="
	require.Equal(t, "Testing", m.post(path+"test", "").object(t)["status_name"])
	clock.advance(time.Minute)
	require.Equal(t, "Ready", m.status(metal.SystemID))
	require.NoError(t, m.AddFaults(maassim.Fault{Operation: "machines.test", Effect: maassim.EffectFail, Count: 1}))
	m.post(path+"test", "")
	clock.advance(time.Minute)
	require.Equal(t, "Failed testing", m.status(metal.SystemID))
	require.Equal(t, "Ready", m.post(path+"override_failed_testing", "").object(t)["status_name"])
	want(t, m.post(path+"override_failed_testing", ""), 409, text, "Unable to override node status. Node is not in 'Failed testing' status.")

	require.Equal(t, "Entering rescue mode", m.post(path+"rescue_mode", "").object(t)["status_name"])
	clock.advance(2 * time.Minute)
	require.Equal(t, "Rescue mode", m.status(metal.SystemID))
	require.Equal(t, 200, m.post(path+"exit_rescue_mode", "").status)
	clock.advance(2 * time.Minute)
	require.Equal(t, "Ready", m.status(metal.SystemID))
	want(t, m.post(path+"exit_rescue_mode", ""), 409, text, "Invalid transition: Ready -> Exiting rescue mode.")

	vm := m.compose("t-0", "")
	want(t, m.post("machines/"+vm+"/?op=test", ""), 400, text, "Unable to start machine testing; this node has never been commissioned. Please use the 'Commission' action to commission & test this machine.")
}

func TestStatus_broken_is_for_the_owner_and_fixed_for_administrators(t *testing.T) {
	t.Parallel()
	m, clock := slowly(t, "3.5")
	m.post("vm-hosts/1/?op=compose", "hostname=b-0")
	vm, _ := m.Machine("b-0")
	path := "machines/" + vm.SystemID + "/?op="
	o := m.post(path+"mark_broken", "comment=bad+disk").object(t)
	assert.Equal(t, []any{"Broken", nil, "bad disk", "Commissioning"}, []any{o["status_name"], o["owner"], o["error_description"], o["status_message"]}, "recording 199")
	want(t, m.post(path+"mark_broken", ""), 403, text, "")
	assert.Equal(t, "Ready", m.post(path+"mark_fixed", "").object(t)["status_name"])
	want(t, m.post(path+"mark_fixed", ""), 409, text, "Can't mark a non-broken node as 'Ready'.")

	id := m.compose("b-1", "")
	m.post("machines/"+id+"/?op=deploy", "")
	clock.advance(6 * time.Minute)
	require.Equal(t, "Broken", m.post("machines/"+id+"/?op=mark_broken", "").object(t)["status_name"])
	require.Equal(t, "Deployed", m.post("machines/"+id+"/?op=mark_fixed", "").object(t)["status_name"], "what it was")
}

func TestRelease_in_bulk_is_all_or_nothing(t *testing.T) {
	t.Parallel()
	m, _ := slowly(t, "3.5")
	one, other, fresh := m.compose("r-0", ""), m.compose("r-1", ""), m.compose("r-2", "")
	m.claim(one, "a")
	m.as(m.UserAPIKey()).claim(other, "b")
	want(t, m.post("machines/?op=release", "machines="+one+"&machines=nosuch"), 400, text, "Unknown machine(s): nosuch.")
	want(t, m.as(m.UserAPIKey()).post("machines/?op=release", "machines="+one), 403, text,
		"You don't have the required permission to release the following machine(s): "+one+".")
	m.post("vm-hosts/1/?op=compose", "hostname=r-3")
	busy, _ := m.Machine("r-3")
	want(t, m.post("machines/?op=release", "machines="+one+"&machines="+busy.SystemID), 409, text,
		"Machine(s) cannot be released in their current state: "+busy.SystemID+" ('Commissioning').")
	assert.Equal(t, "Allocated", m.status(one), "nothing was released")
	assert.Len(t, m.get("machines/?op=list_allocated").list(t), 1)
	assert.Empty(t, m.get("machines/?op=list_allocated&id="+fresh).list(t))
	assert.Contains(t, m.post("machines/?op=release", "machines="+one+"&machines="+other+"&machines="+fresh).body, other)
	assert.Equal(t, []string{"New", "New", "Ready"}, []string{m.status(one), m.status(other), m.status(fresh)})
}

func TestRelease_on_a_dead_host_by_version(t *testing.T) {
	t.Parallel()
	for version, wanted := range map[string]struct {
		status     int
		now, later string
	}{"3.4": {200, "Releasing", "Releasing failed"}, "3.5": {500, "Deployed", "Deployed"}} {
		m, clock := slowly(t, version)
		id := m.compose("x-0", "")
		m.post("machines/"+id+"/?op=deploy", "")
		clock.advance(6 * time.Minute)
		require.NoError(t, m.SetHostOffline("lxd-1", true))
		assert.Equal(t, wanted.status, m.post("machines/"+id+"/?op=release", "").status, version)
		assert.Equal(t, wanted.now, m.status(id), version)
		clock.advance(5 * time.Minute)
		assert.Equal(t, wanted.later, m.status(id), version)
	}
}

func TestPostCommit_a_500_with_the_row_changed(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	require.NoError(t, m.AddFaults(maassim.Fault{Effect: maassim.EffectPostCommit, Operation: "vm-hosts.compose", Count: 1}))
	require.Equal(t, 500, m.post("vm-hosts/1/?op=compose", "hostname=p-0").status)
	vm, ok := m.Machine("p-0")
	require.True(t, ok, "the machine stays, and its VM")
	assert.Equal(t, []any{"new", "admin"}, []any{vm.Status, vm.Owner})
	assert.Len(t, m.LXD(), 1)

	id := m.compose("p-1", "")
	require.NoError(t, m.AddFaults(maassim.Fault{Effect: maassim.EffectPostCommit, Operation: "machines.deploy", Count: 1}))
	require.Equal(t, 500, m.post("machines/"+id+"/?op=deploy", "agent_name=a").status)
	o := m.machine(id)
	assert.Equal(t, []any{"Allocated", "admin", []any{}}, []any{o["status_name"], o["owner"], o["ip_addresses"]})
	assert.Len(t, m.get("machines/?agent_name=a").list(t), 1)

	require.Equal(t, 200, m.post("machines/"+id+"/?op=deploy", "").status)
	require.NoError(t, m.AddFaults(maassim.Fault{Effect: maassim.EffectPostCommit, Operation: "machines.release", Count: 1}))
	require.Equal(t, 500, m.post("machines/"+id+"/?op=release", "").status)
	assert.Equal(t, "Deployed", m.status(id))
	assert.Empty(t, m.machine(id)["osystem"], "the row has changed all the same")
}

func TestDeploy_parameters_by_version(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		version, form string
		status        int
		want          string // the body of a refusal, or the series
	}{
		"alias_before_3_6":        {"3.5", "distro_series=22.04", 400, `{"distro_series": ["'22.04' is not a valid distro_series.  It should be one of: '', 'custom/u-2204-k8s-v1.34.0', 'ubuntu/jammy', 'ubuntu/noble'."]}`},
		"alias_in_3_6":            {"3.6", "distro_series=ubuntu%2F22.04", 200, "jammy"},
		"latest_in_3_6":           {"3.6", "distro_series=ubuntu", 200, "noble"},
		"osystem_is_ignored":      {"3.4", "osystem=custom&distro_series=jammy", 200, "jammy"},
		"kernel_of_another":       {"3.5", "distro_series=noble&hwe_kernel=ga-22.04", 400, `{"hwe_kernel": ["ga-22.04 is not available for ubuntu/noble on amd64/generic."]}`},
		"rack_controller":         {"3.4", "install_rackd=true", 400, "Deploying a machine as a rackd has been disabled and it's not supported anymore."},
		"host_in_memory_3_4":      {"3.4", "install_kvm=true&ephemeral_deploy=true", 400, "Cannot deploy as a VM host for ephemeral deployments."},
		"host_in_memory_3_5":      {"3.5", "register_vmhost=true&ephemeral_deploy=true", 400, "A machine can not be a VM host if it is deployed to memory."},
		"host_is_not_simulated":   {"3.5", "install_kvm=true", 501, "The simulator does not have deploying a VM host of MAAS."},
		"bridge_type":             {"3.5", "bridge_type=odd", 400, `{"bridge_type": ["'odd' is not a valid bridge_type.  It should be one of: 'ovs', 'standard'."]}`},
		"hardware_sync_is_stored": {"3.5", "enable_hw_sync=true", 200, "jammy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _ := slowly(t, tt.version)
			id := m.compose("d-0", "")
			a := m.post("machines/"+id+"/?op=deploy", tt.form)
			require.Equal(t, tt.status, a.status, a.body)
			if tt.status != 200 {
				assert.Equal(t, tt.want, a.body)
				assert.Equal(t, "Ready", m.status(id), "refused: not even acquired")
				return
			}
			assert.Equal(t, tt.want, a.object(t)["distro_series"])
		})
	}
	m, _ := slowly(t, "3.5")
	id := m.compose("d-1", "")
	m.as(m.UserAPIKey()).claim(id, "a")
	want(t, m.as(m.UserAPIKey()).post("machines/"+id+"/?op=deploy", "install_kvm=true"), 403, text, "Only administratros can deploy VM hosts")
}

func TestDeploy_images_and_networks_that_are_lacking(t *testing.T) {
	t.Parallel()
	for version, refused := range map[string]string{
		"3.4": "Ephemeral operating system ubuntu jammy is unavailable.", "3.5": "Ephemeral operating system ubuntu/jammy for amd64/generic is unavailable.",
	} {
		cfg := maassim.DefaultConfig(1, 1, 0)
		cfg.Version, cfg.Images = version, []maassim.ImageConfig{{Name: "mine", Uploaded: true}}
		m := start(t, cfg)
		want(t, m.post("machines/"+m.compose("i-0", "")+"/?op=deploy", "distro_series=custom/mine"), 400, text, refused)
		id := m.compose("i-1", "&interfaces=eth0:name%3Dbr0,mode%3Dunconfigured")
		m.claim(id, "a")
		a := m.post("machines/"+id+"/?op=power_on", "")
		assert.Equal(t, `{"network": ["Node must be configured to use a network"]}`, a.body)
	}
}

func TestMachines_tell_of_the_disks_that_they_have(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 1)
	m := start(t, cfg)
	metal, _ := m.Machine("metal-1")
	o := m.machine(metal.SystemID)
	assert.Regexp(t, "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", o["hardware_uuid"])
	disk, _ := o["boot_disk"].(map[string]any)
	assert.NotContains(t, disk["id_path"], "QEMU")
	assert.NotEmpty(t, disk["firmware_version"])
	vm := m.machine(m.compose("vm-0", "&storage=root:8,1"))
	assert.Nil(t, vm["hardware_uuid"])
	for n, path := range []string{"lxd_root", "lxd_disk1"} {
		disk, _ := vm["blockdevice_set"].([]any)[n].(map[string]any)
		assert.Equal(t, "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_"+path, disk["id_path"])
	}
}
