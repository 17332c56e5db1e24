package maasmachine_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"k8s.io/utils/ptr"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

func TestStatus_P8_tells_the_project_that_MAAS_tells_and_invents_no_profile(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{Hosts: []provisionertest.Host{{Name: "lxd-01", Zone: "az1", Pool: "lxd", Project: "k8s"}}})
	bed.ProvisionCluster(t)
	named := managertest.LXD()
	named.LXDConfig = &infrav1.LXDConfig{Profile: "maas", Project: "k8s"}
	for name, spec := range map[string]infrav1.MaasMachineSpec{"left-out": managertest.LXD(), "named": named} {
		bed.CreateMachine(t, name, spec)
		status := bed.WaitProvisioned(t, name).Status
		assert.Equal(t, "k8s", ptr.Deref(status.LXDProject, ""))
		assert.Nil(t, status.LXDProfile, "MAAS gives a VM its profile where the project has it, and does not tell")
	}
}
