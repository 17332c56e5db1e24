package maas_test

const composing = "vm-hosts.compose"

// composeSentences: "Refused", which lets a controller try another host at once, is said of the
// answers in which nothing usable was made.
var composeSentences = []sentence{
	{"X2.4_name_exists_in_MAAS", composing, []int{54, 55, 274, 497}, answer{}, "Unavailable OUTCOME_UNKNOWN"},
	{"X2.4_name_exists_in_LXD", composing, []int{276, 488}, answer{}, "Unavailable OUTCOME_UNKNOWN"},
	{"X2.4_address_in_use_after_the_VM_was_made", composing, []int{69}, answer{}, "Unavailable OUTCOME_UNKNOWN"},
	{"X2.4_driver_failed_in_words_that_no_rule_knows", composing, []int{70}, answer{}, "Unavailable OUTCOME_UNKNOWN"},
	{"X2.4_driver_timed_out", composing, nil, answer{503, plain, "", "Unable to compose a machine because 'lxd' driver timed out after 120 seconds."}, "Unavailable OUTCOME_UNKNOWN"},
	{"X2.4_no_parent_for_the_NIC", composing, nil, answer{503, plain, "", "Unable to compose machine because: No host network to attach VM interfaces to"}, "Unavailable OUTCOME_UNKNOWN"},
	{"X2.4_LXD_6.7_in_other_words", composing, nil, answer{503, plain, "", `Unable to compose machine because: Failed creating instance record: Unknown configuration key: "security.secureboot" of volume x`}, "Unavailable OUTCOME_UNKNOWN"},
	{"X2.4_LXD_refuses_another_key", composing, nil, answer{503, plain, "", `Unable to compose machine because: Failed creating instance record: Unknown configuration key: "limits.memory.hugepages"`}, "Unavailable OUTCOME_UNKNOWN"},
	{"X2.4_LXD_is_too_old", composing, nil, answer{503, plain, "", "Unable to compose machine because: Please upgrade your LXD host to 4.16 or higher to use this driver"}, "Unavailable OUTCOME_UNKNOWN"},
	{"X2.4_commissioning_could_not_start", composing, nil, answer{500, plain, "", "Failed to power on: no rack"}, "Unavailable OUTCOME_UNKNOWN"},
	{"X2.4_a_404_in_strange_words", composing, nil, answer{404, plain, "", "nothing here"}, "Unavailable OUTCOME_UNKNOWN"},
	{"X2.4_a_409_without_a_word", composing, nil, answer{409, plain, "", ""}, "Unavailable OUTCOME_UNKNOWN"},

	{"X2.4_more_cores_or_memory_than_the_host_has", composing, []int{58, 290}, answer{}, "Refused HOST_OVERCOMMITTED"},
	{"X2.4_the_host_is_not_inventoried_yet", composing, nil, answer{400, form, "", `{"cores": ["Ensure this value is less than or equal to 0."]}`}, "Refused HOST_OVERCOMMITTED"},
	{"X2.4_less_than_MAAS_composes", composing, []int{60}, answer{}, "Invalid BAD_RESOURCES"},
	{"X2.4_CPU_overcommit", composing, []int{56}, answer{}, "Refused HOST_OVERCOMMITTED"},
	{"X2.4_memory_overcommit", composing, []int{57}, answer{}, "Refused HOST_OVERCOMMITTED"},
	{"X2.4_CPU_and_memory_overcommit", composing, nil, answer{503, plain, "", "Unable to compose KVM instance in 'h'. CPU overcommit ratio is 1.0 and there are 2 available resources; 4 requested.Memory overcommit ratio is 1.0 and there are 1024 available resources; 2048 requested."}, "Refused HOST_OVERCOMMITTED"},
	{"X2.4_no_storage_in_the_named_pools", composing, nil, answer{503, plain, "", "Unable to compose machine because: Not enough storage space on storage pools: p1"}, "Refused STORAGE_EXHAUSTED"},
	{"X2.4_no_storage_in_the_default_pool", composing, nil, answer{503, plain, "", "Unable to compose machine because: Not enough space in default storage pool: x"}, "Refused STORAGE_EXHAUSTED"},
	{"X2.4_no_such_default_pool", composing, nil, answer{503, plain, "", "Unable to compose machine because: Default storage pool 'x' doesn't exist."}, "Refused STORAGE_EXHAUSTED"},
	{"X2.4_LXD_can_not_be_reached", composing, []int{530}, answer{}, "Refused LXD_HOST_UNAVAILABLE"},
	{"X2.4_LXD_does_not_trust_MAAS", composing, nil, answer{503, plain, "", "Unable to compose machine because: VM Host 3: Certificate is not trusted and no password was given"}, "Refused LXD_HOST_UNAVAILABLE"},
	{"X2.4_LXD_6.7_refuses_what_MAAS_sends", composing, nil, answer{503, plain, "", `Unable to compose machine because: Failed creating instance record: Unknown configuration key: "security.secureboot"`}, "Refused LXD_TOO_NEW_FOR_MAAS"},
	{"X2.4_no_rack", composing, []int{285}, answer{}, "Refused LXD_HOST_UNAVAILABLE"},
	{"X2.4_not_composable", composing, nil, answer{400, plain, "", "VM host does not support composability."}, "Refused LXD_HOST_UNAVAILABLE"},
	{"X2.4_no_such_host", composing, []int{72}, answer{}, "Refused LXD_HOST_UNAVAILABLE"},
	{"X2.4_no_such_host_in_other_words", composing, nil, answer{404, "text/plain", "", "Not Found"}, "Refused LXD_HOST_UNAVAILABLE"},
	{"X2.4_not_found_of_a_gateway", composing, nil, answer{404, "text/plain", "", "Not Found: no route"}, "Unavailable OUTCOME_UNKNOWN"},
	{"X2.4_something_else_is_not_found", composing, nil, answer{404, plain, "", "No VLAN matches the given query."}, "Unavailable OUTCOME_UNKNOWN"},
	{"X2.4_the_user_is_disabled", composing, nil, answer{403, plain, "", "User is not allowed access to this API."}, "Denied MAAS_RIGHTS_MISSING"},
	{"X2.4_networks_do_not_match", composing, []int{67, 310, 313, 316, 321, 326, 589}, answer{}, "Refused NETWORK_REFUSED"},
	{"X2.4_host_is_no_known_machine", composing, nil, answer{400, plain, "", "Pod must be on a known host if interfaces are specified."}, "Refused NETWORK_REFUSED"},
	{"X2.4_no_DHCP", composing, nil, answer{400, plain, "", "MAAS DHCP must be enabled on at least one VLAN attached to the specified interfaces."}, "Refused NETWORK_REFUSED"},
	{"X2.4_the_hosts_tag_is_no_tag_name", composing, []int{522}, answer{}, "Refused VM_COMPOSITION_FAILED"},
	{"X2.4_host_name_refused", composing, []int{61, 62}, answer{}, "Refused VM_COMPOSITION_FAILED"},
	{"X2.4_storage_constraint_refused", composing, []int{64}, answer{}, "Refused VM_COMPOSITION_FAILED"},
	{"X2.4_interfaces_constraint_refused", composing, []int{68}, answer{}, "Refused VM_COMPOSITION_FAILED"},
	{"X2.4_zone_or_pool_refused", composing, []int{65, 281}, answer{}, "Refused VM_COMPOSITION_FAILED"},
	{"X2.4_architecture_refused", composing, []int{66}, answer{}, "Refused VM_COMPOSITION_FAILED"},
	{"X2.4_commissioning_image_missing", composing, nil, answer{400, plain, "", "Ephemeral operating system ubuntu focal is unavailable."}, "Refused VM_COMPOSITION_FAILED"},
	{"VM_hosts_removed_for_compose", composing, nil, answer{410, plain, "", "VM host (KVM) support has been removed from MAAS."}, "Unsupported MAAS_VMHOST_REMOVED"},
}

// hostSentences are said of VM hosts.
var hostSentences = []sentence{
	{"X4.5_VM_host_absent", "vm-hosts.read", []int{44}, answer{}, "NotFound MACHINE_NOT_FOUND"},
	{"X4.5_VM_host_absent_in_other_words", "vm-hosts.read vm-hosts.refresh vm-hosts.parameters", nil, answer{404, "text/plain", "", "No Pod matches the given query."}, "NotFound MACHINE_NOT_FOUND"},
	{"VM_hosts_removed", "vm-hosts.list vm-hosts.read vm-hosts.parameters vm-hosts.refresh", nil, answer{410, plain, "", "VM host (KVM) support has been removed from MAAS."}, "Unsupported MAAS_VMHOST_REMOVED"},
	{"a_page_of_a_proxy_is_not_the_end_of_VM_hosts", "vm-hosts.list", nil, answer{410, page, "", "<html>410 Gone</html>"}, "Unavailable MAAS_UNAVAILABLE"},
	{"X4.4_refresh_host_unreachable", "vm-hosts.refresh", []int{531}, answer{}, "Unavailable HOST_UNREACHABLE"},
	{"X4.2_power_host_off", "machines.query_power_state", []int{533}, answer{}, "Unavailable HOST_UNREACHABLE"},
	{"X4.4_refresh_host_distrusts_MAAS", "vm-hosts.refresh", nil, answer{503, plain, "", "VM Host 3: Certificate is not trusted and no password was given"}, "Unavailable HOST_UNREACHABLE"},
	{"X4.4_refresh_host_silent_for_120_s", "vm-hosts.refresh", nil, answer{503, plain, "", ""}, "Unavailable HOST_UNREACHABLE"},
	{"X4.4_refresh_without_a_rack", "vm-hosts.refresh", nil, answer{503, plain, "", "Unable to start the VM host discovery process. No rack controllers connected."}, "Busy MAAS_BUSY"},
	{"X4.4_refresh_fails_otherwise", "vm-hosts.refresh", nil, answer{503, plain, "", "Please upgrade your LXD host to 4.16 or higher to use this driver"}, "Unavailable OUTCOME_UNKNOWN"},
	{"X4.2_power_fails_in_the_words_of_3.5_and_later", "machines.query_power_state", nil, answer{500, plain, "", "exit status 1"}, "Unavailable HOST_UNREACHABLE"},
	{"X4.2_power_times_out", "machines.query_power_state", nil, answer{504, plain, "", "Unexpected exception: TimeoutError. See /var/log/maas/regiond.log on the region server for more information."}, "Unavailable HOST_UNREACHABLE"},
	{"X4.2_power_host_without_a_way_to_it", "machines.query_power_state", nil, answer{503, plain, "", "No rack controllers can access the BMC of node cp-0"}, "Unavailable HOST_UNREACHABLE"},
}
