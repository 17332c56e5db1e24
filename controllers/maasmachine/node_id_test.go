package maasmachine_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"k8s.io/utils/ptr"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

// Objects of the existing provider keep the ID that they have, whatever its shape: Cluster API finds the Node of a Machine by
// the text alone.
func TestNode_X8_3_gets_a_stored_ID_as_it_stands(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	connectWorkload(t, bed)
	bed.ProvisionCluster(t)
	for name, row := range map[string]struct {
		// stored is the ID without the system id, kubelet the one that the kubelet has registered, where it has.
		stored, kubelet string
		metal           bool
	}{
		"vm-host":            {stored: "maas-lxd:///az1/lxd-01/"},
		"vm-host-no-zone":    {stored: "maas-lxd:////lxd-01/"},
		"vm-no-zone":         {stored: "maas-lxd:////"},
		"vm-two-slashes":     {stored: "maas-lxd://az1/"},
		"vm-other-zone":      {stored: "maas-lxd:///az9/"},
		"vm-as-metal":        {stored: "maas:////"},
		"metal-no-zone":      {stored: "maas:////", metal: true},
		"metal-two-slashes":  {stored: "maas://az1/", metal: true},
		"vm-kubelet-same":    {stored: "maas:////", kubelet: "maas:////"},
		"vm-kubelet-another": {stored: "maas:////", kubelet: "maas:///az1/"},
	} {
		hostname, host := "older-id-"+name, "lxd-01"
		if row.metal {
			host = ""
		}
		systemID := bed.Fake.AddForeign(hostname, host)
		id, registered := row.stored+systemID, row.kubelet
		if registered != "" {
			registered += systemID
		}
		spec := theirs(systemID, !row.metal)
		spec.ProviderID = &id
		bed.CreateMachine(t, name, spec, annotated(infrav1.VMNameAnnotation, hostname))
		m := bed.WaitProvisioned(t, name)
		createNode(t, bed, hostname, registered, m.Status.Addresses[2].Address)
		touch(t, bed, name)
		if registered != "" && registered != id {
			condition := bed.WaitCondition(t, bed.OfMachine(name), infrav1.MachineDeployedCondition, infrav1.NodeProviderIDMismatchReason)
			assert.Contains(t, condition.Message, "has the provider ID "+registered+", and Cluster API looks for "+id, "both mean the same machine")
			assert.Equal(t, registered, providerIDOf(t, bed, hostname))
			continue
		}
		managertest.Eventually(t, func(c *managertest.Check) { assert.Equal(c, id, providerIDOf(c, bed, hostname)) }, "the Node of "+name+" has the ID as it is stored")
		bed.WaitCondition(t, bed.OfMachine(name), infrav1.MachineDeployedCondition, infrav1.MachineDeployedReason)
		assert.Equal(t, id, ptr.Deref(bed.Machine(t, name).Spec.ProviderID, ""), "and so has the object")
	}
}
