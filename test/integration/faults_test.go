package integration_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/services/maassim"
)

func TestBad_input_says_what_is_wrong_and_makes_nothing(t *testing.T) {
	t.Parallel()
	type edit = func(*infrav1.MaasMachine, *clusterv1.Machine)
	for name, tc := range map[string]struct {
		edit      edit
		condition string
		reason    string
		message   string
	}{
		"an_unknown_zone": {
			edit:      func(_ *infrav1.MaasMachine, m *clusterv1.Machine) { m.Spec.FailureDomain = "mars" },
			condition: infrav1.LXDHostSelectedCondition, reason: "ZONE_NOT_FOUND", message: "mars",
		},
		"R2.4_an_unknown_pool": {
			edit:      func(m *infrav1.MaasMachine, _ *clusterv1.Machine) { m.Spec.ResourcePool = new("nopool") },
			condition: infrav1.LXDHostSelectedCondition, reason: "POOL_NOT_FOUND", message: "nopool",
		},
		"an_unknown_storage_pool": {
			edit: func(m *infrav1.MaasMachine, _ *clusterv1.Machine) {
				m.Spec.LXDConfig = &infrav1.LXDConfig{Storage: &infrav1.LXDStorage{Pool: "nostorage"}}
			},
			condition: infrav1.LXDHostSelectedCondition, reason: "STORAGE_POOL_NOT_FOUND", message: "nostorage",
		},
		"an_impossible_size": {
			edit:      func(m *infrav1.MaasMachine, _ *clusterv1.Machine) { m.Spec.MinCPU = new(int32(500)) },
			condition: infrav1.LXDHostSelectedCondition, reason: "BAD_RESOURCES", message: "no host is large enough for 500 cores",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, maassim.DefaultConfig(2, 2, 0))
			s.makeCluster(t)
			s.makeVM(t, "vm-0", tc.edit)
			s.awaitCondition(t, "vm-0", tc.condition, metav1.ConditionFalse, tc.reason, tc.message)
			assert.Empty(t, s.sim.LXD(), "nothing may be made")
			s.deleteCluster(t)
			s.assertNothingLeft(t)
		})
	}
}

func TestHosts_that_are_full_are_named_as_a_shortage_and_taken_when_they_have_room(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(1, 1, 0))
	s.makeCluster(t)
	large := func(m *infrav1.MaasMachine, _ *clusterv1.Machine) { m.Spec.MinCPU = new(int32(20)) }
	s.makeVM(t, "vm-0", large)
	s.awaitProvisioned(t, 1)
	s.makeVM(t, "vm-1", large)
	s.awaitCondition(t, "vm-1", infrav1.LXDHostSelectedCondition, metav1.ConditionFalse, "INSUFFICIENT_RESOURCES", "0 of 1 host fit")
	assert.Len(t, s.sim.LXD(), 1, "R4.3: nothing is made where there is no room")
	require.NoError(t, s.client.Delete(t.Context(), s.machine("vm-0")))
	s.eventually(t, func(c *assert.CollectT) {
		assert.True(c, apierrors.IsNotFound(s.client.Get(t.Context(), client.ObjectKeyFromObject(s.machine("vm-0")), s.machine("vm-0"))))
	})
	s.awaitProvisioned(t, 1)
}

func TestUnknown_image_says_so_and_the_VM_goes_with_its_machine(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(1, 1, 0))
	s.makeCluster(t)
	s.makeVM(t, "vm-0", func(m *infrav1.MaasMachine, _ *clusterv1.Machine) { m.Spec.Image = "ubuntu/nosuch" })
	s.awaitCondition(t, "vm-0", infrav1.LXDVMDeployedCondition, metav1.ConditionFalse, "IMAGE_NOT_FOUND", "nosuch")
	assert.Len(t, s.sim.LXD(), 1, "the VM waits for its image and is not made again")
	s.deleteCluster(t)
	s.assertNothingLeft(t)
}

func TestHost_that_refuses_gives_way_to_the_next(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(2, 1, 0))
	require.NoError(t, s.sim.AddFaults(maassim.Fault{
		Operation: "vm-hosts.compose", Count: 1, Status: 503,
		Body: "Unable to compose machine because: Pod 1: Failed to connect to the LXD REST API: refused",
	}))
	s.makeCluster(t)
	s.makeVM(t, "vm-0")
	machines := s.awaitProvisioned(t, 1)
	require.Len(t, s.sim.LXD(), 1, "R4.4: one VM, on the other host")
	assert.Equal(t, s.sim.LXD()[0].Name, machines[0].Status.VMName)
	attempts := machines[0].Annotations[infrav1.ComposeAttemptsAnnotation]
	assert.Contains(t, attempts, `"attempt":2`, "another host means another attempt with another name")
	s.deleteCluster(t)
	s.assertNothingLeft(t)
}

func TestKey_that_MAAS_refuses_is_named_on_the_cluster(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(1, 1, 0), withKey("SimConsumerKey0001:SimTokenKey0000001:WrongSecretWrongSecret0000000001"))
	s.makeCluster(t)
	s.awaitClusterCondition(t, infrav1.ProvisionerAvailableCondition, metav1.ConditionFalse, "MAAS_KEY_REFUSED")
	s.assertNoSecrets(t)
}

func TestKey_without_rights_names_the_right_that_is_missing(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(1, 1, 0), withKey(maassim.DefaultUserAPIKey))
	s.makeCluster(t)
	s.awaitClusterCondition(t, infrav1.ProvisionerAvailableCondition, metav1.ConditionFalse, "MAAS_RIGHTS_MISSING")
}

func TestMAAS_P6_that_does_not_answer_is_waited_for(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(1, 1, 0))
	s.maasDown(true)
	s.makeCluster(t)
	s.awaitClusterCondition(t, infrav1.ProvisionerAvailableCondition, metav1.ConditionFalse, "MAAS_UNAVAILABLE")
	s.maasDown(false)
	s.makeVM(t, "vm-0")
	s.awaitProvisioned(t, 1)
	s.awaitClusterCondition(t, infrav1.ProvisionerAvailableCondition, metav1.ConditionTrue, "")
}

func TestZone_that_is_lost_leaves_the_others_alone(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(3, 3, 0))
	s.makeCluster(t)
	s.makeVM(t, "cp-0", controlPlane)
	s.makeVM(t, "cp-1", controlPlane)
	before := s.awaitProvisioned(t, 2)
	lost := ptr.Deref(before[0].Status.LXDHost, "")
	require.NoError(t, s.sim.SetHostOffline(lost, true))
	s.makeVM(t, "cp-2", controlPlane)
	after := s.awaitProvisioned(t, 3)
	hosts := map[string]string{}
	for _, m := range after {
		hosts[m.Name] = ptr.Deref(m.Status.LXDHost, "")
	}
	assert.Equal(t, ptr.Deref(before[1].Status.LXDHost, ""), hosts[before[1].Name], "R3.3: VMs elsewhere stay")
	assert.NotEqual(t, lost, hosts["cp-2"], "R3.3: new ones go elsewhere")
	require.NoError(t, s.sim.SetHostOffline(lost, false))
	s.deleteCluster(t)
	s.assertNothingLeft(t)
}

func TestManager_that_dies_in_the_middle_makes_nothing_twice(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(3, 3, 1)
	cfg.Durations.Compose, cfg.Durations.Deploy = 500*time.Millisecond, 500*time.Millisecond
	s := newStack(t, cfg)
	s.makeCluster(t)
	s.makeVM(t, "vm-0")
	s.makeMetal(t, "w-0")
	s.eventually(t, func(c *assert.CollectT) { assert.Positive(c, s.sim.Requests()["vm-hosts.compose"]) })
	s.restartManager(t)
	s.awaitProvisioned(t, 2)
	assert.Len(t, s.sim.LXD(), 1, "X1.3: the stored attempt was found again")
	assert.Equal(t, 1, s.sim.Requests()["vm-hosts.compose"])
	s.deleteCluster(t)
	s.assertNothingLeft(t)
}

func TestService_that_dies_in_the_middle_makes_nothing_twice(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(3, 3, 0))
	s.makeCluster(t)
	require.NoError(t, s.sim.AddFaults(maassim.Fault{Operation: "vm-hosts.compose", Count: 1, Reset: true, After: true}))
	s.makeVM(t, "vm-0")
	s.eventually(t, func(c *assert.CollectT) { assert.NotEmpty(c, s.sim.LXD()) })
	s.restartService(t)
	machines := s.awaitProvisioned(t, 1)
	require.Len(t, s.sim.LXD(), 1, "X1.2: the answer was lost, the VM was not made again")
	assert.Equal(t, s.sim.LXD()[0].Name, machines[0].Status.VMName)
	s.deleteCluster(t)
	s.assertNothingLeft(t)
}
