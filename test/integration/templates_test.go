package integration_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/utils/ptr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/test/apiserver"
	"github.com/capmaas/capmaas/test/clusterapi"
	"github.com/capmaas/capmaas/test/scheme"
)

// template is a flavor, with the variables that the existing provider's template of the name has; it has no mixed one.
type template struct {
	file      string
	variables map[string]string
	vms       int
	machines  int
}

// sized are the variables that two flavors share.
func sized(more map[string]string) map[string]string {
	all := map[string]string{
		"DNS_DOMAIN": "maas", "KUBERNETES_VERSION": "v1.34.1", "CONTROL_PLANE_MACHINE_COUNT": "1", "CONTROL_PLANE_MACHINE_MINCPU": "4",
		"CONTROL_PLANE_MACHINE_MINMEMORY": "8192", "CONTROL_PLANE_MACHINE_MINSTORAGE": "60", "CONTROL_PLANE_ZONE": "az1",
		"LXD_RESOURCE_POOL": "default", "MACHINE_IMAGE": "ubuntu/jammy", "WORKER_MACHINE_COUNT": "1", "WORKER_MACHINE_IMAGE": "ubuntu/jammy",
		"WORKER_MACHINE_MINCPU": "4", "WORKER_MACHINE_MINMEMORY": "8192", "WORKER_MACHINE_RESOURCEPOOL": "default", "WORKER_ZONE": "az2",
	}
	maps.Copy(all, more)
	return all
}

var templates = []template{
	{file: "cluster-template.yaml", machines: 2, variables: map[string]string{
		"CLUSTER_NAME": "metal", "KUBERNETES_VERSION": "v1.34.1", "CONTROL_PLANE_MACHINE_COUNT": "1", "MAAS_DNS_DOMAIN": "maas",
		"CONTROL_PLANE_MACHINE_MINCPU": "4", "CONTROL_PLANE_MACHINE_MINMEMORY": "8192", "CONTROL_PLANE_MACHINE_IMAGE": "ubuntu/jammy",
		"CONTROL_PLANE_MACHINE_RESOURCEPOOL": "default", "CONTROL_PLANE_MACHINE_TAG": "rack-7",
		"WORKER_MACHINE_MINCPU": "4", "WORKER_MACHINE_MINMEMORY": "8192", "WORKER_MACHINE_IMAGE": "ubuntu/jammy",
		"WORKER_MACHINE_RESOURCEPOOL": "default", "WORKER_MACHINE_TAG": "rack-7",
	}},
	{file: "cluster-template-lxd.yaml", machines: 2, vms: 1, variables: sized(map[string]string{"CLUSTER_NAME": "wlc"})},
	{file: "cluster-template-hcp.yaml", machines: 2, variables: sized(map[string]string{
		"CLUSTER_NAME": "hcp", "LXD_STORAGE_SIZE": "50", "WORKER_MACHINE_MINSTORAGE": "100",
	})},
	{file: "cluster-template-mixed.yaml", machines: 3, vms: 2, variables: map[string]string{
		"CLUSTER_NAME": "mix", "KUBERNETES_VERSION": "v1.34.1", "CONTROL_PLANE_MACHINE_COUNT": "1", "DNS_DOMAIN": "maas",
		"MACHINE_IMAGE": "ubuntu/jammy", "WORKER_MACHINE_IMAGE": "ubuntu/jammy",
	}},
}

// variable is one of clusterctl's, with a default or without; the existing provider writes some with blanks.
var variable = regexp.MustCompile(`\$\{\s*([A-Z0-9_]+)\s*(?::=([^}]*))?\}`)

// render fills a template in as clusterctl does. A variable that the existing provider does not have needs a default.
func (tp template) render(t *testing.T) string {
	t.Helper()
	root, err := apiserver.Root()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, "deploy", "templates", tp.file))
	require.NoError(t, err)
	used := map[string]bool{}
	filled := variable.ReplaceAllStringFunc(string(text), func(found string) string {
		parts := variable.FindStringSubmatch(found)
		used[parts[1]] = true
		value, known := tp.variables[parts[1]]
		assert.True(t, known || parts[2] != "", "%s: nobody who knows the existing provider sets %s", tp.file, parts[1])
		if !known {
			return parts[2]
		}
		return value
	})
	for name := range tp.variables {
		assert.True(t, used[name], "%s ignores %s", tp.file, name)
	}
	require.NotContains(t, filled, "${")
	return filled
}

// applyTemplate applies what a template holds, plays the managers of Cluster API that make machines, and waits until all
// of it is Ready.
func (s *stack) applyTemplate(t *testing.T, tp template) {
	t.Helper()
	name, before := tp.variables["CLUSTER_NAME"], len(s.sim.LXD())
	strict := serializer.NewCodecFactory(scheme.New(), serializer.EnableStrict).UniversalDeserializer()
	groups := map[string]machineGroup{}
	for text := range strings.SplitSeq(tp.render(t), "\n---\n") {
		object, _, err := strict.Decode([]byte(text), nil, nil)
		require.NoError(t, err, tp.file)
		switch o := object.(type) {
		case *controlplanev1.KubeadmControlPlane:
			groups[o.Name] = machineGroup{count: ptr.Deref(o.Spec.Replicas, 0), template: o.Spec.MachineTemplate.Spec.InfrastructureRef.Name, controlPlane: true}
		case *clusterv1.MachineDeployment:
			groups[o.Name] = machineGroup{
				count: ptr.Deref(o.Spec.Replicas, 0), template: o.Spec.Template.Spec.InfrastructureRef.Name, zone: o.Spec.Template.Spec.FailureDomain,
			}
		case client.Object:
			if o.GetObjectKind().GroupVersionKind().Kind == "KubeadmConfigTemplate" {
				continue
			}
			o.SetNamespace(s.namespace)
			s.eventually(t, func(c *assert.CollectT) { // a manager that has just begun serves its webhooks in a moment
				assert.NoError(c, client.IgnoreAlreadyExists(s.client.Create(t.Context(), o)), "%s: %s", tp.file, o.GetName())
			})
		}
	}
	require.GreaterOrEqual(t, len(groups), 2, "a control plane and workers")
	for prefix, group := range groups {
		s.makeGroup(t, name, prefix, group)
	}
	s.eventually(t, func(c *assert.CollectT) {
		cluster := &infrav1.MaasCluster{}
		require.NoError(c, s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, cluster))
		assertCondition(c, cluster.Status.Conditions, clusterv1.ReadyCondition, metav1.ConditionTrue, "", "")
		var machines infrav1.MaasMachineList
		require.NoError(c, s.client.List(t.Context(), &machines, client.InNamespace(s.namespace), client.MatchingLabels{clusterv1.ClusterNameLabel: name}))
		assert.Len(c, machines.Items, tp.machines, tp.file)
		for _, m := range machines.Items {
			assertCondition(c, m.Status.Conditions, clusterv1.ReadyCondition, metav1.ConditionTrue, "", "")
		}
	})
	assert.Len(t, s.sim.LXD(), before+tp.vms, tp.file)
}

// machineGroup is a KubeadmControlPlane or a MachineDeployment.
type machineGroup struct {
	count          int32
	template, zone string
	controlPlane   bool
}

// makeGroup makes the Machines of a group and their infrastructure, cloned from its template.
func (s *stack) makeGroup(t *testing.T, cluster, prefix string, group machineGroup) {
	t.Helper()
	blueprint := &infrav1.MaasMachineTemplate{}
	require.NoError(t, s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: group.template}, blueprint))
	labels := map[string]string{clusterv1.ClusterNameLabel: cluster}
	if group.controlPlane {
		labels[clusterv1.MachineControlPlaneLabel] = ""
		group.zone = s.firstZone(t, cluster)
	}
	for n := range group.count {
		name := prefix + "-" + string('a'+n)
		require.NoError(t, s.client.Create(t.Context(), clusterapi.Bootstrap(s.namespace, name, cluster, []byte("#cloud-config\n# "+joinToken+"\n"))))
		require.NoError(t, s.client.Create(t.Context(), &clusterv1.Machine{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name, Labels: labels},
			Spec: clusterv1.MachineSpec{
				ClusterName: cluster, FailureDomain: group.zone, Bootstrap: clusterv1.Bootstrap{DataSecretName: &name},
				InfrastructureRef: clusterv1.ContractVersionedObjectReference{APIGroup: infrav1.GroupVersion.Group, Kind: "MaasMachine", Name: name},
			},
		}))
		require.NoError(t, s.client.Create(t.Context(), &infrav1.MaasMachine{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name, Labels: labels}, Spec: blueprint.Spec.Template.Spec,
		}))
	}
}

// firstZone waits for the cluster's failure domains and gives the first that takes control planes, as KubeadmControlPlane
// would for one machine.
func (s *stack) firstZone(t *testing.T, cluster string) string {
	t.Helper()
	zone := ""
	s.eventually(t, func(c *assert.CollectT) {
		stored := &clusterv1.Cluster{}
		require.NoError(c, s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: cluster}, stored))
		require.True(c, ptr.Deref(stored.Status.Initialization.InfrastructureProvisioned, false))
		for _, domain := range stored.Status.FailureDomains {
			if ptr.Deref(domain.ControlPlane, false) {
				zone = domain.Name
				return
			}
		}
		assert.Fail(c, "no failure domain takes control planes")
	})
	return zone
}
