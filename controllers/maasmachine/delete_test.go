package maasmachine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/endpoint"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

func TestDelete_R5_4_waits_for_proof_and_says_for_what(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{DeleteFor: 300 * time.Millisecond})
	bed.ProvisionCluster(t, func(_ *clusterv1.Cluster, infra *infrav1.MaasCluster) { infra.Spec.OnHostLost = infrav1.Wait })
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	m := bed.WaitProvisioned(t, "cp-0")
	vm, host := m.Status.VMName, ptr.Deref(m.Status.LXDHost, "")

	require.True(t, bed.Fake.SetLocked(vm, true))
	bed.DeleteMachine(t, "cp-0")
	managertest.Eventually(t, func(c *managertest.Check) {
		condition := infraCondition(c, bed.Machine(c, "cp-0"), infrav1.MachineDeployedCondition)
		assert.Equal(c, infrav1.MachineDeletingReason, condition.Reason)
		assert.Contains(c, condition.Message, vm+" on host "+host)
		assert.Contains(c, condition.Message, "unlock the machine in MAAS")
	}, "the lock is named")

	require.True(t, bed.Fake.SetHostOnline(host, false))
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.Contains(c, infraCondition(c, bed.Machine(c, "cp-0"), infrav1.MachineDeployedCondition).Message, "bring the host back")
		assert.Equal(c, infrav1.LXDVMDeletionFailedReason, infraCondition(c, bed.Machine(c, "cp-0"), infrav1.LXDVMDeployedCondition).Reason)
	}, "the host is named")
	assert.Len(t, bed.Fake.VMs(), 1)

	bed.Fake.SetHostOnline(host, true)
	bed.Fake.SetLocked(vm, false)
	bed.WaitGone(t, "cp-0")
	assert.Empty(t, bed.Fake.VMs())
}

func TestDelete_X8_2_does_not_wait_for_an_address_that_MAAS_has_given_to_the_next_machine(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	attached := func(name string) string {
		bed.CreateMachine(t, name, managertest.LXD(), managertest.ControlPlane)
		address := endpoint.IPs(bed.WaitProvisioned(t, name).Status.Addresses)[0]
		bed.APIServers.Set(address, true)
		bed.WaitCondition(t, bed.OfMachine(name), infrav1.DNSAttachedCondition, infrav1.DNSAttachedReason)
		return address
	}
	first := attached("cp-0")
	second := attached("cp-1")
	vm := bed.Machine(t, "cp-0").Status.VMName
	require.True(t, bed.Fake.SetLocked(vm, true), "its deletion takes a while after the record has let go")
	bed.DeleteMachine(t, "cp-0")
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.Equal(c, []string{second}, endpoint.Recorded(bed.Cluster(c)))
		assert.Contains(c, infraCondition(c, bed.Machine(c, "cp-0"), infrav1.MachineDeployedCondition).Message, "unlock")
	}, "the record has let go")

	bed.CreateMachine(t, "cp-2", managertest.LXD(), managertest.ControlPlane)
	require.True(t, bed.Fake.SetAddresses(bed.WaitProvisioned(t, "cp-2").Status.VMName, first))
	bed.WaitCondition(t, bed.OfMachine("cp-2"), infrav1.DNSAttachedCondition, infrav1.DNSAttachedReason)
	bed.Fake.SetLocked(vm, false)
	bed.WaitGone(t, "cp-0")
	assert.ElementsMatch(t, []string{first, second}, endpoint.Recorded(bed.Cluster(t)), "the address stays in, for the machine that has it")
}

func TestDelete_X4_5_no_foreign_NOT_FOUND_counts_as_proof(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	bed.WaitProvisioned(t, "cp-0")
	bed.Fake.FailNext("DeleteVM", foreignNotFound())
	bed.Fake.FailNext("DeleteVM", provisionertest.Fault(errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_VM_NOT_FOUND, "no such VM"))
	bed.DeleteMachine(t, "cp-0")
	bed.WaitGone(t, "cp-0")
	assert.Empty(t, bed.Fake.VMs(), "only OK ends a deletion")
	assert.GreaterOrEqual(t, len(provisionertest.Requests[*lxdprovisionerv1.DeleteVMRequest](bed.Fake)), 3)
}

func TestDelete_X4_4_tells_what_else_is_known_of_the_host(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{Hosts: []provisionertest.Host{{Name: "lxd-01", Zone: "az1", Pool: "lxd"}}})
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "deployed", managertest.LXD())
	bed.CreateMachine(t, "going", managertest.LXD())
	deployed := bed.WaitProvisioned(t, "deployed")
	bed.WaitProvisioned(t, "going")
	bed.Fake.DelayNextCompose(time.Hour)
	bed.CreateMachine(t, "under-way", managertest.LXD())
	bed.WaitCondition(t, bed.OfMachine("under-way"), infrav1.LXDVMCreatedCondition, infrav1.LXDVMComposingReason)

	bed.DeleteMachine(t, "going")
	bed.WaitGone(t, "going")
	requests := provisionertest.Requests[*lxdprovisionerv1.DeleteVMRequest](bed.Fake)
	require.NotEmpty(t, requests)
	require.Len(t, requests[0].GetHosts(), 1)
	host := requests[0].GetHosts()[0]
	assert.Equal(t, []string{deployed.Status.VMName}, host.GetDeployed())
	require.Len(t, host.GetUnsettled(), 1)
	assert.Equal(t, attemptsOf(t, bed.Machine(t, "under-way"))[0].Name, host.GetUnsettled()[0].GetName())
}

func TestDelete_of_a_machine_that_waits_for_its_data_asks_nobody(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "cp-0", managertest.LXD(), managertest.WithoutBootstrapData)
	bed.WaitCondition(t, bed.OfMachine("cp-0"), infrav1.MachineDeployedCondition, infrav1.WaitingForBootstrapDataReason)
	bed.DeleteMachine(t, "cp-0")
	bed.WaitGone(t, "cp-0")
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.SelectHostRequest](bed.Fake))
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.DeleteVMRequest](bed.Fake))
}
