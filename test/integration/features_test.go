package integration_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/services/maassim"
)

// maasCluster reads the MaasCluster.
func (s *stack) maasCluster(t require.TestingT) *infrav1.MaasCluster {
	c := &infrav1.MaasCluster{}
	require.NoError(t, s.client.Get(context.Background(), client.ObjectKey{Namespace: s.namespace, Name: clusterName}, c))
	return c
}

// awaitEvent waits for an event with a reason whose note holds some words.
func (s *stack) awaitEvent(t *testing.T, reason, words string) {
	t.Helper()
	s.eventually(t, func(c *assert.CollectT) {
		var all eventsv1.EventList
		require.NoError(c, s.client.List(t.Context(), &all, client.InNamespace(s.namespace)))
		var notes []string
		for _, e := range all.Items {
			if e.Reason == reason {
				notes = append(notes, e.Note)
			}
		}
		assert.Contains(c, strings.Join(notes, "\n"), words)
	})
}

// dnsRequests counts what was asked of MAAS about DNS.
func (s *stack) dnsRequests() int {
	count := 0
	for operation, times := range s.sim.Requests() {
		if strings.HasPrefix(operation, "dnsresource") {
			count += times
		}
	}
	return count
}

func TestFeatures_P10_R6_1_a_custom_endpoint_of_VMs_is_left_to_its_keeper(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(3, 3, 0))
	s.makeCluster(t, func(c *infrav1.MaasCluster) {
		c.Annotations = map[string]string{infrav1.CustomDNSProvidedAnnotation: "true"}
		c.Spec.ControlPlaneEndpoint = infrav1.APIEndpoint{Host: "api.example.org", Port: 443}
	})
	s.makeVM(t, "cp-0", controlPlane)
	s.awaitProvisioned(t, 1)
	s.awaitClusterCondition(t, infrav1.LoadBalancerReadyCondition, metav1.ConditionTrue, infrav1.CustomEndpointReason)
	assert.Equal(t, infrav1.APIEndpoint{Host: "api.example.org", Port: 443}, s.maasCluster(t).Spec.ControlPlaneEndpoint)
	s.deleteCluster(t)
	assert.Zero(t, s.dnsRequests(), "nobody asked MAAS about DNS")
	s.assertNothingLeft(t)
}

func TestFeatures_P10_R6_2_preferred_subnets_choose_the_addresses_of_VMs(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(3, 3, 0))
	require.NoError(t, s.client.Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: infrav1.PreferredSubnetConfigMap},
		Data:       map[string]string{infrav1.PreferredSubnetKey: "nonsense, 10.30.0.0/24"},
	}))
	s.makeCluster(t)
	s.makeVM(t, "cp-0", controlPlane, func(m *infrav1.MaasMachine, _ *clusterv1.Machine) {
		m.Spec.LXDConfig = &infrav1.LXDConfig{Network: &infrav1.LXDNetwork{Bridge: "br0", Devices: []string{"br1"}}}
	})
	machines := s.awaitProvisioned(t, 1)
	var inSubnet []string
	for _, a := range machines[0].Status.Addresses {
		if strings.HasPrefix(a.Address, "10.30.0.") {
			inSubnet = append(inSubnet, a.Address)
		}
	}
	require.NotEmpty(t, inSubnet, "%v", machines[0].Status.Addresses)
	s.eventually(t, func(c *assert.CollectT) {
		records := s.sim.DNSRecords()
		if assert.Len(c, records, 1) {
			assert.Equal(c, inSubnet[:1], records[0].IPs)
		}
	})
	s.awaitEvent(t, "BadPreferredSubnet", `"nonsense"`)
}

func TestFeatures_P10_R6_4_the_port_of_the_Cluster_holds_for_VMs(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(1, 1, 0))
	s.makeCluster(t, func(c *infrav1.MaasCluster) { c.Spec.ControlPlaneEndpoint.Port = 7443 })
	s.makeVM(t, "cp-0", controlPlane)
	s.awaitProvisioned(t, 1)
	assert.Equal(t, int32(7443), s.maasCluster(t).Spec.ControlPlaneEndpoint.Port)
}

func TestFeatures_P10_R6_3_a_manager_of_one_namespace_leaves_VMs_of_others_alone(t *testing.T) {
	t.Parallel()
	ours, theirs := newStack(t, maassim.DefaultConfig(1, 1, 0)), newStack(t, maassim.DefaultConfig(1, 1, 0))
	theirs.stopManager()
	theirs.makeCluster(t)
	theirs.makeVM(t, "vm-0")
	ours.makeCluster(t)
	ours.makeVM(t, "vm-0")
	ours.awaitProvisioned(t, 1)
	m := &infrav1.MaasMachine{}
	require.NoError(t, theirs.client.Get(t.Context(), client.ObjectKey{Namespace: theirs.namespace, Name: "vm-0"}, m))
	assert.Empty(t, m.Finalizers)
	assert.Empty(t, m.Status.Conditions)
	assert.Len(t, ours.sim.LXD(), 1)
	assert.Empty(t, theirs.sim.LXD())
}

func TestFeatures_P5_conditions_of_a_VM_and_of_its_cluster_are_all_there(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(1, 1, 0))
	s.makeCluster(t)
	s.makeVM(t, "cp-0", controlPlane)
	s.awaitProvisioned(t, 1)
	for _, kind := range []string{
		clusterv1.ReadyCondition, infrav1.MachineDeployedCondition, infrav1.DNSAttachedCondition, infrav1.LXDHostSelectedCondition,
		infrav1.LXDVMCreatedCondition, infrav1.LXDVMDeployedCondition, infrav1.LXDResourcesAllocatedCondition,
	} {
		s.awaitCondition(t, "cp-0", kind, metav1.ConditionTrue, "", "")
	}
	s.awaitCondition(t, "cp-0", clusterv1.PausedCondition, metav1.ConditionFalse, "", "")
	for _, kind := range []string{clusterv1.ReadyCondition, infrav1.LoadBalancerReadyCondition, infrav1.ProvisionerAvailableCondition} {
		s.awaitClusterCondition(t, kind, metav1.ConditionTrue, "")
	}
	s.awaitClusterCondition(t, clusterv1.PausedCondition, metav1.ConditionFalse, "")
}

func TestFeatures_R7_logs_tell_what_was_chosen_refused_and_removed(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(1, 1, 0))
	s.makeCluster(t)
	s.makeVM(t, "small")
	s.awaitProvisioned(t, 1)
	line := s.managerLine("Composed a VM", "small")
	for _, word := range []string{`"vm":"small-`, `"host":"lxd-1"`, `"cores":4`, `"memoryMiB":8192`} {
		assert.Contains(t, line, word, "R7.3")
	}
	s.makeVM(t, "large", func(m *infrav1.MaasMachine, _ *clusterv1.Machine) { m.Spec.MinCPU = new(int32(31)) })
	s.eventually(t, func(c *assert.CollectT) {
		assert.Contains(c, s.managerLine("Selecting an LXD host found none", "large"), `"cores":31`, "R7.1: what was asked for")
		assert.Contains(c, s.managerLine("Host was rejected", "large"), `"host":"lxd-1"`, "R7.1: who was refused")
	})
	s.deleteMachine(t, "small")
	s.eventually(t, func(c *assert.CollectT) { assert.True(c, s.gone(t, "small")) })
	assert.Contains(t, s.managerLine("Deleted a VM", "small"), `"proof":`, "R7.4")
	s.eventually(t, func(c *assert.CollectT) { // the object is gone a moment before the manager tells of it
		assert.NotEmpty(c, s.managerLine("Removed the finalizer", "small"), "R7.4")
	})
}

func TestFeatures_R7_2_R8_3_the_only_host_is_asked_again_after_growing_waits(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(1, 1, 0))
	const failures = 4
	require.NoError(t, s.sim.AddFaults(maassim.Fault{
		Operation: "vm-hosts.compose", Count: failures, Status: 503,
		Body: "Unable to compose machine because: Pod 1: Failed to connect to the LXD REST API: refused",
	}))
	s.makeCluster(t)
	s.makeVM(t, "vm-0")
	s.awaitProvisioned(t, 1)
	assert.Equal(t, failures+1, s.sim.Requests()["vm-hosts.compose"])
	assert.Contains(t, s.managerLine("Waiting after an answer of the provisioner", "vm-0"), `"retryAfter":`)
	assert.Contains(t, s.managerLine("Selected an LXD host", "vm-0"), fmt.Sprintf(`"attempt":%d`, failures+1))
}

// managerLine gives the manager's last line about a MaasMachine of the stack's namespace that begins with some words.
func (s *stack) managerLine(words, name string) string {
	last := ""
	for line := range strings.SplitSeq(managerLogs.String(), "\n") {
		if strings.Contains(line, words) && strings.Contains(line, s.namespace) && strings.Contains(line, name) {
			last = line
		}
	}
	return last
}

func withStaticIP(config infrav1.LXDStaticIPConfig, network ...infrav1.LXDNetwork) func(*infrav1.MaasMachine, *clusterv1.Machine) {
	return func(m *infrav1.MaasMachine, _ *clusterv1.Machine) {
		n := infrav1.LXDNetwork{}
		if len(network) > 0 {
			n = network[0]
		}
		n.StaticIPConfig = &config
		m.Spec.LXDConfig = &infrav1.LXDConfig{Network: &n}
	}
}

func TestFeatures_static_IP(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(3, 1, 0))
	s.makeCluster(t)
	s.makeVM(t, "fixed", withStaticIP(infrav1.LXDStaticIPConfig{IPAddress: "10.30.0.12", Gateway: "10.30.0.1", Subnet: "255.255.255.0"}))
	s.makeVM(t, "dhcp")
	machines := s.awaitProvisioned(t, 2)
	addresses := map[string][]string{}
	for _, m := range machines {
		for _, a := range m.Status.Addresses {
			addresses[m.Name] = append(addresses[m.Name], a.Address)
		}
	}
	assert.Contains(t, addresses["fixed"], "10.30.0.12", "S6: the address that was assigned is in status")
	assert.NotContains(t, addresses["dhcp"], "10.30.0.12", "S3: without it MAAS hands one out")
	assert.NotEmpty(t, addresses["dhcp"])

	composed := s.sim.Requests()["vm-hosts.compose"]
	for name, tc := range map[string]struct {
		config infrav1.LXDStaticIPConfig
		kind   string
		reason string
	}{
		"S2-gateway": {infrav1.LXDStaticIPConfig{IPAddress: "10.30.0.50", Gateway: "10.30.0.254"}, infrav1.LXDVMCreatedCondition, "STATIC_IP_GATEWAY_MISMATCH"},
		"S2-dns":     {infrav1.LXDStaticIPConfig{IPAddress: "10.30.0.50", DNSServers: []string{"8.8.8.8"}}, infrav1.LXDVMCreatedCondition, "STATIC_IP_DNS_MISMATCH"},
		"S1-subnet":  {infrav1.LXDStaticIPConfig{IPAddress: "10.30.0.50", Subnet: "10.10.0.0/16"}, infrav1.LXDHostSelectedCondition, "STATIC_IP_INVALID"},
		"S1-taken":   {infrav1.LXDStaticIPConfig{IPAddress: "10.30.0.12"}, infrav1.LXDVMCreatedCondition, "STATIC_IP_TAKEN"},
		"S5-unknown": {infrav1.LXDStaticIPConfig{IPAddress: "10.30.0.50", Interface: "eth7"}, infrav1.LXDVMCreatedCondition, "STATIC_IP_INVALID"},
	} {
		vm := strings.ToLower(name)
		s.makeVM(t, vm, withStaticIP(tc.config))
		s.awaitCondition(t, vm, tc.kind, metav1.ConditionFalse, tc.reason, "")
	}
	assert.Equal(t, composed, s.sim.Requests()["vm-hosts.compose"], "S4: refused before any VM was made")
	s.deleteCluster(t)
	s.assertNothingLeft(t)
}

func TestFeatures_S5_the_named_interface_gets_the_address_and_no_other_is_touched(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(1, 1, 0))
	s.makeCluster(t)
	s.makeVM(t, "vm-0", withStaticIP(infrav1.LXDStaticIPConfig{IPAddress: "10.30.0.12", Interface: "eth1"},
		infrav1.LXDNetwork{Bridge: "br0", Devices: []string{"br1"}}))
	machines := s.awaitProvisioned(t, 1)
	m, ok := s.sim.Machine(ptr.Deref(machines[0].Spec.SystemID, ""))
	require.True(t, ok)
	require.Len(t, m.IPs, 2)
	assert.Contains(t, m.IPs, "10.30.0.12", "eth1 is on br1, whose subnet is 10.30.0.0/24")
	assert.Condition(t, func() bool {
		return slices.ContainsFunc(m.IPs, func(ip string) bool { return strings.HasPrefix(ip, "10.10.") })
	},
		"eth0 keeps the address that MAAS hands out: %v", m.IPs)
}
