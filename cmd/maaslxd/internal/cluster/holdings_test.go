package cluster_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/cluster"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

func infra(namespace, name, id string, annotations ...string) infrav1.MaasCluster {
	c := infrav1.MaasCluster{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name, UID: "uid", Annotations: map[string]string{infrav1.ClusterIDAnnotation: id},
		OwnerReferences: []metav1.OwnerReference{{Kind: "Cluster", Name: name}},
	}}
	for i := 0; i < len(annotations); i += 2 {
		c.Annotations[annotations[i]] = annotations[i+1]
	}
	return c
}

func machine(namespace, name string, annotations ...string) infrav1.MaasMachine {
	m := infrav1.MaasMachine{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: map[string]string{}}}
	for i := 0; i < len(annotations); i += 2 {
		m.Annotations[annotations[i]] = annotations[i+1]
	}
	return m
}

func marked(name, clusterID, namespace, clusterName, machineName string) *lxdprovisionerv1.VM {
	return &lxdprovisionerv1.VM{Name: name, Status: &lxdprovisionerv1.MachineStatus{Owner: &lxdprovisionerv1.Owner{
		ClusterId: clusterID, Namespace: namespace, Cluster: clusterName, Machine: machineName,
	}}}
}

func TestHoldings_say_whose_a_VM_is(t *testing.T) {
	t.Parallel()
	held, err := cluster.NewHoldings(
		[]infrav1.MaasMachine{
			machine("ns", "here"),
			machine("elsewhere", "moved", infrav1.ClusterIDAnnotation, "id-1"),
			machine("ns", "trying", infrav1.ComposeAttemptsAnnotation, `[{"attempt":1,"name":"trying-aaaaa"},{"attempt":2,"name":"trying-bbbbb"}]`),
			machine("ns", "old", infrav1.VMNameAnnotation, "old-vm"),
		},
		[]infrav1.MaasCluster{
			infra("ns", "alpha", "id-1", infrav1.PendingDeletionsAnnotation, `[{"machine":"gone","vms":["gone-aaaaa on lxd-1"],"request":{"attempts":[{"name":"gone-aaaaa"}]}}]`),
			infra("ns", "resting", "id-2"),
			infra("ns", "annotated", "id-3", clusterv1.PausedAnnotation, ""),
			infra("ns", "copy", "id-4"), infra("other", "copy", "id-4"),
		},
		[]clusterv1.Cluster{{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "resting"}, Spec: clusterv1.ClusterSpec{Paused: new(true)}}},
	)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		vm   *lxdprovisionerv1.VM
		want cluster.Kind
	}{
		"its MaasMachine is here":                    {marked("vm", "id-1", "ns", "alpha", "here"), cluster.Owned},
		"its MaasMachine moved to another namespace": {marked("vm", "id-1", "ns", "alpha", "moved"), cluster.Owned},
		"it stands in an attempt":                    {&lxdprovisionerv1.VM{Name: "trying-aaaaa"}, cluster.Owned},
		"the existing provider named it":             {&lxdprovisionerv1.VM{Name: "old-vm"}, cluster.Owned},
		"it is still to be deleted":                  {marked("gone-aaaaa", "id-1", "ns", "alpha", "gone"), cluster.Owned},
		"its MaasMachine is gone":                    {marked("vm", "id-1", "ns", "alpha", "nobody"), cluster.Orphan},
		"its cluster is paused":                      {marked("vm", "id-2", "ns", "resting", "nobody"), cluster.Paused},
		"its MaasCluster is paused":                  {marked("vm", "id-3", "ns", "annotated", "nobody"), cluster.Paused},
		"its cluster is one of two copies":           {marked("vm", "id-4", "other", "copy", "nobody"), cluster.Orphan},
		"its cluster is neither of two copies":       {marked("vm", "id-4", "third", "copy", "nobody"), cluster.UnknownCluster},
		"its cluster is not here":                    {marked("vm", "id-9", "ns", "alpha", "nobody"), cluster.UnknownCluster},
		"nobody marked it":                           {&lxdprovisionerv1.VM{Name: "worker-0-aaaaa"}, cluster.Unmarked},
	} {
		got, _ := held.Of(test.vm)
		assert.Equal(t, test.want, got, name)
	}
}

func TestHoldings_refuse_records_that_they_can_not_read(t *testing.T) {
	t.Parallel()
	_, err := cluster.NewHoldings([]infrav1.MaasMachine{machine("ns", "m", infrav1.ComposeAttemptsAnnotation, "{")}, nil, nil)
	require.ErrorContains(t, err, "decode annotation "+infrav1.ComposeAttemptsAnnotation+" of ns/m")
	_, err = cluster.NewHoldings(nil, []infrav1.MaasCluster{infra("ns", "c", "id", infrav1.PendingDeletionsAnnotation, `[{"machine":"m","request":7}]`)}, nil)
	require.ErrorContains(t, err, "decode the pending deletion of m")
}

func TestHoldings_ask_for_a_replacement_what_the_manager_would(t *testing.T) {
	t.Parallel()
	cp := map[string]string{clusterv1.ClusterNameLabel: "alpha", clusterv1.MachineControlPlaneLabel: ""}
	one := machine("ns", "cp-0")
	one.UID, one.Labels, one.Status.LXDHost = "1", cp, new("lxd-1")
	one.Spec = infrav1.MaasMachineSpec{
		MinCPU: new(int32(4)), MinMemory: new(int32(8192)), ResourcePool: new("lxd"), Tags: []string{"fast"}, FailureDomain: new("az1"),
		LXDConfig: &infrav1.LXDConfig{AntiAffinity: infrav1.AntiAffinityRequired, PlacementPolicy: infrav1.PlacementPack, VMHost: "lxd-7"},
	}
	two := machine("ns", "cp-1", infrav1.ComposeAttemptsAnnotation, `[{"name":"cp-1-a","hostID":"vmhost/2","givenUp":true},{"name":"cp-1-b","hostID":"vmhost/3"}]`)
	two.UID, two.Labels, two.Status.LXDHost, two.Status.FailureDomain = "2", cp, new("lxd-3"), "az3"
	neighbour := machine("ns", "cp-2", infrav1.ComposeAttemptsAnnotation, `[{"name":"cp-2-a","hostID":"vmhost/1"}]`)
	neighbour.UID, neighbour.Labels, neighbour.Status.LXDHost = "3", cp, new("lxd-1")
	worker := machine("ns", "w-0", infrav1.ComposeAttemptsAnnotation, `[{"name":"w-0-a","hostID":"vmhost/3"}]`)
	worker.UID, worker.Labels = "4", map[string]string{clusterv1.ClusterNameLabel: "alpha"}
	held, err := cluster.NewHoldings([]infrav1.MaasMachine{one, two, neighbour, worker}, nil, nil)
	require.NoError(t, err)

	request := held.Replacement(&one, nil)
	assert.Equal(t, int32(4), request.GetResources().GetCores())
	assert.Empty(t, request.GetPlacement().GetZone(), "the zone in a spec is where the machine happens to be")
	assert.Equal(t, []string{"lxd"}, request.GetPlacement().GetResourcePools())
	assert.Equal(t, []string{"fast"}, request.GetPlacement().GetTags())
	assert.Equal(t, []string{"lxd-7"}, request.GetPlacement().GetAllowedHosts())
	assert.Equal(t, lxdprovisionerv1.PlacementPolicy_PLACEMENT_POLICY_PACK, request.GetPlacement().GetPolicy())
	assert.Equal(t, lxdprovisionerv1.AntiAffinity_ANTI_AFFINITY_REQUIRED, request.GetGroup().GetAntiAffinity())
	require.Len(t, request.GetGroup().GetPeers(), 1, "not what was given up, what leaves the host too, or who is of another group")
	assert.Equal(t, "cp-1-b", request.GetGroup().GetPeers()[0].GetName())
	assert.Equal(t, "az3", request.GetGroup().GetPeers()[0].GetZone())
	assert.Equal(t, "az2", held.Replacement(&one, &clusterv1.Machine{Spec: clusterv1.MachineSpec{FailureDomain: "az2"}}).GetPlacement().GetZone())
}
