package observability_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/mtls"
	"github.com/capmaas/capmaas/services/maassim"
)

// TestLife follows machines from their making to their end, with every kind of trouble that is told of, and then looks at
// what was told.
func TestLife(t *testing.T) {
	w := newWorld(t)
	seen := w.watchMetrics(t)
	uid := w.live(t, seen)

	t.Run("metrics_are_those_of_the_document", func(t *testing.T) { compare(t, seen) })
	t.Run("one_trace_holds_the_reconcile_the_call_and_the_request_to_MAAS", func(t *testing.T) { w.checkTrace(t, uid) })
	t.Run("one_id_leads_from_the_MaasMachine_to_MAASs_request_log", func(t *testing.T) { w.checkCorrelation(t, uid) })
	t.Run("nothing_that_is_told_holds_a_secret", func(t *testing.T) { w.checkSecrets(t, seen) })
}

// live makes machines, gets them into trouble and removes them. It gives the UID of the VM's MaasMachine.
func (w *world) live(t *testing.T, seen *sightings) string {
	t.Helper()
	require.NoError(t, w.sim.AddFaults(maassim.Fault{Operation: "vm-hosts.compose", Preset: "host-down", Count: 1}))
	w.makeCluster(t)
	w.makeMachine(t, "vm-0", 4, infrav1.ModeLXD)
	w.makeMachine(t, "metal-0", 4, infrav1.ModeBareMetal)
	w.makeMachine(t, "huge", 64, infrav1.ModeLXD)
	uid := string(w.machine(t, "vm-0").UID)
	for _, name := range []string{"vm-0", "metal-0"} {
		eventually(t, name+" is provisioned", func(c *assert.CollectT) {
			assert.True(c, ptr.Deref(w.machine(c, name).Status.Initialization.Provisioned, false))
		})
	}
	w.restartService(t)
	eventually(t, "the stream that broke is told of", func(c *assert.CollectT) {
		assert.True(c, tells(t, w.manager, `capmaas_watch_interruptions_total{kind="`))
	})
	w.handOver(t)
	w.makeStray(t)
	eventually(t, "the stray VM is found", func(c *assert.CollectT) {
		assert.True(c, tells(t, w.manager, `capmaas_orphan_vms{host="`))
	})
	for _, name := range []string{"vm-0", "metal-0"} {
		require.NoError(t, w.client.Delete(t.Context(), &clusterv1.Machine{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}))
		require.NoError(t, client.IgnoreNotFound(w.client.Delete(t.Context(), w.machine(t, name))))
		eventually(t, name+" is gone", func(c *assert.CollectT) {
			err := w.client.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, &infrav1.MaasMachine{})
			assert.True(c, apierrors.IsNotFound(err), "%v", err)
		})
	}
	w.down.Store(true)
	eventually(t, "the service says that MAAS is away", func(c *assert.CollectT) {
		assert.True(c, tells(t, w.addresses().Metrics.String(), `lxdprovisioner_maas_problem{reason="MAAS_UNAVAILABLE"} 1`))
	})
	seen.look(t, w)
	return uid
}

// handOver puts a VM of a host that MAAS does not have on the cluster's list of pending deletions, and asks for an orphan that is none.
func (w *world) handOver(t *testing.T) {
	t.Helper()
	attempt := map[string]any{"number": 1, "name": "lost-0", "hostId": "vmhost/999", "hostName": "gone", "sentAt": "2026-01-01T00:00:00Z"}
	owner := map[string]any{"clusterId": "c", "namespace": w.namespace, "cluster": clusterName, "machine": "lost-0", "machineUid": "lost-uid"}
	entry := []map[string]any{{
		"machine": "lost-0", "uid": "lost-uid", "vms": []string{"lost-0 on gone"}, "since": "2026-01-01T00:00:00Z",
		"request": map[string]any{"attempts": []any{attempt}, "owner": owner},
	}}
	text, err := json.Marshal(entry)
	require.NoError(t, err)
	cluster := &infrav1.MaasCluster{}
	require.NoError(t, w.client.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: clusterName}, cluster))
	before := cluster.DeepCopy()
	cluster.Annotations[infrav1.PendingDeletionsAnnotation] = string(text)
	cluster.Annotations[infrav1.RemoveOrphansAnnotation] = "nobody-0" // is refused
	require.NoError(t, w.client.Patch(t.Context(), cluster, client.MergeFrom(before)))
	eventually(t, "the pending deletion is told of", func(c *assert.CollectT) {
		assert.True(c, tells(t, w.manager, `capmaas_deletions_pending{cluster="c1",namespace="`+w.namespace+`"} 1`))
	})
}

// makeStray composes a VM with the cluster's mark and without a MaasMachine.
func (w *world) makeStray(t *testing.T) {
	t.Helper()
	cluster := &infrav1.MaasCluster{}
	require.NoError(t, w.client.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: clusterName}, cluster))
	transport, err := mtls.Client(mtls.Config{Dir: w.managerTLS, ServerName: mtls.ServerName})
	require.NoError(t, err)
	conn, err := grpc.NewClient(w.addresses().GRPC.String(), grpc.WithTransportCredentials(transport))
	require.NoError(t, err)
	defer func() { assert.NoError(t, conn.Close()) }()
	vms := lxdprovisionerv1.NewLXDProvisionerClient(conn)
	hosts, err := vms.ListHosts(t.Context(), &lxdprovisionerv1.ListHostsRequest{})
	require.NoError(t, err)
	host := hosts.GetHosts()[0]
	_, err = vms.ComposeVM(t.Context(), &lxdprovisionerv1.ComposeVMRequest{
		Attempt: &lxdprovisionerv1.Attempt{Number: 1, Name: "stray-0", HostId: host.GetId(), HostName: host.GetName()},
		Owner: &lxdprovisionerv1.Owner{
			ClusterId: cluster.Annotations[infrav1.ClusterIDAnnotation], Namespace: w.namespace, Cluster: clusterName,
			Machine: "stray-0", MachineUid: "stray-uid",
		},
		Resources: &lxdprovisionerv1.VMResources{Cores: 2, MemoryMib: 4096, Disks: []*lxdprovisionerv1.Disk{{SizeGb: 20}}},
	})
	require.NoError(t, err)
}

// checkTrace looks for the trace of the reconcile that composed the VM.
func (w *world) checkTrace(t *testing.T, uid string) {
	t.Helper()
	eventually(t, "a trace leads to the composition", func(c *assert.CollectT) {
		all := collected.all()
		composed := slices.IndexFunc(all, func(s span) bool {
			return s.GetName() == "MAAS vm-hosts.compose" && s.attribute("correlation.id") == uid && s.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR
		})
		if !assert.GreaterOrEqual(c, composed, 0) {
			return
		}
		request := all[composed]
		assert.Equal(c, "lxdprovisioner", request.service)
		served := parent(c, all, request)
		assert.Equal(c, []any{"lxdprovisioner", tracepb.Span_SPAN_KIND_SERVER}, []any{served.service, served.GetKind()})
		assert.Contains(c, served.GetName(), "ComposeVM")
		called := parent(c, all, served)
		assert.Equal(c, []any{"capmaas-manager", tracepb.Span_SPAN_KIND_CLIENT}, []any{called.service, called.GetKind()})
		reconcile := parent(c, all, called)
		assert.Equal(c, "Reconcile MaasMachine", reconcile.GetName())
		assert.Equal(c, "vm-0", reconcile.attribute("capmaas.object.name"))
		assert.Equal(c, uid, reconcile.attribute("correlation.id"))
		assert.Empty(c, reconcile.GetParentSpanId())
	})
}

// parent gives the span's parent, of the same trace.
func parent(c *assert.CollectT, all []span, of span) span {
	i := slices.IndexFunc(all, func(s span) bool {
		return string(s.GetSpanId()) == string(of.GetParentSpanId()) && string(s.GetTraceId()) == string(of.GetTraceId())
	})
	if !assert.GreaterOrEqual(c, i, 0, "the parent of %s is missing", of.GetName()) {
		return span{Span: &tracepb.Span{}}
	}
	return all[i]
}

// checkCorrelation looks for the MaasMachine's UID in each log on the way.
func (w *world) checkCorrelation(t *testing.T, uid string) {
	t.Helper()
	assert.NotEmpty(t, managerLogs.lines(`"msg":"Composed a VM"`, `"correlationID":"`+uid+`"`), "the manager's log")
	assert.NotEmpty(t, w.logs.lines(`"msg":"Composed VM"`, `"correlationID":"`+uid+`"`), "the use case's line in the service's log")
	assert.NotEmpty(t, w.logs.lines(`"msg":"Answered call"`, `"method":"ComposeVM"`, `"correlationID":"`+uid+`"`), "the call's line in the service's log")
	assert.NotEmpty(t, w.logs.lines(`"correlationID":"`+uid+`"`, `"traceID":"`), "the service's log names the trace")
	made, deleted := 0, 0
	for _, r := range w.log() {
		if r.agent != "lxdprovisioner/dev correlation/"+uid {
			continue
		}
		switch {
		case r.method == "POST" && strings.Contains(r.path, "op=compose"):
			made++
		case r.method == "DELETE" && strings.Contains(r.path, "/machines/"):
			deleted++
		}
	}
	assert.Positive(t, made, "MAAS's log has the composition")
	assert.Positive(t, deleted, "MAAS's log has the deletion")
}

// checkSecrets looks for what nobody may be told of.
func (w *world) checkSecrets(t *testing.T, seen *sightings) {
	t.Helper()
	key := strings.Split(w.sim.APIKey(), ":")
	require.Len(t, key, 3)
	var agents strings.Builder
	for _, r := range w.log() {
		agents.WriteString(r.agent + "\n")
	}
	told := map[string]string{
		"spans": collected.text(), "metrics": seen.text(), "the service's log": w.logs.String(), "the manager's log": managerLogs.String(),
		"MAAS's access log": agents.String(),
	}
	require.NotEmpty(t, told["spans"])
	for what, text := range told {
		for _, secret := range []string{joinToken, key[1], key[2]} {
			assert.False(t, strings.Contains(text, secret), "%s hold a secret", what)
		}
	}
	assert.False(t, strings.Contains(told["spans"], "MAAS/api"), "a span holds a URL of MAAS")
}
