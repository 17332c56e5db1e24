package maasmachine_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/api/records"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/endpoint"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/controllers/maasmachine"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

// loseHost makes a VM, takes its host away and deletes its MaasMachine. It gives the names of VM and host.
func loseHost(t *testing.T, bed *managertest.Bed, policy infrav1.OnHostLostPolicy) (vm, host string) {
	t.Helper()
	bed.ProvisionCluster(t, func(_ *clusterv1.Cluster, infra *infrav1.MaasCluster) { infra.Spec.OnHostLost = policy })
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	m := bed.WaitProvisioned(t, "cp-0")
	vm, host = m.Status.VMName, ptr.Deref(m.Status.LXDHost, "")
	require.True(t, bed.Fake.SetHostOnline(host, false))
	bed.DeleteMachine(t, "cp-0")
	return vm, host
}

// giveUp annotates the machine as an operator who gives its VM up.
func giveUp(t require.TestingT, bed *managertest.Bed, reason string) error {
	m := bed.Machine(t, "cp-0")
	before := m.DeepCopy()
	m.Annotations[infrav1.AbandonVMAnnotation] = reason
	return bed.Client.Patch(context.Background(), m, client.MergeFrom(before))
}

func TestDelete_X4_6_a_lost_host_hands_the_deletion_over_to_the_cluster(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	vm, host := loseHost(t, bed, "")
	managertest.Eventually(t, func(c *managertest.Check) {
		message := infraCondition(c, bed.Machine(c, "cp-0"), infrav1.MachineDeployedCondition).Message
		assert.Contains(c, message, "the MaasCluster keeps the VMs on its list")
		assert.Contains(c, message, infrav1.AbandonVMAnnotation)
	}, "the ways out are named")
	bed.WaitGone(t, "cp-0")
	require.Len(t, bed.Fake.VMs(), 1, "the VM is there still")

	list, err := records.Deletions(bed.Cluster(t))
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, []string{vm + " on " + host}, list[0].VMs)
	managertest.Eventually(t, func(c *managertest.Check) {
		cluster := bed.Cluster(c)
		assert.Equal(c, int32(1), ptr.Deref(cluster.Status.PendingDeletions, 0))
		condition := conditions.Get(cluster, infrav1.DeletionsCompleteCondition)
		if assert.NotNil(c, condition) {
			assert.Equal(c, infrav1.DeletionsPendingReason, condition.Reason)
			assert.Contains(c, condition.Message, vm+" on "+host)
		}
	}, "the cluster tells of it")

	require.NoError(t, bed.Client.Delete(t.Context(), bed.Cluster(t)))
	managertest.Eventually(t, func(c *managertest.Check) {
		condition := conditions.Get(bed.Cluster(c), clusterv1.ReadyCondition)
		assert.Contains(c, condition.Message, vm+" on "+host)
	}, "R5.4 the cluster's deletion waits for it")

	require.True(t, bed.Fake.SetHostOnline(host, true))
	managertest.Eventually(t, func(c *managertest.Check) {
		err := bed.Client.Get(t.Context(), bed.Key(managertest.ClusterName), &infrav1.MaasCluster{})
		assert.NoError(c, client.IgnoreNotFound(err))
		assert.Error(c, err)
	}, "the host is back: the list is worked off and the cluster goes")
	assert.Empty(t, bed.Fake.VMs())
}

func TestDelete_X4_6_a_cluster_may_rather_wait_for_its_lost_hosts(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	vm, host := loseHost(t, bed, infrav1.Wait)
	managertest.Eventually(t, func(c *managertest.Check) {
		m := bed.Machine(c, "cp-0")
		message := infraCondition(c, m, infrav1.MachineDeployedCondition).Message
		assert.Contains(c, message, vm+" on host "+host)
		assert.NotContains(c, message, "keeps the VMs on its list")
		assert.NotEmpty(c, m.Annotations[infrav1.HostUnreachableSinceAnnotation])
	}, "it waits")
	require.True(t, bed.Fake.SetHostOnline(host, true))
	bed.WaitGone(t, "cp-0")
	assert.Empty(t, bed.Fake.VMs())
	list, err := records.Deletions(bed.Cluster(t))
	require.NoError(t, err)
	assert.Empty(t, list)
}

func TestDelete_X4_6_an_operator_may_give_the_VM_up(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	vm, host := loseHost(t, bed, infrav1.Wait)
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.NoError(c, giveUp(c, bed, "the host burnt down"))
	}, "the MaasMachine is annotated")
	bed.WaitGone(t, "cp-0")
	assert.Len(t, bed.Fake.VMs(), 1, "nothing was done to the VM")
	list := bed.Cluster(t).Annotations[infrav1.AbandonedVMsAnnotation]
	assert.Contains(t, list, vm+" on "+host)
	assert.Contains(t, list, "the host burnt down")
	require.NoError(t, bed.Client.Delete(t.Context(), bed.Cluster(t)))
	managertest.Eventually(t, func(c *managertest.Check) {
		err := bed.Client.Get(t.Context(), bed.Key(managertest.ClusterName), &infrav1.MaasCluster{})
		assert.Error(c, err)
	}, "what was given up holds nothing")
}

// The annotation comes while the machine is held back for minutes, and must not wait for that.
func TestDelete_X4_6_who_gives_the_VM_up_is_heard_at_once(t *testing.T) {
	t.Parallel()
	bed := managertest.NewWithoutManager(t, provisionertest.Config{})
	options := bed.Options()
	options.TimeScale = 1
	bed.StartManagerWith(t, options)
	bed.Fake.FailEvery("DeleteVM", provisionertest.Fault(errorinfo.Unsupported, lxdprovisionerv1.Reason_REASON_NOT_SUPPORTED, "not by this MAAS"))
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "cp-0", managertest.LXD())
	bed.WaitCondition(t, bed.OfMachine("cp-0"), infrav1.LXDVMCreatedCondition, infrav1.LXDVMCreatedReason)
	bed.DeleteMachine(t, "cp-0")
	bed.WaitCondition(t, bed.OfMachine("cp-0"), infrav1.LXDVMDeployedCondition, infrav1.LXDVMDeletionFailedReason)
	require.NoError(t, giveUp(t, bed, "the MAAS is gone"))
	bed.WaitGone(t, "cp-0")
}

// A machine leaves the record before its VM is deleted, and the record can't be written where MAAS is gone for good.
func TestDelete_X4_6_who_gives_the_VM_up_waits_for_no_DNS_record(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	for _, name := range []string{"cp-0", "cp-1"} {
		bed.CreateMachine(t, name, managertest.LXD(), managertest.ControlPlane)
		m := bed.WaitProvisioned(t, name)
		for _, address := range endpoint.IPs(m.Status.Addresses) {
			bed.APIServers.Set(address, true)
		}
		bed.WaitCondition(t, bed.OfMachine(name), infrav1.DNSAttachedCondition, infrav1.DNSAttachedReason)
	}
	bed.Fake.FailEvery("EnsureEndpoint", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "MAAS is gone"))
	bed.DeleteMachine(t, "cp-0")
	managertest.Eventually(t, func(c *managertest.Check) {
		told := ""
		for _, condition := range bed.Machine(c, "cp-0").Status.Conditions {
			told += condition.Message
		}
		assert.Contains(c, told, "waiting for the DNS record to let go")
		assert.Contains(c, told, infrav1.AbandonVMAnnotation, "the way out is named")
	}, "it waits")
	require.NoError(t, giveUp(t, bed, "the MAAS is gone"))
	bed.WaitGone(t, "cp-0")
}

// Where a whole rack is lost MAAS is busy with the silence of its hosts, and does not get to ask each of them anew.
func TestDelete_X4_6_a_MAAS_that_is_too_busy_does_not_say_that_the_host_answers(t *testing.T) {
	t.Parallel()
	bed := managertest.NewWithoutManager(t, provisionertest.Config{})
	options := bed.Options()
	options.TimeScale = 1 // the five minutes don't end
	bed.StartManagerWith(t, options)
	loseHost(t, bed, infrav1.HandOver)
	since := func(c require.TestingT) string {
		return bed.Machine(c, "cp-0").Annotations[infrav1.HostUnreachableSinceAnnotation]
	}
	managertest.Eventually(t, func(c *managertest.Check) { assert.NotEmpty(c, since(c)) }, "the host does not answer")
	first := since(t)
	for _, busy := range []lxdprovisionerv1.Reason{lxdprovisionerv1.Reason_REASON_TOO_MANY_IN_FLIGHT, lxdprovisionerv1.Reason_REASON_MAAS_BUSY} {
		bed.Fake.Heal()
		bed.Fake.FailEvery("DeleteVM", provisionertest.Fault(errorinfo.Busy, busy, "MAAS is busy"))
		managertest.Eventually(t, func(c *managertest.Check) {
			assert.Contains(c, infraCondition(c, bed.Machine(c, "cp-0"), clusterv1.ReadyCondition).Message, errorinfo.Word(busy))
		}, "MAAS is busy")
		assert.Equal(t, first, since(t))
	}
}

func TestPending_deletions_are_told_of_while_their_list_can_not_be_read(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.CreateCluster(t)
	key := bed.Key(managertest.ClusterName)
	told := func() float64 {
		return counted(t, "capmaas_deletions_pending", "namespace", key.Namespace, "cluster", key.Name)
	}
	store := func(edit func(*infrav1.MaasCluster)) {
		cluster := bed.Cluster(t)
		before := cluster.DeepCopy()
		edit(cluster)
		require.NoError(t, bed.Client.Patch(t.Context(), cluster, client.MergeFrom(before)))
	}
	lost := records.Deletion{
		Machine: "lost", UID: "lost", VMs: []string{"lost-0 on gone"},
		Request: []byte(`{"attempts":[{"number":1,"name":"lost-0","hostId":"vmhost/999","hostName":"gone","sentAt":"2026-01-01T00:00:00Z"}],` +
			`"owner":{"clusterId":"c","namespace":"n","cluster":"c","machine":"lost","machineUid":"lost"}}`),
	}
	store(func(c *infrav1.MaasCluster) { require.NoError(t, records.SetDeletions(c, []records.Deletion{lost})) })
	managertest.Eventually(t, func(c *managertest.Check) { assert.InDelta(c, 1, told(), 0) }, "the list is told of")

	store(func(c *infrav1.MaasCluster) { c.Annotations[infrav1.PendingDeletionsAnnotation] = "no list" })
	reader := &maasmachine.PendingReconciler{Reconciler: &maasmachine.Reconciler{Client: bed.Client}}
	_, err := reader.Reconcile(t.Context(), ctrl.Request{NamespacedName: key})
	require.ErrorContains(t, err, "decode annotation")
	assert.InDelta(t, 1, told(), 0, "nobody knows better")
}
