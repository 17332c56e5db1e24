package maasmachine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

// counted gives the value of a counter or gauge with the labels, which are pairs of name and value; 0 where there is none.
func counted(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	value, _ := exported(t, name, labels...)
	return value
}

// exported is counted, and says whether there is such a counter or gauge.
func exported(t *testing.T, name string, labels ...string) (float64, bool) {
	t.Helper()
	families, err := metrics.Registry.(prometheus.Gatherer).Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	each:
		for _, m := range family.GetMetric() {
			has := map[string]string{}
			for _, l := range m.GetLabel() {
				has[l.GetName()] = l.GetValue()
			}
			for i := 0; i < len(labels); i += 2 {
				if has[labels[i]] != labels[i+1] {
					continue each
				}
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue(), true
		}
	}
	return 0, false
}

// An alert asks for a rise, and a counter that comes to be with its first mishap has none.
func TestMishap_counters_are_there_from_the_start(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{infrav1.HostLostReason, infrav1.VMMissingReason, infrav1.MachinePoweredOffReason, infrav1.NodeProviderIDMismatchReason} {
		_, there := exported(t, "capmaas_machine_mishaps_total", "reason", reason, "phase", "running")
		assert.True(t, there, reason)
	}
}

// waitEvent waits until an event of the reason is recorded on the MaasMachine and gives its note.
func waitEvent(t *testing.T, bed *managertest.Bed, name, reason string) string {
	t.Helper()
	var note string
	managertest.Eventually(t, func(c *managertest.Check) {
		list := &eventsv1.EventList{}
		require.NoError(c, bed.Client.List(context.Background(), list, client.InNamespace(bed.Namespace)))
		found := false
		for i := range list.Items {
			if list.Items[i].Regarding.Name == name && list.Items[i].Reason == reason {
				found, note = true, list.Items[i].Note
			}
		}
		assert.True(c, found, "no event %s on %s", reason, name)
	}, "an event "+reason)
	return note
}

// These tests count, so none of them runs beside another.

func TestMishap_of_a_machine_that_was_a_node_is_told_and_nothing_is_done(t *testing.T) {
	bed := managertest.New(t, provisionertest.Config{SettleAfter: time.Nanosecond})
	bed.ProvisionCluster(t)
	for i, tc := range []struct {
		name    string
		happens func(f *provisionertest.Fake, m *infrav1.MaasMachine)
		reason  string
		says    string
	}{
		{"X3_7_marked_broken", func(f *provisionertest.Fake, m *infrav1.MaasMachine) {
			f.SetState(m.Status.VMName, lxdprovisionerv1.MachineState_MACHINE_STATE_BROKEN, "fan is dead")
		}, infrav1.MachineStateUndefinedReason, "fan is dead"},
		{"X3_7_failed", func(f *provisionertest.Fake, m *infrav1.MaasMachine) {
			f.SetState(m.Status.VMName, lxdprovisionerv1.MachineState_MACHINE_STATE_FAILED, "testing failed")
		}, infrav1.MachineStateUndefinedReason, "testing failed"},
		{"X3_8_powered_off", func(f *provisionertest.Fake, m *infrav1.MaasMachine) {
			f.FailEvery("PowerOnMachine", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_OUTCOME_UNKNOWN, "LXD is silent"))
			f.SetPower(m.Status.VMName, lxdprovisionerv1.PowerState_POWER_STATE_OFF)
		}, infrav1.MachinePoweredOffReason, "powered off"},
		{"X3_7_released_behind_our_back", func(f *provisionertest.Fake, m *infrav1.MaasMachine) {
			f.SetState(m.Status.VMName, lxdprovisionerv1.MachineState_MACHINE_STATE_READY, "")
		}, infrav1.MachineTerminatedReason, "MAAS says Ready"},
		{"X5_2_missing", func(f *provisionertest.Fake, m *infrav1.MaasMachine) {
			f.Remove(m.Status.VMName)
		}, infrav1.VMMissingReason, "not made again"},
		{"X4_5_host_lost_for_good", func(f *provisionertest.Fake, m *infrav1.MaasMachine) {
			f.RemoveHost(ptr.Deref(m.Status.LXDHost, ""))
		}, infrav1.HostLostReason, "HOST_UNREACHABLE"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			node := fmt.Sprintf("node-%d", i)
			bed.CreateMachine(t, node, managertest.LXD())
			m := bed.WaitProvisioned(t, node)
			bed.Fake.ForgetRequests()
			before := counted(t, "capmaas_machine_mishaps_total", "reason", tc.reason, "phase", "running")

			tc.happens(bed.Fake, m)
			touch(t, bed, node)
			condition := bed.WaitCondition(t, bed.OfMachine(node), infrav1.MachineDeployedCondition, tc.reason)
			assert.NotEqual(t, metav1.ConditionTrue, condition.Status)
			assert.Contains(t, condition.Message, tc.says)
			bed.WaitCondition(t, bed.OfMachine(node), clusterv1.ReadyCondition, tc.reason)
			assert.Contains(t, waitEvent(t, bed, node, tc.reason), tc.says)
			assert.InDelta(t, before+1, counted(t, "capmaas_machine_mishaps_total", "reason", tc.reason, "phase", "running"), 0, "it is counted once")

			after := bed.Machine(t, node)
			assert.True(t, ptr.Deref(after.Status.Initialization.Provisioned, false))
			assert.Equal(t, m.Spec.ProviderID, after.Spec.ProviderID)
			assert.Len(t, attemptsOf(t, after), 1)
			assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.ComposeVMRequest](bed.Fake))
			assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.DeployVMRequest](bed.Fake))
			assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.DeleteVMRequest](bed.Fake))
			bed.DeleteMachine(t, node)
			if tc.reason != infrav1.HostLostReason {
				bed.WaitGone(t, node)
			}
		})
	}
}

func TestMishap_X3_7_of_a_VM_that_was_never_a_node_is_told_and_it_is_made_anew(t *testing.T) {
	bed := managertest.New(t, provisionertest.Config{CommissionFor: time.Hour, SettleAfter: time.Nanosecond})
	bed.ProvisionCluster(t)
	for name, tc := range map[string]struct {
		state  lxdprovisionerv1.MachineState // unset: the VM vanishes
		reason lxdprovisionerv1.Reason
	}{
		"failed_commissioning": {lxdprovisionerv1.MachineState_MACHINE_STATE_FAILED, lxdprovisionerv1.Reason_REASON_VM_DEPLOYMENT_FAILED},
		"broken":               {lxdprovisionerv1.MachineState_MACHINE_STATE_BROKEN, lxdprovisionerv1.Reason_REASON_VM_DEPLOYMENT_FAILED},
		"released":             {lxdprovisionerv1.MachineState_MACHINE_STATE_RELEASING, lxdprovisionerv1.Reason_REASON_VM_DEPLOYMENT_FAILED},
		"missing":              {reason: lxdprovisionerv1.Reason_REASON_VM_NOT_FOUND},
	} {
		t.Run(name, func(t *testing.T) {
			vm := strings.ReplaceAll(name, "_", "-")
			bed.CreateMachine(t, vm, managertest.LXD())
			word := errorinfo.Word(tc.reason)
			before := counted(t, "capmaas_attempts_given_up_total", "reason", word)
			managertest.Eventually(t, func(c *managertest.Check) {
				all := attemptsOf(c, bed.Machine(c, vm))
				require.Len(c, all, 1)
				assert.True(c, all[0].Settled)
			}, "the first VM commissions")
			first := attemptsOf(t, bed.Machine(t, vm))[0]
			if tc.state == 0 {
				bed.Fake.Remove(first.Name)
			} else {
				bed.Fake.SetState(first.Name, tc.state, "it went wrong")
			}
			touch(t, bed, vm)
			managertest.Eventually(t, func(c *managertest.Check) {
				all := attemptsOf(c, bed.Machine(c, vm))
				require.Len(c, all, 2)
				assert.True(c, all[1].Settled)
				assert.NotEqual(c, first.HostID, all[1].HostID, "R4.4 elsewhere")
			}, "another one is made")
			assert.Contains(t, waitEvent(t, bed, vm, "AttemptGivenUp"), word)
			assert.InDelta(t, before+1, counted(t, "capmaas_attempts_given_up_total", "reason", word), 0)
			assert.Len(t, bed.Fake.VMs(), 1, "the first one is deleted")
			bed.DeleteMachine(t, vm)
			bed.WaitGone(t, vm)
		})
	}
}

func TestMishap_of_a_physical_machine_is_told(t *testing.T) {
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "metal-0", managertest.Metal())
	m := bed.WaitProvisioned(t, "metal-0")
	before := counted(t, "capmaas_machine_mishaps_total", "reason", infrav1.MachinePoweredOffReason, "phase", "running")
	bed.Fake.FailEvery("PowerOnMachine", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_OUTCOME_UNKNOWN, "the BMC is silent"))
	require.True(t, bed.Fake.SetPower(ptr.Deref(m.Spec.SystemID, ""), lxdprovisionerv1.PowerState_POWER_STATE_OFF))
	touch(t, bed, "metal-0")
	bed.WaitCondition(t, bed.OfMachine("metal-0"), infrav1.MachineDeployedCondition, infrav1.MachinePoweredOffReason)
	waitEvent(t, bed, "metal-0", infrav1.MachinePoweredOffReason)
	assert.InDelta(t, before+1, counted(t, "capmaas_machine_mishaps_total", "reason", infrav1.MachinePoweredOffReason, "phase", "running"), 0)

	require.True(t, bed.Fake.SetPower(ptr.Deref(m.Spec.SystemID, ""), lxdprovisionerv1.PowerState_POWER_STATE_ERROR))
	touch(t, bed, "metal-0")
	condition := bed.WaitCondition(t, bed.OfMachine("metal-0"), infrav1.MachineDeployedCondition, infrav1.MachineDeployedReason)
	assert.Contains(t, condition.Message, "MAAS cannot tell whether the machine is on")
}

func hourAgo() string { return time.Now().Add(-time.Hour).UTC().Format(time.RFC3339) }

func TestOverdue_a_VM_that_is_made_for_too_long_says_so_and_is_left_alone(t *testing.T) {
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.Fake.FailEvery("ComposeVM", provisionertest.Fault(errorinfo.Busy, lxdprovisionerv1.Reason_REASON_COMPOSITION_IN_PROGRESS, "it is being made"))
	before := counted(t, "capmaas_machine_mishaps_total", "reason", infrav1.OverdueReason, "phase", "provisioning")
	since := hourAgo()
	bed.CreateMachine(t, "vm-0", managertest.LXD(), annotated(infrav1.ComposeAttemptsAnnotation,
		`[{"attempt":1,"name":"vm-0-aaaaa","hostID":"vmhost/1","hostName":"lxd-01","sentAt":"`+since+`"}]`))
	condition := bed.WaitCondition(t, bed.OfMachine("vm-0"), infrav1.MachineDeployedCondition, infrav1.OverdueReason)
	assert.Contains(t, condition.Message, "the VM is being made since "+since)
	assert.Contains(t, condition.Message, "look at the events and the console of vm-0-aaaaa on host lxd-01 in MAAS")
	assert.Contains(t, condition.Message, "COMPOSITION_IN_PROGRESS", "and what the service says of it")
	assert.Contains(t, waitEvent(t, bed, "vm-0", infrav1.OverdueReason), since)
	assert.InDelta(t, before+1, counted(t, "capmaas_machine_mishaps_total", "reason", infrav1.OverdueReason, "phase", "provisioning"), 0)
	assert.Len(t, attemptsOf(t, bed.Machine(t, "vm-0")), 1)
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.DeleteVMRequest](bed.Fake))
	bed.Fake.Heal()
	bed.WaitCondition(t, bed.OfMachine("vm-0"), infrav1.MachineDeployedCondition, infrav1.MachineDeployedReason)
}

func TestOverdue_a_deployment_that_takes_too_long_says_so_and_is_left_alone(t *testing.T) {
	bed := managertest.New(t, provisionertest.Config{DeployFor: time.Hour})
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "vm-0", managertest.LXD())
	bed.CreateMachine(t, "metal-0", managertest.Metal())
	for _, name := range []string{"vm-0", "metal-0"} {
		bed.WaitCondition(t, bed.OfMachine(name), infrav1.MachineDeployedCondition, infrav1.MachineDeployingReason)
	}
	managertest.Eventually(t, func(c *managertest.Check) {
		m := bed.Machine(c, "vm-0")
		before := m.DeepCopy()
		for i := range m.Status.Conditions {
			if m.Status.Conditions[i].Type == infrav1.LXDVMCreatedCondition {
				m.Status.Conditions[i].LastTransitionTime = metav1.NewTime(time.Now().Add(-time.Hour))
			}
		}
		assert.NoError(c, bed.Client.Status().Patch(t.Context(), m, client.MergeFrom(before)))
		metal := bed.Machine(c, "metal-0")
		before = metal.DeepCopy()
		metal.Annotations[infrav1.BareMetalAllocatedAtAnnotation] = hourAgo()
		assert.NoError(c, bed.Client.Patch(t.Context(), metal, client.MergeFrom(before)))
	}, "an hour has passed")
	for _, name := range []string{"vm-0", "metal-0"} {
		condition := bed.WaitCondition(t, bed.OfMachine(name), infrav1.MachineDeployedCondition, infrav1.OverdueReason)
		assert.Contains(t, condition.Message, "MAAS says Deploying")
		assert.Contains(t, condition.Message, "being deployed since")
		assert.Contains(t, condition.Message, "(system id ")
		assert.Equal(t, metav1.ConditionFalse, condition.Status)
	}
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.DeleteVMRequest](bed.Fake))
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.ReleaseMachineRequest](bed.Fake))
	bed.Fake.Advance(time.Hour)
	bed.WaitProvisioned(t, "vm-0")
	bed.WaitProvisioned(t, "metal-0")
}

func TestSelectHost_X6_4_warns_where_required_anti_affinity_leaves_no_spare_host(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{Hosts: []provisionertest.Host{
		{Name: "lxd-01", Zone: "az1", Pool: "lxd"}, {Name: "lxd-02", Zone: "az2", Pool: "lxd"},
	}})
	bed.ProvisionCluster(t)
	spec := managertest.LXD()
	spec.LXDConfig = &infrav1.LXDConfig{AntiAffinity: infrav1.AntiAffinityRequired}
	says := func(name string) string {
		bed.WaitProvisioned(t, name)
		return conditions.Get(bed.Machine(t, name), infrav1.LXDHostSelectedCondition).Message
	}
	bed.CreateMachine(t, "cp-0", spec, managertest.ControlPlane)
	assert.NotContains(t, says("cp-0"), "no other host", "a second host is left")
	bed.CreateMachine(t, "cp-1", spec, managertest.ControlPlane)
	assert.Contains(t, says("cp-1"), "no other host was left")
	assert.True(t, strings.Contains(waitEvent(t, bed, "cp-1", "NoSpareHost"), "roll-out"))

	bed.CreateMachine(t, "worker-0", managertest.LXD())
	assert.NotContains(t, says("worker-0"), "no other host", "a group that may share hosts is not warned")
}

func TestMishap_a_silent_MAAS_makes_no_machine_failed(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{DeployFor: time.Hour})
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "vm-0", managertest.LXD())
	bed.WaitCondition(t, bed.OfMachine("vm-0"), infrav1.MachineDeployedCondition, infrav1.MachineDeployingReason)
	bed.Fake.FailEvery("", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "MAAS is silent"))
	managertest.Eventually(t, func(c *managertest.Check) {
		deployed := conditions.Get(bed.Machine(c, "vm-0"), infrav1.MachineDeployedCondition)
		assert.Contains(c, deployed.Message, "MAAS_UNAVAILABLE: MAAS is silent")
		assert.Equal(c, infrav1.MachineDeployingReason, deployed.Reason)
	}, "the message tells of it and the reason stays")
	bed.DeleteMachine(t, "vm-0")
	managertest.Eventually(t, func(c *managertest.Check) {
		deployed := conditions.Get(bed.Machine(c, "vm-0"), infrav1.LXDVMDeployedCondition)
		assert.Contains(c, deployed.Message, "MAAS is silent")
		assert.Equal(c, infrav1.MachineDeletingReason, deployed.Reason)
	}, "so it is with a deletion")
	bed.Fake.Heal()
	bed.WaitGone(t, "vm-0")
	events := &eventsv1.EventList{}
	require.NoError(t, bed.Client.List(t.Context(), events, client.InNamespace(bed.Namespace)))
	for i := range events.Items {
		assert.NotEqual(t, infrav1.MachineDeployFailedReason, events.Items[i].Reason, events.Items[i].Note)
	}
}
