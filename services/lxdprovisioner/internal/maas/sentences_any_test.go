package maas_test

const (
	// some are a read and changes: some that MAAS rolls back by itself, and some that work on LXD.
	some    = "machines.read " + changes
	changes = "machines.claim machines.deploy vm-hosts.compose vm-hosts.refresh machines.delete dnsresources.update"
	// reading are reads, among them the one whose failure tells of a host.
	reading = "machines.read machines.list machines.query_power_state"
	// lxd are changes that work on a host.
	lxd = "vm-hosts.compose vm-hosts.refresh machines.delete"
)

// anySentences may be said to every request.
var anySentences = []sentence{
	{"any_key_unknown_consumer", some, []int{6}, answer{}, "Denied MAAS_KEY_REFUSED"},
	{"any_key_unknown_token", some, []int{7}, answer{}, "Denied MAAS_KEY_REFUSED"},
	{"any_key_wrong_secret_with_the_real_one_in_the_body", some, []int{8}, answer{}, "Denied MAAS_KEY_REFUSED"},
	{"any_clock_behind", some, []int{9}, answer{}, "Denied MAAS_KEY_REFUSED"},
	{"any_nonce_used", some, []int{10}, answer{}, "Denied MAAS_KEY_REFUSED"},
	{"any_no_Authorization_header", some, []int{5, 11}, answer{}, "Denied MAAS_KEY_REFUSED"},
	{"any_no_Authorization_header_in_other_words", some, nil, answer{401, plain, "", "Unauthorized"}, "Denied MAAS_KEY_REFUSED"},
	{"any_parameter_of_OAuth_missing_3.5", some, nil, answer{400, plain, "", "'Bad Request: Missing parameter oauth_nonce'"}, "Denied MAAS_KEY_REFUSED"},
	{"any_header_dropped_where_anonymous_handlers_are", "machines.list machines.find", []int{13}, answer{}, "Denied MAAS_KEY_REFUSED"},
	{"any_operation_unknown", some, []int{16, 17, 171, 521}, answer{}, "Unsupported NOT_SUPPORTED"},
	{"any_method_not_taken", some, []int{18, 19, 520}, answer{}, "Unsupported NOT_SUPPORTED"},
	{"X4.5_any_Unknown_API_endpoint_is_no_absence", some, []int{21, 22}, answer{}, "Unavailable MAAS_UNAVAILABLE"},
	{"any_user_inactive", "machines.read machines.claim", nil, answer{403, plain, "", "User is not allowed access to this API."}, "Denied MAAS_RIGHTS_MISSING"},
	{"any_right_missing_3.8", "dnsresources.create vm-hosts.compose machines.delete", nil, answer{403, plain, "", "User does not have permission to perform this operation. The user should have permission 'can_edit_global_entities'"}, "Denied MAAS_RIGHTS_MISSING"},
	{"X2.4_any_right_to_change_VM_hosts_missing_3.8", "vm-hosts.compose vm-hosts.refresh vm-hosts.parameters", nil, answer{403, plain, "", ""}, "Denied MAAS_RIGHTS_MISSING"},
	{"any_reserved_for_admins", "vm-hosts.parameters vm-hosts.compose vm-hosts.refresh dnsresources.create machines.delete", []int{46, 71, 226}, answer{}, "Denied MAAS_RIGHTS_MISSING"},

	{
		"any_database_conflict_asks_to_come_again", "machines.read machines.claim machines.allocate machines.deploy machines.release machines.delete machines.annotate interfaces.link_subnet dnsresources.update", nil,
		answer{409, page, "5", "<h1>Conflict error. Try your request again, as it will most likely succeed.</h1>"},
		"Busy MAAS_BUSY",
	},
	{
		"any_database_conflict_after_LXD_has_worked", "vm-hosts.compose vm-hosts.refresh", nil,
		answer{409, page, "5", "<h1>Conflict error. Try your request again, as it will most likely succeed.</h1>"},
		"Unavailable OUTCOME_UNKNOWN",
	},
	{
		"any_program_of_MAAS_failed_before_the_transaction_ended", "machines.read machines.deploy dnsresources.update machines.delete", nil,
		answer{503, plain, "10", "Command `rndc` returned non-zero exit status 1"},
		"Busy MAAS_BUSY",
	},
	{
		"any_program_of_MAAS_failed_when_LXD_has_worked", "vm-hosts.compose vm-hosts.refresh", nil,
		answer{503, plain, "10", "Command `rndc` returned non-zero exit status 1"},
		"Unavailable OUTCOME_UNKNOWN",
	},
	{
		"any_no_rack_connected", "machines.deploy machines.delete machines.release machines.query_power_state vm-hosts.refresh", nil,
		answer{503, plain, "10", "Unable to connect to any rack controller ; no connections available."},
		"Busy MAAS_BUSY",
	},
	{"any_read_times_out_in_the_region", "machines.read machines.list vm-hosts.list", nil, answer{504, plain, "", "timed out"}, "Unavailable MAAS_UNAVAILABLE"},
	{"any_change_times_out_in_the_region", "machines.deploy machines.release machines.delete vm-hosts.compose vm-hosts.refresh", nil, answer{504, plain, "", "timed out"}, "Unavailable OUTCOME_UNKNOWN"},
	{"any_500_of_a_read", "machines.read machines.list", nil, answer{500, plain, "", ""}, "Unavailable MAAS_UNAVAILABLE"},
	{
		"X3.6_any_500_after_the_commit", "machines.deploy machines.release machines.delete machines.abort machines.power_on machines.claim interfaces.link_subnet vm-hosts.compose vm-hosts.refresh dnsresources.delete", nil,
		answer{500, plain, "", "Failed to connect to the power driver"},
		"Unavailable OUTCOME_UNKNOWN",
	},

	{"any_redirect_to_TLS", some, nil, answer{301, page, "", ""}, "Unavailable MAAS_UNAVAILABLE"},
	{"any_proxy_wants_a_password", some, nil, answer{407, page, "", "<html>407</html>"}, "Unavailable MAAS_UNAVAILABLE"},
	{"any_proxy_limits_a_read", "machines.read", nil, answer{429, page, "", "<html>429</html>"}, "Unavailable MAAS_UNAVAILABLE"},
	{"X9.1_any_proxy_does_not_take_a_change_408", changes, nil, answer{408, plain, "", "Request Timeout"}, "Unavailable OUTCOME_UNKNOWN"},
	{"X9.1_any_proxy_does_not_take_a_change_425", changes, nil, answer{425, plain, "", "Too Early"}, "Unavailable OUTCOME_UNKNOWN"},
	{"X9.1_any_proxy_does_not_take_a_change_429", changes, nil, answer{429, plain, "7", "local_rate_limited"}, "Unavailable OUTCOME_UNKNOWN"},
	{"X9.1_any_proxy_does_not_take_a_change_431", changes, nil, answer{431, plain, "", "431 Request Header Fields Too Large"}, "Unavailable OUTCOME_UNKNOWN"},
	{"any_proxy_does_not_take_a_read_408", reading, nil, answer{408, plain, "", "Request Timeout"}, "Unavailable MAAS_UNAVAILABLE"},
	{"any_proxy_does_not_take_a_read_425", reading, nil, answer{425, plain, "", "Too Early"}, "Unavailable MAAS_UNAVAILABLE"},
	{"any_proxy_does_not_take_a_read_431", reading, nil, answer{431, plain, "", "431 Request Header Fields Too Large"}, "Unavailable MAAS_UNAVAILABLE"},
	{"X9.1_any_proxy_in_plain_text_without_region_503", lxd, nil, answer{503, plain, "", "upstream connect error or disconnect/reset before headers"}, "Unavailable OUTCOME_UNKNOWN"},
	{"X9.1_any_proxy_in_plain_text_that_says_when_to_come_again_503", changes, nil, answer{503, plain, "30", "no healthy upstream"}, "Unavailable OUTCOME_UNKNOWN"},
	{"X9.1_any_proxy_in_plain_text_gives_up_504", lxd, nil, answer{504, plain, "", "upstream request timeout"}, "Unavailable OUTCOME_UNKNOWN"},
	{"X4.2_any_proxy_in_plain_text_says_nothing_of_the_host_503", reading, nil, answer{503, plain, "", "no healthy upstream"}, "Unavailable MAAS_UNAVAILABLE"},
	{"X4.2_any_proxy_in_plain_text_says_nothing_of_the_host_503_again", reading, nil, answer{503, plain, "30", "Service Unavailable"}, "Unavailable MAAS_UNAVAILABLE"},
	{"X4.2_any_proxy_in_plain_text_says_nothing_of_the_host_504", reading, nil, answer{504, plain, "", "upstream request timeout"}, "Unavailable MAAS_UNAVAILABLE"},
	{"X4.2_any_proxy_without_a_word_says_nothing_of_the_host", reading, nil, answer{503, form, "", ""}, "Unavailable MAAS_UNAVAILABLE"},
	{"any_proxy_finds_a_request_ill_formed", "machines.read machines.claim machines.delete", nil, answer{400, plain, "", "400 Bad Request: malformed Host header"}, "Invalid BAD_REQUEST"},
	{"any_proxy_without_region_and_a_read", "machines.read machines.list", nil, answer{502, page, "", "<html>502 Bad Gateway nginx</html>"}, "Unavailable MAAS_UNAVAILABLE"},
	{"any_proxy_without_region_and_a_change", "vm-hosts.compose machines.claim machines.deploy machines.delete vm-hosts.refresh", nil, answer{502, page, "", "<html>502 Bad Gateway nginx</html>"}, "Unavailable OUTCOME_UNKNOWN"},
	{"any_proxy_gives_up_a_read", "machines.read machines.query_power_state", nil, answer{504, page, "", "<html>504</html>"}, "Unavailable MAAS_UNAVAILABLE"},
	{"any_proxy_gives_up_a_change", "vm-hosts.compose machines.deploy machines.delete machines.annotate", nil, answer{504, page, "", "<html>504</html>"}, "Unavailable OUTCOME_UNKNOWN"},
	{
		"any_proxy_is_busy_and_says_when_to_come_again", "vm-hosts.compose vm-hosts.refresh machines.claim machines.deploy machines.delete", nil,
		answer{503, page, "30", "<html>503 Service Unavailable</html>"},
		"Unavailable OUTCOME_UNKNOWN",
	},
	{"any_page_of_a_proxy_with_403", "machines.read", nil, answer{403, page, "", "<html>Blocked by policy</html>"}, "Unavailable MAAS_UNAVAILABLE"},
	{"X9.1_any_page_of_a_proxy_is_no_refusal", "vm-hosts.compose", nil, answer{400, page, "", "<html>400 Request Header Or Cookie Too Large</html>"}, "Unavailable OUTCOME_UNKNOWN"},
	{"X9.1_any_page_of_a_proxy_is_no_proof", "machines.deploy machines.delete machines.claim machines.allocate", nil, answer{409, page, "", "<html>409</html>"}, "Unavailable OUTCOME_UNKNOWN"},
	{"X4.5_any_page_is_no_absence", "machines.read vm-hosts.read", nil, answer{404, page, "", "<html>No Machine matches the given query. Not Found</html>"}, "Unavailable MAAS_UNAVAILABLE"},
	{"X4.5_any_404_in_strange_words_is_no_absence", "machines.read machines.delete vm-hosts.read", nil, answer{404, plain, "", "gone fishing"}, "Unavailable MAAS_UNAVAILABLE"},
}
