package maasmachine_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

// theirs is a spec as the existing provider stores it once it has deployed.
func theirs(systemID string, vm bool) infrav1.MaasMachineSpec {
	spec := managertest.Metal()
	spec.SystemID, spec.ProviderID = &systemID, new("maas:///zone-a/"+systemID)
	if vm {
		spec.LXD = &infrav1.MachineLXDConfig{Enabled: new(true)}
	}
	return spec
}

// assertNothingMade looks for requests that would have made, deployed or removed something.
func assertNothingMade(t *testing.T, bed *managertest.Bed) {
	t.Helper()
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.SelectHostRequest](bed.Fake))
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.ComposeVMRequest](bed.Fake))
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.DeployVMRequest](bed.Fake))
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.AllocateMachineRequest](bed.Fake))
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.DeployMachineRequest](bed.Fake))
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.ReleaseMachineRequest](bed.Fake))
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.DeleteVMRequest](bed.Fake))
}

func TestTakeOver_P9_a_VM_of_the_existing_provider_keeps_its_provider_ID_and_goes_with_proof(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	const host = "lxd-01"
	spec := theirs(bed.Fake.AddForeign("vm-cp-0", host), true)
	bed.CreateMachine(t, "cp-0", spec, annotated(infrav1.VMNameAnnotation, "vm-cp-0-1a2b3"))
	m := bed.WaitProvisioned(t, "cp-0")
	assert.Equal(t, spec.ProviderID, m.Spec.ProviderID)
	assert.Equal(t, "vm-cp-0-1a2b3", m.Annotations[infrav1.VMNameAnnotation])
	assert.Contains(t, m.Annotations[infrav1.ComposeAttemptsAnnotation], `"name":"vm-cp-0"`)
	assert.Equal(t, "vm-cp-0", m.Status.VMName)
	assert.Equal(t, host, ptr.Deref(m.Status.LXDHost, ""))
	assertNothingMade(t, bed)

	bed.DeleteMachine(t, "cp-0")
	bed.WaitGone(t, "cp-0")
	assert.Empty(t, bed.Fake.VMs(), "R5.4")
	deletions := provisionertest.Requests[*lxdprovisionerv1.DeleteVMRequest](bed.Fake)
	require.NotEmpty(t, deletions)
	names := map[string]bool{}
	for _, a := range deletions[0].GetAttempts() {
		names[a.GetName()] = true
	}
	assert.Equal(t, map[string]bool{"vm-cp-0": true, "vm-cp-0-1a2b3": true}, names, "X4.3: LXD's name is looked for too")
}

func TestTakeOver_P9_a_physical_machine_of_the_existing_provider_is_released_with_its_object(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{true, false} {
		name := map[bool]string{true: "that_was_looked_after", false: "that_goes_at_once"}[running]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bed := managertest.New(t, provisionertest.Config{})
			bed.ProvisionCluster(t)
			spec := theirs(bed.Fake.AddForeign("", ""), false)
			if !running {
				bed.StopManager()
			}
			bed.CreateMachine(t, "w-0", spec, func(_ *clusterv1.Machine, m *infrav1.MaasMachine) {
				m.Finalizers = []string{infrav1.MachineFinalizer, infrav1.HostEvacuationFinalizer}
			})
			if running {
				m := bed.WaitProvisioned(t, "w-0")
				assert.Equal(t, spec.ProviderID, m.Spec.ProviderID)
				assertNothingMade(t, bed)
			}
			bed.DeleteMachine(t, "w-0")
			if !running {
				bed.StartManager(t)
			}
			bed.WaitGone(t, "w-0")
			for _, m := range bed.Fake.Machines() {
				assert.NotEqual(t, lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYED, m.GetStatus().GetState(), m.GetSystemId())
			}
		})
	}
}

func TestTakeOver_X3_2_a_VM_of_ours_is_known_to_a_MaasMachine_that_is_made_anew(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	lost := bed.WaitProvisioned(t, "cp-0")
	bed.StopManager()
	orphan(t, bed, "cp-0")
	made := len(provisionertest.Requests[*lxdprovisionerv1.ComposeVMRequest](bed.Fake))
	require.NotZero(t, made)

	bed.CreateMachine(t, "cp-0", lost.Spec)
	bed.StartManager(t)
	m := bed.WaitProvisioned(t, "cp-0")
	assert.NotEqual(t, lost.UID, m.UID)
	assert.Equal(t, lost.Spec.ProviderID, m.Spec.ProviderID)
	assert.Equal(t, lost.Status.VMName, m.Status.VMName)
	assert.Equal(t, lost.Status.LXDHost, m.Status.LXDHost)
	assert.Equal(t, lost.Status.Addresses, m.Status.Addresses)
	assert.Equal(t, lost.Annotations[infrav1.VMNameAnnotation], m.Annotations[infrav1.VMNameAnnotation])
	assert.Len(t, provisionertest.Requests[*lxdprovisionerv1.ComposeVMRequest](bed.Fake), made, "no second VM is made")
	assert.Len(t, bed.Fake.VMs(), 1)

	bed.DeleteMachine(t, "cp-0")
	bed.WaitGone(t, "cp-0")
	assert.Empty(t, bed.Fake.VMs(), "R5.4")
}

// orphan lets the objects of a machine go and leaves what they hold, as somebody does who takes their finalizers away.
func orphan(t *testing.T, bed *managertest.Bed, name string) {
	t.Helper()
	key := bed.Key(name)
	for _, o := range []client.Object{&infrav1.MaasMachine{}, &clusterv1.Machine{}, &corev1.Secret{}} {
		require.NoError(t, bed.Client.Get(t.Context(), key, o))
		before, ok := o.DeepCopyObject().(client.Object)
		require.True(t, ok)
		o.SetFinalizers(nil)
		require.NoError(t, bed.Client.Patch(t.Context(), o, client.MergeFrom(before)))
		require.NoError(t, bed.Client.Delete(t.Context(), o))
	}
}

func TestTakeOver_X3_2_what_is_not_proved_is_neither_taken_nor_removed(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	spec := theirs(bed.Fake.AddForeign("somebody-elses", "lxd-01"), true)
	bed.CreateMachine(t, "cp-0", spec)
	bed.WaitCondition(t, bed.OfMachine("cp-0"), infrav1.MachineDeployedCondition, infrav1.MachineNotFoundReason)
	bed.WaitCondition(t, bed.OfMachine("cp-0"), infrav1.LXDVMDeployedCondition, infrav1.MachineNotFoundReason)
	bed.DeleteMachine(t, "cp-0")
	deleting := bed.WaitCondition(t, bed.OfMachine("cp-0"), infrav1.LXDVMDeployedCondition, infrav1.LXDVMDeletionFailedReason)
	assert.Contains(t, deleting.Message, infrav1.AbandonVMAnnotation)
	assertNothingMade(t, bed)

	m := bed.Machine(t, "cp-0")
	before := m.DeepCopy()
	metav1.SetMetaDataAnnotation(&m.ObjectMeta, infrav1.AbandonVMAnnotation, "it is not ours")
	require.NoError(t, bed.Client.Patch(t.Context(), m, client.MergeFrom(before)))
	bed.WaitGone(t, "cp-0")
	assert.Len(t, bed.Fake.VMs(), 1)
}

func TestTakeOver_a_physical_machine_that_nobody_holds_says_so_and_goes(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	spec := theirs(bed.Fake.Machines()[0].GetSystemId(), false)
	bed.CreateMachine(t, "w-0", spec)
	bed.WaitCondition(t, bed.OfMachine("w-0"), infrav1.MachineDeployedCondition, infrav1.MachineTerminatedReason)
	assertNothingMade(t, bed)
	bed.DeleteMachine(t, "w-0")
	bed.WaitGone(t, "w-0")
}
