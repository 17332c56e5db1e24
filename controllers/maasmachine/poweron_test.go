package maasmachine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

const off = lxdprovisionerv1.PowerState_POWER_STATE_OFF

// powerOns are the requests to switch a machine on.
func powerOns(bed *managertest.Bed) []*lxdprovisionerv1.PowerOnMachineRequest {
	return provisionertest.Requests[*lxdprovisionerv1.PowerOnMachineRequest](bed.Fake)
}

// quickBed is a bed in which a machine may be switched on again after 60 ms.
func quickBed(t *testing.T) *managertest.Bed {
	t.Helper()
	bed := managertest.NewWithoutManager(t, provisionertest.Config{})
	options := bed.Options()
	options.TimeScale = 0.0001
	bed.StartManagerWith(t, options)
	bed.ProvisionCluster(t)
	return bed
}

func TestPowerOn_X3_8_a_machine_that_was_deployed_comes_back(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	for name, spec := range map[string]infrav1.MaasMachineSpec{"vm": managertest.LXD(), "metal": managertest.Metal()} {
		bed.CreateMachine(t, name, spec)
		m := bed.WaitProvisioned(t, name)
		bed.Fake.ForgetRequests()
		require.True(t, bed.Fake.SetPower(*m.Spec.SystemID, off))
		touch(t, bed, name)
		assert.Contains(t, waitEvent(t, bed, name, "PoweredOn"), *m.Spec.SystemID)
		managertest.Eventually(t, func(c *managertest.Check) {
			assert.True(c, bed.Machine(c, name).Status.MachinePowered)
			assert.True(c, conditions.IsTrue(bed.Machine(c, name), infrav1.MachineDeployedCondition))
		}, name+" is on again")
		require.Len(t, powerOns(bed), 1)
		assert.Equal(t, *m.Spec.SystemID, powerOns(bed)[0].GetSystemId())
		assert.Equal(t, name, powerOns(bed)[0].GetOwner().GetMachine())

		// Somebody who switches it off again at once is not fought.
		require.True(t, bed.Fake.SetPower(*m.Spec.SystemID, off))
		bed.WaitCondition(t, bed.OfMachine(name), infrav1.MachineDeployedCondition, infrav1.MachinePoweredOffReason)
		for range 3 {
			touch(t, bed, name)
		}
		condition := bed.WaitCondition(t, bed.OfMachine(name), infrav1.MachineDeployedCondition, infrav1.MachinePoweredOffReason)
		assert.Contains(t, condition.Message, "powered off; MAAS was ")
		assert.Len(t, powerOns(bed), 1)

		before := bed.Machine(t, name)
		later := before.DeepCopy()
		later.Annotations[infrav1.PowerOnAskedAtAnnotation] = time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
		require.NoError(t, bed.Client.Patch(t.Context(), later, client.MergeFrom(before)))
		managertest.Eventually(t, func(c *managertest.Check) {
			assert.Len(c, powerOns(bed), 2)
			assert.True(c, bed.Machine(c, name).Status.MachinePowered)
		}, name+" is switched on after ten minutes")
	}
}

func TestPowerOn_X3_8_that_is_refused_says_why_and_is_asked_again(t *testing.T) {
	t.Parallel()
	bed := quickBed(t)
	bed.CreateMachine(t, "vm", managertest.LXD())
	m := bed.WaitProvisioned(t, "vm")
	bed.Fake.FailNext("PowerOnMachine", provisionertest.Fault(errorinfo.Busy, lxdprovisionerv1.Reason_REASON_MACHINE_LOCKED, "it is locked"))
	bed.Fake.FailNext("PowerOnMachine", provisionertest.Fault(errorinfo.Busy, lxdprovisionerv1.Reason_REASON_MACHINE_LOCKED, "it is locked"))
	require.True(t, bed.Fake.SetPower(*m.Spec.SystemID, off))
	touch(t, bed, "vm")
	assert.Contains(t, waitEvent(t, bed, "vm", infrav1.MachinePoweredOffReason), "it was not switched on: MACHINE_LOCKED: it is locked")
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.Len(c, powerOns(bed), 3)
		assert.True(c, bed.Machine(c, "vm").Status.MachinePowered)
	}, "it is asked until it is on")
}

func TestPowerOn_X3_8_is_not_asked_for_where_it_must_stay_off(t *testing.T) {
	t.Parallel()
	bed := quickBed(t)
	memory := managertest.Metal()
	memory.DeployInMemory = true
	bed.CreateMachine(t, "memory", memory)
	bed.CreateMachine(t, "remediated", managertest.LXD(), func(m *clusterv1.Machine, _ *infrav1.MaasMachine) {
		m.Annotations = map[string]string{clusterv1.RemediateMachineAnnotation: ""}
	})
	bed.CreateMachine(t, "paused", managertest.LXD())
	bed.CreateMachine(t, "allocated", managertest.LXD())
	for name, says := range map[string]string{"memory": "runs from memory", "remediated": "its Machine is being replaced"} {
		m := bed.WaitProvisioned(t, name)
		require.True(t, bed.Fake.SetPower(*m.Spec.SystemID, off))
		touch(t, bed, name)
		condition := bed.WaitCondition(t, bed.OfMachine(name), infrav1.MachineDeployedCondition, infrav1.MachinePoweredOffReason)
		assert.Contains(t, condition.Message, says)
	}
	m := bed.WaitProvisioned(t, "paused")
	before := m.DeepCopy()
	metav1.SetMetaDataAnnotation(&m.ObjectMeta, clusterv1.PausedAnnotation, "")
	require.NoError(t, bed.Client.Patch(t.Context(), m, client.MergeFrom(before)))
	bed.WaitCondition(t, bed.OfMachine("paused"), clusterv1.PausedCondition, clusterv1.PausedReason)
	require.True(t, bed.Fake.SetPower(*m.Spec.SystemID, off))
	touch(t, bed, "paused")

	m = bed.WaitProvisioned(t, "allocated")
	require.True(t, bed.Fake.SetState(*m.Spec.SystemID, lxdprovisionerv1.MachineState_MACHINE_STATE_ALLOCATED, ""))
	require.True(t, bed.Fake.SetPower(*m.Spec.SystemID, off))
	touch(t, bed, "allocated")
	bed.WaitCondition(t, bed.OfMachine("allocated"), infrav1.MachineDeployedCondition, infrav1.MachineTerminatedReason)
	assert.Empty(t, powerOns(bed))
}
