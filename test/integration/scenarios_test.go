package integration_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/services/maassim"
)

// The scenarios show, by the numbers of the list of defects of the existing provider, that this one does not have them.

// nonce makes every request of somebody else a new one.
var nonce atomic.Int64

// ask calls MAAS as the user of a key, past the service.
func (s *stack) ask(t *testing.T, key, path string, form url.Values) (status int, body []byte) {
	t.Helper()
	return s.request(t, http.MethodPost, key, path, form)
}

func (s *stack) request(t *testing.T, method, key, path string, form url.Values) (status int, body []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.maas.URL+"/MAAS/api/2.0/"+path, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	parts := strings.Split(key, ":")
	require.Len(t, parts, 3)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Authorization", fmt.Sprintf(
		`OAuth oauth_version="1.0", oauth_signature_method="PLAINTEXT", oauth_consumer_key="%s", oauth_token="%s", oauth_signature="%%26%s", oauth_nonce="scenario-%d", oauth_timestamp="%d"`,
		parts[0], parts[1], parts[2], nonce.Add(1), time.Now().Unix()))
	answer, err := s.maas.Client().Do(request)
	require.NoError(t, err)
	defer func() { assert.NoError(t, answer.Body.Close()) }()
	body, err = io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, body
}

// deleteMachine deletes a Machine; the stand-in for Cluster API deletes its MaasMachine.
func (s *stack) deleteMachine(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, s.client.Delete(t.Context(), s.machine(name)))
}

// gone says whether the MaasMachine is no more.
func (s *stack) gone(t *testing.T, name string) bool {
	t.Helper()
	err := s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, &infrav1.MaasMachine{})
	require.NoError(t, client.IgnoreNotFound(err))
	return apierrors.IsNotFound(err)
}

// nudge makes the manager look at a MaasMachine again.
func (s *stack) nudge(t *testing.T, name string, times int) {
	t.Helper()
	for n := range times {
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"example.org/nudge":"%d"}}}`, n)
		m := &infrav1.MaasMachine{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}
		require.NoError(t, s.client.Patch(t.Context(), m, client.RawPatch("application/merge-patch+json", patch)))
	}
}

// awaitNotDeployed waits until the MaasMachine says that its machine is not as it was.
func (s *stack) awaitNotDeployed(t *testing.T, name string) {
	t.Helper()
	s.eventually(t, func(c *assert.CollectT) {
		m := &infrav1.MaasMachine{}
		require.NoError(c, s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, m))
		deployed := meta.FindStatusCondition(m.Status.Conditions, infrav1.MachineDeployedCondition)
		require.NotNil(c, deployed)
		assert.NotEqual(c, metav1.ConditionTrue, deployed.Status, conditionsOf(m.Status.Conditions))
	})
}

func TestScenario_defect_1_machines_that_come_at_once_do_not_herd_onto_one_host(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(3, 3, 0)
	// All are chosen before any is there, and who knows nothing of the others finds the same host the best.
	cfg.Durations.Compose, cfg.Hosts[0].Cores, cfg.Hosts[1].Cores = time.Second, 40, 36
	s := newStack(t, cfg)
	s.makeCluster(t)
	for n := range 6 {
		s.makeVM(t, fmt.Sprintf("vm-%d", n), func(m *infrav1.MaasMachine, _ *clusterv1.Machine) { m.Spec.MinCPU = new(int32(14)) })
	}
	s.awaitProvisioned(t, 6)
	cores := map[string]int{}
	for _, i := range s.sim.LXD() {
		cores[i.Host] += i.Cores
	}
	assert.Equal(t, map[string]int{"lxd-1": 28, "lxd-2": 28, "lxd-3": 28}, cores, "two of 14 cores fit each host")
	assert.Equal(t, 6, s.sim.Requests()["vm-hosts.compose"], "none had to be made again")
}

func TestScenario_defect_2_host_that_keeps_refusing_is_not_chosen_again(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(3, 1, 0)
	cfg.Hosts[2].Cores = 8 // both that refuse rank before it
	s := newStack(t, cfg)
	require.NoError(t, s.sim.AddFaults(maassim.Fault{
		Operation: "vm-hosts.compose", Host: "lxd-1,lxd-2", Status: 503,
		Body: "Unable to compose machine because: Pod 1: Failed to connect to the LXD REST API: refused",
	}))
	s.makeCluster(t)
	s.makeVM(t, "vm-0")
	machines := s.awaitProvisioned(t, 1)
	assert.Equal(t, "lxd-3", ptr.Deref(machines[0].Status.LXDHost, ""), "R4.4")
	assert.Equal(t, 3, s.sim.Requests()["vm-hosts.compose"], "each host is asked once")
}

func TestScenario_defect_8_object_deleted_before_the_compose_was_answered_leaves_no_VM(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(1, 1, 0))
	s.makeCluster(t)
	require.NoError(t, s.sim.AddFaults(maassim.Fault{Operation: "vm-hosts.compose", Count: 1, Reset: true, After: true}))
	s.sim.Hold("vm-hosts.compose", maassim.AnyName)
	s.makeVM(t, "vm-0")
	require.NoError(t, s.sim.AwaitHeld(t.Context(), "vm-hosts.compose", maassim.AnyName))
	s.deleteMachine(t, "vm-0")
	s.stopManager()
	require.NoError(t, s.sim.LetGo("vm-hosts.compose", maassim.AnyName))
	s.eventually(t, func(c *assert.CollectT) { assert.Len(c, s.sim.LXD(), 1) })
	s.restartService(t)
	s.startManager(t)
	s.eventually(t, func(c *assert.CollectT) { assert.True(c, s.gone(t, "vm-0")) })
	assert.Empty(t, s.sim.LXD(), "R5.4")
	assert.Equal(t, 1, s.sim.Requests()["vm-hosts.compose"], "X1.2: it was not made a second time")
}

func TestScenario_defect_9_finalizer_stays_until_the_VM_is_gone_from_LXD(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]maassim.Fault{
		"a_DELETE_that_fails":             {Operation: "machines.delete", Count: 3, Status: 500, Body: "boom"},
		"a_DELETE_that_leaves_the_VM":     {Operation: "machines.delete", Count: 1, Effect: maassim.EffectVMLeft},
		"reads_that_are_refused":          {Operation: "machines.read,machines.list", Count: 4, Preset: "bad-key"},
		"a_host_that_is_out_of_reach":     {Operation: "machines.query_power_state", Count: 2, Effect: maassim.EffectHostOffline},
		"a_release_that_nobody_asked_for": {Operation: "machines.release", Status: 409, Body: "no"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, maassim.DefaultConfig(1, 1, 0))
			s.makeCluster(t)
			s.makeVM(t, "vm-0")
			s.awaitProvisioned(t, 1)
			require.NoError(t, s.sim.AddFaults(f))
			s.deleteMachine(t, "vm-0")
			s.eventually(t, func(c *assert.CollectT) {
				left := s.sim.LXD() // before the object: what is there when the object is gone was there before
				gone := s.gone(t, "vm-0")
				require.False(t, gone && len(s.sim.LXD()) > 0, "R5.4: the object is gone and LXD has %v", left)
				assert.True(c, gone)
			})
			assert.Zero(t, s.sim.Requests()["machines.release"], "X4.1: a VM is deleted, not released")
		})
	}
}

func TestScenario_defect_10_VM_that_somebody_takes_before_the_claim_is_left_to_them(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(2, 1, 0))
	s.makeCluster(t)
	s.sim.Hold("machines.allocate", maassim.AnyName)
	s.makeVM(t, "vm-0")
	require.NoError(t, s.sim.AwaitHeld(t.Context(), "machines.allocate", maassim.AnyName))
	status, body := s.ask(t, s.sim.UserAPIKey(), "machines/?op=allocate", url.Values{"agent_name": {"alice-agent"}})
	require.Equal(t, http.StatusOK, status, string(body))
	var taken struct {
		SystemID string `json:"system_id"` //nolint:tagliatelle // MAAS's
		Hostname string `json:"hostname"`
	}
	require.NoError(t, json.Unmarshal(body, &taken))
	require.NoError(t, s.sim.LetGo("machines.allocate", maassim.AnyName))
	machines := s.awaitProvisioned(t, 1)
	assert.NotEqual(t, taken.Hostname, machines[0].Status.VMName, "X3.2: a foreign name leads to the next attempt")
	hers, ok := s.sim.Machine(taken.SystemID)
	require.True(t, ok)
	assert.Equal(t, "alice", hers.Owner)
	assert.Equal(t, "alice-agent", hers.AgentName)
	assert.Equal(t, "allocated", hers.Status, "X3.1: it was neither deployed nor deleted")
	assert.Empty(t, hers.Annotations)
	mine, ok := s.sim.Machine(machines[0].Status.VMName)
	require.True(t, ok)
	assert.Equal(t, "admin", mine.Owner)
}

func TestScenario_defect_11_deploy_is_sent_once_and_a_failed_VM_is_made_anew(t *testing.T) {
	t.Parallel()
	t.Run("looks_while_MAAS_deploys_send_nothing", func(t *testing.T) {
		t.Parallel()
		cfg := maassim.DefaultConfig(1, 1, 0)
		cfg.Durations.Deploy = time.Second
		s := newStack(t, cfg)
		s.makeCluster(t)
		s.makeVM(t, "vm-0")
		s.eventually(t, func(c *assert.CollectT) { assert.Positive(c, s.sim.Requests()["machines.deploy"]) })
		s.nudge(t, "vm-0", 20)
		s.awaitProvisioned(t, 1)
		assert.Equal(t, 1, s.sim.Requests()["machines.deploy"])
	})
	t.Run("a_deployment_that_fails_is_not_repeated_on_the_same_VM", func(t *testing.T) {
		t.Parallel()
		s := newStack(t, maassim.DefaultConfig(2, 1, 0))
		require.NoError(t, s.sim.AddFaults(maassim.Fault{Operation: "machines.deploy", Count: 1, Effect: maassim.EffectFail}))
		s.makeCluster(t)
		s.makeVM(t, "vm-0")
		machines := s.awaitProvisioned(t, 1)
		assert.Contains(t, machines[0].Annotations[infrav1.ComposeAttemptsAnnotation], `"attempt":2`, "X3.7")
		assert.Len(t, s.sim.LXD(), 1, "the failed one is gone")
		assert.Equal(t, 2, s.sim.Requests()["machines.deploy"])
	})
}

func TestScenario_defect_12_machine_that_was_in_service_is_neither_deployed_again_nor_replaced(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"mark_broken", "release"} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, maassim.DefaultConfig(2, 1, 1))
			s.makeCluster(t)
			s.makeVM(t, "vm-0")
			s.makeMetal(t, "w-0")
			before := s.awaitProvisioned(t, 2)
			was := s.sim.Requests()
			for _, m := range before {
				status, body := s.ask(t, s.sim.APIKey(), "machines/"+ptr.Deref(m.Spec.SystemID, "")+"/?op="+op, nil)
				require.Equal(t, http.StatusOK, status, string(body))
			}
			for _, m := range before {
				s.awaitNotDeployed(t, m.Name)
			}
			for i := range before {
				s.nudge(t, before[i].Name, 5)
			}
			s.restartManager(t)
			for i := range before {
				s.nudge(t, before[i].Name, 5)
			}
			for i := range before {
				s.awaitNotDeployed(t, before[i].Name)
				after := &infrav1.MaasMachine{}
				require.NoError(t, s.client.Get(t.Context(), client.ObjectKeyFromObject(&before[i]), after))
				assert.Equal(t, before[i].Spec.ProviderID, after.Spec.ProviderID, "X3.7: Cluster API decides what becomes of it")
			}
			now := s.sim.Requests()
			for _, operation := range []string{"machines.deploy", "machines.allocate", "vm-hosts.compose", "machines.delete"} {
				assert.Equal(t, was[operation], now[operation], operation)
			}
			assert.LessOrEqual(t, now["machines.release"]-was["machines.release"], 2, "only what the test released itself")
		})
	}
}

func TestScenario_defect_13_machine_that_an_error_names_is_left_alone(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(1, 1, 2))
	s.makeCluster(t)
	status, body := s.ask(t, s.sim.UserAPIKey(), "machines/?op=allocate", url.Values{"name": {"metal-1"}, "agent_name": {"alice-agent"}})
	require.Equal(t, http.StatusOK, status, string(body))
	bystander, ok := s.sim.Machine("metal-1")
	require.True(t, ok)
	for _, operation := range []string{"machines.allocate", "machines.deploy"} {
		require.NoError(t, s.sim.AddFaults(maassim.Fault{
			Operation: operation, User: "admin", Count: 2, Status: 409,
			Body: "Invalid transition: Broken -> Deploying for machine " + bystander.SystemID,
		}))
	}
	s.makeMetal(t, "w-0")
	s.makeVM(t, "vm-0")
	s.awaitProvisioned(t, 2)
	after, ok := s.sim.Machine("metal-1")
	require.True(t, ok)
	assert.Equal(t, bystander, after, "nothing is read out of the words of an error")
}

func TestScenario_defect_16_DNS_is_written_when_it_differs_and_never_emptied_by_outages(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(3, 3, 0))
	s.makeCluster(t)
	for _, name := range []string{"cp-0", "cp-1", "cp-2"} {
		s.makeVM(t, name, controlPlane)
	}
	machines := s.awaitProvisioned(t, 3)
	s.eventually(t, func(c *assert.CollectT) {
		records := s.sim.DNSRecords()
		require.Len(c, records, 1)
		assert.Len(c, records[0].IPs, 3)
	})
	writes := func() int {
		now := s.sim.Requests()
		return now["dnsresources.create"] + now["dnsresources.update"]
	}
	was, record, reads := writes(), s.sim.DNSRecords()[0], s.sim.Requests()["dnsresources.list"]
	// A cluster that is looked at again writes nothing.
	s.nudge(t, "cp-0", 10)
	s.restartManager(t)
	s.nudge(t, "cp-1", 10)
	s.eventually(t, func(c *assert.CollectT) {
		assert.Greater(c, s.sim.Requests()["dnsresources.list"], reads, "it was looked at")
	})
	assert.Equal(t, was, writes())
	// X8.2: control planes that are down for MAAS, for Cluster API and for a probe keep their places.
	require.NoError(t, s.sim.AddFaults(maassim.Fault{Operation: "machines.power_on", Status: 500, Body: "the power is cut"}))
	for _, m := range machines {
		s.operator(t, "machines/"+*m.Spec.SystemID+"/?op=power_off", nil)
	}
	for _, m := range machines {
		s.awaitCondition(t, m.Name, infrav1.MachineDeployedCondition, metav1.ConditionFalse, infrav1.MachinePoweredOffReason, "")
		s.eventually(t, func(c *assert.CollectT) {
			owner := s.machine(m.Name)
			require.NoError(c, s.client.Get(t.Context(), client.ObjectKeyFromObject(owner), owner))
			assert.True(c, conditions.IsFalse(owner, controlplanev1.KubeadmControlPlaneMachineAPIServerPodHealthyCondition))
		})
	}
	s.nudge(t, "cp-0", 10)
	reads = s.sim.Requests()["dnsresources.list"]
	s.restartManager(t)
	s.nudge(t, "cp-2", 10)
	s.eventually(t, func(c *assert.CollectT) {
		assert.Greater(c, s.sim.Requests()["dnsresources.list"], reads, "it was looked at")
	})
	assert.Equal(t, []maassim.DNSRecord{record}, s.sim.DNSRecords())
	assert.Equal(t, was, writes())
	s.deleteCluster(t)
	assert.Empty(t, s.sim.DNSRecords(), "the record goes with the cluster")
}

func TestVM_P7_that_LXD_made_and_MAAS_lost_is_removed_and_made_anew(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(2, 1, 0))
	require.NoError(t, s.sim.AddFaults(maassim.Fault{Operation: "vm-hosts.compose", Count: 1, Effect: maassim.EffectComposeLost}))
	s.makeCluster(t)
	s.makeVM(t, "vm-0")
	machines := s.awaitProvisioned(t, 1)
	require.Len(t, s.sim.LXD(), 1, "X1.5: what was lost is gone before another is made")
	assert.Equal(t, s.sim.LXD()[0].Name, machines[0].Status.VMName)
	s.deleteCluster(t)
	s.assertNothingLeft(t)
}
