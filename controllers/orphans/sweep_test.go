package orphans_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/controllers/internal/pending"
	"github.com/capmaas/capmaas/controllers/orphans"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

func TestSweep_X5_1_tells_of_a_VM_whose_MaasMachine_stays_absent(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.compose(t, "worker-0-aaaaa", y.id, "worker-0")

	assert.Equal(t, map[string]orphans.Kind{"worker-0-aaaaa": orphans.Suspect}, y.look(t))
	assert.Equal(t, map[string]orphans.Kind{"worker-0-aaaaa": orphans.Suspect}, y.look(t), "two reads are not enough")
	assert.Empty(t, y.told())
	y.now = y.now.Add(orphans.Longest)
	assert.Equal(t, map[string]orphans.Kind{"worker-0-aaaaa": orphans.Orphan}, y.look(t))
	require.Len(t, y.told(), 1, "an event on the MaasCluster")
	assert.InDelta(t, 1, y.counted(t, orphans.Orphan), 0)
	assert.InDelta(t, 0, y.counted(t, orphans.Suspect), 0)
	assert.Len(t, y.Fake.VMs(), 1, "nothing is removed that nobody asked for")
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.DeleteVMRequest](y.Fake))

	y.Fake.Remove("worker-0-aaaaa")
	assert.Empty(t, y.look(t))
	assert.InDelta(t, 0, y.counted(t, orphans.Orphan), 0, "what is gone is not counted any more")
}

func TestSweep_X5_1_calls_no_VM_an_orphan_that_an_object_holds(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	for _, name := range []string{"by-attempt-aaaaa", "by-name-bbbbb", "by-mark-ccccc", "by-list-ddddd", "nobodys-eeeee"} {
		y.compose(t, name, y.id, name[:len(name)-6])
	}
	hold := func(name, key, value string) {
		y.CreateMachine(t, name, managertest.LXD(), func(_ *clusterv1.Machine, m *infrav1.MaasMachine) {
			metav1.SetMetaDataAnnotation(&m.ObjectMeta, key, value)
		})
	}
	hold("moved", infrav1.ComposeAttemptsAnnotation, `[{"attempt":1,"name":"by-attempt-aaaaa","hostID":"vmhost/1","hostName":"h"}]`)
	hold("theirs", infrav1.VMNameAnnotation, "by-name-bbbbb")
	hold("by-mark", infrav1.ClusterIDAnnotation, y.id)
	entry, err := pending.NewDeletion("gone", "gone", &lxdprovisionerv1.DeleteVMRequest{
		Attempts: []*lxdprovisionerv1.Attempt{{Number: 1, Name: "by-list-ddddd", HostId: "vmhost/1", HostName: y.host}},
	}, metav1.Now())
	require.NoError(t, err)
	lists := pending.Store{Client: y.Client, Reader: y.Client}
	require.NoError(t, lists.Add(t.Context(), y.Key(managertest.ClusterName), entry))

	assert.Equal(t, map[string]orphans.Kind{"nobodys-eeeee": orphans.Orphan}, y.lookLong(t))
}

func TestSweep_X5_1_begins_anew_where_an_owner_was_seen_meanwhile(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.compose(t, "worker-0-aaaaa", y.id, "worker-0")
	y.look(t)
	y.CreateMachine(t, "worker-0", managertest.LXD())
	y.now = y.now.Add(orphans.Longest)
	assert.Empty(t, y.look(t))
	y.DeleteMachine(t, "worker-0")
	assert.Equal(t, map[string]orphans.Kind{"worker-0-aaaaa": orphans.Suspect}, y.look(t))
}

func TestSweep_X5_1_concludes_nothing_without_its_reads(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.compose(t, "worker-0-aaaaa", y.id, "worker-0")
	y.look(t)
	y.now = y.now.Add(orphans.Longest)
	y.Fake.FailNext("ListVMs", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "MAAS is away"))
	_, err := y.sweep.Once(t.Context())
	require.ErrorContains(t, err, "list the VMs of MAAS")

	y.annotate(t, infrav1.PendingDeletionsAnnotation, "no list")
	_, err = y.sweep.Once(t.Context())
	require.Error(t, err, "a record that can't be read may hold any VM")
	assert.Empty(t, y.told())
	assert.InDelta(t, -1, y.counted(t, orphans.Orphan), 0)
}

func TestSweep_X5_1_tells_what_may_be_somebody_elses_apart(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.compose(t, "theirs-aaaaa", "another management cluster's", "theirs")
	assert.Empty(t, y.lookLong(t), "a manager of one namespace does not know what the others hold")

	// The API server of the tests holds other tests' namespaces; this is one that holds nothing else.
	y.sweep.Namespace, y.sweep.Reader = "", client.NewNamespacedClient(y.Client, y.Namespace)
	assert.Equal(t, orphans.UnknownCluster, y.lookLong(t)["theirs-aaaaa"])
	assert.InDelta(t, 1, y.counted(t, orphans.UnknownCluster), 0)
	assert.Empty(t, y.told(), "no MaasCluster is told of a VM that is not its own")
}

func TestSweep_X5_1_tells_what_a_crash_before_the_claim_leaves_apart(t *testing.T) {
	t.Parallel()
	y := newYardIn(t, provisionertest.Config{CommissionFor: time.Hour})
	y.compose(t, "worker-0-aaaaa", y.id, "worker-0")
	assert.Empty(t, y.lookLong(t), "another manager may be making it")
	y.sweep.Namespace, y.sweep.Reader = "", client.NewNamespacedClient(y.Client, y.Namespace)
	assert.Equal(t, orphans.Unmarked, y.lookLong(t)["worker-0-aaaaa"], "without a mark it is nobody's, however old it is")
	assert.Empty(t, y.told())
}

func TestSweep_X5_1_leaves_out_what_is_not_this_managers(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.compose(t, "worker-0-aaaaa", y.id, "worker-0")

	y.sweep.WatchFilter = "blue"
	assert.Empty(t, y.lookLong(t), "the MaasCluster has not the label")
	y.sweep.WatchFilter = ""
	y.annotate(t, clusterv1.PausedAnnotation, "true")
	assert.Empty(t, y.lookLong(t), "the MaasCluster is being moved")
	y.annotate(t, clusterv1.PausedAnnotation, "")
	assert.Equal(t, orphans.Suspect, y.look(t)["worker-0-aaaaa"], "what was seen during the move counts for nothing")
}

func TestSweep_X5_1_leaves_VMs_alone_whose_cluster_two_objects_claim(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	copied := y.Cluster(t)
	copied.ObjectMeta = metav1.ObjectMeta{Namespace: y.Namespace, Name: "copy", Annotations: copied.Annotations}
	require.NoError(t, y.Client.Create(t.Context(), copied))
	y.compose(t, "worker-0-aaaaa", y.id, "worker-0")
	assert.Equal(t, orphans.Orphan, y.lookLong(t)["worker-0-aaaaa"], "the name in the mark decides")
	require.NoError(t, y.Client.Delete(t.Context(), y.Cluster(t)))
	assert.Equal(t, orphans.Orphan, y.look(t)["worker-0-aaaaa"], "one of both is left")
}

func TestSweep_X5_1_runs_in_the_manager_and_when_somebody_asks(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	options := y.Options()
	options.OrphanInterval = 1000 * time.Hour
	y.StartManagerWith(t, options)
	lists := func() int { return len(provisionertest.Requests[*lxdprovisionerv1.ListVMsRequest](y.Fake)) }
	managertest.Eventually(t, func(c *managertest.Check) { assert.Equal(c, 1, lists()) }, "the leader looks when it begins")
	// The first look itself may take up what is asked for while it runs, so a second request follows.
	for _, name := range []string{"nobody-knows-me", "nor-me"} {
		y.annotate(t, infrav1.RemoveOrphansAnnotation, name)
		managertest.Eventually(t, func(c *managertest.Check) {
			assert.NotContains(c, y.Cluster(c).Annotations, infrav1.RemoveOrphansAnnotation, "it is refused")
		}, "a request is taken up at once")
	}
	assert.GreaterOrEqual(t, lists(), 2, "by a look of its own")
}

func TestSweep_X5_1_looks_again_soon_after_it_could_not_read(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	// The look with which the leader begins fails, and so does the one that the request asks for.
	for range 2 {
		y.Fake.FailNext("ListVMs", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "MAAS is away"))
	}
	y.annotate(t, infrav1.RemoveOrphansAnnotation, "nobody-knows-me")
	options := y.Options()
	options.OrphanInterval = 1000 * time.Hour
	y.StartManagerWith(t, options)
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.NotContains(c, y.Cluster(c).Annotations, infrav1.RemoveOrphansAnnotation)
	}, "what was asked for does not wait for the next interval")
}
