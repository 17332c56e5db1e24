package integration_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/services/maassim"
)

// operator does something in MAAS with the service's own key.
func (s *stack) operator(t *testing.T, path string, form url.Values) {
	t.Helper()
	status, body := s.ask(t, s.key, path, form)
	require.Equal(t, http.StatusOK, status, "%s: %s", path, body)
}

func TestPowerOn_X3_8_what_was_deployed_comes_back_and_nothing_else_is_switched_on(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(1, 1, 2))
	s.makeCluster(t)
	s.makeVM(t, "vm")
	s.makeMetal(t, "metal")
	s.makeMetal(t, "memory", func(m *infrav1.MaasMachine, _ *clusterv1.Machine) { m.Spec.DeployInMemory = true })
	systemIDs := map[string]string{}
	for _, m := range s.awaitProvisioned(t, 3) {
		systemIDs[m.Name] = *m.Spec.SystemID
	}
	// Held by our user and not deployed, as a machine is that somebody allocates with the same key.
	s.operator(t, "vm-hosts/1/?op=compose", url.Values{"hostname": {"held"}, "skip_commissioning": {"true"}})
	s.operator(t, "machines/?op=allocate", url.Values{"name": {"held"}})
	held, ok := s.sim.Machine("held")
	require.True(t, ok)
	require.Equal(t, "allocated", held.Status)

	for _, systemID := range systemIDs {
		s.operator(t, "machines/"+systemID+"/?op=power_off", nil)
	}
	for _, name := range []string{"vm", "metal"} {
		s.awaitEvent(t, "PoweredOn", systemIDs[name])
		s.awaitCondition(t, name, infrav1.MachineDeployedCondition, metav1.ConditionTrue, infrav1.MachineDeployedReason, "")
	}
	vm, ok := s.sim.Machine(systemIDs["vm"])
	require.True(t, ok)
	assert.True(t, s.instance(t, vm.Instance).Running, "in LXD")
	s.awaitCondition(t, "memory", infrav1.MachineDeployedCondition, metav1.ConditionFalse, infrav1.MachinePoweredOffReason, "runs from memory")
	assert.Equal(t, 2, s.sim.Requests()["machines.power_on"], "once for each")
	held, _ = s.sim.Machine("held")
	assert.Equal(t, "allocated", held.Status)
	s.assertNoSecrets(t)
}
