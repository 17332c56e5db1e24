package maas_test

const (
	deploying = "machines.deploy"
	allocated = "machines.allocate"
	claiming  = "machines.claim"
	deleting  = "machines.delete"
)

// machineSentences are said of machines.
var machineSentences = []sentence{
	{"X4.5_machine_absent", "machines.read", []int{78, 204, 273, 509, 535}, answer{}, "NotFound MACHINE_NOT_FOUND"},
	{"machine_absent_for_a_change", deploying, []int{136}, answer{}, "NotFound MACHINE_NOT_FOUND"},
	{"machine_absent_for_other_changes", "machines.release machines.annotate machines.update machines.query_power_state machines.power_on", nil, answer{404, "text/plain", "", "No Machine matches the given query."}, "NotFound MACHINE_NOT_FOUND"},
	{"X4.3_machine_gone_already", deleting, []int{203, 287}, answer{}, "NotFound MACHINE_NOT_FOUND"},

	{"zone_unknown", "machines.list", []int{94}, answer{}, "NoCandidate ZONE_NOT_FOUND"},
	{"pool_unknown", "machines.list", []int{92}, answer{}, "NoCandidate POOL_NOT_FOUND"},
	{"tag_unknown", "machines.list", []int{106}, answer{}, "NoCandidate NO_HOST_MATCHES"},
	{"owner_unknown", "machines.list", []int{439, 440}, answer{}, "Invalid BAD_REQUEST"},
	{"filter_unknown", "machines.list", []int{103, 152, 153, 154}, answer{}, "Unsupported NOT_SUPPORTED"},
	{"filter_value_refused", "machines.list", []int{97, 98, 102, 431, 444}, answer{}, "Invalid BAD_REQUEST"},
	{"filter_on_which_MAAS_fails", "machines.list", []int{464}, answer{}, "Unavailable MAAS_UNAVAILABLE"},

	{"X3.1_machine_not_ready_or_taken", claiming, []int{120, 142, 329, 330, 331, 334, 335, 336, 339, 353, 559}, answer{}, "Conflict NAME_TAKEN"},
	{"X3.9_none_matches", allocated, []int{121, 122, 540, 541, 542, 543, 545, 550, 557}, answer{}, "NoRoom NO_MACHINE_AVAILABLE"},
	{"X3.9_none_available", allocated, nil, answer{409, plain, "", "No machine available."}, "NoRoom NO_MACHINE_AVAILABLE"},
	{"zone_unknown_to_allocate", allocated, []int{123}, answer{}, "NoCandidate ZONE_NOT_FOUND"},
	{"pool_unknown_to_allocate", allocated, nil, answer{400, form, "", `{"pool": ["No such pool(s): x."]}`}, "NoCandidate POOL_NOT_FOUND"},
	{"tag_unknown_to_allocate", allocated, []int{544}, answer{}, "NoCandidate NO_HOST_MATCHES"},
	{"constraint_unknown", allocated, []int{124}, answer{}, "Unsupported NOT_SUPPORTED"},
	{"constraint_gone_with_the_VM_hosts", allocated, nil, answer{400, form, "", `{"not_pod_type": ["No such constraint."]}`}, "Unsupported NOT_SUPPORTED"},
	{"allocate_fails_inside", allocated, []int{300}, answer{}, "Unavailable OUTCOME_UNKNOWN"},

	{"X3.3_not_acquired", "machines.annotate", []int{150, 418}, answer{}, "Busy NOT_READY"},
	{"X3.3_key_with_a_slash_is_a_500", "machines.annotate", []int{145, 146, 414, 416}, answer{}, "Invalid BAD_REQUEST"},
	{"X3.3_key_too_long", "machines.annotate", []int{148}, answer{}, "Invalid BAD_REQUEST"},
	{"X3.3_another_users", "machines.annotate", []int{151, 420}, answer{}, "Busy MACHINE_LOCKED"},

	{"X4.2_locked_or_anothers_deploy", deploying, []int{137}, answer{}, "Busy MACHINE_LOCKED"},
	{"X4.2_locked_or_anothers_delete", deleting, []int{176, 201}, answer{}, "Busy MACHINE_LOCKED"},
	{"X4.2_locked_or_anothers_release", "machines.release", []int{175, 181}, answer{}, "Busy MACHINE_LOCKED"},
	{"X4.2_locked_or_anothers_power_on", "machines.power_on", nil, answer{403, plain, "", ""}, "Busy MACHINE_LOCKED"},
	{"X3.6_deploying_already", deploying, []int{132, 133, 268, 567}, answer{}, "Busy NOT_READY"},
	{"X3.6_deployed_already", deploying, nil, answer{409, plain, "", "Can't deploy a machine that is in the 'Deployed' state"}, "Busy NOT_READY"},
	{
		"X3.6_power_action_in_the_way_after_the_commit_3.4", "machines.deploy machines.release machines.abort machines.power_on", nil,
		answer{503, plain, "", "Unable to change power state to 'off' for node cp-0: another action is already in progress for that node."},
		"Busy NOT_READY",
	},
	{
		"X3.6_power_action_in_the_way_that_asks_to_come_again_3.4", "machines.deploy machines.release machines.abort machines.power_on", nil,
		answer{503, plain, "10", "Unable to change power state to 'off' for node cp-0: another action is already in progress for that node."},
		"Busy NOT_READY",
	},
	{"X3.6_in_another_state", deploying, []int{135, 196}, answer{}, "Busy NOT_READY"},
	{"X3.1_someone_elses", deploying, nil, answer{409, plain, "", "Can't allocate a machine belonging to another user."}, "Conflict NAME_TAKEN"},
	{"image_unknown", deploying, []int{130}, answer{}, "Invalid IMAGE_NOT_FOUND"},
	{"image_not_synced", deploying, nil, answer{400, plain, "", "Deployment operating system ubuntu/jammy is unavailable for amd64/generic."}, "Invalid IMAGE_NOT_FOUND"},
	{"image_not_synced_3.4", deploying, nil, answer{400, plain, "", "Deployment operating system ubuntu jammy is unavailable."}, "Invalid IMAGE_NOT_FOUND"},
	{"commissioning_image_not_synced", deploying, nil, answer{400, plain, "", "Ephemeral operating system ubuntu jammy is unavailable."}, "Invalid IMAGE_NOT_FOUND"},
	{"in_memory_with_a_custom_image", deploying, []int{566}, answer{}, "Invalid DEPLOYMENT_REFUSED"},
	{"in_memory_not_supported", deploying, nil, answer{400, plain, "", "Deployment to memory not supported for this machine"}, "Invalid DEPLOYMENT_REFUSED"},
	{"kernel_refused", deploying, nil, answer{400, form, "", `{"hwe_kernel": ["hwe-99 is not available."]}`}, "Invalid DEPLOYMENT_REFUSED"},
	{"no_network", deploying, nil, answer{400, form, "", `{"network": ["Node must be configured to use a network"]}`}, "Invalid DEPLOYMENT_REFUSED"},
	{"no_common_address_family", deploying, nil, answer{400, form, "", `{"network": ["Node has no address family in common with the server"]}`}, "Invalid DEPLOYMENT_REFUSED"},
	{"no_disk", deploying, nil, answer{400, form, "", `{"storage": ["There are currently no storage devices.  Please add a storage device to be able to deploy this node."]}`}, "Invalid DEPLOYMENT_REFUSED"},
	{"preseed", deploying, nil, answer{400, plain, "", "Failed to render preseed: x"}, "Invalid DEPLOYMENT_REFUSED"},
	{"user_data_too_large_for_a_proxy", deploying, nil, answer{413, page, "", "<html>413 Request Entity Too Large</html>"}, "Invalid BAD_USER_DATA"},
	{"addresses_exhausted", deploying, nil, answer{503, plain, "", "abc123: Unable to allocate static IP due to address exhaustion."}, "NoRoom ADDRESSES_EXHAUSTED"},

	{"release_while_commissioning", "machines.release", nil, answer{409, plain, "", "Machine cannot be released in its current state ('Commissioning')."}, "Busy NOT_READY"},
	{"release_of_a_host_with_VM_hosts", "machines.release", nil, answer{400, plain, "", "The following VM hosts must be removed first: lxd-11"}, "Invalid BAD_REQUEST"},
	{"X3.8_power_on_of_what_nobody_holds", "machines.power_on", nil, answer{409, plain, "", "Can't start node: it hasn't been allocated."}, "Busy NOT_READY"},
	{"abort_of_nothing", "machines.abort", []int{185}, answer{}, "Busy NOT_READY"},
	{"X4.1_delete_of_a_host_with_VM_hosts", deleting, []int{207}, answer{}, "Invalid BAD_REQUEST"},
}
