package webhooks_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

type by int

const (
	// nobody admits the object, the others name who refuses it.
	nobody by = iota
	theSchema
	theWebhook
)

// request is an object that somebody applies, and what admission says of it.
type request struct {
	edit func(*infrav1.MaasMachineSpec)
	by   by
	// field is the field that the refusal names, below the spec; says is a part of what it says of it.
	field, says string
}

func lxdConfig(edit func(*infrav1.LXDConfig)) func(*infrav1.MaasMachineSpec) {
	return func(s *infrav1.MaasMachineSpec) {
		s.ProvisioningMode, s.LXDConfig = infrav1.ModeLXD, &infrav1.LXDConfig{}
		edit(s.LXDConfig)
	}
}

func network(edit func(*infrav1.LXDNetwork)) func(*infrav1.MaasMachineSpec) {
	return lxdConfig(func(c *infrav1.LXDConfig) {
		c.Network = &infrav1.LXDNetwork{}
		edit(c.Network)
	})
}

func staticIP(address, subnet, gateway string, servers ...string) func(*infrav1.MaasMachineSpec) {
	return network(func(n *infrav1.LXDNetwork) {
		n.StaticIPConfig = &infrav1.LXDStaticIPConfig{IPAddress: address, Subnet: subnet, Gateway: gateway, DNSServers: servers}
	})
}

func paletteIP(ip, cidr, gateway string) func(*infrav1.MaasMachineSpec) {
	return func(s *infrav1.MaasMachineSpec) {
		s.ProvisioningMode, s.StaticIP = infrav1.ModeLXD, &infrav1.StaticIPConfig{IP: ip, CIDR: cidr, Gateway: gateway}
	}
}

func allocation(cpu, memory, disk int32) func(*infrav1.MaasMachineSpec) {
	return lxdConfig(func(c *infrav1.LXDConfig) {
		c.ResourceAllocation = &infrav1.LXDResourceAllocation{CPU: &cpu, Memory: &memory, Disk: &disk}
	})
}

func asLXD(edit func(*infrav1.MaasMachineSpec)) func(*infrav1.MaasMachineSpec) {
	return func(s *infrav1.MaasMachineSpec) {
		s.ProvisioningMode = infrav1.ModeLXD
		edit(s)
	}
}

const fixed = "lxdConfig.network.staticIPConfig."

// machineSpecs are asked of MaasMachines and of MaasMachineTemplates.
var machineSpecs = map[string]request{
	"R1.1_bare-metal":                     {edit: func(s *infrav1.MaasMachineSpec) { s.ProvisioningMode = "bare-metal" }},
	"R1.1_baremetal_means_the_same":       {edit: func(s *infrav1.MaasMachineSpec) { s.ProvisioningMode = "baremetal" }},
	"R1.1_lxd":                            {edit: func(s *infrav1.MaasMachineSpec) { s.ProvisioningMode = "lxd" }},
	"R1.1_no_other_mode":                  {func(s *infrav1.MaasMachineSpec) { s.ProvisioningMode = "kvm" }, theSchema, "provisioningMode", `"bare-metal", "baremetal", "lxd"`},
	"R1.3_nothing_is_bare_metal":          {edit: func(*infrav1.MaasMachineSpec) {}},
	"R1.1_lxd.enabled_means_lxd":          {edit: func(s *infrav1.MaasMachineSpec) { s.LXD = &infrav1.MachineLXDConfig{Enabled: new(true)} }},
	"R1.1_lxd.enabled_beside_lxd":         {edit: asLXD(func(s *infrav1.MaasMachineSpec) { s.LXD = &infrav1.MachineLXDConfig{Enabled: new(true)} })},
	"R1.1_lxd.enabled_against_bare-metal": {contradiction("bare-metal"), theSchema, "", "contradicts"},
	"R1.1_lxd.enabled_against_baremetal":  {contradiction("baremetal"), theSchema, "", "contradicts"},
	"R1.4_lxdConfig_with_lxd.enabled": {edit: func(s *infrav1.MaasMachineSpec) {
		s.LXD = &infrav1.MachineLXDConfig{Enabled: new(true)}
		s.LXDConfig = &infrav1.LXDConfig{}
	}},
	"P8_lxdConfig_needs_lxd":           {func(s *infrav1.MaasMachineSpec) { s.LXDConfig = &infrav1.LXDConfig{} }, theSchema, "", "needs provisioningMode: lxd"},
	"P8_image_is_needed":               {func(s *infrav1.MaasMachineSpec) { s.Image = "" }, theSchema, "image", "should be at least 1 chars"},
	"P8_image_without_a_series":        {func(s *infrav1.MaasMachineSpec) { s.Image = "ubuntu/" }, theSchema, "image", "for example ubuntu/noble"},
	"P8_image_of_no_system":            {func(s *infrav1.MaasMachineSpec) { s.Image = "/noble" }, theSchema, "image", "for example ubuntu/noble"},
	"P8_custom_image_by_its_bare_name": {edit: func(s *infrav1.MaasMachineSpec) { s.Image = "u-2404-1-36" }},
	"P8_custom_image_with_slashes":     {edit: func(s *infrav1.MaasMachineSpec) { s.Image = "custom/team/image" }},
	"P8_tag_that_is_blank":             {func(s *infrav1.MaasMachineSpec) { s.Tags = []string{"ssd", ""} }, theSchema, "tags[1]", "at least 1 chars"},
	"P8_host_that_is_blank":            {lxdConfig(func(c *infrav1.LXDConfig) { c.HostSelection = &infrav1.LXDHostSelection{PreferredHosts: []string{""}} }), theSchema, "lxdConfig.hostSelection.preferredHosts[0]", "at least 1 chars"},
	"P8_zones_and_preferred_hosts_together": {edit: lxdConfig(func(c *infrav1.LXDConfig) {
		c.HostSelection = &infrav1.LXDHostSelection{PreferredHosts: []string{"lxd-1"}, AvailabilityZones: []string{"az1"}}
	})},
	"P8_unknown_policy":             {lxdConfig(func(c *infrav1.LXDConfig) { c.PlacementPolicy = "Tetris" }), theSchema, "lxdConfig.placementPolicy", `"Balanced", "Pack", "Spread"`},
	"R8.4_provider_ID_that_is_none": {func(s *infrav1.MaasMachineSpec) { s.ProviderID = new("aws:///az1/i-1") }, theWebhook, "providerID", "maas:///<zone>/<system id>"},
	"R1.4_minCPU_below_zero":        {func(s *infrav1.MaasMachineSpec) { s.MinCPU = new(int32(-1)) }, theSchema, "minCPU", "greater than or equal to 0"},
	"R1.4_zero_gives_the_defaults": {edit: asLXD(func(s *infrav1.MaasMachineSpec) {
		s.MinCPU, s.MinMemory, s.MinDiskSize = new(int32(0)), new(int32(0)), new(int32(0))
	})},
	"R1.4_more_cores_than_a_VM_can_have":         {asLXD(func(s *infrav1.MaasMachineSpec) { s.MinCPU = new(int32(1025)) }), theWebhook, "minCPU", "from 1 to 1024 cores"},
	"R1.4_bare_metal_may_have_as_many":           {edit: func(s *infrav1.MaasMachineSpec) { s.MinCPU = new(int32(1025)) }},
	"R1.4_less_memory_than_MAAS_takes":           {asLXD(func(s *infrav1.MaasMachineSpec) { s.MinMemory = new(int32(1023)) }), theWebhook, "minMemory", "from 1024 to"},
	"R1.4_the_least_memory_that_MAAS_takes":      {edit: asLXD(func(s *infrav1.MaasMachineSpec) { s.MinMemory = new(int32(1024)) })},
	"R1.4_resourceAllocation_hides_minMemory":    {edit: func(s *infrav1.MaasMachineSpec) { allocation(2, 2048, 20)(s); s.MinMemory = new(int32(512)) }},
	"R1.4_resourceAllocation_below_its_least":    {allocation(2, 511, 20), theSchema, "lxdConfig.resourceAllocation.memory", "greater than or equal to 512"},
	"R1.4_resourceAllocation_below_MAAS's_least": {allocation(1, 512, 20), theWebhook, "lxdConfig.resourceAllocation.memory", "from 1024 to"},
	"R1.4_resourceAllocation.cpu_beyond_all":     {allocation(2000, 2048, 20), theWebhook, "lxdConfig.resourceAllocation.cpu", "from 1 to 1024 cores"},
	"R1.4_resourceAllocation.disk_beyond_all":    {allocation(2, 2048, 2_000_000), theWebhook, "lxdConfig.resourceAllocation.disk", "GB of disk"},
	"R1.4_minDiskSize_beyond_all":                {asLXD(func(s *infrav1.MaasMachineSpec) { s.MinDiskSize = new(int32(1_000_001)) }), theWebhook, "minDiskSize", "GB of disk"},
	"R1.4_vmConfig.diskSize_beyond_all": {asLXD(func(s *infrav1.MaasMachineSpec) {
		s.LXD = &infrav1.MachineLXDConfig{VMConfig: &infrav1.VMConfig{DiskSize: new(int32(1_000_001))}}
	}), theWebhook, "lxd.vmConfig.diskSize", "GB of disk"},
	"R1.4_vmConfig.diskSize_below_zero": {asLXD(func(s *infrav1.MaasMachineSpec) {
		s.LXD = &infrav1.MachineLXDConfig{VMConfig: &infrav1.VMConfig{DiskSize: new(int32(-1))}}
	}), theSchema, "lxd.vmConfig.diskSize", "greater than or equal to 0"},
	"R1.4_storage.size_as_a_string":        {edit: storageSize(intstr.FromString("40"))},
	"R1.4_storage.size_of_zero":            {storageSize(intstr.FromInt32(0)), theSchema, "lxdConfig.storage.size", "at least 1 GB"},
	"R1.4_storage.size_with_a_unit":        {storageSize(intstr.FromString("40G")), theSchema, "lxdConfig.storage.size", "should match"},
	"R1.4_storage.size_beyond_all":         {storageSize(intstr.FromInt32(2_000_000)), theWebhook, "lxdConfig.storage.size", "GB of disk"},
	"R1.4_MAC_address_that_is_none":        {network(func(n *infrav1.LXDNetwork) { n.MACAddress = "00-16-3e-00-00-01" }), theSchema, "lxdConfig.network.macAddress", "six pairs"},
	"R1.4_bridge_longer_than_Linux_takes":  {network(func(n *infrav1.LXDNetwork) { n.Bridge = "a-bridge-of-a-bridge" }), theSchema, "lxdConfig.network.bridge", "15"},
	"S1_address_in_its_subnet_as_CIDR":     {edit: staticIP("10.0.0.5", "10.0.0.0/24", "10.0.0.1", "10.0.0.2", "1.1.1.1")},
	"S1_address_with_a_prefix_length":      {edit: staticIP("10.0.0.6", "/24", "10.0.0.1")},
	"S1_address_with_a_mask":               {edit: staticIP("10.0.0.7", "255.255.255.0", "10.0.0.1")},
	"S1_address_alone":                     {edit: staticIP("10.0.0.8", "", "")},
	"S1_IPv6":                              {edit: staticIP("fd00::5", "fd00::/64", "fd00::1")},
	"S1_IPv6_with_a_link-local_gateway":    {edit: staticIP("fd00::6", "fd00::/64", "fe80::1")},
	"S1_no_address":                        {staticIP("ten", "", ""), theSchema, fixed + "ipAddress", "must be an IP address"},
	"S1_loopback":                          {staticIP("127.0.0.1", "", ""), theWebhook, fixed + "ipAddress", "address of one host"},
	"S1_multicast":                         {staticIP("ff02::1", "", ""), theWebhook, fixed + "ipAddress", "address of one host"},
	"S1_address_beside_its_subnet":         {staticIP("10.0.1.5", "10.0.0.0/24", ""), theWebhook, fixed + "ipAddress", "in the subnet 10.0.0.0/24"},
	"S1_network_address":                   {staticIP("10.0.0.0", "/24", ""), theWebhook, fixed + "ipAddress", "broadcast"},
	"S1_broadcast_address":                 {staticIP("10.0.0.255", "/24", ""), theWebhook, fixed + "ipAddress", "broadcast"},
	"S1_the_last_of_IPv6_is_a_host":        {edit: staticIP("fd00::ff", "fd00::/120", "")},
	"S1_subnet_that_is_none":               {staticIP("10.0.0.5", "nonsense", ""), theWebhook, fixed + "subnet", "255.255.255.0"},
	"S1_prefix_of_the_other_family":        {staticIP("10.0.0.5", "/64", ""), theWebhook, fixed + "subnet", "CIDR"},
	"S1_gateway_that_is_none":              {staticIP("10.0.0.5", "/24", "gw"), theSchema, fixed + "gateway", "must be an IP address"},
	"S1_gateway_beside_the_subnet":         {staticIP("10.0.0.5", "/24", "10.0.1.1"), theWebhook, fixed + "gateway", "in the subnet 10.0.0.0/24"},
	"S1_gateway_of_the_other_family":       {staticIP("10.0.0.5", "", "fd00::1"), theWebhook, fixed + "gateway", "of the family of 10.0.0.5"},
	"S1_gateway_is_the_machine_itself":     {staticIP("10.0.0.5", "/24", "10.0.0.5"), theWebhook, fixed + "gateway", "another address"},
	"S1_name_server_that_is_none":          {staticIP("10.0.0.5", "/24", "", "dns.example.net"), theSchema, fixed + "dnsServers", "must be IP addresses"},
	"S1_name_server_is_the_machine_itself": {staticIP("10.0.0.5", "/24", "", "10.0.0.2", "10.0.0.5"), theWebhook, fixed + "dnsServers[1]", "another host"},
	"S5_an_interface_that_the_VM_has": {edit: network(func(n *infrav1.LXDNetwork) {
		n.Devices = []string{"br1"}
		n.StaticIPConfig = &infrav1.LXDStaticIPConfig{IPAddress: "10.0.0.9", Interface: "eth1"}
	})},
	"S5_an_interface_that_the_VM_lacks": {network(func(n *infrav1.LXDNetwork) {
		n.StaticIPConfig = &infrav1.LXDStaticIPConfig{IPAddress: "10.0.0.9", Interface: "eth1"}
	}), theWebhook, fixed + "interface", `"eth0"`},
	"S1_address_of_a_family_that_is_not_asked": {network(func(n *infrav1.LXDNetwork) {
		n.AddressFamilies = []infrav1.AddressFamily{infrav1.IPv6}
		n.StaticIPConfig = &infrav1.LXDStaticIPConfig{IPAddress: "10.0.0.9"}
	}), theWebhook, "lxdConfig.network.addressFamilies", "must hold IPv4"},
	"S1_the_alias_is_checked_too": {lxdConfig(func(c *infrav1.LXDConfig) {
		c.NetworkConfig = &infrav1.LXDNetworkConfig{StaticIPConfig: &infrav1.LXDStaticIPConfig{IPAddress: "10.0.0.9", Gateway: "10.0.0.9"}}
	}), theWebhook, "lxdConfig.networkConfig.staticIPConfig.gateway", "another address"},
	"S1_spec.staticIP":                           {edit: paletteIP("10.0.0.10", "10.0.0.0/24", "10.0.0.1")},
	"S1_spec.staticIP_that_is_to_be_filled_in":   {edit: paletteIP("", "10.0.0.0/24", "10.0.0.1")},
	"S1_spec.staticIP_of_nothing":                {edit: paletteIP("", "", "")},
	"S1_spec.staticIP_beside_its_subnet":         {paletteIP("10.9.0.5", "10.0.0.0/24", ""), theWebhook, "staticIP.ip", "in the subnet"},
	"S1_spec.staticIP.cidr_that_is_none":         {paletteIP("", "10.0.0.0", ""), theWebhook, "staticIP.cidr", "must be a CIDR"},
	"S1_spec.staticIP.gateway_beside_the_subnet": {paletteIP("", "10.0.0.0/24", "10.1.0.1"), theWebhook, "staticIP.gateway", "in the subnet"},
	"S1_spec.staticIP.ip_that_is_none":           {paletteIP("five", "", ""), theSchema, "staticIP.ip", "must be an IP address"},
}

func contradiction(mode infrav1.ProvisioningMode) func(*infrav1.MaasMachineSpec) {
	return func(s *infrav1.MaasMachineSpec) {
		s.ProvisioningMode, s.LXD = mode, &infrav1.MachineLXDConfig{Enabled: new(true)}
	}
}

func storageSize(size intstr.IntOrString) func(*infrav1.MaasMachineSpec) {
	return lxdConfig(func(c *infrav1.LXDConfig) { c.Storage = &infrav1.LXDStorage{Size: &size} })
}

// clusterSpecs are asked of MaasClusters and of MaasClusterTemplates.
var clusterSpecs = map[string]struct {
	edit func(*infrav1.MaasClusterSpec)
	by   by
	// field and says are as in request.
	field, says string
}{
	"P8_a_domain_is_enough":       {edit: func(*infrav1.MaasClusterSpec) {}},
	"P8_domain_of_several_labels": {edit: func(s *infrav1.MaasClusterSpec) { s.DNSDomain = "K8s.example.net" }},
	"P8_domain_is_needed":         {func(s *infrav1.MaasClusterSpec) { s.DNSDomain = "" }, theSchema, "dnsDomain", "at least 1 chars"},
	"P8_domain_that_is_none":      {func(s *infrav1.MaasClusterSpec) { s.DNSDomain = "${MAAS_DNS_DOMAIN}" }, theSchema, "dnsDomain", "must be a DNS domain"},
	"R6.1_endpoint_by_name": {edit: func(s *infrav1.MaasClusterSpec) {
		s.ControlPlaneEndpoint = infrav1.APIEndpoint{Host: "api.example.net", Port: 8443}
	}},
	"R6.1_endpoint_by_address":          {edit: func(s *infrav1.MaasClusterSpec) { s.ControlPlaneEndpoint = infrav1.APIEndpoint{Host: "fd00::10"} }},
	"R6.1_endpoint_that_is_a_URL":       {func(s *infrav1.MaasClusterSpec) { s.ControlPlaneEndpoint.Host = "https://api.example.net" }, theSchema, "controlPlaneEndpoint.host", "without scheme and port"},
	"R6.4_port_beyond_all":              {func(s *infrav1.MaasClusterSpec) { s.ControlPlaneEndpoint.Port = 70000 }, theSchema, "controlPlaneEndpoint.port", "65535"},
	"R3.1_failure_domains":              {edit: func(s *infrav1.MaasClusterSpec) { s.FailureDomains = []string{"az1", "az2"} }},
	"R3.1_failure_domain_that_is_blank": {func(s *infrav1.MaasClusterSpec) { s.FailureDomains = []string{""} }, theSchema, "failureDomains[0]", "at least 1 chars"},
	"R3.1_failure_domain_named_twice":   {edit: func(s *infrav1.MaasClusterSpec) { s.FailureDomains = []string{"default", "default"} }},
	"P1_onHostLost":                     {edit: func(s *infrav1.MaasClusterSpec) { s.OnHostLost = infrav1.Wait }},
	"P1_onHostLost_that_is_unknown":     {func(s *infrav1.MaasClusterSpec) { s.OnHostLost = "Panic" }, theSchema, "onHostLost", `"HandOver", "Wait"`},
	"P8_hosts_of_the_existing_provider": {edit: func(s *infrav1.MaasClusterSpec) {
		s.LXDConfig = &infrav1.LXDHostConfig{Enabled: new(true), NICType: "bridge"}
	}},
}

// TestAdmission asks the same of an API server with the webhooks of deploy/ and of one with the schemas alone: what a schema
// refuses no default may heal, what a webhook alone refuses is its own, and nobody refuses what the other wants.
func TestAdmission_P8_webhooks_and_schemas_agree(t *testing.T) {
	t.Parallel()
	with, without := newServer(t), newBareServer(t)
	ask := func(t *testing.T, by by, prefix, field, says string, object func(*server) client.Object) {
		t.Helper()
		path := prefix
		if field != "" {
			path += "." + field
		}
		asked, plain := object(with), object(without)
		err, bare := with.Create(t.Context(), asked), without.Create(t.Context(), plain)
		if by == theSchema {
			require.Error(t, bare)
			assert.Equal(t, []string{path}, fieldsOf(t, bare))
		} else {
			require.NoError(t, bare)
		}
		if by == nobody {
			require.NoError(t, err)
			require.NoError(t, with.Delete(t.Context(), asked), "deletion is always possible, and frees the address for the next row")
			return
		}
		assert.Equal(t, []string{path}, fieldsOf(t, err))
		assert.Equal(t, by == theWebhook, byWebhook(err), "%v", err)
		assert.ErrorContains(t, err, says)
	}
	for name, row := range machineSpecs {
		for kind, object := range map[string]struct {
			prefix string
			of     func(*server, infrav1.MaasMachineSpec) client.Object
		}{
			"MaasMachine":         {"spec", func(s *server, spec infrav1.MaasMachineSpec) client.Object { return s.machine(spec) }},
			"MaasMachineTemplate": {"spec.template.spec", func(s *server, spec infrav1.MaasMachineSpec) client.Object { return s.template(spec) }},
		} {
			if kind == "MaasMachineTemplate" && row.field == "providerID" {
				continue // no template may have one
			}
			t.Run(kind+"/"+name, func(t *testing.T) {
				ask(t, row.by, object.prefix, row.field, row.says, func(s *server) client.Object {
					spec := metal()
					row.edit(&spec)
					return object.of(s, spec)
				})
			})
		}
	}
	for name, row := range clusterSpecs {
		for kind, object := range map[string]struct {
			prefix string
			of     func(*server, infrav1.MaasClusterSpec) client.Object
		}{
			"MaasCluster":         {"spec", func(s *server, spec infrav1.MaasClusterSpec) client.Object { return s.cluster(spec) }},
			"MaasClusterTemplate": {"spec.template.spec", func(s *server, spec infrav1.MaasClusterSpec) client.Object { return s.clusterTemplate(spec) }},
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				ask(t, row.by, object.prefix, row.field, row.says, func(s *server) client.Object {
					spec := infrav1.MaasClusterSpec{DNSDomain: "maas"}
					row.edit(&spec)
					return object.of(s, spec)
				})
			})
		}
	}
}

func TestAdmission_P8_names_every_wrong_field_at_once(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	spec := vm()
	spec.MinCPU, spec.MinMemory, spec.ProviderID = new(int32(5000)), new(int32(100)), new("nonsense")
	spec.LXDConfig = &infrav1.LXDConfig{Network: &infrav1.LXDNetwork{StaticIPConfig: &infrav1.LXDStaticIPConfig{
		IPAddress: "10.0.0.255", Subnet: "/24", Gateway: "10.1.0.1", DNSServers: []string{"10.0.0.255"}, Interface: "eth7",
	}}}
	err := s.Create(t.Context(), s.machine(spec))
	assert.Equal(t, []string{
		"spec." + fixed + "dnsServers[0]", "spec." + fixed + "gateway", "spec." + fixed + "interface", "spec." + fixed + "ipAddress",
		"spec.minCPU", "spec.minMemory", "spec.providerID",
	}, fieldsOf(t, err))
}

func TestAdmission_P8_templates_name_no_machine(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for name, edit := range map[string]func(*infrav1.MaasMachineSpec){
		"providerID": func(s *infrav1.MaasMachineSpec) { s.ProviderID = new("maas:///az1/abc123") },
		"systemID":   func(s *infrav1.MaasMachineSpec) { s.SystemID = new("abc123") },
	} {
		spec := metal()
		edit(&spec)
		require.NoError(t, s.Create(t.Context(), s.machine(spec)), "clusterctl move makes machines with their ids")
		err := s.Create(t.Context(), s.template(spec))
		assert.Equal(t, []string{"spec.template.spec"}, fieldsOf(t, err), name)
		assert.ErrorContains(t, err, "can't stand in a template")
	}
	bad := s.template(metal())
	bad.Spec.Template.ObjectMeta.Labels = map[string]string{"not a label": "x"}
	assert.Equal(t, []string{"spec.template.metadata.labels"}, fieldsOf(t, s.Create(t.Context(), bad)))
}
