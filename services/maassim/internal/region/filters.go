package region

import (
	"net/http"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// predicate says whether a machine passes a filter.
type predicate func(*machine) bool

// filterKind is one filter of machine lists and of allocate.
type filterKind struct {
	// check validates the values; nil accepts any.
	check func(r *Region, form *rest.Form, name string, values []string)
	// match says whether the machine has one of the values.
	match func(m *machine, values []string) bool
	// negated filters keep the machines that do not match.
	negated bool
}

// filters are those that are simulated, by their names (MAAS: node_constraint_filter_forms.py).
var filters = map[string]filterKind{
	"id":              {match: bySystemID},
	"system_id":       {match: bySystemID},
	"not_id":          {match: bySystemID, negated: true},
	"hostname":        {match: byHostname},
	"not_hostname":    {match: byHostname, negated: true},
	"domain":          {match: byDomain},
	"not_domain":      {match: byDomain, negated: true},
	"agent_name":      {match: byAgent},
	"not_agent_name":  {match: byAgent, negated: true},
	"mac_address":     {match: byMAC, check: checkMAC},
	"zone":            {match: byZone, check: checkZone},
	"not_in_zone":     {match: byZone, check: checkZone, negated: true},
	"pool":            {match: byPool, check: checkPool},
	"not_in_pool":     {match: byPool, check: checkPool, negated: true},
	"owner":           {match: byOwner, check: checkOwner},
	"not_owner":       {match: byOwner, negated: true},
	"status":          {match: byStatus, check: checkStatus},
	"not_status":      {match: byStatus, check: checkStatus, negated: true},
	"power_state":     {match: byPower, check: checkPower},
	"not_power_state": {match: byPower, check: checkPower, negated: true},
	"tags":            {match: byTags, check: checkTags},
	"not_tags":        {match: byAnyTag, negated: true}, // unknown tags too (recording 125)
	"arch":            {match: byArch, check: checkArch},
	"not_arch":        {match: byArch, check: checkArch, negated: true},
	"cpu_count":       {match: byCores, check: checkNumber},
	"mem":             {match: byMemory, check: checkNumber},
	"cpu_speed":       {match: bySpeed, check: checkNumber},
	"pod":             {match: byHost},
	"not_pod":         {match: byHost, negated: true},
	"pod_type":        {match: byHostType},
	"not_pod_type":    {match: byHostType, negated: true},
	"subnets":         {match: byEverySubnet, check: checkSubnets},
	"not_subnets":     {match: bySubnet, check: checkSubnets, negated: true},
	"fabrics":         {match: byFabric},
	"not_fabrics":     {match: byFabric, negated: true},
	"vlans":           {match: byVLAN, check: checkVLANs},
	"not_vlans":       {match: byVLAN, check: checkVLANs, negated: true},
	// No fabric of the simulator has a class.
	"fabric_classes":     {match: byNothing},
	"not_fabric_classes": {match: byNothing, negated: true},
	"link_speed":         {match: byLinkSpeed, check: checkNumber},
	"storage":            {match: byStorage, check: checkStorage},
	"interfaces":         {match: byInterfaces, check: checkInterfaces},
	"deployment_target":  {match: byTarget, check: checkTarget},

	"not_deployment_target": {match: byTarget, check: checkTarget, negated: true},
}

// onlyForLists are filters that allocate does not know.
var onlyForLists = []string{
	"id", "not_id", "hostname", "not_hostname", "mac_address", "domain", "not_domain", "not_agent_name", "status", "not_status",
}

// ignoredNames are parameters that MAAS tolerates beside filters.
var ignoredNames = []string{"op", "comment", "dry_run", "verbose", "bridge_all", "bridge_type", "bridge_stp", "bridge_fd"}

// filter makes one predicate of the parameters. For allocate, name means hostname or FQDN and agent_name is no filter.
func (r *Region) filter(values *rest.Values, allocate bool) (predicate, error) {
	var form rest.Form
	var all []predicate
	for _, name := range values.Names() {
		given := splitValues(name, values.All(name))
		kind, ok := filters[name]
		switch {
		case slices.Contains(ignoredNames, name) || allocate && name == "agent_name":
			continue
		case allocate && name == "name":
			all = append(all, func(m *machine) bool { return slices.Contains(given, m.hostname) || slices.Contains(given, m.fqdn()) })
			continue
		case name == "devices":
			return nil, unsimulated("the constraint devices")
		case !allocate && strings.TrimPrefix(name, "not_") == "simple_status":
			return nil, r.simpleStatus(name, given)
		case !ok || allocate && slices.Contains(onlyForLists, name) || strings.HasSuffix(name, "deployment_target") && r.minor < 5:
			form.Addf(name, "No such constraint.")
			continue
		}
		if kind.check != nil {
			kind.check(r, &form, name, given)
		}
		if len(given) > 0 {
			all = append(all, func(m *machine) bool { return kind.match(m, given) != kind.negated })
		}
	}
	if err := form.Err(); err != nil {
		return nil, err
	}
	return func(m *machine) bool {
		return !slices.ContainsFunc(all, func(p predicate) bool { return !p(m) })
	}, nil
}

// nodeColumns are what MAAS may filter machines by; simple_status is not among them.
const nodeColumns = "" +
	"address_ttl, agent_name, architecture, bios_boot_method, bmc, bmc_id, boot_cluster_ip, boot_disk, boot_disk_id, boot_interface, " +
	"boot_interface_id, children, connections, controllerinfo, cpu_count, cpu_speed, created, current_commissioning_script_set, " +
	"current_commissioning_script_set_id, current_config, current_config_id, current_installation_script_set, " +
	"current_installation_script_set_id, current_testing_script_set, current_testing_script_set_id, default_user, description, " +
	"dhcpsnippet, discovery, distro_series, dns_process, dns_process_id, domain, domain_id, dynamic, enable_hw_sync, enable_ssh, " +
	"ephemeral_deploy, error, error_description, event, gateway_link_ipv4, gateway_link_ipv4_id, gateway_link_ipv6, " +
	"gateway_link_ipv6_id, hardware_uuid, hostname, hwe_kernel, id, install_kvm, install_rackd, instance_power_parameters, " +
	"last_applied_storage_layout, last_image_sync, last_sync, license_key, locked, managing_process, managing_process_id, memory, " +
	"min_hwe_kernel, netboot, node_type, nodeconfig, nodekey, nodemetadata, nodeuserdata, numanode, osystem, owner, owner_id, " +
	"ownerdata, parent, parent_id, podhints, pool, pool_id, power_state, power_state_queried, power_state_updated, previous_status, " +
	"processes, rdns, register_vmhost, routable_bmc_relationships, routable_bmcs, scriptset, service, skip_networking, skip_storage, " +
	"status, status_expires, swap_size, sync_interval, system_id, tags, updated, url, virtualmachine, zone, zone_id"

// simpleStatus is a filter that MAAS knows and cannot apply (recording 464).
func (r *Region) simpleStatus(name string, given []string) error {
	for _, v := range given {
		if !slices.Contains([]string{"all", "allocated", "broken", "deployed", "deploying", "failed", "new", "other", "ready"}, v) {
			return rest.Invalid(name, "Select a valid choice. %s is not one of the available choices.", v)
		}
	}
	return rest.Text(http.StatusInternalServerError, "Cannot resolve keyword 'simple_status' into field. Choices are: %s", nodeColumns)
}

// splitValues splits the values of tags at commas and blanks, as MAAS does for these alone.
func splitValues(name string, values []string) []string {
	if name != "tags" && name != "not_tags" {
		return values
	}
	var all []string
	for _, v := range values {
		all = append(all, strings.FieldsFunc(v, func(c rune) bool { return c == ',' || c == ' ' })...)
	}
	return all
}
