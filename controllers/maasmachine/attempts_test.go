package maasmachine_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	clusterctlv1 "sigs.k8s.io/cluster-api/cmd/clusterctl/api/v1alpha3"
	"sigs.k8s.io/cluster-api/util/conditions"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

// stored is the annotation's form, written down a second time: other tools read it.
type stored struct {
	Attempt  int    `json:"attempt"`
	Name     string `json:"name"`
	HostID   string `json:"hostID"`
	HostName string `json:"hostName"`
	SystemID string `json:"systemID"`
	SentAt   string `json:"sentAt"`
	Settled  bool   `json:"settled"`
	Resent   int    `json:"resent"`
}

func attemptsOf(t require.TestingT, m *infrav1.MaasMachine) []stored {
	var all []stored
	if text := m.Annotations[infrav1.ComposeAttemptsAnnotation]; text != "" {
		require.NoError(t, json.Unmarshal([]byte(text), &all))
	}
	return all
}

func TestAttempt_X1_1_is_stored_before_anything_is_made(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.Fake.FailNext("ComposeVM", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "MAAS is silent"))
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	managertest.Eventually(t, func(c *managertest.Check) {
		all := attemptsOf(c, bed.Machine(c, "cp-0"))
		require.Len(c, all, 1)
		sent := provisionertest.Requests[*lxdprovisionerv1.ComposeVMRequest](bed.Fake)
		require.NotEmpty(c, sent)
		first := sent[0].GetAttempt()
		assert.Nil(c, first.GetSentAt(), "the call after the store is the one that is sent")
		assert.Equal(c, all[0].Name, first.GetName())
		assert.Equal(c, all[0].HostID, first.GetHostId())
		assert.Equal(c, bed.Fake.HostID(all[0].HostName), all[0].HostID)
		assert.NotEmpty(c, all[0].SentAt)
		assert.Equal(c, all[0].Name, bed.Machine(c, "cp-0").Annotations[infrav1.VMNameAnnotation])
	}, "the attempt is stored")
}

func TestAttempt_X2_4_an_unknown_outcome_is_looked_for_and_never_sent_again(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.Fake.FailNextAfterEffect("ComposeVM", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_OUTCOME_UNKNOWN, "the connection broke"))
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	bed.WaitProvisioned(t, "cp-0")
	assert.Len(t, bed.Fake.VMs(), 1)
	sent := provisionertest.Requests[*lxdprovisionerv1.ComposeVMRequest](bed.Fake)
	require.GreaterOrEqual(t, len(sent), 2)
	assert.Nil(t, sent[0].GetAttempt().GetSentAt())
	for _, again := range sent[1:] {
		assert.NotNil(t, again.GetAttempt().GetSentAt(), "later calls only look")
		assert.Equal(t, sent[0].GetAttempt().GetName(), again.GetAttempt().GetName())
		assert.Equal(t, sent[0].GetAttempt().GetHostId(), again.GetAttempt().GetHostId())
	}
}

func TestAttempt_X1_4_blocks_a_move_until_it_is_settled(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.Fake.DelayNextCompose(time.Minute)
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	bed.WaitCondition(t, bed.OfMachine("cp-0"), infrav1.LXDVMCreatedCondition, infrav1.LXDVMComposingReason)
	assert.Contains(t, bed.Machine(t, "cp-0").Annotations, clusterctlv1.BlockMoveAnnotation)
	bed.Fake.Advance(2 * time.Minute)
	m := bed.WaitProvisioned(t, "cp-0")
	assert.NotContains(t, m.Annotations, clusterctlv1.BlockMoveAnnotation)
	all := attemptsOf(t, m)
	require.Len(t, all, 1)
	assert.True(t, all[0].Settled)
	assert.Equal(t, ptr.Deref(m.Spec.SystemID, ""), all[0].SystemID)
}

// clusterctl move pauses the cluster first and waits for the block to be lifted then.
func TestAttempt_X1_4_a_paused_cluster_moves_once_nothing_is_under_way(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.Fake.DelayNextCompose(time.Minute)
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	bed.WaitCondition(t, bed.OfMachine("cp-0"), infrav1.LXDVMCreatedCondition, infrav1.LXDVMComposingReason)
	bed.PatchCluster(t, func(cluster *clusterv1.Cluster) { cluster.Spec.Paused = new(true) })
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.NotContains(c, bed.Machine(c, "cp-0").Annotations, clusterctlv1.BlockMoveAnnotation)
	}, "the move goes on")
	all := attemptsOf(t, bed.Machine(t, "cp-0"))
	require.Len(t, all, 1)
	assert.False(t, all[0].Settled, "nothing was concluded")
	bed.Fake.Advance(2 * time.Minute)
	bed.PatchCluster(t, func(cluster *clusterv1.Cluster) { cluster.Spec.Paused = new(false) })
	bed.WaitProvisioned(t, "cp-0")
	assert.Len(t, bed.Fake.VMs(), 1, "the attempt that was moved is found again")
}

func TestAttempt_X2_is_sent_again_under_the_same_name_once_it_is_proved_lost(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.Fake.FailNext("ComposeVM", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "MAAS is silent"))
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.GreaterOrEqual(c, len(provisionertest.Requests[*lxdprovisionerv1.ComposeVMRequest](bed.Fake)), 2)
	}, "the VM is looked for")
	bed.Fake.Advance(200 * time.Second)
	bed.WaitProvisioned(t, "cp-0")
	names := map[string]bool{}
	for _, request := range provisionertest.Requests[*lxdprovisionerv1.ComposeVMRequest](bed.Fake) {
		names[request.GetAttempt().GetName()+request.GetAttempt().GetHostId()] = true
	}
	assert.Len(t, names, 1, "the name stays on its host")
	assert.Len(t, bed.Fake.VMs(), 1)
}

func TestAttempt_R4_4_tries_the_next_host_when_the_chosen_one_refuses(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	for _, host := range []string{"lxd-01", "lxd-02", "lxd-03", "lxd-04"} {
		bed.Fake.FailNext("ComposeVM", provisionertest.Fault(errorinfo.Refused, lxdprovisionerv1.Reason_REASON_LXD_HOST_UNAVAILABLE, "%s is down", host))
	}
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	m := bed.WaitProvisioned(t, "cp-0")
	all := attemptsOf(t, m)
	require.Len(t, all, 5)
	names, hosts := map[string]bool{}, map[string]bool{}
	for i, a := range all {
		names[a.Name], hosts[a.HostID] = true, true
		assert.Equal(t, i+1, a.Attempt)
		assert.Equal(t, i == 4, a.Settled, "a refused name is checked at the end")
	}
	assert.Len(t, names, 5, "X1.2 another host means another name")
	assert.Len(t, hosts, 5)
	assert.Equal(t, all[0].Name, m.Annotations[infrav1.VMNameAnnotation])
	require.Len(t, bed.Fake.VMs(), 1)
	choices := provisionertest.Requests[*lxdprovisionerv1.SelectHostRequest](bed.Fake)
	require.Len(t, choices, 5)
	for i, choice := range choices {
		excluded := choice.GetPlacement().GetExcludedHosts()
		assert.Len(t, excluded, i, "every host that refused is left out")
		for _, before := range all[:i] {
			assert.Contains(t, excluded, before.HostID)
		}
	}

	bed.Fake.Advance(10 * time.Minute)
	bed.DeleteMachine(t, "cp-0")
	bed.WaitGone(t, "cp-0")
	deletes := provisionertest.Requests[*lxdprovisionerv1.DeleteVMRequest](bed.Fake)
	assert.Len(t, deletes[len(deletes)-1].GetAttempts(), 5, "every name is checked before the object goes")
}

func TestAttempt_X3_2_leaves_a_name_that_is_taken_alone(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.Fake.AddStranger("adopted-name", bed.Fake.HostID("lxd-01"))
	bed.CreateMachine(t, "cp-0", managertest.LXD(), annotated(infrav1.VMNameAnnotation, "adopted-name"))
	m := bed.WaitProvisioned(t, "cp-0")
	all := attemptsOf(t, m)
	require.Len(t, all, 2)
	assert.Equal(t, "adopted-name", all[0].Name, "X1.1 a name found in the annotation is taken")
	assert.NotEqual(t, "adopted-name", m.Status.VMName)
	assert.Len(t, bed.Fake.VMs(), 2)
}

func TestAttempt_X3_7_is_made_anew_where_the_VM_fails_before_it_is_deployed_but_not_for_ever(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{DeployFor: time.Hour})
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	for failure := range 4 {
		managertest.Eventually(t, func(c *managertest.Check) {
			vms := bed.Fake.VMs()
			require.Len(c, vms, 1, "failure %d", failure)
			require.Equal(c, lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYING, vms[0].GetStatus().GetState())
			require.Len(c, attemptsOf(c, bed.Machine(c, "cp-0")), failure+1)
			bed.Fake.SetState(vms[0].GetName(), lxdprovisionerv1.MachineState_MACHINE_STATE_FAILED, "curtin failed")
		}, fmt.Sprintf("VM %d deploys", failure))
	}
	managertest.Eventually(t, func(c *managertest.Check) {
		deployed := conditions.Get(bed.Machine(c, "cp-0"), infrav1.MachineDeployedCondition)
		require.NotNil(c, deployed)
		assert.Equal(c, infrav1.MachineDeployFailedReason, deployed.Reason)
		assert.Contains(c, deployed.Message, "4 VMs failed before they were deployed")
	}, "the attempts come to an end")
	assert.Len(t, attemptsOf(t, bed.Machine(t, "cp-0")), 4)
	bed.DeleteMachine(t, "cp-0")
	bed.WaitGone(t, "cp-0")
	assert.Empty(t, bed.Fake.VMs())
}

func TestAttempt_X4_3_a_VM_that_was_deleted_without_proof_is_gone_before_another_is_made(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.Fake.FailNextAfterEffect("ComposeVM", provisionertest.Leaving("left00", lxdprovisionerv1.Reason_REASON_VM_COMPOSITION_FAILED, "MAAS imported it"))
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	m := bed.WaitProvisioned(t, "cp-0")
	all := attemptsOf(t, m)
	require.Len(t, all, 2)
	assert.Equal(t, "left00", all[0].SystemID, "X1.1 the attempt names what may be left of it")
	assert.True(t, all[0].Settled, "X1.5 its absence is proved")
	require.Len(t, bed.Fake.VMs(), 1)
	assert.Equal(t, all[1].Name, bed.Fake.VMs()[0].GetName())
}

// inTime starts a manager whose time runs by the scale: of it the time for which a composition may be under way.
func inTime(t *testing.T, scale float64) *managertest.Bed {
	t.Helper()
	bed := managertest.NewWithoutManager(t, provisionertest.Config{})
	options := bed.Options()
	options.TimeScale = scale
	bed.StartManagerWith(t, options)
	bed.ProvisionCluster(t)
	bed.Fake.FailNext("ComposeVM", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "MAAS is silent"))
	bed.Fake.FailNext("ComposeVM", provisionertest.Fault(errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_VM_NOT_FOUND, "MAAS shows no VM"))
	bed.Fake.FailNext("ComposeVM", provisionertest.Fault(errorinfo.Refused, lxdprovisionerv1.Reason_REASON_LXD_HOST_UNAVAILABLE, "no rack"))
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	return bed
}

func TestAttempt_X2_4_a_refusal_says_nothing_of_what_was_sent_before(t *testing.T) {
	t.Parallel()
	bed := inTime(t, 0.001) // MAAS shows no VM once the first sending is over
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.NotEmpty(c, provisionertest.Requests[*lxdprovisionerv1.DeleteVMRequest](bed.Fake))
	}, "what the first sending may have made is removed")
	all := attemptsOf(t, bed.Machine(t, "cp-0"))
	require.Len(t, all, 1, "no other VM is made before that is proved")
	bed.Fake.Advance(time.Hour)
	all = attemptsOf(t, bed.WaitProvisioned(t, "cp-0"))
	require.Len(t, all, 2)
	assert.True(t, all[0].Settled, "X1.5 its absence is proved")
	assert.Len(t, bed.Fake.VMs(), 1)
}

func TestAttempt_X2_4_what_was_known_not_to_be_sent_leaves_nothing(t *testing.T) {
	t.Parallel()
	bed := inTime(t, 0.2) // the service says so long before the first sending could be over
	all := attemptsOf(t, bed.WaitProvisioned(t, "cp-0"))
	require.Len(t, all, 2)
	assert.Zero(t, all[0].Resent)
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.DeleteVMRequest](bed.Fake), "a refusal after it needs no proof")
}

func TestAttempt_X2_6_a_VM_that_yields_is_no_failure(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	for n := range 5 {
		bed.Fake.FailNextAfterEffect("ComposeVM", provisionertest.Leaving(fmt.Sprintf("left0%d", n), lxdprovisionerv1.Reason_REASON_HOST_OVERCOMMITTED, "over its limit"))
	}
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	assert.Len(t, attemptsOf(t, bed.WaitProvisioned(t, "cp-0")), 6)
	assert.Len(t, bed.Fake.VMs(), 1)
}

func TestAttempt_X6_2_peers_hold_every_stored_attempt_of_the_group(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	spec := managertest.LXD()
	spec.LXDConfig = &infrav1.LXDConfig{AntiAffinity: infrav1.AntiAffinityRequired}
	const machines = 6 // as many as hosts
	for i := range machines {
		bed.CreateMachine(t, fmt.Sprintf("cp-%d", i), spec, managertest.ControlPlane)
	}
	hosts := map[string]bool{}
	for i := range machines {
		hosts[ptr.Deref(bed.WaitProvisioned(t, fmt.Sprintf("cp-%d", i)).Status.LXDHost, "")] = true
	}
	assert.Len(t, hosts, machines, "no two share a host")
	seen := map[int]bool{}
	for _, request := range provisionertest.Requests[*lxdprovisionerv1.SelectHostRequest](bed.Fake) {
		seen[len(request.GetGroup().GetPeers())] = true
	}
	for peers := range machines {
		assert.True(t, seen[peers], "somebody chose with %d peers", peers)
	}
}

func TestAttempt_survives_a_manager_that_dies_at_any_call(t *testing.T) {
	t.Parallel()
	bed := managertest.NewWithoutManager(t, provisionertest.Config{CommissionFor: 300 * time.Millisecond, DeployFor: 300 * time.Millisecond})
	bed.StartManager(t)
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.NotEmpty(c, provisionertest.Requests[*lxdprovisionerv1.ComposeVMRequest](bed.Fake))
	}, "the first call is there")
	bed.StopManager()
	bed.StartManager(t)
	m := bed.WaitProvisioned(t, "cp-0")
	assert.Len(t, attemptsOf(t, m), 1)
	assert.Len(t, bed.Fake.VMs(), 1)
}

func TestAttempt_X6_2_a_refused_attempt_is_no_peer_for_ever(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	refused := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	bed.CreateMachine(t, "cp-0", managertest.LXD(), managertest.ControlPlane, func(_ *clusterv1.Machine, m *infrav1.MaasMachine) {
		metav1.SetMetaDataAnnotation(&m.ObjectMeta, infrav1.ComposeAttemptsAnnotation,
			`[{"attempt":1,"name":"cp-0-aaaaa","hostID":"`+bed.Fake.HostID("lxd-01")+`","hostName":"lxd-01","sentAt":"`+refused+`","givenUp":true}]`)
	})
	bed.WaitProvisioned(t, "cp-0")
	bed.Fake.ForgetRequests()
	bed.CreateMachine(t, "cp-1", managertest.LXD(), managertest.ControlPlane)
	bed.WaitProvisioned(t, "cp-1")
	asked := provisionertest.Requests[*lxdprovisionerv1.SelectHostRequest](bed.Fake)
	require.NotEmpty(t, asked)
	for _, request := range asked {
		require.Len(t, request.GetGroup().GetPeers(), 1, "only the attempt that stands")
		assert.NotEqual(t, "cp-0-aaaaa", request.GetGroup().GetPeers()[0].GetName())
	}
}

func TestAttempt_X9_2_many_refusals_are_forgotten_and_not_terminal(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	var refused []string
	for n := range 30 {
		refused = append(refused, fmt.Sprintf(`{"attempt":%d,"name":"vm-0-%05d","hostID":%q,"hostName":"lxd-01","sentAt":%q,"givenUp":true}`,
			n+1, n, bed.Fake.HostID("lxd-01"), time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)))
	}
	bed.CreateMachine(t, "vm-0", managertest.LXD(), func(_ *clusterv1.Machine, m *infrav1.MaasMachine) {
		metav1.SetMetaDataAnnotation(&m.ObjectMeta, infrav1.ComposeAttemptsAnnotation, "["+strings.Join(refused, ",")+"]")
	})
	m := bed.WaitProvisioned(t, "vm-0")
	var left []stored
	require.NoError(t, json.Unmarshal([]byte(m.Annotations[infrav1.ComposeAttemptsAnnotation]), &left))
	require.Len(t, left, 2, "the last refused one, which counts, and the one that stands")
	assert.Equal(t, 31, left[1].Attempt)
}

func TestDelete_waits_for_a_person_where_the_existing_provider_may_have_made_a_VM(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "vm-0", managertest.LXD(), managertest.WithoutBootstrapData, func(_ *clusterv1.Machine, m *infrav1.MaasMachine) {
		metav1.SetMetaDataAnnotation(&m.ObjectMeta, infrav1.VMNameAnnotation, "vm-vm-0-a1b2c")
	})
	bed.WaitCondition(t, bed.OfMachine("vm-0"), infrav1.MachineDeployedCondition, infrav1.WaitingForBootstrapDataReason)
	bed.DeleteMachine(t, "vm-0")
	deleted := bed.WaitCondition(t, bed.OfMachine("vm-0"), infrav1.LXDVMDeployedCondition, infrav1.LXDVMDeletionFailedReason)
	assert.Contains(t, deleted.Message, "vm-vm-0-a1b2c")
}
