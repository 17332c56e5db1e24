package maasmachine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

// annotated gives the MaasMachine an annotation.
func annotated(key, value string) func(*clusterv1.Machine, *infrav1.MaasMachine) {
	return func(_ *clusterv1.Machine, m *infrav1.MaasMachine) {
		metav1.SetMetaDataAnnotation(&m.ObjectMeta, key, value)
	}
}

// touch makes the manager look at a machine.
func touch(t *testing.T, bed *managertest.Bed, name string) {
	t.Helper()
	m := bed.Machine(t, name)
	before := m.DeepCopy()
	metav1.SetMetaDataAnnotation(&m.ObjectMeta, "test/touched", time.Now().String())
	require.NoError(t, bed.Client.Patch(t.Context(), m, client.MergeFrom(before)))
}

func TestRunning_X3_7_a_deployed_VM_is_never_replaced(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	m := bed.WaitProvisioned(t, "cp-0")
	bed.Fake.ForgetRequests()

	bed.Fake.SetState(m.Status.VMName, lxdprovisionerv1.MachineState_MACHINE_STATE_BROKEN, "marked broken")
	touch(t, bed, "cp-0")
	condition := bed.WaitCondition(t, bed.OfMachine("cp-0"), infrav1.MachineDeployedCondition, infrav1.MachineStateUndefinedReason)
	assert.Equal(t, "MAAS says Broken: marked broken", condition.Message)

	bed.Fake.Remove(m.Status.VMName)
	touch(t, bed, "cp-0")
	bed.WaitCondition(t, bed.OfMachine("cp-0"), infrav1.MachineDeployedCondition, infrav1.VMMissingReason)
	bed.WaitCondition(t, bed.OfMachine("cp-0"), clusterv1.ReadyCondition, infrav1.VMMissingReason)
	after := bed.Machine(t, "cp-0")
	assert.True(t, ptr.Deref(after.Status.Initialization.Provisioned, false), "provisioned stays true")
	assert.Equal(t, m.Spec.ProviderID, after.Spec.ProviderID)
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.SelectHostRequest](bed.Fake))
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.ComposeVMRequest](bed.Fake))
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.DeployVMRequest](bed.Fake))

	bed.DeleteMachine(t, "cp-0")
	bed.WaitGone(t, "cp-0")
}

func TestRunning_a_restored_object_without_status_is_not_made_anew(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	m := bed.WaitProvisioned(t, "cp-0")
	bed.StopManager()
	before := m.DeepCopy()
	m.Status = infrav1.MaasMachineStatus{}
	require.NoError(t, bed.Client.Status().Patch(t.Context(), m, client.MergeFrom(before)))
	bed.Fake.ForgetRequests()
	bed.StartManager(t)
	bed.WaitProvisioned(t, "cp-0")
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.ComposeVMRequest](bed.Fake), "status does not survive clusterctl move")
	assert.Len(t, bed.Fake.VMs(), 1)
}

func TestRunning_an_outage_of_MAAS_says_nothing_about_the_machine(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	bed.WaitProvisioned(t, "cp-0")
	bed.Fake.ForgetRequests()
	bed.Fake.FailEvery("GetVM", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "MAAS is silent"))
	touch(t, bed, "cp-0")
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.GreaterOrEqual(c, len(provisionertest.Requests[*lxdprovisionerv1.GetVMRequest](bed.Fake)), 2)
	}, "MAAS is asked again")
	m := bed.Machine(t, "cp-0")
	assert.Equal(t, infrav1.MachineDeployedReason, m.Status.Conditions[indexOf(t, m, infrav1.MachineDeployedCondition)].Reason)
}

func indexOf(t *testing.T, m *infrav1.MaasMachine, name string) int {
	t.Helper()
	for i := range m.Status.Conditions {
		if m.Status.Conditions[i].Type == name {
			return i
		}
	}
	t.Fatalf("no condition %s", name)
	return -1
}

func TestPaused_X4_7_holds_before_deletion_too(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	m := bed.WaitProvisioned(t, "cp-0")
	before := m.DeepCopy()
	metav1.SetMetaDataAnnotation(&m.ObjectMeta, clusterv1.PausedAnnotation, "")
	require.NoError(t, bed.Client.Patch(t.Context(), m, client.MergeFrom(before)))
	bed.WaitCondition(t, bed.OfMachine("cp-0"), clusterv1.PausedCondition, clusterv1.PausedReason)
	bed.Fake.ForgetRequests()
	bed.DeleteMachine(t, "cp-0")
	touch(t, bed, "cp-0")

	// Another machine that comes and goes meanwhile shows that the manager had time.
	bed.CreateMachine(t, "other", managertest.LXD())
	bed.WaitProvisioned(t, "other")
	bed.DeleteMachine(t, "other")
	bed.WaitGone(t, "other")
	for _, request := range provisionertest.Requests[*lxdprovisionerv1.DeleteVMRequest](bed.Fake) {
		assert.Equal(t, "other", request.GetOwner().GetMachine())
	}
	assert.Len(t, bed.Fake.VMs(), 1)

	m = bed.Machine(t, "cp-0")
	before = m.DeepCopy()
	delete(m.Annotations, clusterv1.PausedAnnotation)
	require.NoError(t, bed.Client.Patch(t.Context(), m, client.MergeFrom(before)))
	bed.WaitGone(t, "cp-0")
	assert.Empty(t, bed.Fake.VMs())
}
