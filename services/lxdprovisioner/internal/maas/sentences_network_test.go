package maas_test

const linking = "interfaces.link_subnet"

// networkSentences are said of links, addresses and DNS records.
var networkSentences = []sentence{
	{"X3.5_address_taken_is_a_404", linking, []int{359, 368, 376, 377, 390, 476, 477, 481, 482, 598, 601}, answer{}, "Invalid STATIC_IP_TAKEN"},
	{"X3.5_address_reserved_for_another_MAC_3.6", linking, nil, answer{409, plain, "", "The static IP 10.30.0.25 is already reserved for the MAC address 00:16:3e:00:00:01."}, "Invalid STATIC_IP_TAKEN"},
	{"X3.5_address_is_not_the_reserved_one_3.6", linking, nil, answer{409, plain, "", "The static IP 10.30.0.25 does not match the reserved IP 10.30.0.26 for the MAC address 00:16:3e:00:00:01."}, "Invalid STATIC_IP_TAKEN"},
	{"X3.5_address_and_MAC_reserved_apart_3.6", linking, nil, answer{409, plain, "", "The MAC address 00:16:3e:00:00:01 or the static IP 10.30.0.25 are associated with a reserved IP and cannot be used."}, "Invalid STATIC_IP_TAKEN"},
	{"X3.5_inside_a_dynamic_range", linking, []int{364}, answer{}, "Invalid STATIC_IP_INVALID"},
	{"X3.5_outside_the_subnet", linking, []int{365}, answer{}, "Invalid STATIC_IP_INVALID"},
	{"X3.5_unparsable", linking, []int{366}, answer{}, "Invalid STATIC_IP_INVALID"},
	{"X3.5_no_such_subnet_or_of_another_VLAN", linking, []int{356, 357, 367}, answer{}, "Invalid SUBNET_NOT_FOUND"},
	{"X3.5_subnet_without_a_gateway", linking, []int{378}, answer{}, "Invalid STATIC_IP_GATEWAY_MISMATCH"},
	{"X3.4_link_in_a_wrong_state", linking, []int{391, 425}, answer{}, "Busy NOT_READY"},
	{"link_not_allowed", linking, []int{388}, answer{}, "Busy MACHINE_LOCKED"},
	{"link_machine_gone", linking, nil, answer{404, "text/plain", "", "No Node matches the given query."}, "NotFound MACHINE_NOT_FOUND"},
	{"link_interface_gone", linking, nil, answer{404, "text/plain", "", "No Interface matches the given query."}, "NotFound MACHINE_NOT_FOUND"},
	{"any_subnet_gone", "subnets.reserved_ip_ranges", []int{406}, answer{}, "Invalid SUBNET_NOT_FOUND"},
	{"subnet_gone_whose_addresses_are_asked_for", "subnets.ip_addresses", nil, answer{404, "text/plain", "", "No Subnet matches the given query."}, "Invalid SUBNET_NOT_FOUND"},

	{"domain_unknown", "dnsresources.find dnsresources.create", []int{218, 232}, answer{}, "Invalid DOMAIN_NOT_FOUND"},
	{"X8.1_record_exists", "dnsresources.create", []int{215}, answer{}, "Conflict NAME_TAKEN"},
	{"record_is_a_CNAME", "dnsresources.create", nil, answer{400, form, "", `{"__all__": ["Cannot add address: CNAME present."]}`}, "Conflict NAME_TAKEN"},
	{"record_name_refused", "dnsresources.create", []int{219, 221}, answer{}, "Invalid BAD_REQUEST"},
	{"addresses_unparsable_are_a_500", "dnsresources.create dnsresources.update", []int{216, 217, 238}, answer{}, "Invalid BAD_REQUEST"},
	{"X8.1_record_vanished_with_its_last_machine", "dnsresources.update", []int{240}, answer{}, "NotFound ENDPOINT_NOT_FOUND"},
	{"any_record_gone_already", "dnsresources.delete", []int{599}, answer{}, "NotFound ENDPOINT_NOT_FOUND"},
	{"X8.1_reservation_not_ours", "ipaddresses.release", []int{255, 602, 603}, answer{}, "NotFound ENDPOINT_NOT_FOUND"},
}
