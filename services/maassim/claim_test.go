package maassim_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

func TestX3_1_allocate_by_system_id_is_a_compare_and_set(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	id := m.compose("va-0", "")
	unavailable := "No machine with system ID " + id + " available."

	a := m.post("machines/?op=allocate", "system_id="+id+"&agent_name=capmaas%2Fva-0").object(t)
	assert.Equal(t, "Allocated", a["status_name"], "recording 328")
	assert.Equal(t, "admin", a["owner"])
	assert.Equal(t, map[string]any{}, a["constraints_by_type"])
	assert.NotContains(t, a, "agent_name")

	for name, again := range map[string]answer{
		"recording_329_same_agent":  m.post("machines/?op=allocate", "system_id="+id+"&agent_name=capmaas%2Fva-0"),
		"recording_330_other_agent": m.post("machines/?op=allocate", "system_id="+id+"&agent_name=other"),
		"recording_331_other_user":  m.as(m.UserAPIKey()).post("machines/?op=allocate", "system_id="+id),
	} {
		t.Run(name, func(t *testing.T) {
			want(t, again, 409, text, unavailable)
			assert.Empty(t, again.header.Get("Retry-After"))
		})
	}
	assert.Len(t, m.get("machines/?id="+id+"&agent_name=capmaas%2Fva-0").list(t), 1, "recording 332")
	assert.Empty(t, m.get("machines/?id="+id+"&agent_name=capmaas%2Fnope").list(t), "recording 333")
	assert.Len(t, m.LXD(), 1, "a system id shuts the dynamic compose out")
}

func TestX3_1_recordings_338_339_one_of_two_wins(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	id := m.compose("va-1", "")
	var wg sync.WaitGroup
	statuses := make([]int, 8)
	for i := range statuses {
		wg.Go(func() {
			statuses[i] = m.post("machines/?op=allocate", fmt.Sprintf("system_id=%s&agent_name=a%d", id, i)).status
		})
	}
	wg.Wait()
	won := 0
	for _, s := range statuses {
		if s == 200 {
			won++
		} else {
			assert.Equal(t, 409, s)
		}
	}
	assert.Equal(t, 1, won)
}

func TestX3_9_recording_126_allocate_composes_a_VM_where_pods_are_not_shut_out(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(2, 2, 0))
	alice := m.as(m.UserAPIKey())

	a := alice.post("machines/?op=allocate", "cpu_count=3&mem=4096&zone=az2").object(t)
	assert.Equal(t, "default", a["zone"].(map[string]any)["name"], "the default zone whatever was asked")
	require.Len(t, m.LXD(), 1)
	assert.Equal(t, "lxd-2", m.LXD()[0].Host)

	require.Equal(t, 200, alice.post("machines/?op=allocate", "dry_run=true&not_pod_type=lxd%2Cvirsh").status)
	assert.Len(t, m.LXD(), 2, "recording 556: two types in one value shut nothing out, not even on a dry run")

	id, _ := a["system_id"].(string)
	require.Equal(t, 200, alice.post("machines/"+id+"/?op=release", "").status)
	want(t, m.get("machines/"+id+"/"), 404, plain, "No Machine matches the given query.")
	assert.Len(t, m.LXD(), 1, "recordings 272 and 273: release deletes such a VM")
}

func TestX3_9_allocate_bare_metal_with_pods_shut_out(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(2, 2, 2)
	cfg.Metal[0].Tags = []string{"gpu"}
	cfg.Metal[1].Cores = 8
	m := start(t, cfg)
	const metal = "not_pod_type=lxd&not_pod_type=virsh"

	t.Run("recording_540_no_match_composes_nothing", func(t *testing.T) {
		want(t, m.post("machines/?op=allocate", metal+"&dry_run=true&cpu_count=64"), 409, text,
			`No available machine matches constraints: [('not_pod_type', ['lxd', 'virsh']), ('dry_run', ['true']), ('cpu_count', ['64'])] (resolved to "cpu_count=64.0 not_pod_type=lxd,virsh")`)
	})
	t.Run("recording_543_zone_and_tag", func(t *testing.T) {
		want(t, m.post("machines/?op=allocate", metal+"&zone=az2&tags=gpu"), 409, text,
			`No available machine matches constraints: [('not_pod_type', ['lxd', 'virsh']), ('zone', ['az2']), ('tags', ['gpu'])] (resolved to "not_pod_type=lxd,virsh tags=gpu zone=az2")`)
	})
	t.Run("recording_550_the_message_without_agent_name", func(t *testing.T) {
		want(t, m.post("machines/?op=allocate", metal+"&cpu_count=80&mem=16384&tags=gpu&zone=az1&pool=default&agent_name=capmaas%2Fbm-a2"), 409, text,
			`No available machine matches constraints: [('not_pod_type', ['lxd', 'virsh']), ('cpu_count', ['80']), ('mem', ['16384']), ('tags', ['gpu']), ('zone', ['az1']), ('pool', ['default']), ('agent_name', ['capmaas/bm-a2'])] (resolved to "cpu_count=80.0 mem=16384.0 not_pod_type=lxd,virsh pool=default tags=gpu zone=az1")`)
	})
	t.Run("recording_544_unknown_tag", func(t *testing.T) {
		want(t, m.post("machines/?op=allocate", metal+"&tags=nosuchtag"), 400, asJS, `{"tags": ["No such tag(s): 'nosuchtag'."]}`)
	})
	t.Run("recording_123_unknown_zone", func(t *testing.T) {
		want(t, m.post("machines/?op=allocate", metal+"&zone=nozone"), 400, asJS, `{"zone": ["No such zone(s): nozone."]}`)
	})
	t.Run("recording_124_unknown_constraint", func(t *testing.T) {
		want(t, m.post("machines/?op=allocate", metal+"&bogus=1"), 400, asJS, `{"bogus": ["No such constraint."]}`)
	})
	t.Run("recordings_546_547_the_cheapest_first_and_a_repeat_takes_a_second", func(t *testing.T) {
		first := m.post("machines/?op=allocate", metal+"&agent_name=any").object(t)
		assert.Equal(t, "metal-2", first["hostname"])
		second := m.post("machines/?op=allocate", metal+"&agent_name=any").object(t)
		assert.Equal(t, "metal-1", second["hostname"])
		assert.Len(t, m.get("machines/?agent_name=any").list(t), 2, "recording 548")
	})
	assert.Empty(t, m.LXD())
}

func TestDeploy_refuses_wrong_states_and_images(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Durations.Deploy = 3600e9
	m := start(t, cfg)
	id := m.compose("cp-0", "")
	deploy := "machines/" + id + "/?op=deploy"

	t.Run("recording_130_unknown_image", func(t *testing.T) {
		want(t, m.post(deploy, "distro_series=nosuchimage"), 400, asJS,
			`{"distro_series": ["'nosuchimage' is not a valid distro_series.  It should be one of: '', 'custom/u-2204-k8s-v1.34.0', 'ubuntu/jammy', 'ubuntu/noble'."]}`)
	})
	t.Run("recording_566_custom_image_in_memory", func(t *testing.T) {
		want(t, m.post(deploy, "ephemeral_deploy=true&distro_series=custom/u-2204-k8s-v1.34.0"), 400, text,
			"Ephemeral deployments only supported on Ubuntu Bionic 18.04+")
	})
	t.Run("recordings_129_348_from_Ready_it_acquires", func(t *testing.T) {
		o := m.post(deploy, "agent_name=capmaas%2Fcp-0&user_data=%25%25not-base64").object(t)
		assert.Equal(t, []any{"Deploying", "admin", "ubuntu", "jammy"}, []any{o["status_name"], o["owner"], o["osystem"], o["distro_series"]})
		assert.Len(t, m.get("machines/?agent_name=capmaas%2Fcp-0").list(t), 1)
		data, _ := m.UserData(id)
		assert.Equal(t, "%%not-base64", data, "recording 131: user data are kept as they come")
	})
	t.Run("recording_133_again", func(t *testing.T) {
		want(t, m.post(deploy, ""), 409, text, "Can't deploy a machine that is in the 'Deploying' state")
	})
	t.Run("recording_137_somebody_else", func(t *testing.T) { want(t, m.as(m.UserAPIKey()).post(deploy, ""), 403, text, "") })
	t.Run("recording_136_missing", func(t *testing.T) {
		want(t, m.post("machines/nosuch/?op=deploy", ""), 404, plain, "No Machine matches the given query.")
	})
	t.Run("recordings_193_194_abort_shows_late", func(t *testing.T) {
		assert.Equal(t, "Deploying", m.post("machines/"+id+"/?op=abort", "").object(t)["status_name"])
		assert.Equal(t, "Allocated", m.machine(id)["status_name"])
		want(t, m.post("machines/"+id+"/?op=abort", ""), 409, text, "Cannot abort in current state: node "+id+" is in state Allocated.")
	})
}

func TestX3_2_recordings_341_346_deploy_takes_anybodys_allocated_machine(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	id := m.compose("va-1", "")
	m.as(m.UserAPIKey()).claim(id, "alices")
	o := m.post("machines/"+id+"/?op=deploy", "agent_name=thief").object(t)
	assert.Equal(t, "alice", o["owner"])
	stolen, _ := m.Machine("va-1")
	assert.Equal(t, "alices", stolen.AgentName)
}

func TestDeploy_without_a_free_address_is_a_503(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Subnets[0].CIDR, cfg.Subnets[0].Dynamic = "10.10.0.0/29", nil // .3 to .6 are free, the host has .3
	m := start(t, cfg)
	for i := range 3 {
		require.Equal(t, 200, m.post("machines/"+m.compose(fmt.Sprintf("x-%d", i), "")+"/?op=deploy", "").status)
	}
	id := m.compose("x-3", "")
	want(t, m.post("machines/"+id+"/?op=deploy", ""), 503, text, id+": Unable to allocate static IP due to address exhaustion.")
	assert.Equal(t, "Ready", m.machine(id)["status_name"], "refused: nothing changed")
}

func TestRelease_ends_by_what_the_machine_was(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 1))
	id := m.compose("cp-0", "")
	release := "machines/" + id + "/?op=release"
	m.claim(id, "agent")
	m.post("machines/"+id+"/?op=set_workload_annotations", "a=b")
	m.post("machines/"+id+"/?op=deploy", "")

	require.Equal(t, "Deployed", m.machine(id)["status_name"])
	require.Equal(t, 200, m.post("machines/"+id+"/?op=lock", "").status)
	want(t, m.post("machines/"+id+"/?op=lock", ""), 409, text, "Machine is already locked")
	want(t, m.post(release, ""), 403, text, "")
	want(t, m.delete("machines/"+id+"/"), 403, text, "")
	require.Equal(t, 200, m.post("machines/"+id+"/?op=unlock", "").status)

	o := m.post(release, "").object(t)
	assert.Equal(t, []any{"Releasing", "admin", "", map[string]any{"a": "b"}}, []any{o["status_name"], o["owner"], o["osystem"], o["owner_data"]}, "recording 182")
	o = m.machine(id)
	assert.Equal(t, []any{"New", nil, map[string]any{}, []any{}}, []any{o["status_name"], o["owner"], o["owner_data"], o["ip_addresses"]}, "recording 270")
	want(t, m.post(release, ""), 409, text, "Machine cannot be released in its current state ('New').")

	metal, _ := m.Machine("metal-1")
	m.claim(metal.SystemID, "agent")
	assert.Equal(t, "Ready", m.post("machines/"+metal.SystemID+"/?op=release", "").object(t)["status_name"])
	assert.Equal(t, 200, m.post("machines/"+metal.SystemID+"/?op=release", "").status, "recording 187: Ready again is fine")
}

func TestX3_3_annotations_only_for_the_owner_and_all_or_none(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	id := m.compose("cp-0", "")
	path := "machines/" + id + "/?op=set_workload_annotations"
	notAcquired := "Cannot set workload annotation: it hasn't been acquired."
	want(t, m.post(path, "a=b"), 409, text, notAcquired) // recording 150
	m.as(m.UserAPIKey()).claim(id, "alices")
	want(t, m.post(path, "a=b"), 409, text, notAcquired) // recording 340
	alice := m.as(m.UserAPIKey())
	require.Equal(t, 200, alice.post(path, "a.b-c_d=1&e=2").status)
	assert.Equal(t, "ü", alice.post(path, "gr%C3%B6%C3%9Fe=%C3%BC").object(t)["owner_data"].(map[string]any)["größe"], "letters are those of Python")
	require.Equal(t, 200, alice.post(path, "gr%C3%B6%C3%9Fe=").status)
	want(t, alice.post(path, "good=1&k8s.io%2Fbad=2"), 500, text, "Invalid character in key name") // recordings 146, 416
	assert.Equal(t, map[string]any{"a.b-c_d": "1"}, alice.post(path, "e=").object(t)["owner_data"], "recording 144")

	other := m.compose("cp-1", "")
	m.claim(other, "admins")
	want(t, alice.post("machines/"+other+"/?op=set_workload_annotations", "a=b"), 403, text, "") // recording 151
}

func TestX3_8_power_on_wipes_user_data_and_deploys_what_is_allocated(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	ready := m.compose("p-0", "")
	want(t, m.post("machines/"+ready+"/?op=power_on", ""), 409, text, "Can't start node: it hasn't been allocated.") // recording 170
	m.claim(ready, "a")
	require.Equal(t, 200, m.post(m.nic(ready)+"?op=link_subnet", "mode=LINK_UP&force=true").status)
	assert.Equal(t, 400, m.post("machines/"+ready+"/?op=power_on", "user_data=QQ==").status)
	_, refused := m.UserData(ready)
	assert.False(t, refused, "a refused call leaves no user data")
	require.Equal(t, 200, m.post(m.nic(ready)+"?op=link_subnet", "mode=AUTO&subnet=1&force=true").status)
	assert.Equal(t, "Deploying", m.post("machines/"+ready+"/?op=power_on", "").object(t)["status_name"], "recording 562")

	deployed := m.compose("p-1", "")
	m.post("machines/"+deployed+"/?op=deploy", "user_data=QQ==")
	require.Equal(t, 200, m.post("machines/"+deployed+"/?op=power_on", "").status)
	_, ok := m.UserData(deployed)
	assert.False(t, ok, "recording 561")
}

func TestDeploy_gives_every_address_back_when_one_is_lacking(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Subnets = append(cfg.Subnets, maassim.SubnetConfig{Name: "full", CIDR: "10.50.0.0/30", Gateway: "10.50.0.1", Fabric: "fabric-mgmt"})
	m := start(t, cfg)
	require.Equal(t, 200, m.post("ipaddresses/?op=reserve", "ip=10.50.0.2").status)
	id := m.compose("two-0", "")
	require.Equal(t, 200, m.post(m.nic(id)+"?op=link_subnet", "mode=AUTO&subnet=full").status)
	free := m.get("subnets/1/?op=statistics").body
	want(t, m.post("machines/"+id+"/?op=deploy", ""), 503, text, id+": Unable to allocate static IP due to address exhaustion.")
	o := m.machine(id)
	assert.Equal(t, []any{"Ready", nil, []any{}}, []any{o["status_name"], o["owner"], o["ip_addresses"]})
	assert.Equal(t, free, m.get("subnets/1/?op=statistics").body, "the address of the first link is free again")
}

func TestRelease_forgets_what_the_deployment_was_given(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 1)
	cfg.Version = "3.7"
	m := start(t, cfg)
	metal, _ := m.Machine("metal-1")
	path := "machines/" + metal.SystemID + "/"
	flags := func() []any {
		o := m.machine(metal.SystemID)
		return []any{o["enable_hw_sync"], o["enable_kernel_crash_dump"]}
	}
	require.Equal(t, 200, m.post(path+"?op=deploy", "enable_hw_sync=true&enable_kernel_crash_dump=true").status)
	require.Equal(t, []any{true, true}, flags())
	require.Equal(t, 200, m.post(path+"?op=release", "").status)
	assert.Equal(t, []any{false, false}, flags())
}
