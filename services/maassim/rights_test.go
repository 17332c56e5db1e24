package maassim_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/capmaas/capmaas/services/maassim"
)

func TestRights_MAAS_3_8_names_the_right_that_is_lacking(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 1)
	cfg.Version, cfg.Tags = "3.8", []string{"x"}
	m := start(t, cfg)
	alice := m.as(m.UserAPIKey())
	const lacks = "User does not have permission to perform this operation. The user should have permission "
	metal, _ := m.Machine("metal-1")
	for call, refused := range map[string]answer{
		"'can_edit_global_entities'": alice.post("dnsresources/", "fqdn=x.maas"),
		"'can_edit_machines'":        alice.get("machines/?op=power_parameters&id=" + metal.SystemID),
		"'can_edit_boot_entities'":   alice.post("boot-resources/", "name=x"),
		"'can_edit_identities'":      alice.post("users/", "username=x"),
		"'can_edit_configurations'":  alice.post("maas/?op=set_config", "name=x"),
		"'can_view_controllers'":     alice.get("rackcontrollers/abc123/?op=list_boot_images"),
		"'can_edit_controllers'":     alice.post("rackcontrollers/?op=import_boot_images", ""),
	} {
		want(t, refused, 403, text, lacks+call)
	}
	for _, refused := range []answer{
		alice.post("tags/", "name=y"), alice.post("tags/x/?op=update_nodes", "add="+metal.SystemID), alice.delete("tags/x/"),
		alice.post("tags/x/?op=rebuild", ""), alice.post("tags/nosuch/?op=update_nodes", ""), alice.delete("zones/az1/"),
	} {
		want(t, refused, 403, text, lacks+"'can_edit_global_entities'")
	}
	assert.Len(t, alice.get("tags/").list(t), 1, "reading takes no right that a user lacks")
}

func TestRights_MAAS_3_8_refuses_without_a_word_what_changes_a_VM_host(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Version = "3.8"
	m := start(t, cfg)
	alice := m.as(m.UserAPIKey())
	for _, refused := range []answer{
		alice.post("vm-hosts/1/?op=compose", "hostname=x"), alice.post("vm-hosts/1/?op=refresh", ""), alice.get("vm-hosts/1/?op=parameters"),
		alice.post("vm-hosts/1/?op=add_tag", "tag=x"), alice.put("vm-hosts/1/", "name=x"), alice.delete("vm-hosts/1/"),
		alice.post("vm-hosts/", "type=lxd"),
	} {
		want(t, refused, 403, text, "")
	}
	want(t, alice.post("vm-hosts/99/?op=compose", "hostname=x"), 404, plain, "No Pod matches the given query.")
	assert.Equal(t, 200, m.post("vm-hosts/1/?op=compose", "hostname=x").status)
	assert.Len(t, m.LXD(), 1)
}

func TestRights_the_power_parameters_of_a_machine_are_for_administrators(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(0, 1, 1))
	alice := m.as(m.UserAPIKey())
	metal, _ := m.Machine("metal-1")
	want(t, alice.get("machines/"+metal.SystemID+"/?op=power_parameters"), 403, text, "")
	want(t, alice.get("machines/nosuch/?op=power_parameters"), 404, plain, "No Node matches the given query.")
	want(t, alice.get("machines/?op=power_parameters"), 403, text, "This method is reserved for admin users.")
	assert.Equal(t, 200, m.get("machines/"+metal.SystemID+"/?op=power_parameters").status)
}
