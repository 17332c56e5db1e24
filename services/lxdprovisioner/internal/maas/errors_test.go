package maas_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
)

// calls are the operations that the table of sentences names.
var calls = map[string]func(ctx context.Context, c *maas.Client) error{
	"compose": func(ctx context.Context, c *maas.Client) error {
		_, err := c.Compose(ctx, "vmhost/3", composeForm("cp-0"))
		return err
	},
	"vmhosts": func(ctx context.Context, c *maas.Client) error { _, err := c.VMHosts(ctx); return err },
	"vmhost":  func(ctx context.Context, c *maas.Client) error { _, err := c.VMHost(ctx, "vmhost/3"); return err },
	"refresh": func(ctx context.Context, c *maas.Client) error {
		_, err := c.RefreshVMHost(ctx, "vmhost/3")
		return err
	},
	"project": func(ctx context.Context, c *maas.Client) error {
		_, err := c.VMHostProject(ctx, "vmhost/3")
		return err
	},
	"machine": func(ctx context.Context, c *maas.Client) error { _, err := c.Machine(ctx, "abc123"); return err },
	"list": func(ctx context.Context, c *maas.Client) error {
		_, err := c.Machines(ctx, maas.MachineFilter{Zones: []string{"az9"}})
		return err
	},
	"claim": func(ctx context.Context, c *maas.Client) error {
		_, err := c.Claim(ctx, "abc123", "capmaas/cp-0")
		return err
	},
	"metal": func(ctx context.Context, c *maas.Client) error {
		_, err := c.AllocateMetal(ctx, "capmaas/md-0", maas.MetalConstraints{Cores: 4})
		return err
	},
	"annotate": func(ctx context.Context, c *maas.Client) error {
		_, err := c.Annotate(ctx, "abc123", map[string]string{"capmaas-uid": "x"})
		return err
	},
	"deploy": func(ctx context.Context, c *maas.Client) error {
		_, err := c.Deploy(ctx, "abc123", maas.DeployForm{Image: "ubuntu/jammy", UserData: []byte("#cloud-config")})
		return err
	},
	"release": func(ctx context.Context, c *maas.Client) error {
		_, err := c.Release(ctx, "abc123", "done")
		return err
	},
	"abort":  func(ctx context.Context, c *maas.Client) error { return c.Abort(ctx, "abc123", "") },
	"delete": func(ctx context.Context, c *maas.Client) error { return c.DeleteMachine(ctx, "abc123") },
	"power":  func(ctx context.Context, c *maas.Client) error { _, err := c.QueryPower(ctx, "abc123"); return err },
	"link": func(ctx context.Context, c *maas.Client) error {
		_, err := c.LinkSubnet(ctx, "abc123", maas.LinkForm{
			InterfaceID: 46, SubnetID: 4, Mode: maas.LinkStatic, Address: netip.MustParseAddr("10.30.0.25"), Force: true,
		})
		return err
	},
	"ranges": func(ctx context.Context, c *maas.Client) error { _, err := c.ReservedRanges(ctx, 4); return err },
	"record": func(ctx context.Context, c *maas.Client) error {
		_, err := c.Record(ctx, "api.cluster.example")
		return err
	},
	"create": func(ctx context.Context, c *maas.Client) error {
		_, err := c.CreateRecord(ctx, "api.cluster.example", nil, nil)
		return err
	},
	"replace": func(ctx context.Context, c *maas.Client) error {
		_, err := c.ReplaceAddresses(ctx, 12, nil, nil)
		return err
	},
	"free": func(ctx context.Context, c *maas.Client) error {
		return c.ReleaseAddress(ctx, netip.MustParseAddr("10.30.0.90"))
	},
}

func composeForm(name string) maas.ComposeForm {
	return maas.ComposeForm{
		Hostname: name, ZoneID: 2, PoolID: 0, Architecture: "amd64/generic", SkipCommissioning: true,
		Size: inventory.VMSize{Cores: 2, MemoryMiB: 4096, Disks: []inventory.Disk{{SizeGB: 20}}},
	}
}

// sentence is one thing that MAAS says, and what it means. Numbers in names are recordings of a real MAAS.
type sentence struct {
	name   string
	call   string
	answer answer
	kind   fault.Kind
	reason fault.Reason
}

var sentences = []sentence{
	{"no_rights_046_226_387", "project", answer{403, plain, "", "This method is reserved for admin users."}, fault.Denied, fault.ReasonMAASRightsMissing},
	{"no_rights_to_compose", "compose", answer{403, plain, "", "This method is reserved for admin users."}, fault.Denied, fault.ReasonMAASRightsMissing},
	{"inactive_user", "machine", answer{403, plain, "", "User is not allowed access to this API."}, fault.Denied, fault.ReasonMAASRightsMissing},
	{"wrong_URL_021", "machine", answer{404, plain, "", "Unknown API endpoint: /MAAS/api/2.0/machines."}, fault.Unavailable, fault.ReasonMAASUnavailable},
	{"header_dropped_by_a_proxy_013", "list", answer{400, plain, "", "Unrecognised signature: method=GET op=None"}, fault.Denied, fault.ReasonMAASKeyRefused},
	{"operation_unknown_016", "claim", answer{400, plain, "", "Unrecognised signature: method=POST op=allocate"}, fault.Unsupported, fault.ReasonNotSupported},
	{"X4.5_a_page_is_no_absence", "machine", answer{404, page, "", "<html>No Machine matches the given query.</html>"}, fault.Unavailable, fault.ReasonMAASUnavailable},
	{"X4.5_an_unknown_404_is_no_absence", "machine", answer{404, plain, "", "gone fishing"}, fault.Unavailable, fault.ReasonMAASUnavailable},
	{"database_contended", "machine", answer{409, page, "5", "<h1>Conflict error. Try your request again, as it will most likely succeed.</h1>"}, fault.Busy, fault.ReasonMAASBusy},
	{"proxy_without_region", "machine", answer{502, page, "", "<html>502 Bad Gateway nginx</html>"}, fault.Unavailable, fault.ReasonMAASUnavailable},
	{"redirect_to_TLS", "claim", answer{301, page, "", ""}, fault.Unavailable, fault.ReasonMAASUnavailable},

	{"X4.5_machine_absent", "machine", answer{404, "text/plain", "", "No Machine matches the given query."}, fault.NotFound, fault.ReasonMachineNotFound},
	{"vm_host_absent_044", "vmhost", answer{404, "text/plain", "", "Not Found"}, fault.NotFound, fault.ReasonMachineNotFound},
	{"vm_host_absent_by_query", "vmhost", answer{404, "text/plain", "", "No Pod matches the given query."}, fault.NotFound, fault.ReasonMachineNotFound},
	{"vm_hosts_removed", "vmhosts", answer{410, plain, "", "Gone"}, fault.Unsupported, fault.ReasonMAASVMHostRemoved},
	{"vm_hosts_removed_for_compose", "compose", answer{410, plain, "", "Gone"}, fault.Unsupported, fault.ReasonMAASVMHostRemoved},
	{"refresh_host_unreachable_531", "refresh", answer{503, plain, "", "Failed talking to pod: Pod 3: Failed to connect to the LXD REST API: [Errno 113] No route to host"}, fault.Unavailable, fault.ReasonHostUnreachable},
	{"refresh_without_rack", "refresh", answer{503, plain, "10", "Unable to connect to any rack controller ; no connections available."}, fault.Busy, fault.ReasonMAASBusy},

	{"X2.4_name_exists_054", "compose", answer{400, form, "", `{"hostname": ["Node with hostname \"cp-0\" already exists"]}`}, fault.Unavailable, fault.ReasonOutcomeUnknown},
	{"X2.4_name_exists_in_LXD_488", "compose", answer{503, plain, "", "Unable to compose machine because: Pod lxd-11: Instance 'cp-0' already exists"}, fault.Unavailable, fault.ReasonOutcomeUnknown},
	{"X2.4_address_in_use_after_the_VM_was_made_069", "compose", answer{404, plain, "", "The IP address 10.10.1.50 is already in use."}, fault.Unavailable, fault.ReasonOutcomeUnknown},
	{"X2.4_above_the_physical_total_058", "compose", answer{400, form, "", `{"cores": ["Ensure this value is less than or equal to 32."]}`}, fault.Refused, fault.ReasonHostOvercommitted},
	{"X2.4_below_the_minimum_060", "compose", answer{400, form, "", `{"memory": ["Ensure this value is greater than or equal to 1024."]}`}, fault.Invalid, fault.ReasonBadResources},
	{"X2.4_networks_do_not_match_313", "compose", answer{400, plain, "", "This pod does not match the specified networks."}, fault.Refused, fault.ReasonNetworkRefused},
	{"X2.4_host_unknown_to_MAAS", "compose", answer{400, plain, "", "Pod must be on a known host if interfaces are specified."}, fault.Refused, fault.ReasonNetworkRefused},
	{"X2.4_no_DHCP", "compose", answer{400, plain, "", "MAAS DHCP must be enabled on at least one VLAN attached to the specified interfaces."}, fault.Refused, fault.ReasonNetworkRefused},
	{"X2.4_not_composable", "compose", answer{400, plain, "", "VM host does not support composability."}, fault.Refused, fault.ReasonLXDHostUnavailable},
	{"X2.4_bad_tag_522", "compose", answer{400, form, "", `{"name": ["Enter a valid value."]}`}, fault.Refused, fault.ReasonVMCompositionFailed},
	{"X2.4_forbidden", "compose", answer{403, plain, "", ""}, fault.Refused, fault.ReasonVMCompositionFailed},
	{"X2.4_host_gone", "compose", answer{404, "text/plain", "", "Not Found"}, fault.Refused, fault.ReasonLXDHostUnavailable},
	{"X2.4_host_gone_by_query", "compose", answer{404, "text/plain", "", "No Pod matches the given query."}, fault.Refused, fault.ReasonLXDHostUnavailable},
	{"X2.4_a_404_in_strange_words", "compose", answer{404, plain, "", "nothing here"}, fault.Unavailable, fault.ReasonOutcomeUnknown},
	{"X2.4_cores_overcommitted_056", "compose", answer{503, plain, "", "Unable to compose KVM instance in 'lxd-11'. CPU overcommit ratio is 1.0 and there are 23 available resources; 31 requested."}, fault.Refused, fault.ReasonHostOvercommitted},
	{"X2.4_memory_overcommitted_057", "compose", answer{503, plain, "", "Unable to compose KVM instance in 'lxd-11'. Memory overcommit ratio is 1.0 and there are 1024 available resources; 4096 requested."}, fault.Refused, fault.ReasonHostOvercommitted},
	{"X2.4_no_storage", "compose", answer{503, plain, "", "Unable to compose machine because: Not enough storage space on storage pools: p1"}, fault.Refused, fault.ReasonStorageExhausted},
	{"X2.4_no_storage_in_the_default_pool", "compose", answer{503, plain, "", "Unable to compose machine because: Not enough space in default storage pool: x"}, fault.Refused, fault.ReasonStorageExhausted},
	{"X2.4_no_default_pool", "compose", answer{503, plain, "", "Unable to compose machine because: Default storage pool 'x' doesn't exist."}, fault.Refused, fault.ReasonStorageExhausted},
	{"X2.4_LXD_off_530", "compose", answer{503, plain, "", "Unable to compose machine because: Pod 3: Failed to connect to the LXD REST API: [Errno 113] No route to host"}, fault.Refused, fault.ReasonLXDHostUnavailable},
	{"X2.4_LXD_distrusts", "compose", answer{503, plain, "", "Unable to compose machine because: VM Host 3: Certificate is not trusted and no password was given"}, fault.Refused, fault.ReasonLXDHostUnavailable},
	{"X2.4_no_rack_285", "compose", answer{503, plain, "10", "Unable to connect to any rack controller ; no connections available."}, fault.Refused, fault.ReasonLXDHostUnavailable},
	{"X2.4_driver_timed_out", "compose", answer{503, plain, "", "Unable to compose a machine because 'lxd' driver timed out after 120 seconds."}, fault.Unavailable, fault.ReasonOutcomeUnknown},
	{"X2.4_unknown_driver_error_070", "compose", answer{503, plain, "", "Unable to compose machine because: Pod lxd-11: LXD driver error: not enough disk"}, fault.Unavailable, fault.ReasonOutcomeUnknown},
	{"X2.4_power_on_failed", "compose", answer{500, plain, "", "Failed to power on"}, fault.Unavailable, fault.ReasonOutcomeUnknown},
	{"X2.4_gateway_timeout", "compose", answer{504, page, "", "<html>504</html>"}, fault.Unavailable, fault.ReasonOutcomeUnknown},
	{"X2.4_conflict_after_LXD", "compose", answer{409, page, "5", "<h1>Conflict error</h1>"}, fault.Unavailable, fault.ReasonOutcomeUnknown},

	{"X3.1_not_ready_119", "claim", answer{409, plain, "", "No machine with system ID abc123 available."}, fault.Conflict, fault.ReasonNameTaken},
	{"X3.9_none_matches_122", "metal", answer{409, plain, "", `No available machine matches constraints: [('cpu_count', ['64']), ('pool', ['capi'])] (resolved to "cpu_count=64.0 pool=capi")`}, fault.NoRoom, fault.ReasonNoMachineAvailable},
	{"X3.9_none_available", "metal", answer{409, plain, "", "No machine available."}, fault.NoRoom, fault.ReasonNoMachineAvailable},
	{"zone_unknown_to_allocate_123", "metal", answer{400, form, "", `{"zone": ["No such zone(s): az9."]}`}, fault.NoCandidate, fault.ReasonZoneNotFound},
	{"zone_unknown_to_list_092", "list", answer{400, form, "", `{"zone": ["No such zone(s): az9."]}`}, fault.NoCandidate, fault.ReasonZoneNotFound},
	{"pool_unknown", "metal", answer{400, form, "", `{"pool": ["No such pool(s): x."]}`}, fault.NoCandidate, fault.ReasonPoolNotFound},
	{"tag_unknown", "metal", answer{400, form, "", `{"tags": ["No such tag(s): 'x'."]}`}, fault.NoCandidate, fault.ReasonNoHostMatches},
	{"constraint_unknown_124", "metal", answer{400, form, "", `{"not_pod_type": ["No such constraint."]}`}, fault.Unsupported, fault.ReasonNotSupported},

	{"locked_deploy", "deploy", answer{403, plain, "", ""}, fault.Busy, fault.ReasonMachineLocked},
	{"locked_delete_176", "delete", answer{403, plain, "", ""}, fault.Busy, fault.ReasonMachineLocked},
	{"locked_release_175", "release", answer{403, plain, "", ""}, fault.Busy, fault.ReasonMachineLocked},
	{"image_unknown_130", "deploy", answer{400, form, "", `{"distro_series": ["'nosuchimage' is not a valid distro_series.  It should be one of: '', 'ubuntu/jammy'."]}`}, fault.Invalid, fault.ReasonImageNotFound},
	{"image_not_synced", "deploy", answer{400, plain, "", "Deployment operating system ubuntu/jammy is unavailable for amd64/generic."}, fault.Invalid, fault.ReasonImageNotFound},
	{"image_not_synced_3.4", "deploy", answer{400, plain, "", "Deployment operating system ubuntu jammy is unavailable."}, fault.Invalid, fault.ReasonImageNotFound},
	{"in_memory_custom_image_566", "deploy", answer{400, plain, "", "Ephemeral deployments only supported on Ubuntu Bionic 18.04+"}, fault.Invalid, fault.ReasonDeploymentRefused},
	{"no_network", "deploy", answer{400, form, "", `{"network": ["Node must be configured to use a network"]}`}, fault.Invalid, fault.ReasonDeploymentRefused},
	{"preseed", "deploy", answer{400, plain, "", "Failed to render preseed: x"}, fault.Invalid, fault.ReasonDeploymentRefused},
	{"X3.6_deployed_already_141", "deploy", answer{409, plain, "", "Can't deploy a machine that is in the 'Deployed' state"}, fault.Busy, fault.ReasonNotReady},
	{"X3.1_someone_elses", "deploy", answer{409, plain, "", "Can't allocate a machine belonging to another user."}, fault.Conflict, fault.ReasonNameTaken},
	{"addresses_exhausted", "deploy", answer{503, plain, "", "abc123: Unable to allocate static IP due to address exhaustion."}, fault.NoRoom, fault.ReasonAddressesExhausted},
	{"X3.6_a_500_may_be_done", "deploy", answer{500, plain, "", "power error"}, fault.Unavailable, fault.ReasonOutcomeUnknown},
	{"release_while_commissioning", "release", answer{409, plain, "", "Machine cannot be released in its current state ('Commissioning')."}, fault.Busy, fault.ReasonNotReady},
	{"abort_of_nothing", "abort", answer{409, plain, "", "Cannot abort in current state: node x is in state y."}, fault.Busy, fault.ReasonNotReady},
	{"X4.1_hosts_VM_hosts_207", "delete", answer{400, plain, "", "The following VM hosts must be removed first: lxd-11"}, fault.Invalid, fault.ReasonBadRequest},
	{"X4.1_gone_already", "delete", answer{404, "text/plain", "", "No Machine matches the given query."}, fault.NotFound, fault.ReasonMachineNotFound},
	{"X4.1_delete_unknown", "delete", answer{500, plain, "", ""}, fault.Unavailable, fault.ReasonOutcomeUnknown},
	{"X4.2_host_off_533", "power", answer{500, plain, "", "Pod: Failed to connect to the LXD REST API: [Errno 113] No route to host"}, fault.Unavailable, fault.ReasonHostUnreachable},
	{"X4.2_power_timeout", "power", answer{504, plain, "", "timed out"}, fault.Unavailable, fault.ReasonHostUnreachable},
	{"X4.2_power_problem", "power", answer{503, plain, "", "power driver failed"}, fault.Unavailable, fault.ReasonHostUnreachable},
	{"X4.2_a_page_says_nothing_of_the_host", "power", answer{504, page, "", "<html>504</html>"}, fault.Unavailable, fault.ReasonMAASUnavailable},
	{"X4.2_no_rack_says_nothing_of_the_host", "power", answer{503, plain, "10", "no connections available."}, fault.Busy, fault.ReasonMAASBusy},

	{"X3.3_not_acquired_340_418", "annotate", answer{409, plain, "", "Cannot set workload annotation: it hasn't been acquired."}, fault.Busy, fault.ReasonNotReady},
	{"X3.3_key_refused_145", "annotate", answer{500, plain, "", "Invalid character in key name"}, fault.Invalid, fault.ReasonBadRequest},

	{"X3.5_taken_368_476", "link", answer{404, plain, "", "IP address is already in use."}, fault.Invalid, fault.ReasonStaticIPTaken},
	{"X3.5_dynamic_range_364", "link", answer{400, form, "", `{"ip_address": ["IP address is inside a dynamic range 10.30.0.200 to 10.30.0.220."]}`}, fault.Invalid, fault.ReasonStaticIPInvalid},
	{"X3.5_outside_365", "link", answer{400, form, "", `{"ip_address": ["IP address is not in the given subnet 'data:10.30.0.0/24(vid=0)'."]}`}, fault.Invalid, fault.ReasonStaticIPInvalid},
	{"X3.5_unparsable_366", "link", answer{400, form, "", `{"ip_address": ["Enter a valid IPv4 or IPv6 address."]}`}, fault.Invalid, fault.ReasonStaticIPInvalid},
	{"X3.5_no_such_subnet_367", "link", answer{400, form, "", `{"subnet": ["None found with id=9999.", "This field is required."]}`}, fault.Invalid, fault.ReasonSubnetNotFound},
	{"X3.5_no_gateway_378", "link", answer{400, form, "", `{"default_gateway": ["Cannot set as default gateway because subnet nogw:10.32.0.0/24(vid=0) doesn't provide a gateway IP address."]}`}, fault.Invalid, fault.ReasonStaticIPGatewayMismatch},
	{"X3.4_wrong_state_391", "link", answer{409, plain, "", "Cannot link subnet interface because the machine is not New, Ready, Allocated, or Broken."}, fault.Busy, fault.ReasonNotReady},
	{"link_machine_gone", "link", answer{404, "text/plain", "", "No Node matches the given query."}, fault.NotFound, fault.ReasonMachineNotFound},
	{"link_interface_gone", "link", answer{404, "text/plain", "", "No Interface matches the given query."}, fault.NotFound, fault.ReasonMachineNotFound},
	{"subnet_gone", "ranges", answer{404, "text/plain", "", "No Subnet matches the given query."}, fault.Invalid, fault.ReasonSubnetNotFound},

	{"domain_unknown_218", "record", answer{404, "text/plain", "", "No Domain matches the given query."}, fault.Invalid, fault.ReasonDomainNotFound},
	{"X8.1_record_exists_215", "create", answer{400, form, "", `{"__all__": ["Labels must be unique within their zone."]}`}, fault.Conflict, fault.ReasonNameTaken},
	{"record_is_a_CNAME", "create", answer{400, form, "", `{"__all__": ["Cannot add address: CNAME present."]}`}, fault.Conflict, fault.ReasonNameTaken},
	{"record_name_refused", "create", answer{400, plain, "", "Invalid dnsresource name: x."}, fault.Invalid, fault.ReasonBadRequest},
	{"X8.1_record_vanished_599", "replace", answer{404, "text/plain", "", "No DNSResource matches the given query."}, fault.NotFound, fault.ReasonEndpointNotFound},
	{"X8.1_reservation_not_ours_602", "free", answer{400, plain, "", "IP address 10.30.0.90 does not exist, is not the correct type of address, or does not belong to the requesting user.\nIf you are sure you want to release this address, use force=true as a MAAS administrator."}, fault.NotFound, fault.ReasonEndpointNotFound},
}

func TestErrors_every_sentence_of_MAAS_has_its_meaning(t *testing.T) {
	t.Parallel()
	for _, s := range sentences {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			g := serve(t, s.answer)
			c := client(t, g.URL, func(cfg *maas.Config) { cfg.Retry.Attempts = 1 })
			err := calls[s.call](t.Context(), c)
			requireFault(t, err, s.kind, s.reason)
			require.Less(t, len(err.Error()), 500)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestErrors_a_long_body_is_cut(t *testing.T) {
	t.Parallel()
	g := serve(t, answer{500, plain, "", strings.Repeat("Traceback (most recent call last) ", 10000)})
	err := calls["deploy"](t.Context(), client(t, g.URL))
	requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)
	require.Less(t, len(err.Error()), 500)
}

func TestErrors_Retry_After_travels_with_the_fault(t *testing.T) {
	t.Parallel()
	g := serve(t, answer{503, plain, "10", "Unable to connect to any rack controller ; no connections available."})
	err := calls["refresh"](t.Context(), client(t, g.URL))
	f, ok := err.(*fault.Error) //nolint:errorlint // the outermost fault is meant
	require.True(t, ok)
	require.Equal(t, "10s", f.RetryAfter().String())
	require.Len(t, g.seen(), 1, "a refresh is never sent again by itself")
}
