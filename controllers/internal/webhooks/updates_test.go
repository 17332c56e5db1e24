package webhooks_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/intstr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
)

// change is what somebody changes of a stored object; field names what the refusal names, empty where it passes.
type change struct {
	from, edit func(*infrav1.MaasMachineSpec)
	field      string
	warns      string
}

func deployed(edit func(*infrav1.MaasMachineSpec)) func(*infrav1.MaasMachineSpec) {
	return func(s *infrav1.MaasMachineSpec) {
		s.ProviderID, s.SystemID = new("maas-lxd:///az1/abc123"), new("abc123")
		if edit != nil {
			edit(s)
		}
	}
}

func TestMaasMachine_P8_a_machine_stays_what_it_is(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for name, tc := range map[string]change{
		"P8_image":                            {edit: func(s *infrav1.MaasMachineSpec) { s.Image = "ubuntu/noble" }, field: "spec"},
		"P8_minCPU":                           {edit: func(s *infrav1.MaasMachineSpec) { s.MinCPU = new(int32(8)) }, field: "spec"},
		"P8_minMemory":                        {edit: func(s *infrav1.MaasMachineSpec) { s.MinMemory = new(int32(8192)) }, field: "spec"},
		"R1.1_mode":                           {edit: func(s *infrav1.MaasMachineSpec) { s.ProvisioningMode = infrav1.ModeBareMetal }, field: "spec"},
		"R1.1_the_mode_is_not_left_out_again": {edit: func(s *infrav1.MaasMachineSpec) { s.ProvisioningMode = "" }, field: "spec"},
		"R1.1_the_same_mode_in_other_words": {edit: func(s *infrav1.MaasMachineSpec) {
			s.ProvisioningMode, s.LXD = "", &infrav1.MachineLXDConfig{Enabled: new(true)}
		}},
		"R8.4_provider_ID_comes":             {edit: deployed(nil)},
		"R8.4_provider_ID_stays":             {from: deployed(nil), edit: func(s *infrav1.MaasMachineSpec) { s.ProviderID = new("maas:///az1/abc123") }, field: "spec"},
		"R8.4_provider_ID_does_not_go":       {from: deployed(nil), edit: func(s *infrav1.MaasMachineSpec) { s.ProviderID = nil }, field: "spec"},
		"P8_what_fails_is_put_right_by_edit": {edit: lxdConfig(func(c *infrav1.LXDConfig) { c.Project = "maas" })},
		"P8_a_pool_before_it_is_made":        {edit: func(s *infrav1.MaasMachineSpec) { s.ResourcePool = new("lxd-hosts") }},
		"P8_the_controller_writes_the_id":    {from: deployed(nil), edit: func(s *infrav1.MaasMachineSpec) { s.SystemID = new("abc124") }},
		"P8_a_pool_once_it_is_made":          {from: deployed(nil), edit: func(s *infrav1.MaasMachineSpec) { s.ResourcePool = new("lxd-hosts") }, field: "spec.resourcePool"},
		"P8_tags_once_it_is_made":            {from: deployed(nil), edit: func(s *infrav1.MaasMachineSpec) { s.Tags = []string{"ssd"} }, field: "spec.tags"},
		"P8_the_disk_once_it_is_made":        {from: deployed(nil), edit: func(s *infrav1.MaasMachineSpec) { s.MinDiskSize = new(int32(99)) }, field: "spec.minDiskSize"},
		"P8_the_host_once_it_is_made":        {from: deployed(nil), edit: lxdConfig(func(c *infrav1.LXDConfig) { c.VMHost = "lxd-2" }), field: "spec.lxdConfig"},
		"P8_vmConfig_once_it_is_made": {from: deployed(nil), edit: func(s *infrav1.MaasMachineSpec) {
			s.LXD = &infrav1.MachineLXDConfig{VMConfig: &infrav1.VMConfig{StoragePool: "fast"}}
		}, field: "spec.lxd.vmConfig"},
		"S1_the_address_once_it_is_made": {from: deployed(nil), edit: paletteIP("10.7.0.5", "", ""), field: "spec.staticIP"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := vm()
			if tc.from != nil {
				tc.from(&spec)
			}
			m := s.machine(spec)
			require.NoError(t, s.Create(t.Context(), m))
			before := m.DeepCopy()
			tc.edit(&m.Spec)
			err := s.Patch(t.Context(), m, client.MergeFrom(before))
			if tc.field == "" {
				require.NoError(t, err)
			} else {
				assert.Equal(t, []string{tc.field}, fieldsOf(t, err))
			}
			require.NoError(t, s.Delete(t.Context(), m))
		})
	}
}

func TestMaasMachineTemplate_P8_what_sizes_and_places_machines_stays(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const later = "a new template would roll them out anew"
	at := "spec.template.spec."
	for name, tc := range map[string]change{
		"P8_image":                       {edit: func(s *infrav1.MaasMachineSpec) { s.Image = "ubuntu/noble" }, field: at + "image"},
		"P8_minCPU":                      {edit: func(s *infrav1.MaasMachineSpec) { s.MinCPU = new(int32(8)) }, field: at + "minCPU"},
		"P8_minMemory":                   {edit: func(s *infrav1.MaasMachineSpec) { s.MinMemory = new(int32(8192)) }, field: at + "minMemory"},
		"P8_lxdConfig":                   {edit: lxdConfig(func(c *infrav1.LXDConfig) { c.VMHost = "lxd-1" }), field: at + "lxdConfig"},
		"P8_pool_as_before":              {edit: func(s *infrav1.MaasMachineSpec) { s.ResourcePool = new("lxd-hosts") }, warns: at + "resourcePool: machines that exist"},
		"P8_tags_as_before":              {edit: func(s *infrav1.MaasMachineSpec) { s.Tags = []string{"ssd"} }, warns: later},
		"P8_disk_as_before":              {edit: func(s *infrav1.MaasMachineSpec) { s.MinDiskSize = new(int32(99)) }, warns: later},
		"R1.1_lxd.enabled_as_before":     {from: func(s *infrav1.MaasMachineSpec) { s.ProvisioningMode = "" }, edit: func(s *infrav1.MaasMachineSpec) { s.LXD = &infrav1.MachineLXDConfig{Enabled: new(true)} }, warns: at + "provisioningMode: machines that exist"},
		"R1.1_the_same_mode_said_anew":   {edit: func(s *infrav1.MaasMachineSpec) { s.LXD = &infrav1.MachineLXDConfig{Enabled: new(true)} }},
		"P8_a_new_word_of_the_same_mode": {from: func(s *infrav1.MaasMachineSpec) { s.ProvisioningMode = "baremetal" }, edit: func(s *infrav1.MaasMachineSpec) { s.ProvisioningMode = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			spec := vm()
			if tc.from != nil {
				tc.from(&spec)
			}
			template := s.template(spec)
			require.NoError(t, s.Create(t.Context(), template))
			before := template.DeepCopy()
			tc.edit(&template.Spec.Template.Spec)
			s.warnings.take()
			err := s.Patch(t.Context(), template, client.MergeFrom(before))
			said := s.warnings.take()
			if tc.field != "" {
				assert.Equal(t, []string{tc.field}, fieldsOf(t, err))
				assert.ErrorContains(t, err, "make a new template")
				return
			}
			require.NoError(t, err)
			if tc.warns == "" {
				assert.Empty(t, said)
				return
			}
			require.Len(t, said, 1)
			assert.Contains(t, said[0], tc.warns)
		})
	}
}

func TestTemplates_P8_let_the_topology_dry_run_compare(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	machines, clusters := s.template(vm()), s.clusterTemplate(infrav1.MaasClusterSpec{DNSDomain: "maas"})
	for name, tc := range map[string]struct {
		object client.Object
		edit   func()
	}{
		"MaasMachineTemplate": {machines, func() { machines.Spec.Template.Spec.Image = "ubuntu/noble" }},
		"MaasClusterTemplate": {clusters, func() { clusters.Spec.Template.Spec.DNSDomain = "other" }},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, s.Create(t.Context(), tc.object))
			before, ok := tc.object.DeepCopyObject().(client.Object)
			require.True(t, ok)
			tc.edit()
			patch := func(options ...client.PatchOption) error {
				changed, ok := tc.object.DeepCopyObject().(client.Object)
				require.True(t, ok)
				return s.Patch(t.Context(), changed, client.MergeFrom(before), options...)
			}
			require.Error(t, patch(), "a change is refused")
			require.Error(t, patch(client.DryRunAll), "a user's dry run says the same")
			tc.object.SetAnnotations(map[string]string{clusterv1.TopologyDryRunAnnotation: ""})
			require.NoError(t, patch(client.DryRunAll), "Cluster API's passes")
			require.Error(t, patch(), "the annotation alone opens nothing")
		})
	}
}

func TestMaasCluster_P8_domain_stays_and_the_endpoint_once_provisioned(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	cluster := s.cluster(infrav1.MaasClusterSpec{DNSDomain: "maas", ControlPlaneEndpoint: infrav1.APIEndpoint{Host: "api.elsewhere.net", Port: 6443}})
	require.NoError(t, s.Create(t.Context(), cluster))
	change := func(edit func(*infrav1.MaasClusterSpec)) error {
		before := cluster.DeepCopy()
		after := cluster.DeepCopy()
		edit(&after.Spec)
		if err := s.Patch(t.Context(), after, client.MergeFrom(before)); err != nil {
			return err
		}
		cluster = after
		return nil
	}
	assert.Equal(t, []string{"spec"}, fieldsOf(t, change(func(spec *infrav1.MaasClusterSpec) { spec.DNSDomain = "other" })))
	require.NoError(t, change(func(spec *infrav1.MaasClusterSpec) { spec.ControlPlaneEndpoint.Host = "api.maas" }), "a wrong name is put right")
	provisioned := cluster.DeepCopy()
	provisioned.Status.Initialization.Provisioned = new(true)
	require.NoError(t, s.Status().Patch(t.Context(), provisioned, client.MergeFrom(cluster)))
	cluster = provisioned
	for _, edit := range []func(*infrav1.MaasClusterSpec){
		func(spec *infrav1.MaasClusterSpec) { spec.ControlPlaneEndpoint.Host = "api2.maas" },
		func(spec *infrav1.MaasClusterSpec) { spec.ControlPlaneEndpoint.Port = 8443 },
		func(spec *infrav1.MaasClusterSpec) { spec.ControlPlaneEndpoint = infrav1.APIEndpoint{} },
	} {
		assert.Equal(t, []string{"spec.controlPlaneEndpoint"}, fieldsOf(t, change(edit)))
	}
	require.NoError(t, change(func(spec *infrav1.MaasClusterSpec) {
		spec.FailureDomains, spec.OnHostLost = []string{"az1"}, infrav1.Wait
	}))
}

func TestStaticIP_S1_belongs_to_one_MaasMachine(t *testing.T) {
	t.Parallel()
	s, elsewhere := newServer(t), newServer(t)
	asking := func(address string) infrav1.MaasMachineSpec {
		spec := vm()
		staticIP(address, "/24", "")(&spec)
		return spec
	}
	first := s.machine(asking("10.3.0.5"))
	first.Finalizers = []string{"example.net/hold"}
	require.NoError(t, s.Create(t.Context(), first))
	managertest.Eventually(t, func(c *managertest.Check) {
		err := elsewhere.Create(t.Context(), elsewhere.machine(asking("10.3.0.5")), client.DryRunAll)
		if assert.Error(c, err, "the webhook's cache has not seen the first") {
			assert.ErrorContains(c, err, "MaasMachine "+s.namespace+"/"+first.Name+" has it")
			assert.Equal(t, []string{"spec." + fixed + "ipAddress"}, fieldsOf(t, err))
		}
	}, "one MAAS serves all namespaces")

	second := s.machine(asking("10.3.0.6"))
	require.NoError(t, s.Create(t.Context(), second))
	before := second.DeepCopy()
	second.Spec.LXDConfig.Network.StaticIPConfig.IPAddress = "10.3.0.5"
	require.Error(t, s.Patch(t.Context(), second, client.MergeFrom(before)), "a change is looked at too")

	given := s.machine(metal())
	require.NoError(t, s.Create(t.Context(), given))
	unassigned := given.DeepCopy()
	given.Status.Addresses = []clusterv1.MachineAddress{{Type: clusterv1.MachineInternalIP, Address: "10.3.0.7"}}
	require.NoError(t, s.Status().Patch(t.Context(), given, client.MergeFrom(unassigned)))
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.ErrorContains(c, s.Create(t.Context(), s.machine(asking("10.3.0.7")), client.DryRunAll), given.Name+" has it")
	}, "an address that MAAS gave is taken too")

	require.NoError(t, s.Delete(t.Context(), first))
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.NoError(c, elsewhere.Create(t.Context(), elsewhere.machine(asking("10.3.0.5")), client.DryRunAll))
	}, "one that is being deleted gives its address back")
}

func TestWarnings_X6_4_tell_what_is_not_heard(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	both := func(edits ...func(*infrav1.MaasMachineSpec)) func(*infrav1.MaasMachineSpec) {
		return func(s *infrav1.MaasMachineSpec) {
			for _, edit := range edits {
				edit(s)
			}
		}
	}
	for name, tc := range map[string]struct {
		edit func(*infrav1.MaasMachineSpec)
		want []string
	}{
		"a_plain_machine_says_nothing": {func(*infrav1.MaasMachineSpec) {}, nil},
		"a_plain_VM_says_nothing":      {asLXD(func(*infrav1.MaasMachineSpec) {}), nil},
		"P8_profile_of_MAAS":           {lxdConfig(func(c *infrav1.LXDConfig) { c.Profile = "maas" }), []string{"spec.lxdConfig.profile: MAAS uses it where the host's project has it"}},
		"P2_another_profile":           {lxdConfig(func(c *infrav1.LXDConfig) { c.Profile = "gpu" }), []string{"spec.lxdConfig.profile: no VM is made"}},
		"R1.4_zero_is_a_default":       {asLXD(func(s *infrav1.MaasMachineSpec) { s.MinCPU, s.MinMemory = new(int32(0)), new(int32(0)) }), []string{"spec.minCPU: 0 gives a VM of 2 cores", "spec.minMemory: 0 gives a VM of 4096 MiB"}},
		"X6.4_required_wants_a_host_more": {
			lxdConfig(func(c *infrav1.LXDConfig) { c.AntiAffinity = infrav1.AntiAffinityRequired }), []string{"spec.lxdConfig.antiAffinity: required takes one host more"},
		},
		"keepSwap_of_a_VM":       {asLXD(func(s *infrav1.MaasMachineSpec) { s.KeepSwap = true }), []string{"spec.keepSwap: has no effect on a VM"}},
		"deployInMemory_of_a_VM": {asLXD(func(s *infrav1.MaasMachineSpec) { s.DeployInMemory = true }), []string{"spec.deployInMemory: has no effect on a VM"}},
		"minDiskSize_and_vmConfig_of_metal": {
			func(s *infrav1.MaasMachineSpec) {
				s.MinDiskSize, s.LXD = new(int32(80)), &infrav1.MachineLXDConfig{VMConfig: &infrav1.VMConfig{}}
			},
			[]string{"spec.minDiskSize: has no effect on bare metal", "spec.lxd.vmConfig: has no effect on bare metal"},
		},
		"R1.4_what_loses_against_another": {
			both(allocation(2, 2048, 20), func(s *infrav1.MaasMachineSpec) {
				s.FailureDomain, s.ResourcePool = new("az1"), new("lxd")
				s.LXD = &infrav1.MachineLXDConfig{VMConfig: &infrav1.VMConfig{StoragePool: "oldest"}}
				c := s.LXDConfig
				c.VMHost = "lxd-1"
				c.HostSelection = &infrav1.LXDHostSelection{PreferredHosts: []string{"lxd-2"}, AvailabilityZones: []string{"az2"}, ResourcePools: []string{"other"}}
				c.Storage, c.StorageConfig = &infrav1.LXDStorage{Pool: "fast", Size: new(intstr.FromInt32(30))}, &infrav1.LXDStorageConfig{StoragePool: "slow"}
				c.Network, c.NetworkConfig = &infrav1.LXDNetwork{Bridge: "br0"}, &infrav1.LXDNetworkConfig{Bridge: "br1"}
			}),
			[]string{
				"spec.lxdConfig.hostSelection.availabilityZones: failureDomain wins", "spec.lxdConfig.hostSelection.resourcePools: resourcePool wins",
				"spec.lxdConfig.hostSelection.preferredHosts: vmHost wins", "spec.lxdConfig.storageConfig.storagePool: lxdConfig.storage.pool wins",
				"spec.lxd.vmConfig.storagePool: the storage pool of lxdConfig wins", "spec.lxdConfig.storage.size: lxdConfig.resourceAllocation.disk wins",
				"spec.lxdConfig.networkConfig.bridge: lxdConfig.network.bridge wins",
			},
		},
		"S1_the_alias_of_a_static_address": {
			both(staticIP("10.4.0.5", "", ""), func(s *infrav1.MaasMachineSpec) {
				s.LXDConfig.NetworkConfig = &infrav1.LXDNetworkConfig{StaticIPConfig: &infrav1.LXDStaticIPConfig{IPAddress: "10.4.0.6"}}
				s.StaticIP = &infrav1.StaticIPConfig{IP: "10.4.0.7"}
			}),
			[]string{"spec.lxdConfig.networkConfig.staticIPConfig: lxdConfig.network.staticIPConfig wins", "spec.staticIP: the static address of lxdConfig wins"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			spec := metal()
			tc.edit(&spec)
			s.warnings.take()
			m := s.machine(spec)
			require.NoError(t, s.Create(t.Context(), m))
			said := s.warnings.take()
			require.Len(t, said, len(tc.want), "%q", said)
			for i, want := range tc.want {
				assert.Contains(t, said[i], want)
			}
			before := m.DeepCopy()
			m.Spec.FailureDomain = new("az1")
			require.NoError(t, s.Patch(t.Context(), m, client.MergeFrom(before)))
			assert.Empty(t, s.warnings.take(), "what was said is not said again")
			require.NoError(t, s.Delete(t.Context(), m))
		})
	}

	cluster := s.cluster(infrav1.MaasClusterSpec{DNSDomain: "maas", LXDConfig: &infrav1.LXDHostConfig{Zone: "az1"}})
	require.NoError(t, s.Create(t.Context(), cluster))
	assert.Contains(t, s.warnings.take()[0], "spec.lxdConfig: has no effect")
	template := s.template(vm())
	staticIP("10.4.0.9", "", "")(&template.Spec.Template.Spec)
	require.NoError(t, s.Create(t.Context(), template))
	assert.Contains(t, s.warnings.take()[0], "every machine of this template asks for the address 10.4.0.9")
	clusters := s.clusterTemplate(infrav1.MaasClusterSpec{DNSDomain: "maas", ControlPlaneEndpoint: infrav1.APIEndpoint{Host: "api.maas"}})
	require.NoError(t, s.Create(t.Context(), clusters))
	assert.Contains(t, s.warnings.take()[0], "every cluster of this template asks for this endpoint")
}

func TestMaasMachine_P8_the_mode_is_written_in_one_spelling(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for given, want := range map[infrav1.ProvisioningMode]infrav1.ProvisioningMode{
		"": infrav1.ModeBareMetal, "baremetal": infrav1.ModeBareMetal, "bare-metal": infrav1.ModeBareMetal, "lxd": infrav1.ModeLXD,
	} {
		spec := metal()
		spec.ProvisioningMode = given
		m := s.machine(spec)
		require.NoError(t, s.Create(t.Context(), m))
		assert.Equal(t, want, m.Spec.ProvisioningMode, "given as %q", given)
	}
	spec := metal()
	spec.LXD = &infrav1.MachineLXDConfig{Enabled: new(true)}
	m, template := s.machine(spec), s.template(spec)
	require.NoError(t, s.Create(t.Context(), m))
	assert.Equal(t, infrav1.ModeLXD, m.Spec.ProvisioningMode)
	require.NoError(t, s.Create(t.Context(), template))
	assert.Empty(t, template.Spec.Template.Spec.ProvisioningMode, "a template says what its author says")
}
