package provision_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/maassim"
)

func TestDeployVM_X3_6_waits_where_another_power_action_is_in_the_way(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0, func(c *maassim.Config) { c.Version = "3.4" })
	req := w.composeRequest("cp-0", "lxd-1")
	_, err := w.lxd.ComposeVM(w.ctx(), req)
	require.NoError(t, err)
	w.fault(maassim.Fault{Operation: "machines.deploy", Preset: "power-busy", Count: 1})
	_, err = w.lxd.DeployVM(w.ctx(), deployRequest(req))
	requireFault(t, err, fault.Busy, fault.ReasonNotReady)
	vm, err := w.lxd.DeployVM(w.ctx(), deployRequest(req))
	require.NoError(t, err)
	assert.Contains(t, []inventory.Status{inventory.StatusDeploying, inventory.StatusDeployed}, vm.Status)
}

func TestReleaseMachine_X4_2_waits_where_another_power_action_is_in_the_way(t *testing.T) {
	t.Parallel()
	w := start(t, 0, 1, func(c *maassim.Config) { c.Version = "3.4" })
	release := w.deployedMetal()
	w.fault(maassim.Fault{Operation: "machines.release", Preset: "power-busy", Count: 1})
	requireFault(t, w.metal.ReleaseMachine(w.ctx(), release), fault.Busy, fault.ReasonNotReady)
	require.Eventually(t, func() bool { return w.metal.ReleaseMachine(w.ctx(), release) == nil }, 10*time.Second, time.Millisecond)
}
