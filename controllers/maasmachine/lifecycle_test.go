package maasmachine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

func TestMachine_R3_1_corrects_a_zone_in_which_it_is_not(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "cp-0", managertest.LXD(), managertest.ControlPlane, managertest.InZone("az2"),
		func(_ *clusterv1.Machine, infra *infrav1.MaasMachine) { infra.Spec.FailureDomain = new("az1") })
	bed.WaitProvisioned(t, "cp-0")
	m := bed.Machine(t, "cp-0")
	assert.Equal(t, "az2", m.Status.FailureDomain, "the Machine's failure domain wins")
	assert.Equal(t, "az2", ptr.Deref(m.Spec.FailureDomain, ""), "Cluster API spreads by what stands here")
}

func TestMachine_becomes_an_LXD_VM_and_goes_away_again(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{CommissionFor: 500 * time.Millisecond, DeployFor: 500 * time.Millisecond})
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "cp-0", managertest.LXD(), managertest.ControlPlane, managertest.InZone("az2"))
	bed.WaitProvisioned(t, "cp-0")

	vms := bed.Fake.VMs()
	require.Len(t, vms, 1)
	vm := vms[0]
	assert.Equal(t, "az2", vm.GetZone(), "the Machine's failure domain is a must")
	assert.Equal(t, []byte(managertest.UserData), bed.Fake.UserData(vm.GetName()))

	bed.WaitCondition(t, bed.OfMachine("cp-0"), clusterv1.ReadyCondition, clusterv1.ReadyReason)
	m := bed.Machine(t, "cp-0")
	t.Run("R5.3_status_says_what_the_VM_is", func(t *testing.T) {
		assert.Equal(t, "maas-lxd:///az2/"+vm.GetSystemId(), ptr.Deref(m.Spec.ProviderID, ""))
		assert.Equal(t, vm.GetSystemId(), ptr.Deref(m.Spec.SystemID, ""))
		assert.Nil(t, m.Spec.FailureDomain, "Cluster API would take it for what its user wants of the Machine")
		assert.Equal(t, "az2", m.Status.FailureDomain)
		assert.Equal(t, vm.GetHostName(), ptr.Deref(m.Status.LXDHost, ""))
		assert.Equal(t, "default", ptr.Deref(m.Status.LXDProject, ""))
		assert.Equal(t, vm.GetName(), m.Status.VMName)
		assert.Equal(t, &infrav1.VMResourceUsage{AllocatedCores: 2, AllocatedMemory: 4096, AllocatedDisk: 60}, m.Status.VMResourceUsage)
		assert.Equal(t, infrav1.MachineState("Deployed"), ptr.Deref(m.Status.MachineState, ""))
		assert.True(t, m.Status.MachinePowered)
		assert.True(t, m.Status.Ready)
		assert.Equal(t, infrav1.ModeLXD, m.Status.ProvisioningMode)
	})
	t.Run("P5_every_condition_is_there", func(t *testing.T) {
		for _, name := range []string{
			clusterv1.ReadyCondition, infrav1.MachineDeployedCondition, infrav1.DNSAttachedCondition, infrav1.LXDHostSelectedCondition,
			infrav1.LXDVMCreatedCondition, infrav1.LXDResourcesAllocatedCondition, infrav1.LXDVMDeployedCondition,
		} {
			assert.True(t, conditions.IsTrue(m, name), "%s: %v", name, conditions.Get(m, name))
		}
		assert.Equal(t, metav1.ConditionFalse, conditions.Get(m, clusterv1.PausedCondition).Status)
	})
	t.Run("addresses_have_the_existing_provider's_shape", func(t *testing.T) {
		ip := vm.GetStatus().GetAddresses()[0].GetIp()
		assert.Equal(t, []clusterv1.MachineAddress{
			{Type: clusterv1.MachineExternalDNS, Address: vm.GetName() + ".maas"},
			{Type: clusterv1.MachineInternalDNS, Address: vm.GetName() + ".maas"},
			{Type: clusterv1.MachineExternalIP, Address: ip},
			{Type: clusterv1.MachineInternalIP, Address: ip},
		}, m.Status.Addresses)
	})

	bed.DeleteMachine(t, "cp-0")
	bed.WaitGone(t, "cp-0")
	assert.Empty(t, bed.Fake.VMs(), "R5.4 nothing of the VM is left")
}
