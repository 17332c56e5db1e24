package maassim_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

func TestVMHostsGone_leaves_no_trace_of_them(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 1)
	cfg.Version, cfg.VMHostsGone = "3.8", true
	m := start(t, cfg)
	const removed = "VM host (KVM) support has been removed from MAAS."
	for _, path := range []string{"virtual-machines/", "virtual-machines/1", "vm-clusters/", "pods/1/", "vm-hosts/1/?op=parameters"} {
		want(t, m.get(path), 410, text, removed)
	}
	want(t, m.post("vm-hosts/1/?op=compose", "hostname=x"), 410, text, removed)
	want(t, m.as(m.UserAPIKey()).post("vm-hosts/1/?op=compose", ""), 410, text, removed) // rights do not matter any more
	want(t, m.as("").get("vm-hosts/"), 401, plain, "Forbidden")

	want(t, m.get("machines/?pod=lxd-1"), 400, asJS, `{"pod": ["No such constraint."]}`)
	want(t, m.post("machines/?op=allocate", "not_pod_type=lxd"), 400, asJS, `{"not_pod_type": ["No such constraint."]}`)
	for _, o := range m.get("machines/").list(t) {
		assert.NotContains(t, o, "pod")
		assert.NotContains(t, o, "virtualmachine_id")
	}
	metal, _ := m.Machine("metal-1")
	assert.NotContains(t, m.machine(metal.SystemID), "pod")
	for _, option := range []string{"install_rackd", "install_kvm", "register_vmhost"} {
		a := m.post("machines/"+metal.SystemID+"/?op=deploy", option+"=true")
		want(t, a, 400, text, "Support for "+option+" allocation parameter has been removed.")
	}
	assert.Equal(t, 200, m.post("machines/?op=allocate", "system_id="+metal.SystemID).status)
	require.Equal(t, 409, m.post("machines/?op=allocate", "cpu_count=4").status, "nothing is composed instead")
	assert.Empty(t, m.LXD())
}

func TestLXDVersion_by_host(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(4, 1, 0)
	for i, version := range []string{"4.15", "5.0.2", "6.6", "6.7"} {
		cfg.Hosts[i].LXDVersion = version
	}
	m := start(t, cfg)
	for path, expected := range map[string]string{
		"vm-hosts/1/": "Please upgrade your LXD host to 4.16 or higher for virtual machine support.",
		"vm-hosts/4/": `Failed creating instance record: Unknown configuration key: "security.secureboot"`,
	} {
		a := m.post(path+"?op=compose", "skip_commissioning=true")
		assert.Equal(t, 503, a.status)
		assert.Contains(t, a.body, "Unable to compose machine because: ")
		assert.Contains(t, a.body, expected)
	}
	for _, path := range []string{"vm-hosts/2/", "vm-hosts/3/"} {
		assert.Equal(t, 200, m.post(path+"?op=compose", "skip_commissioning=true").status, path)
	}
	assert.Equal(t, "6.7", m.get("vm-hosts/4/").object(t)["version"])
}
