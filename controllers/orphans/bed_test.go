package orphans_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/controllers/orphans"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

// yard is a namespace with a MaasCluster, a region of one host, and a sweep whose clock the test moves.
type yard struct {
	*managertest.Bed

	sweep  *orphans.Sweep
	events *events.FakeRecorder
	// id is the cluster's, host the LXD host's name. Both are no other test's.
	id, host string
	now      time.Time
}

func newYard(t *testing.T) *yard {
	t.Helper()
	return newYardIn(t, provisionertest.Config{})
}

func newYardIn(t *testing.T, region provisionertest.Config) *yard {
	t.Helper()
	y := &yard{id: "id-of-" + t.Name(), host: "lxd-of-" + t.Name(), events: events.NewFakeRecorder(100), now: time.Now()}
	region.Hosts = []provisionertest.Host{{Name: y.host, Zone: "az1", Pool: "lxd"}}
	y.Bed = managertest.NewWithoutManager(t, region)
	y.CreateCluster(t, func(_ *clusterv1.Cluster, infra *infrav1.MaasCluster) {
		infra.Annotations = map[string]string{infrav1.ClusterIDAnnotation: y.id}
	})
	y.sweep = &orphans.Sweep{
		Namespace: y.Namespace, Client: y.Client, Reader: y.Client, VMs: lxdprovisionerv1.NewLXDProvisionerClient(y.Fake.Dial(t)), Recorder: y.events,
		Interval: time.Hour, MinAge: orphans.Longest, Clock: func() time.Time { return y.now },
	}
	return y
}

// compose makes a VM for a MaasMachine, as the service does when it was asked to.
func (y *yard) compose(t *testing.T, name, clusterID, machine string) {
	t.Helper()
	_, err := y.Fake.ComposeVM(t.Context(), &lxdprovisionerv1.ComposeVMRequest{
		Attempt:   &lxdprovisionerv1.Attempt{Number: 1, Name: name, HostId: y.Fake.HostID(y.host), HostName: y.host},
		Owner:     &lxdprovisionerv1.Owner{ClusterId: clusterID, Namespace: y.Namespace, Cluster: managertest.ClusterName, Machine: machine, MachineUid: "uid-" + machine},
		Resources: &lxdprovisionerv1.VMResources{Cores: 1, MemoryMib: 1024, Disks: []*lxdprovisionerv1.Disk{{SizeGb: 10}}},
	})
	require.NoError(t, err)
}

// look makes one sweep and gives the kind of each VM that it found.
func (y *yard) look(t *testing.T) map[string]orphans.Kind {
	t.Helper()
	report, err := y.sweep.Once(t.Context())
	require.NoError(t, err)
	kinds := map[string]orphans.Kind{}
	for _, f := range report.Found {
		kinds[f.VM.GetName()] = f.Kind
	}
	return kinds
}

// lookLong sweeps until what has no owner is called an orphan.
func (y *yard) lookLong(t *testing.T) map[string]orphans.Kind {
	t.Helper()
	y.look(t)
	y.now = y.now.Add(orphans.Longest)
	return y.look(t)
}

// annotate changes the MaasCluster's annotations; an empty value removes one.
func (y *yard) annotate(t *testing.T, pairs ...string) {
	t.Helper()
	infra := y.Cluster(t)
	before := infra.DeepCopy()
	for i := 0; i < len(pairs); i += 2 {
		metav1.SetMetaDataAnnotation(&infra.ObjectMeta, pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			delete(infra.Annotations, pairs[i])
		}
	}
	require.NoError(t, y.Client.Patch(t.Context(), infra, client.MergeFrom(before)))
}

// told gives the events that were recorded since it was last called.
func (y *yard) told() []string {
	var all []string
	for {
		select {
		case e := <-y.events.Events:
			all = append(all, e)
		default:
			return all
		}
	}
}

// counted gives the metric of the yard's host.
func (y *yard) counted(t *testing.T, kind orphans.Kind) float64 {
	t.Helper()
	families, err := metrics.Registry.(prometheus.Gatherer).Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() != "capmaas_orphan_vms" {
			continue
		}
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["host"] == y.host && labels["kind"] == string(kind) {
				return m.GetGauge().GetValue()
			}
		}
	}
	return -1
}

// names are VMs' names of the shape that we give.
func names(n int) []string {
	all := make([]string, 0, n)
	for i := range n {
		all = append(all, fmt.Sprintf("worker-%02d-aaaaa", i))
	}
	return all
}
