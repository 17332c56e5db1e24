package maassim_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

func TestLifecycle_of_a_VM_from_compose_to_nothing_left(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(3, 3, 0))

	id := m.compose("cp-0", "&zone=2&storage=root:20(default)")
	ready := m.machine(id)
	assert.Equal(t, "Ready", ready["status_name"])
	assert.Empty(t, ready["ip_addresses"])
	assert.Nil(t, ready["owner"])

	m.claim(id, "capmaas/cp-0")
	annotated := m.post("machines/"+id+"/?op=set_workload_annotations", "capmaas-uid=u1").object(t)
	assert.Equal(t, map[string]any{"capmaas-uid": "u1"}, annotated["workload_annotations"])

	deploying := m.post("machines/"+id+"/?op=deploy", "distro_series=u-2204-k8s-v1.34.0&user_data=IyEv%0A").object(t)
	assert.Equal(t, "Deploying", deploying["status_name"])
	assert.Equal(t, "custom", deploying["osystem"])
	assert.Empty(t, deploying["ip_addresses"], "recording 134: the answer does not show them yet")
	assert.Len(t, m.machine(id)["ip_addresses"], 1)
	data, ok := m.UserData(id)
	require.True(t, ok)
	assert.Equal(t, "IyEv\n", data)

	deployed := m.machine(id)
	assert.Equal(t, "Deployed", deployed["status_name"])
	assert.Equal(t, "on", deployed["power_state"])
	inst, ok := m.instance("cp-0")
	require.True(t, ok)
	assert.True(t, inst.Running)

	assert.Equal(t, http.StatusNoContent, m.delete("machines/"+id+"/").status)
	assert.Empty(t, m.LXD())
	want(t, m.get("machines/"+id+"/"), 404, plain, "No Machine matches the given query.")
	assert.Equal(t, 1, m.Requests()["vm-hosts.compose"])
}
