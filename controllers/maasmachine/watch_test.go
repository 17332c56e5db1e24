package maasmachine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

func TestWatch_X7_3_wakes_a_machine_that_is_not_asked_for_again(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]infrav1.MaasMachineSpec{"VM": managertest.LXD(), "physical_machine": managertest.Metal()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bed := managertest.NewWithoutManager(t, provisionertest.Config{DeployFor: 24 * time.Hour})
			options := bed.Options()
			options.TimeScale = 0.3 // a look every 4.5 s where nothing watches, every 3 minutes where something does
			bed.StartManagerWith(t, options)
			bed.ProvisionCluster(t)
			bed.CreateMachine(t, "cp-0", spec)
			managertest.Eventually(t, func(c *managertest.Check) {
				assert.Positive(c, len(provisionertest.Requests[*lxdprovisionerv1.WatchVMsRequest](bed.Fake))+
					len(provisionertest.Requests[*lxdprovisionerv1.WatchMachinesRequest](bed.Fake)))
			}, "the machine is watched")
			looks := func() int {
				return len(provisionertest.Requests[*lxdprovisionerv1.GetVMRequest](bed.Fake)) +
					len(provisionertest.Requests[*lxdprovisionerv1.GetMachineRequest](bed.Fake))
			}
			before := looks()
			touch(t, bed, "cp-0")
			managertest.Eventually(t, func(c *managertest.Check) { assert.Greater(c, looks(), before) }, "the last look knows of the watch")
			bed.Fake.Advance(25 * time.Hour)
			bed.WaitProvisioned(t, "cp-0")
		})
	}
}
