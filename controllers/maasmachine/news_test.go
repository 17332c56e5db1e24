package maasmachine_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/cluster-api/util/conditions"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

func TestWatch_X7_3_news_of_a_running_machine_end_the_wait_after_failures(t *testing.T) {
	t.Parallel()
	bed := managertest.NewWithoutManager(t, provisionertest.Config{})
	options := bed.Options()
	options.TimeScale = 0.5 // a failure of this kind holds a machine back for five minutes
	bed.StartManagerWith(t, options)
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	m := bed.WaitProvisioned(t, "cp-0")
	looks := func() int { return len(provisionertest.Requests[*lxdprovisionerv1.GetVMRequest](bed.Fake)) }
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.NotEmpty(c, provisionertest.Requests[*lxdprovisionerv1.WatchVMsRequest](bed.Fake))
	}, "the machine is watched")
	for range 2 {
		before := looks()
		bed.Fake.FailNext("GetVM", provisionertest.Fault(errorinfo.Invalid, lxdprovisionerv1.Reason_REASON_BAD_REQUEST, "not now"))
		touch(t, bed, "cp-0")
		managertest.Eventually(t, func(c *managertest.Check) { assert.Greater(c, looks(), before) }, "it is asked for in vain")
		held := looks()
		for range 3 {
			touch(t, bed, "cp-0")
		}
		assert.Equal(t, held, looks(), "it is held back")
		require.True(t, bed.Fake.SetPower(m.Status.VMName, lxdprovisionerv1.PowerState_POWER_STATE_ERROR))
		managertest.Eventually(t, func(c *managertest.Check) {
			assert.Contains(c, conditions.GetMessage(bed.Machine(c, "cp-0"), infrav1.MachineDeployedCondition), "MAAS cannot tell whether the machine is on")
		}, "the change is seen")
		require.True(t, bed.Fake.SetPower(m.Status.VMName, lxdprovisionerv1.PowerState_POWER_STATE_UNSPECIFIED))
		managertest.Eventually(t, func(c *managertest.Check) {
			assert.Empty(c, conditions.GetMessage(bed.Machine(c, "cp-0"), infrav1.MachineDeployedCondition))
		}, "and the next one")
	}
}
