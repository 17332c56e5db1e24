package maassim_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

func TestTags_recordings_156_167(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 2)
	cfg.Version = "3.4"
	m := start(t, cfg)
	alice := m.as(m.UserAPIKey())
	one, _ := m.Machine("metal-1")
	two, _ := m.Machine("metal-2")

	o := m.post("tags/", "name=capi-c1&comment=cluster+c1").object(t)
	assert.Equal(t, map[string]any{
		"name": "capi-c1", "definition": "", "comment": "cluster c1", "kernel_opts": "", "resource_uri": "/MAAS/api/2.0/tags/capi-c1/",
	}, o)
	want(t, m.post("tags/", "name=capi-c1"), 400, asJS, `{"name": ["Tag with this Name already exists."]}`)
	want(t, m.post("tags/", "name=bad+tag%21"), 400, asJS, `{"name": ["Enter a valid value."]}`)
	want(t, m.post("tags/", ""), 400, asJS, `{"name": ["This field is required."]}`)
	want(t, m.post("tags/", "name=auto-tag&definition=%2F%2Fnonsense%5B"), 400, asJS, `{"definition": ["Invalid xpath expression: Invalid expression"]}`)
	assert.Equal(t, 501, m.post("tags/", "name=auto-tag&definition=//node[1]").status, "hardware is not simulated")
	want(t, m.get("tags/auto-tag/"), 404, plain, "No Tag matches the given query.")
	want(t, alice.post("tags/", "name=x"), 403, text, "")

	update := "tags/capi-c1/?op=update_nodes"
	assert.JSONEq(t, `{"added": 1, "removed": 0}`, m.post(update, "add="+one.SystemID).body)
	assert.JSONEq(t, `{"added": 1, "removed": 0}`, m.post(update, "add="+one.SystemID).body, "again")
	assert.JSONEq(t, `{"added": 0, "removed": 0}`, m.post(update, "add=nosuch").body)
	assert.JSONEq(t, `{"added": 1, "removed": 1}`, m.post(update, "remove="+one.SystemID+"&add="+two.SystemID).body)
	want(t, m.post("tags/nosuch/?op=update_nodes", "add="+one.SystemID), 404, plain, "No Tag matches the given query.")
	want(t, alice.post(update, "add="+one.SystemID), 403, text, "Must be a superuser or supply a rack_controller")
	want(t, m.post(update, "definition=x"), 409, text, "Definition supplied 'x' doesn't match current definition ''")
	for _, op := range []string{"machines", "nodes"} {
		assert.Equal(t, []string{"metal-2"}, names(m.get("tags/capi-c1/?op="+op).list(t), "hostname"), op)
	}
	assert.Equal(t, []string{"metal-2"}, names(m.get("machines/?tags=capi-c1").list(t), "hostname"))
	assert.Empty(t, m.get("tags/capi-c1/?op=devices").list(t))
	assert.JSONEq(t, `{"rebuilding": "capi-c1"}`, m.post("tags/capi-c1/?op=rebuild", "").body)

	o = m.put("tags/capi-c1/", "name=capi-c2&kernel_opts=quiet").object(t)
	assert.Equal(t, []any{"capi-c2", "cluster c1", "quiet"}, []any{o["name"], o["comment"], o["kernel_opts"]})
	assert.Contains(t, m.machine(two.SystemID)["tag_names"], "capi-c2", "machines bear it under its new name")
	want(t, alice.put("tags/capi-c2/", "name=x"), 403, text, "")
	want(t, alice.delete("tags/nosuch/"), 403, text, "")
	require.Equal(t, 204, m.delete("tags/capi-c2/").status)
	assert.NotContains(t, m.machine(two.SystemID)["tag_names"], "capi-c2")
	want(t, m.delete("tags/capi-c2/"), 404, plain, "No Tag matches the given query.")
}

func TestTags_MAAS_3_5_says_nothing_to_who_may_not_tag(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	want(t, m.as(m.UserAPIKey()).post("tags/pod-console-logging/?op=update_nodes", ""), 403, text, "")
}
