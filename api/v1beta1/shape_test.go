package v1beta1_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/intstr"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

func TestMode_R1_1_reads_every_way_to_ask_for_a_VM(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		mode        infrav1.ProvisioningMode
		enabled     *bool
		want        infrav1.ProvisioningMode
		contradicts bool
	}{
		"R1.3_nothing_is_bare_metal":                 {want: infrav1.ModeBareMetal},
		"R1.1_bare-metal":                            {mode: "bare-metal", want: infrav1.ModeBareMetal},
		"R1.1_baremetal_means_the_same":              {mode: "baremetal", want: infrav1.ModeBareMetal},
		"R1.1_lxd":                                   {mode: "lxd", want: infrav1.ModeLXD},
		"lxd.enabled_is_lxd":                         {enabled: new(true), want: infrav1.ModeLXD},
		"lxd.enabled_false_is_bare_metal":            {enabled: new(false), want: infrav1.ModeBareMetal},
		"both_agree":                                 {mode: "lxd", enabled: new(true), want: infrav1.ModeLXD},
		"the_default_of_lxd.enabled_is_no_wish":      {mode: "lxd", enabled: new(false), want: infrav1.ModeLXD},
		"P4_contradiction_gives_no_bare_metal":       {mode: "bare-metal", enabled: new(true), want: infrav1.ModeLXD, contradicts: true},
		"P4_contradiction_in_the_other_spelling":     {mode: "baremetal", enabled: new(true), want: infrav1.ModeLXD, contradicts: true},
		"bare-metal_with_lxd_disabled_is_no_clash":   {mode: "bare-metal", enabled: new(false), want: infrav1.ModeBareMetal},
		"baremetal_with_lxd_disabled_is_no_clash":    {mode: "baremetal", enabled: new(false), want: infrav1.ModeBareMetal},
		"R1.3_an_empty_mode_with_lxd_off_is_nothing": {mode: "", enabled: new(false), want: infrav1.ModeBareMetal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := infrav1.MaasMachineSpec{ProvisioningMode: tc.mode}
			if tc.enabled != nil {
				spec.LXD = &infrav1.MachineLXDConfig{Enabled: tc.enabled}
			}
			assert.Equal(t, tc.want, spec.Mode())
			assert.Equal(t, tc.contradicts, spec.ModeContradicts())
		})
	}
}

func TestShape_R1_4_takes_the_first_value_of_the_documented_order(t *testing.T) {
	t.Parallel()
	type spec = infrav1.MaasMachineSpec
	allocation := func(cpu, memory, disk int32) *infrav1.LXDConfig {
		return &infrav1.LXDConfig{ResourceAllocation: &infrav1.LXDResourceAllocation{CPU: &cpu, Memory: &memory, Disk: &disk}}
	}
	size := func(size intstr.IntOrString) *infrav1.LXDConfig {
		return &infrav1.LXDConfig{Storage: &infrav1.LXDStorage{Size: &size}}
	}
	vmDisk := func(gb int32) *infrav1.MachineLXDConfig {
		return &infrav1.MachineLXDConfig{VMConfig: &infrav1.VMConfig{DiskSize: &gb}}
	}
	for name, tc := range map[string]struct {
		spec spec
		want infrav1.Shape
	}{
		"R1.4_minCPU_and_minMemory":                  {spec{MinCPU: new(int32(4)), MinMemory: new(int32(8192))}, infrav1.Shape{Cores: 4, MemoryMiB: 8192, DiskGB: 60}},
		"R1.4_nothing_gives_the_defaults":            {spec{}, infrav1.Shape{Cores: 2, MemoryMiB: 4096, DiskGB: 60}},
		"R1.4_zero_gives_the_defaults":               {spec{MinCPU: new(int32(0)), MinMemory: new(int32(0)), MinDiskSize: new(int32(0))}, infrav1.Shape{Cores: 2, MemoryMiB: 4096, DiskGB: 60}},
		"R1.4_resourceAllocation_over_min":           {spec{MinCPU: new(int32(4)), MinMemory: new(int32(8192)), MinDiskSize: new(int32(40)), LXDConfig: allocation(6, 16384, 50)}, infrav1.Shape{Cores: 6, MemoryMiB: 16384, DiskGB: 50}},
		"R1.4_resourceAllocation_of_zero_is_none":    {spec{MinCPU: new(int32(4)), MinMemory: new(int32(8192)), MinDiskSize: new(int32(40)), LXDConfig: allocation(0, 0, 0)}, infrav1.Shape{Cores: 4, MemoryMiB: 8192, DiskGB: 40}},
		"R1.4_minDiskSize_over_60":                   {spec{MinDiskSize: new(int32(30))}, infrav1.Shape{Cores: 2, MemoryMiB: 4096, DiskGB: 30}},
		"R1.4_vmConfig.diskSize_over_minDiskSize":    {spec{MinDiskSize: new(int32(100)), LXD: vmDisk(80)}, infrav1.Shape{Cores: 2, MemoryMiB: 4096, DiskGB: 80}},
		"R1.4_the_written_default_keeps_minDiskSize": {spec{MinDiskSize: new(int32(100)), LXD: vmDisk(60)}, infrav1.Shape{Cores: 2, MemoryMiB: 4096, DiskGB: 100}},
		"R1.4_the_written_default_over_a_lesser":     {spec{MinDiskSize: new(int32(30)), LXD: vmDisk(60)}, infrav1.Shape{Cores: 2, MemoryMiB: 4096, DiskGB: 60}},
		"R1.4_storage.size_over_vmConfig.diskSize":   {spec{MinDiskSize: new(int32(100)), LXD: vmDisk(80), LXDConfig: size(intstr.FromInt32(20))}, infrav1.Shape{Cores: 2, MemoryMiB: 4096, DiskGB: 20}},
		"R1.4_storage.size_as_a_string":              {spec{MinDiskSize: new(int32(100)), LXDConfig: size(intstr.FromString("25"))}, infrav1.Shape{Cores: 2, MemoryMiB: 4096, DiskGB: 25}},
		"R1.4_storage.size_that_is_none":             {spec{MinDiskSize: new(int32(100)), LXDConfig: size(intstr.FromString("99999999999"))}, infrav1.Shape{Cores: 2, MemoryMiB: 4096, DiskGB: 100}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, tc.spec.Shape())
		})
	}
}

func TestStoragePool_R1_4_accepts_the_alias(t *testing.T) {
	t.Parallel()
	spec := infrav1.MaasMachineSpec{}
	assert.Empty(t, spec.StoragePool(), "the host's default pool")

	spec.LXD = &infrav1.MachineLXDConfig{VMConfig: &infrav1.VMConfig{StoragePool: "oldest"}}
	assert.Equal(t, "oldest", spec.StoragePool())

	spec.LXDConfig = &infrav1.LXDConfig{StorageConfig: &infrav1.LXDStorageConfig{StoragePool: "alias"}, Storage: &infrav1.LXDStorage{}}
	assert.Equal(t, "alias", spec.StoragePool())

	spec.LXDConfig.Storage.Pool = "fast"
	assert.Equal(t, "fast", spec.StoragePool())
}

func TestNetwork_R1_4_merges_the_alias_field_by_field(t *testing.T) {
	t.Parallel()
	spec := infrav1.MaasMachineSpec{
		LXD: &infrav1.MachineLXDConfig{VMConfig: &infrav1.VMConfig{Network: "subnet0, subnet1"}},
		LXDConfig: &infrav1.LXDConfig{
			Network:       &infrav1.LXDNetwork{Bridge: "br0", Devices: []string{"br7"}, AddressFamilies: []infrav1.AddressFamily{infrav1.IPv6}},
			NetworkConfig: &infrav1.LXDNetworkConfig{Bridge: "br9", MACAddress: "00:16:3e:00:00:01"},
		},
	}
	before := spec.DeepCopy()
	network := spec.Network()
	assert.Equal(t, infrav1.LXDNetwork{
		Bridge: "br0", Subnet: "subnet0", MACAddress: "00:16:3e:00:00:01", Devices: []string{"br7"},
		AddressFamilies: []infrav1.AddressFamily{infrav1.IPv6},
	}, network)
	assert.Equal(t, []infrav1.Interface{{Bridge: "br0", Subnet: "subnet0"}, {Bridge: "br7", Subnet: "subnet1"}}, spec.Interfaces())

	network.Devices[0] = "changed"
	assert.Equal(t, before, &spec, "the spec is not changed through the copy")
}

func TestInterfaces_leaves_to_MAAS_what_nobody_asked_for(t *testing.T) {
	t.Parallel()
	spec := infrav1.MaasMachineSpec{}
	assert.Empty(t, spec.Interfaces())

	spec.LXDConfig = &infrav1.LXDConfig{Network: &infrav1.LXDNetwork{Devices: []string{"br7"}}}
	assert.Equal(t, []infrav1.Interface{{}, {Bridge: "br7"}}, spec.Interfaces())
}

func TestStaticIPConfig_S1_reads_all_three_places(t *testing.T) {
	t.Parallel()
	spec := infrav1.MaasMachineSpec{}
	assert.Nil(t, spec.StaticIPConfig(), "S3: DHCP")

	spec.StaticIP = &infrav1.StaticIPConfig{IP: "10.0.0.5", CIDR: "10.0.0.0/24", Gateway: "10.0.0.1", Nameservers: []string{"10.0.0.2"}}
	assert.Equal(t, &infrav1.LXDStaticIPConfig{
		IPAddress: "10.0.0.5", Subnet: "10.0.0.0/24", Gateway: "10.0.0.1", DNSServers: []string{"10.0.0.2"},
	}, spec.StaticIPConfig())

	alias := &infrav1.LXDStaticIPConfig{IPAddress: "10.0.0.6"}
	spec.LXDConfig = &infrav1.LXDConfig{NetworkConfig: &infrav1.LXDNetworkConfig{StaticIPConfig: alias}}
	assert.Equal(t, alias, spec.StaticIPConfig())

	best := &infrav1.LXDStaticIPConfig{IPAddress: "fd00::7", Interface: "eth1"}
	spec.LXDConfig.Network = &infrav1.LXDNetwork{StaticIPConfig: best}
	assert.Equal(t, best, spec.StaticIPConfig())
	network := spec.Network()
	assert.Equal(t, best, network.StaticIPConfig)

	empty := infrav1.MaasMachineSpec{StaticIP: &infrav1.StaticIPConfig{}}
	assert.Equal(t, &infrav1.LXDStaticIPConfig{}, empty.StaticIPConfig(), "somebody is still to fill the address in")
}

func TestHostPools_R2_1_resourcePool_wins_over_the_selection(t *testing.T) {
	t.Parallel()
	spec := infrav1.MaasMachineSpec{}
	assert.Empty(t, spec.HostPools(), "R2.3: any pool")

	spec.LXDConfig = &infrav1.LXDConfig{HostSelection: &infrav1.LXDHostSelection{ResourcePools: []string{"a", "b"}}}
	assert.Equal(t, []string{"a", "b"}, spec.HostPools())

	spec.ResourcePool = new("control-plane")
	assert.Equal(t, []string{"control-plane"}, spec.HostPools(), "R2.2")
}

func TestHostTags_joins_both_lists(t *testing.T) {
	t.Parallel()
	spec := infrav1.MaasMachineSpec{
		Tags:      []string{"ssd", "rack-7"},
		LXDConfig: &infrav1.LXDConfig{HostSelection: &infrav1.LXDHostSelection{Tags: []string{"ssd", "gpu"}}},
	}
	assert.Equal(t, []string{"gpu", "rack-7", "ssd"}, spec.HostTags())
	assert.Equal(t, []string{"ssd", "rack-7"}, spec.Tags, "the spec is left alone")
}

func TestImageParts_splits_at_the_first_slash(t *testing.T) {
	t.Parallel()
	for image, want := range map[string][2]string{
		"ubuntu/noble":       {"ubuntu", "noble"},
		"custom/u-2404-1-34": {"custom", "u-2404-1-34"},
		"u-2404-1-34":        {"custom", "u-2404-1-34"},
		"custom/a/b":         {"custom", "a/b"},
	} {
		spec := infrav1.MaasMachineSpec{Image: image}
		system, series := spec.ImageParts()
		assert.Equal(t, want, [2]string{system, series}, image)
	}
}

func TestPrefix_S1_takes_mask_prefix_length_and_CIDR(t *testing.T) {
	t.Parallel()
	for subnet, want := range map[string]string{
		"255.255.255.0": "10.1.2.0/24", "/16": "10.1.0.0/16", "16": "10.1.0.0/16", "10.1.2.9/25": "10.1.2.0/25",
	} {
		got, err := (&infrav1.LXDStaticIPConfig{IPAddress: "10.1.2.3", Subnet: subnet}).Prefix()
		require.NoError(t, err, subnet)
		assert.Equal(t, want, got.String(), subnet)
	}
	none, err := (&infrav1.LXDStaticIPConfig{IPAddress: "10.1.2.3"}).Prefix()
	require.NoError(t, err)
	assert.False(t, none.IsValid(), "no subnet is named")
	got, err := (&infrav1.LXDStaticIPConfig{IPAddress: "fd00::5", Subnet: "/64"}).Prefix()
	require.NoError(t, err)
	assert.Equal(t, "fd00::/64", got.String())
	for _, subnet := range []string{"255.0.255.0", "/40", "nonsense"} {
		_, err := (&infrav1.LXDStaticIPConfig{IPAddress: "10.1.2.3", Subnet: subnet}).Prefix()
		assert.Error(t, err, subnet)
	}
	_, err = (&infrav1.LXDStaticIPConfig{IPAddress: "ten", Subnet: "/24"}).Prefix()
	assert.ErrorContains(t, err, "no IP address")
}
