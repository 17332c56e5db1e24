package maasmachine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

// infraCondition gives a condition of a MaasMachine, or a zero one.
func infraCondition(_ require.TestingT, m *infrav1.MaasMachine, name string) metav1.Condition {
	return ptr.Deref(conditions.Get(m, name), metav1.Condition{})
}

// foreignNotFound is a NOT_FOUND that our service did not make.
func foreignNotFound() error { return status.New(codes.NotFound, "404 page not found").Err() }

func TestMachine_R1_3_becomes_a_physical_machine_and_goes_back(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{DeployFor: 300 * time.Millisecond, ReleaseFor: 300 * time.Millisecond})
	bed.ProvisionCluster(t)
	spec := managertest.Metal()
	spec.ProvisioningMode = "baremetal"
	bed.CreateMachine(t, "worker-0", spec, managertest.InZone("az3"))
	m := bed.WaitProvisioned(t, "worker-0")
	assert.Equal(t, infrav1.ModeBareMetal, m.Status.ProvisioningMode)
	assert.Equal(t, "maas:///az3/"+ptr.Deref(m.Spec.SystemID, ""), ptr.Deref(m.Spec.ProviderID, ""))
	assert.Nil(t, conditions.Get(m, infrav1.LXDVMCreatedCondition), "a physical machine has no VM's conditions")
	assert.Nil(t, m.Status.VMResourceUsage)
	agent := m.Annotations[infrav1.BareMetalAgentNameAnnotation]
	assert.Regexp(t, `^capmaas/worker-0-[a-z0-9]{5}$`, agent)
	allocations := provisionertest.Requests[*lxdprovisionerv1.AllocateMachineRequest](bed.Fake)
	require.Len(t, allocations, 1)
	assert.Equal(t, agent, allocations[0].GetMachine().GetAgentName())
	assert.Nil(t, allocations[0].GetSentAt(), "the call that follows the store sends")
	assert.Empty(t, m.Annotations[infrav1.BareMetalSentAtAnnotation], "the outcome is known")
	assert.Equal(t, "az3", allocations[0].GetConstraints().GetZone())
	assert.Equal(t, []byte(managertest.UserData), bed.Fake.UserData(ptr.Deref(m.Spec.SystemID, "")))

	bed.DeleteMachine(t, "worker-0")
	bed.WaitGone(t, "worker-0")
	for _, machine := range bed.Fake.Machines() {
		assert.NotEqual(t, lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYED, machine.GetStatus().GetState())
	}
}

func TestMachine_X3_9_an_allocation_is_sent_again_only_once_it_can_not_appear_any_more(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.Fake.FailNext("AllocateMachine", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_OUTCOME_UNKNOWN, "the connection broke"))
	bed.CreateMachine(t, "worker-0", managertest.Metal())
	sent := func() (sends, looks int) {
		for _, request := range provisionertest.Requests[*lxdprovisionerv1.AllocateMachineRequest](bed.Fake) {
			if request.GetSentAt() == nil {
				sends++
			} else {
				looks++
			}
		}
		return sends, looks
	}
	require.Eventually(t, func() bool { _, looks := sent(); return looks > 1 }, time.Minute, 50*time.Millisecond)
	sends, _ := sent()
	assert.Equal(t, 1, sends, "while the machine may still appear it is only looked for")
	bed.Fake.Advance(10 * time.Minute)
	m := bed.WaitProvisioned(t, "worker-0")
	sends, _ = sent()
	assert.Equal(t, 2, sends)
	assert.Empty(t, m.Annotations[infrav1.BareMetalSentAtAnnotation])
}

func TestMachine_X3_9_an_allocation_of_unknown_outcome_is_found_again(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.Fake.FailNextAfterEffect("AllocateMachine", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_OUTCOME_UNKNOWN, "the connection broke"))
	bed.CreateMachine(t, "worker-0", managertest.Metal())
	bed.WaitProvisioned(t, "worker-0")
	held := 0
	for _, machine := range bed.Fake.Machines() {
		if machine.GetStatus().GetState() != lxdprovisionerv1.MachineState_MACHINE_STATE_READY {
			held++
		}
	}
	assert.Equal(t, 1, held)
}

func TestMode_P4_a_VM_that_finds_no_host_never_becomes_bare_metal(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{Hosts: []provisionertest.Host{}})
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	condition := bed.WaitCondition(t, bed.OfMachine("cp-0"), infrav1.LXDHostSelectedCondition, "NO_HOSTS")
	assert.Equal(t, metav1.ConditionFalse, condition.Status)
	bed.WaitCondition(t, bed.OfMachine("cp-0"), clusterv1.ReadyCondition, infrav1.MachineDeployFailedReason)
	bed.WaitCondition(t, bed.OfMachine("cp-0"), infrav1.LXDVMCreatedCondition, infrav1.WaitingForLXDHostReason)
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.AllocateMachineRequest](bed.Fake))
}

func TestMachine_R7_what_is_wrong_stands_in_a_condition_and_a_repair_is_seen(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	big := managertest.LXD()
	big.MinCPU = new(int32(500))
	bed.CreateMachine(t, "too-big", big)
	badImage := managertest.LXD()
	badImage.Image = "ubuntu/warty"
	bed.CreateMachine(t, "bad-image", badImage)
	mac := managertest.LXD()
	mac.LXDConfig = &infrav1.LXDConfig{Network: &infrav1.LXDNetwork{MACAddress: "52:54:00:00:00:01"}}
	bed.CreateMachine(t, "mac", mac)
	lost := managertest.LXD()
	bed.CreateMachine(t, "lost", lost, managertest.InZone("atlantis"))

	managertest.Eventually(t, func(c *managertest.Check) {
		reason := infraCondition(c, bed.Machine(c, "too-big"), infrav1.LXDHostSelectedCondition).Reason
		assert.Contains(c, []string{"INSUFFICIENT_RESOURCES", "BAD_RESOURCES"}, reason)
	}, "the size is refused")
	bed.WaitCondition(t, bed.OfMachine("bad-image"), infrav1.LXDVMDeployedCondition, "IMAGE_NOT_FOUND")
	bed.WaitCondition(t, bed.OfMachine("bad-image"), infrav1.LXDVMCreatedCondition, infrav1.LXDVMCreatedReason)
	bed.WaitCondition(t, bed.OfMachine("mac"), infrav1.LXDHostSelectedCondition, "NOT_SUPPORTED")
	bed.WaitCondition(t, bed.OfMachine("lost"), infrav1.LXDHostSelectedCondition, "ZONE_NOT_FOUND")
	assert.Len(t, bed.Fake.VMs(), 1)

	m := bed.Machine(t, "mac")
	before := m.DeepCopy()
	m.Spec.LXDConfig = nil
	require.NoError(t, bed.Client.Patch(t.Context(), m, client.MergeFrom(before)))
	bed.WaitProvisioned(t, "mac")
}

func TestStaticIP_waits_for_somebody_to_fill_it_in(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	spec := managertest.LXD()
	spec.StaticIP = &infrav1.StaticIPConfig{CIDR: "10.10.0.0/16"}
	bed.CreateMachine(t, "cp-0", spec)
	bed.WaitCondition(t, bed.OfMachine("cp-0"), infrav1.MachineDeployedCondition, infrav1.WaitingForStaticIPReason)
	m := bed.Machine(t, "cp-0")
	before := m.DeepCopy()
	m.Spec.StaticIP.IP = "10.10.0.77"
	require.NoError(t, bed.Client.Patch(t.Context(), m, client.MergeFrom(before)))
	bed.WaitProvisioned(t, "cp-0")
	sent := provisionertest.Requests[*lxdprovisionerv1.ComposeVMRequest](bed.Fake)
	require.NotEmpty(t, sent)
	assert.Equal(t, "10.10.0.77", sent[0].GetNetwork().GetStaticIp().GetAddress())
	assert.Equal(t, "10.10.0.0/16", sent[0].GetNetwork().GetStaticIp().GetSubnet())
}
