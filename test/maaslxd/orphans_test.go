package maaslxd_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/maassim"
)

// orphanList is what programs read.
type orphanList struct {
	Orphans []struct {
		VM                struct{ Name string }
		Kind, MaasCluster string
	}
	PendingDeletions []struct{ Machine string }
	GivenUp          []struct {
		Machine, Reason string
		VMs             []string
	}
}

func (l orphanList) kinds() map[string]string {
	kinds := map[string]string{}
	for _, o := range l.Orphans {
		kinds[o.VM.Name] = o.Kind
	}
	return kinds
}

// vm names a VM of a machine as no other bed does: they share an API server, and a name on a list of one bed's cluster is held in
// the eyes of all.
func (b *bed) vm(machine string) string {
	return machine + b.namespace[strings.LastIndex(b.namespace, "-"):]
}

// anID is the id of a cluster of this bed to which no manager has given one.
func (b *bed) anID() string { return "id-of-" + b.namespace }

// compose makes the VM of a machine with a mark, as the service does when a manager asks for it.
func (b *bed) compose(t *testing.T, machine, clusterID string) {
	t.Helper()
	conn, err := grpc.NewClient(b.service.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer func() { assert.NoError(t, conn.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = lxdprovisionerv1.NewLXDProvisionerClient(conn).ComposeVM(ctx, &lxdprovisionerv1.ComposeVMRequest{
		Attempt:   &lxdprovisionerv1.Attempt{Number: 1, Name: b.vm(machine), HostId: "vmhost/1", HostName: "lxd-1"},
		Owner:     &lxdprovisionerv1.Owner{ClusterId: clusterID, Namespace: b.namespace, Cluster: clusterName, Machine: machine, MachineUid: "uid-" + machine},
		Resources: &lxdprovisionerv1.VMResources{Cores: 1, MemoryMib: 2048, Disks: []*lxdprovisionerv1.Disk{{SizeGb: 10}}},
	})
	require.NoError(t, err)
}

// clusterID waits for the id that the manager gives a cluster.
func (b *bed) clusterID(t *testing.T) string {
	t.Helper()
	id := ""
	require.Eventually(t, func() bool {
		id = b.maasCluster(t).Annotations[infrav1.ClusterIDAnnotation]
		return id != ""
	}, patience, glance)
	return id
}

func TestMaaslxd_orphans_are_told_apart_and_removed_by_the_manager_alone(t *testing.T) {
	t.Parallel()
	b := newBed(t, maassim.DefaultConfig(2, 2, 0))
	b.awake(t)
	id := b.clusterID(t)
	b.makeVM(t, "kept", 2, false, "")
	b.awaitUp(t, "kept")
	b.compose(t, "gone-0", id)
	b.compose(t, "gone-1", id)
	b.compose(t, "other-0", "id-of-another-management-cluster")
	names := func() map[string]bool {
		all := map[string]bool{}
		for _, vm := range b.sim.LXD() {
			all[vm.Name] = true
		}
		return all
	}
	all := call(t, "", "orphans", "--insecure", "--address", b.service.Address, "--kubeconfig", b.kubeconfig, "-o", "json")
	var list orphanList
	require.NoError(t, json.Unmarshal([]byte(all.out), &list), all.err)
	assert.Equal(t, map[string]string{b.vm("gone-0"): "orphan", b.vm("gone-1"): "orphan", b.vm("other-0"): "unknown_cluster"}, list.kinds())
	assert.Equal(t, map[string]string{b.vm("gone-0"): "orphan", b.vm("gone-1"): "orphan"}, decode[orphanList](t, b, "orphans").kinds(), "of this namespace")

	t.Run("nothing_is_asked_for_without_a_yes", func(t *testing.T) {
		got := b.answering(t, "no\n", "orphans", "--delete", b.vm("gone-0"))
		assert.Equal(t, 1, got.status)
		assert.Contains(t, got.err, "Delete 1 of the 3 VMs that are marked for MaasCluster "+b.namespace+"/alpha: "+b.vm("gone-0")+". That is more than a tenth of them")
		assert.Contains(t, got.err, "nothing was changed")
		assert.Empty(t, b.maasCluster(t).Annotations[infrav1.RemoveOrphansAnnotation])
	})
	t.Run("what_is_no_orphan_is_refused", func(t *testing.T) {
		got := b.run(t, "orphans", "--delete", "--yes", b.machine(t, "kept").Status.VMName)
		assert.Equal(t, 1, got.status)
		assert.Contains(t, got.err, "no VM without a MaasMachine")
		got = call(t, "", "orphans", "--delete", "--yes", b.vm("other-0"), "--insecure", "--address", b.service.Address, "--kubeconfig", b.kubeconfig)
		assert.Equal(t, 1, got.status)
		assert.Contains(t, got.err, b.vm("other-0")+" is not removed: it is unknown cluster")
		assert.Empty(t, b.maasCluster(t).Annotations[infrav1.RemoveOrphansAnnotation])
	})
	t.Run("the_manager_removes_what_a_person_confirmed", func(t *testing.T) {
		got := b.answering(t, "yes\n", "orphans", "--delete", b.vm("gone-0"), "--wait", patience.String())
		assert.Equal(t, 0, got.status, got.err)
		assert.Contains(t, got.out, "taken up: they are deleted with proof")
		require.Eventually(t, func() bool { return !names()[b.vm("gone-0")] }, patience, glance)
		assert.True(t, names()[b.vm("gone-1")], "it was not named")
		assert.True(t, names()[b.vm("other-0")])
		assert.True(t, names()[b.machine(t, "kept").Status.VMName])
	})
}

func TestMaaslxd_orphans_confirms_nobody_elses_request(t *testing.T) {
	t.Parallel()
	b := newBed(t, maassim.DefaultConfig(2, 2, 0))
	b.makeCluster(t)
	c := b.maasCluster(t)
	before := c.DeepCopy()
	metav1.SetMetaDataAnnotation(&c.ObjectMeta, infrav1.ClusterIDAnnotation, b.anID())
	metav1.SetMetaDataAnnotation(&c.ObjectMeta, infrav1.RemoveOrphansAnnotation, b.vm("gone-1"))
	require.NoError(t, b.client.Patch(t.Context(), c, client.MergeFrom(before)))
	b.compose(t, "gone-0", b.anID())
	b.compose(t, "gone-1", b.anID())
	request := func() []string {
		told := b.maasCluster(t).Annotations
		return []string{told[infrav1.RemoveOrphansAnnotation], told[infrav1.ConfirmRemoveOrphansAnnotation]}
	}
	got := b.run(t, "orphans", "--delete", b.vm("gone-0"), "--yes", "--wait", "0")
	assert.Equal(t, 1, got.status, got.out)
	assert.Contains(t, got.err, "a request to remove "+b.vm("gone-1")+" stands on MaasCluster "+b.namespace+"/alpha that nobody has confirmed")
	assert.Equal(t, []string{b.vm("gone-1"), ""}, request())
	got = b.run(t, "orphans", "--delete", b.vm("gone-0"), b.vm("gone-1"), "--yes", "--wait", "0")
	assert.Equal(t, 0, got.status, got.err)
	assert.Equal(t, []string{b.vm("gone-0") + "," + b.vm("gone-1"), "2"}, request())
}

func TestMaaslxd_orphans_tells_that_the_manager_refused(t *testing.T) {
	t.Parallel()
	b := newBed(t, maassim.DefaultConfig(2, 2, 0))
	b.makeCluster(t)
	c := b.maasCluster(t)
	before := c.DeepCopy()
	metav1.SetMetaDataAnnotation(&c.ObjectMeta, infrav1.ClusterIDAnnotation, b.anID())
	require.NoError(t, b.client.Patch(t.Context(), c, client.MergeFrom(before)))
	b.compose(t, "gone-0", b.anID())
	asked := make(chan answer, 1)
	go func() { asked <- b.run(t, "orphans", "--delete", b.vm("gone-0"), "--yes", "--wait", patience.String()) }()
	require.Eventually(t, func() bool { return b.maasCluster(t).Annotations[infrav1.RemoveOrphansAnnotation] != "" }, patience, glance)
	// Its MaasMachine comes back between the look and the manager's: the manager looks for itself.
	b.makeVM(t, "gone-0", 2, false, "")
	b.startManager(t)
	got := <-asked
	assert.Equal(t, 1, got.status, got.out)
	assert.Contains(t, got.out, "refused: no orphans of this cluster: "+b.vm("gone-0"))
}

func TestMaaslxd_orphans_gives_up_a_pending_deletion(t *testing.T) {
	t.Parallel()
	b := newBed(t, maassim.DefaultConfig(2, 2, 0))
	b.awake(t)
	b.makeVM(t, "lost", 2, false, "")
	b.awaitUp(t, "lost")
	m := b.machine(t, "lost")
	require.NoError(t, b.sim.SetHostOffline(*m.Status.LXDHost, true))
	require.NoError(t, b.client.Delete(t.Context(), m))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		pending := decode[orphanList](t, b, "orphans").PendingDeletions
		if assert.Len(c, pending, 1) {
			assert.Equal(c, "lost", pending[0].Machine)
		}
	}, patience, glance)

	got := b.run(t, "orphans", "--forget", "nobody", "--yes")
	assert.Equal(t, 1, got.status)
	assert.Contains(t, got.err, "no pending deletion of nobody")
	got = b.answering(t, "yes\n", "orphans", "--forget", "lost", "--reason", "the rack is gone")
	assert.Equal(t, 0, got.status, got.err)
	assert.Contains(t, got.err, "Gave up "+m.Status.VMName)
	list := decode[orphanList](t, b, "orphans")
	assert.Empty(t, list.PendingDeletions)
	require.Len(t, list.GivenUp, 1)
	assert.Equal(t, "the rack is gone", list.GivenUp[0].Reason)

	// The manager believes the list: the cluster is complete again.
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		infra := &infrav1.MaasCluster{}
		require.NoError(c, b.client.Get(t.Context(), client.ObjectKey{Namespace: b.namespace, Name: clusterName}, infra))
		for _, condition := range infra.Status.Conditions {
			if condition.Type == infrav1.DeletionsCompleteCondition {
				assert.Equal(c, metav1.ConditionTrue, condition.Status)
			}
		}
	}, patience, glance)
}
