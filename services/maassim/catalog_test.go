package maassim_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

const reserved = "This method is reserved for admin users."

// names returns one field of every object of a list.
func names(list []map[string]any, field string) []string {
	all := []string{}
	for _, o := range list {
		all = append(all, fmt.Sprint(o[field]))
	}
	return all
}

func TestZones_are_made_changed_and_deleted(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 2, 1))
	assert.Equal(t, []string{"az1", "az2", "default"}, names(m.get("zones/").list(t), "name"), "recording 024: by name")
	o := m.post("zones/", "name=az3&description=row+3").object(t)
	assert.Equal(t, []any{4.0, "az3", "row 3"}, []any{o["id"], o["name"], o["description"]}, "recording 264")
	want(t, m.post("zones/", "name=az3"), 400, asJS, `{"name": ["Physical zone with this Name already exists."]}`) // recording 265
	want(t, m.post("zones/", ""), 400, asJS, `{"name": ["This field is required."]}`)
	want(t, m.post("zones/", "name=bad%21"), 400, asJS, `{"name": ["Enter a valid value."]}`)
	want(t, m.as(m.UserAPIKey()).post("zones/", "name=az4"), 403, text, reserved)
	want(t, m.get("zones/nozone/"), 404, plain, "No Zone matches the given query.")

	o = m.put("zones/az3/", "description=moved").object(t)
	assert.Equal(t, []any{"az3", "moved"}, []any{o["name"], o["description"]})
	assert.Equal(t, "az9", m.put("zones/az3/", "name=az9").object(t)["name"])
	want(t, m.put("zones/az9/", "name=az1"), 400, asJS, `{"name": ["Physical zone with this Name already exists."]}`)
	want(t, m.put("zones/nozone/", "name=x"), 404, plain, "No Zone matches the given query.")

	metal, _ := m.Machine("metal-1")
	require.Equal(t, 204, m.delete("zones/az1/").status)
	assert.Equal(t, "default", m.machine(metal.SystemID)["zone"].(map[string]any)["name"], "machines fall to the default zone")
	assert.Equal(t, "default", m.get("vm-hosts/1/").object(t)["zone"].(map[string]any)["name"])
	assert.Equal(t, 204, m.delete("zones/az1/").status, "again")
	want(t, m.delete("zones/default/"), 400, text, "This zone is the default zone, it cannot be deleted.")
	require.Equal(t, 204, m.delete("zones/az9/").status)
	assert.InDelta(t, 5, m.post("zones/", "name=az9").object(t)["id"], 0, "an id is not used again")
}

func TestPools_are_made_changed_and_deleted(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 1))
	o := m.post("resourcepools/", "name=capi2").object(t)
	assert.Equal(t, []any{1.0, "capi2", "/MAAS/api/2.0/resourcepool/1/"}, []any{o["id"], o["name"], o["resource_uri"]}, "recording 262")
	want(t, m.post("resourcepools/", "name=capi2"), 400, asJS, `{"name": ["Resource pool with this Name already exists."]}`) // recording 263
	assert.Equal(t, []string{"capi2", "default"}, names(m.get("resourcepools/").list(t), "name"), "recording 027: by name")
	assert.Equal(t, "default", m.get("resourcepool/0/").object(t)["name"], "recording 028")
	want(t, m.get("resourcepool/9/"), 404, plain, "No ResourcePool matches the given query.")
	want(t, m.get("resourcepools/1/"), 404, text, "Unknown API endpoint: /MAAS/api/2.0/resourcepools/1/.")
	alice := m.as(m.UserAPIKey())
	want(t, alice.post("resourcepools/", "name=x"), 403, text, "")
	want(t, alice.delete("resourcepool/1/"), 403, text, "")
	assert.Equal(t, "capi3", m.put("resourcepool/1/", "name=capi3").object(t)["name"])

	metal, _ := m.Machine("metal-1")
	require.Equal(t, 200, m.put("machines/"+metal.SystemID+"/", "pool=capi3").status)
	want(t, m.delete("resourcepool/1/"), 400, text, "Pool has machines in it, it cannot be deleted.")
	want(t, m.delete("resourcepool/0/"), 400, text, "This is the default pool, it cannot be deleted.")
	require.Equal(t, 200, m.put("machines/"+metal.SystemID+"/", "pool=default").status)
	require.Equal(t, 204, m.delete("resourcepool/1/").status)
	want(t, m.delete("resourcepool/1/"), 404, plain, "No ResourcePool matches the given query.")
}

func TestDomains_are_made_changed_and_deleted(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	assert.Equal(t, []string{"maas", "cluster.example"}, names(m.get("domains/").list(t), "name"), "recording 209")
	o := m.post("domains/", "name=new.example").object(t)
	assert.Equal(t, []any{2.0, "new.example", nil, true, false, 0.0},
		[]any{o["id"], o["name"], o["ttl"], o["authoritative"], o["is_default"], o["resource_record_count"]}, "recording 210")
	want(t, m.post("domains/", "name=new.example"), 400, asJS, `{"name": ["Domain with this Name already exists."]}`) // recording 211
	want(t, m.post("domains/", "name=bad_name"), 400, asJS, `{"name": ["Domain name contains invalid characters."]}`)
	want(t, m.post("domains/", "name=-x"), 400, asJS, `{"name": ["Invalid domain name: -x."]}`)
	want(t, m.post("domains/", "name=x&ttl=0"), 400, asJS, `{"ttl": ["Ensure this value is greater than or equal to 1."]}`)
	want(t, m.get("domains/9999/"), 404, plain, "No Domain matches the given query.") // recording 212
	for _, spec := range []string{"2", "id:2", "new.example", "name:new.example"} {
		assert.Equal(t, "new.example", m.get("domains/" + spec + "/").object(t)["name"], spec)
	}
	assert.InDelta(t, 60, m.put("domains/2/", "ttl=60").object(t)["ttl"], 0)
	assert.InDelta(t, 60, m.put("domains/2/", "name=other.example").object(t)["ttl"], 0, "what is not sent stays")
	assert.Nil(t, m.put("domains/2/", "ttl=").object(t)["ttl"])
	want(t, m.as(m.UserAPIKey()).put("domains/2/", "ttl=1"), 403, text, "")

	require.Equal(t, 200, m.post("dnsresources/", "fqdn=a.other.example&ip_addresses=10.10.9.1+10.10.9.2").status)
	assert.InDelta(t, 2, m.get("domains/2/").object(t)["resource_record_count"], 0)
	a := m.delete("domains/2/")
	assert.Equal(t, 500, a.status, a.body)
	assert.Contains(t, a.body, "protected foreign keys: 'DNSResource.domain'")
	want(t, m.delete("domains/0/"), 400, text, "This domain is the default domain, it cannot be deleted.")
	require.Equal(t, 204, m.delete(recordPath(t, m, "a.other.example")).status)
	require.Equal(t, 204, m.delete("domains/2/").status)
	want(t, m.delete("domains/2/"), 404, plain, "No Domain matches the given query.")
}

func TestImages_recordings_113_116_are_uploaded_listed_and_read(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Version = "3.4"
	m := start(t, cfg)
	part := func(name, value string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	file := "--b\r\nContent-Disposition: form-data; name=\"content\"; filename=\"image.tgz\"\r\nContent-Type: application/octet-stream\r\n\r\nnot an image\r\n--b--\r\n"
	upload := func(name string) answer {
		return m.do(http.MethodPost, "boot-resources/", "multipart/form-data; boundary=b",
			[]byte(part("name", name)+part("architecture", "amd64/generic")+part("title", "Mine")+file))
	}
	a := upload("custom/mine")
	require.Equal(t, 201, a.status, a.body)
	a.status = 200
	o := a.object(t)
	assert.Equal(t, []any{"mine", "Uploaded", "Mine"}, []any{o["name"], o["type"], o["title"]}, "the prefix goes")
	require.Len(t, o["sets"], 1)
	for _, set := range o["sets"].(map[string]any) {
		s := set.(map[string]any)
		assert.Equal(t, []any{true, 12.0, "uploaded"}, []any{s["complete"], s["size"], s["label"]})
		assert.Contains(t, s["files"], "root-tgz")
	}
	assert.Equal(t, o["sets"], m.get(fmt.Sprintf("boot-resources/%v/", o["id"])).object(t)["sets"])
	assert.Equal(t, 201, upload("mine").status, "again replaces")
	assert.Equal(t, []string{"ubuntu/jammy", "ubuntu/noble", "mine", "u-2204-k8s-v1.34.0"}, names(m.get("boot-resources/").list(t), "name"), "by type and name")
	assert.Equal(t, []string{"mine", "u-2204-k8s-v1.34.0"}, names(m.get("boot-resources/?type=uploaded").list(t), "name"))
	assert.Empty(t, m.get("boot-resources/?type=generated").list(t))
	assert.Contains(t, m.get("boot-resources/?type=x").body, "'x' is not a valid boot resource type. Available types:")
	assert.Contains(t, upload("ubuntu/jammy").body, "ubuntu/jammy is a reserved name")
	assert.Contains(t, upload("plan9/x").body, "Unsupport operating system plan9")
	assert.Equal(t, "false", m.get("boot-resources/?op=is_importing").body)
	assert.Equal(t, 501, m.post("boot-resources/", "name=y&architecture=amd64/generic&size=4&sha256=0").status, "uploads in pieces")
	require.Equal(t, 204, m.delete(fmt.Sprintf("boot-resources/%v/", o["id"])).status)
	want(t, m.get(fmt.Sprintf("boot-resources/%v/", o["id"])), 404, plain, "No BootResource matches the given query.")
}

func TestImages_MAAS_3_8_takes_them_in_pieces_alone(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.Config{Version: "3.8"})
	want(t, m.post("boot-resources/", "name=y&architecture=amd64/generic&content=z"), 501, text, "The simulator does not have an upload of an image in pieces of MAAS.")
	assert.Equal(t, []string{"ubuntu/jammy"}, names(m.get("boot-resources/").list(t), "name"))
}

func TestUsers_settings_and_rack_controllers_are_read(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	alice := m.as(m.UserAPIKey())
	assert.Equal(t, []string{"admin", "alice"}, names(alice.get("users/").list(t), "username"))
	assert.Equal(t, "alice", alice.get("users/?op=whoami").object(t)["username"], "recording 004")
	assert.Equal(t, false, m.get("users/alice/").object(t)["is_superuser"])
	want(t, m.get("users/nobody/"), 404, plain, "No User matches the given query.")
	for name, value := range map[string]string{"default_distro_series": `"jammy"`, "node_timeout": "30", "enable_http_proxy": "true", "kernel_opts": "null"} {
		want(t, alice.get("maas/?op=get_config&name="+name), 200, "application/json", value) // recording 260
	}
	assert.Contains(t, m.get("maas/?op=get_config&name=x").body, "x is not a valid config setting (valid settings are: commissioning_distro_series, ")
	want(t, m.get("maas/?op=get_config"), 400, text, "No provided name!")

	racks := alice.get("rackcontrollers/").list(t) // recording 261
	require.Len(t, racks, 1)
	assert.Equal(t, []any{"rack1", 2.0, "3.5.4"}, []any{racks[0]["hostname"], racks[0]["node_type"], racks[0]["version"]})
	rack := fmt.Sprintf("rackcontrollers/%v/", racks[0]["system_id"])
	assert.Equal(t, racks[0], m.get(rack).object(t))
	images := m.get(rack + "?op=list_boot_images").object(t)
	assert.Equal(t, []any{"synced", true}, []any{images["status"], images["connected"]})
	want(t, m.get("rackcontrollers/nosuch/"), 404, plain, "No RackController matches the given query.")
}

func TestWhat_is_left_out_answers_501_and_what_is_unknown_404(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	for _, a := range []answer{
		m.post("maas/?op=set_config", "name=node_timeout&value=1"), m.post("subnets/", "cidr=10.1.0.0/16"), m.put("subnets/1/", "name=x"),
		m.delete("subnets/1/"), m.post("fabrics/", ""), m.put("vlans/1/", "dhcp_on=true"), m.post("spaces/", "name=x"), m.put("ipranges/1/", "comment=x"),
		m.post("users/", "username=x"), m.post("boot-resources/?op=import", ""), m.post("domains/1/?op=set_default", ""),
	} {
		want(t, a, 501, text, "The simulator does not have this operation of MAAS.")
	}
	want(t, m.as(m.UserAPIKey()).post("maas/?op=set_config", ""), 403, text, reserved)
	want(t, m.get("vlans/"), 404, text, "Unknown API endpoint: /MAAS/api/2.0/vlans/.") // recording 409
	want(t, m.get("nosuchresource/"), 404, text, "Unknown API endpoint: /MAAS/api/2.0/nosuchresource/.")
}

func TestZones_the_default_one_is_so_under_any_name(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 1))
	require.Equal(t, 200, m.put("zones/default/", "name=fallback").status)
	require.Equal(t, 204, m.delete("zones/az1/").status)
	metal, _ := m.Machine("metal-1")
	assert.Equal(t, "fallback", m.machine(metal.SystemID)["zone"].(map[string]any)["name"])
	assert.Equal(t, "fallback", m.get("vm-hosts/1/").object(t)["zone"].(map[string]any)["name"])
	want(t, m.delete("zones/fallback/"), 400, text, "This zone is the default zone, it cannot be deleted.")
}
