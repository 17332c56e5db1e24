package integration_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/apiserver"
)

// TestExisting is a management cluster of the existing provider that is handed over: its clusters stand in it as its
// releases have stored them, and what they need runs in MAAS. Then our CRDs, webhooks and manager come.
func TestExisting_provider(t *testing.T) {
	t.Parallel()
	server, err := apiserver.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop()) })
	s := newStack(t, handOver(), on(server))
	restore := s.loosenCRDs(t)
	old := []*handedOver{s.storeCluster(t, "c8", false), s.storeCluster(t, "c9", true)}
	restore()
	require.NoError(t, server.Admit())
	s.admission = server.Admission
	before, asked := s.truth(), s.sim.Requests()
	s.awake(t)
	restartManager := func() { s.restartManager(t) } // it lives as long as the whole test

	t.Run("P8_P9_clusters_of_v0.8_and_v0.9_are_managed_in_place", func(t *testing.T) {
		s.awaitProvisioned(t, 4)
		for _, c := range old {
			s.assertManaged(t, c)
		}
		assert.Equal(t, before, s.truth(), "no machine and no VM was touched")
		now := s.sim.Requests()
		for _, operation := range []string{
			"vm-hosts.compose", "vm-hosts.refresh", "machines.allocate", "machines.deploy", "machines.release", "machines.delete",
			"machines.power_on", "machines.power_off", "machines.update", "dnsresources.create", "dnsresources.update", "dnsresources.delete",
		} {
			assert.Equal(t, asked[operation], now[operation], operation)
		}
		restartManager()
		s.awaitProvisioned(t, 4)
		assert.Equal(t, now["machines.set_workload_annotations"], s.sim.Requests()["machines.set_workload_annotations"], "once is enough")
	})
	t.Run("P8_manifests_in_the_shape_of_its_templates_reach_Ready", func(t *testing.T) {
		for _, template := range templates {
			s.applyTemplate(t, template)
		}
	})
	t.Run("R5.4_and_they_go_without_a_trace", func(t *testing.T) {
		s.deleteClusters(t)
		s.assertNothingLeft(t)
	})
	s.assertNoSecrets(t)
}

// handedOver is a cluster of the existing provider: a control plane in a VM and a worker on a physical machine.
type handedOver struct {
	name, vm, metal string
	ids             map[string]string // provider IDs by MaasMachine
}

// machineTruth is what nobody may change.
type machineTruth struct {
	Hostname, Status, Owner, AgentName, Host, Instance, Power, OS string
	IPs                                                           []string
}

// truth is what MAAS and LXD have, but for our marks.
func (s *stack) truth() map[string]any {
	all := map[string]any{"lxd": s.sim.LXD(), "dns": s.sim.DNSRecords()}
	for _, m := range s.sim.Machines() {
		all[m.SystemID] = machineTruth{m.Hostname, m.Status, m.Owner, m.AgentName, m.Host, m.Instance, m.PowerState, m.OS, m.IPs}
	}
	return all
}

// asThem does what the existing provider asks of MAAS, with its key, which is ours by now.
func (s *stack) asThem(t *testing.T, method, path string, form url.Values) (answer struct {
	SystemID string `json:"system_id"` //nolint:tagliatelle // MAAS's
},
) {
	t.Helper()
	status, body := s.request(t, method, s.sim.APIKey(), path, form)
	require.Less(t, status, http.StatusMultipleChoices, "%s %s: %s", method, path, body)
	require.NoError(t, json.Unmarshal(body, &answer))
	return answer
}

// storeCluster makes a cluster's machines in MAAS and stores its objects, in the form of v0.9 or of v0.8.
func (s *stack) storeCluster(t *testing.T, name string, v9 bool) *handedOver {
	t.Helper()
	cp, worker := name+"-cp-4gk2d", name+"-md-0-x7k2p"
	// A VM is composed under one name and renamed in MAAS; it is deployed as it is, which claims it.
	vm := s.asThem(t, http.MethodPost, "vm-hosts/1/?op=compose", url.Values{
		"hostname": {"vm-" + cp + "-0a1b2"}, "cores": {"4"}, "memory": {"8192"}, "storage": {"0:60"}, "skip_commissioning": {"true"},
	}).SystemID
	s.asThem(t, http.MethodPut, "machines/"+vm+"/", url.Values{"hostname": {"vm-" + cp}})
	s.asThem(t, http.MethodPost, "machines/"+vm+"/?op=deploy", url.Values{"distro_series": {"jammy"}, "user_data": {"I2Nsb3VkLWNvbmZpZwo="}})
	metal := s.asThem(t, http.MethodPost, "machines/?op=allocate", url.Values{"cpu_count": {"4"}, "not_pod_type": {"lxd"}}).SystemID
	s.asThem(t, http.MethodPut, "machines/"+metal+"/", url.Values{"swap_size": {"0"}})
	s.asThem(t, http.MethodPost, "machines/"+metal+"/?op=deploy", url.Values{"distro_series": {"jammy"}, "user_data": {"I2Nsb3VkLWNvbmZpZwo="}})
	inMAAS, ok := s.sim.Machine(vm)
	require.True(t, ok)
	s.asThem(t, http.MethodPost, "dnsresources/", url.Values{"fqdn": {name + "-a1b2c3.maas"}, "address_ttl": {"10"}, "ip_addresses": {inMAAS.IPs[0]}})

	h := &handedOver{name: name, vm: vm, metal: metal, ids: map[string]string{}}
	s.storeOwners(t, h, map[string]string{cp: vm, worker: metal})
	s.storeRaw(t, theirCluster(name, v9))
	s.storeRaw(t, s.theirMachine(t, h, cp, vm, v9))
	s.storeRaw(t, s.theirMachine(t, h, worker, metal, v9))
	return h
}

// storeOwners stores the Cluster and the Machines as Cluster API left them.
func (s *stack) storeOwners(t *testing.T, h *handedOver, machines map[string]string) {
	t.Helper()
	cluster := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: h.name}, Spec: clusterv1.ClusterSpec{
		ControlPlaneEndpoint: clusterv1.APIEndpoint{Host: h.name + "-a1b2c3.maas", Port: 6443},
		InfrastructureRef: clusterv1.ContractVersionedObjectReference{
			APIGroup: infrav1.GroupVersion.Group, Kind: "MaasCluster", Name: h.name,
		},
	}}
	require.NoError(t, s.client.Create(t.Context(), cluster))
	cluster.Status.Initialization.InfrastructureProvisioned = new(true)
	require.NoError(t, s.client.Status().Update(t.Context(), cluster))
	for name, id := range machines {
		inMAAS, ok := s.sim.Machine(id)
		require.True(t, ok)
		h.ids[name] = "maas:///" + inMAAS.Zone + "/" + id
		labels := map[string]string{clusterv1.ClusterNameLabel: h.name}
		if id == h.vm {
			labels[clusterv1.MachineControlPlaneLabel] = ""
		}
		require.NoError(t, s.client.Create(t.Context(), &clusterv1.Machine{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name, Labels: labels},
			Spec: clusterv1.MachineSpec{
				ClusterName: h.name, ProviderID: h.ids[name], Bootstrap: clusterv1.Bootstrap{DataSecretName: new(name)},
				InfrastructureRef: clusterv1.ContractVersionedObjectReference{APIGroup: infrav1.GroupVersion.Group, Kind: "MaasMachine", Name: name},
			},
		}))
	}
}

// theirCondition is one as the contract of v1beta2 wants it, or as releases before v0.9 stored it.
func theirCondition(kind string, v9 bool) map[string]any {
	c := map[string]any{"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T10:00:00Z"}
	if v9 {
		c["reason"], c["message"] = kind, ""
	}
	return c
}

func theirCluster(name string, v9 bool) *unstructured.Unstructured {
	status := map[string]any{
		"ready": true, "network": map[string]any{"dnsName": name + "-a1b2c3.maas"},
		"failureDomains": map[string]any{"az1": map[string]any{"controlPlane": true}, "az2": map[string]any{"controlPlane": true}},
		"conditions":     []any{theirCondition("Ready", v9), theirCondition("LoadBalancerReady", v9), theirCondition("APIServerAvailable", v9), theirCondition("LXDReady", v9)},
	}
	if v9 {
		status["initialization"] = map[string]any{"provisioned": true}
		status["failureDomains"] = []any{map[string]any{"name": "az1", "controlPlane": true}, map[string]any{"name": "az2", "controlPlane": true}}
	}
	return theirs("MaasCluster", name, name, []any{infrav1.ClusterFinalizer}, map[string]any{
		"dnsDomain": "maas", "failureDomains": []any{"az1", "az2"},
		"controlPlaneEndpoint": map[string]any{"host": name + "-a1b2c3.maas", "port": int64(6443)},
	}, status)
}

func (s *stack) theirMachine(t *testing.T, h *handedOver, name, systemID string, v9 bool) *unstructured.Unstructured {
	t.Helper()
	m, ok := s.sim.Machine(systemID)
	require.True(t, ok)
	spec := map[string]any{
		"failureDomain": m.Zone, "systemID": systemID, "providerID": h.ids[name], "resourcePool": "default",
		"minCPU": int64(4), "minMemory": int64(8192), "image": "ubuntu/jammy",
	}
	status := map[string]any{
		"ready": true, "machineState": "Deployed", "machinePowered": true, "hostname": m.Hostname, "dnsAttached": systemID == h.vm,
		"conditions": []any{theirCondition("Ready", v9), theirCondition("MachineDeployed", v9)},
	}
	addresses := []any{map[string]any{"type": "ExternalDNS", "address": m.Hostname + ".maas"}, map[string]any{"type": "InternalDNS", "address": m.Hostname + ".maas"}}
	for _, ip := range m.IPs {
		addresses = append(addresses, map[string]any{"type": "ExternalIP", "address": ip}, map[string]any{"type": "InternalIP", "address": ip})
	}
	status["addresses"] = addresses
	if v9 {
		status["initialization"] = map[string]any{"provisioned": true}
	}
	finalizers := []any{infrav1.MachineFinalizer}
	if systemID != h.vm {
		finalizers = append(finalizers, infrav1.HostEvacuationFinalizer)
		return theirs("MaasMachine", name, h.name, finalizers, spec, status)
	}
	spec["minDiskSize"] = int64(60)
	spec["lxd"] = map[string]any{"enabled": true, "vmConfig": map[string]any{"diskSize": int64(60), "network": "subnet0"}}
	status["conditions"] = append(status["conditions"].([]any), theirCondition("DNSAttached", v9)) //nolint:forcetypeassert // it is made above
	vm := theirs("MaasMachine", name, h.name, finalizers, spec, status)
	vm.SetAnnotations(map[string]string{infrav1.VMNameAnnotation: m.Instance})
	vm.SetLabels(map[string]string{clusterv1.ClusterNameLabel: h.name, clusterv1.MachineControlPlaneLabel: ""})
	return vm
}

func theirs(kind, name, cluster string, finalizers []any, spec, status map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": infrav1.GroupVersion.String(), "kind": kind, "spec": spec, "status": status,
		"metadata": map[string]any{"name": name, "finalizers": finalizers, "labels": map[string]any{clusterv1.ClusterNameLabel: cluster}},
	}}
}

// storeRaw stores an object and its status as they are.
func (s *stack) storeRaw(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	object.SetNamespace(s.namespace)
	status := object.Object["status"]
	require.NoError(t, s.client.Create(t.Context(), object))
	object.Object["status"] = status
	require.NoError(t, s.client.Status().Update(t.Context(), object))
}

// loosenCRDs lets our CRDs take what the existing provider's take, and gives what brings their rules back.
func (s *stack) loosenCRDs(t *testing.T) (restore func()) {
	t.Helper()
	known := runtime.NewScheme()
	require.NoError(t, apiextensionsv1.AddToScheme(known))
	c, err := client.New(s.server.Config, client.Options{Scheme: known})
	require.NoError(t, err)
	full := map[string]apiextensionsv1.CustomResourceDefinitionSpec{}
	for _, name := range []string{"maasclusters", "maasmachines"} {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		require.NoError(t, c.Get(t.Context(), client.ObjectKey{Name: name + "." + infrav1.GroupVersion.Group}, crd))
		full[crd.Name] = *crd.Spec.DeepCopy()
		anything := apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: new(true)}
		crd.Spec.Versions[0].Schema.OpenAPIV3Schema = &anything
		require.NoError(t, c.Update(t.Context(), crd))
	}
	s.eventually(t, func(check *assert.CollectT) {
		probe := theirCluster("probe", false)
		probe.SetNamespace(s.namespace)
		assert.NoError(check, s.client.Create(t.Context(), probe, client.DryRunAll))
		status, _, _ := unstructured.NestedMap(probe.Object, "spec")
		assert.NotNil(check, status)
	})
	return func() {
		for name, spec := range full {
			crd := &apiextensionsv1.CustomResourceDefinition{}
			require.NoError(t, c.Get(t.Context(), client.ObjectKey{Name: name}, crd))
			crd.Spec = spec
			require.NoError(t, c.Update(t.Context(), crd))
		}
		s.eventually(t, func(check *assert.CollectT) {
			bad := theirs("MaasMachine", "bad", "bad", nil, map[string]any{"image": ""}, nil)
			bad.SetNamespace(s.namespace)
			assert.Error(check, s.client.Create(t.Context(), bad, client.DryRunAll), "the rules hold again")
		})
	}
}

// assertManaged says that a cluster is looked after, under the ids that it had.
func (s *stack) assertManaged(t *testing.T, h *handedOver) {
	t.Helper()
	s.eventually(t, func(c *assert.CollectT) {
		stored := &unstructured.Unstructured{}
		stored.SetGroupVersionKind(infrav1.GroupVersion.WithKind("MaasCluster"))
		require.NoError(c, s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: h.name}, stored))
		domains, isList, _ := unstructured.NestedSlice(stored.Object, "status", "failureDomains")
		assert.True(c, isList && len(domains) == 2, "%s: failure domains are %v", h.name, stored.Object["status"])
		cluster := &infrav1.MaasCluster{}
		require.NoError(c, s.client.Get(t.Context(), client.ObjectKeyFromObject(stored), cluster))
		assert.Equal(c, infrav1.APIEndpoint{Host: h.name + "-a1b2c3.maas", Port: 6443}, cluster.Spec.ControlPlaneEndpoint)
		assertCondition(c, cluster.Status.Conditions, infrav1.LoadBalancerReadyCondition, metav1.ConditionTrue, "", "")
		assertReasons(c, cluster.Status.Conditions)
		for name, id := range h.ids {
			m := &infrav1.MaasMachine{}
			require.NoError(c, s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, m))
			assert.Equal(c, id, ptr.Deref(m.Spec.ProviderID, ""), "a stored provider ID is never rewritten")
			assertCondition(c, m.Status.Conditions, clusterv1.ReadyCondition, metav1.ConditionTrue, "", "")
			assertReasons(c, m.Status.Conditions)
		}
	})
	inMAAS, ok := s.sim.Machine(h.vm)
	require.True(t, ok)
	assert.Equal(t, h.name+"-cp-4gk2d", inMAAS.Annotations["capmaas.machine"], "X3.3: it bears our mark")
}

// assertReasons says that each condition has the reason that Kubernetes demands of one.
func assertReasons(c *assert.CollectT, all []metav1.Condition) {
	for _, condition := range all {
		assert.NotEmpty(c, condition.Reason, condition.Type)
	}
}

// deleteClusters deletes every Cluster of the namespace and waits until all of it is gone.
func (s *stack) deleteClusters(t *testing.T) {
	t.Helper()
	var clusters clusterv1.ClusterList
	require.NoError(t, s.client.List(t.Context(), &clusters, client.InNamespace(s.namespace)))
	for i := range clusters.Items {
		require.NoError(t, s.client.Delete(t.Context(), &clusters.Items[i]))
	}
	s.eventually(t, func(c *assert.CollectT) {
		var machines infrav1.MaasMachineList
		require.NoError(c, s.client.List(t.Context(), &machines, client.InNamespace(s.namespace)))
		for _, m := range machines.Items {
			assert.Fail(c, "still there", "%s: %s", m.Name, conditionsOf(m.Status.Conditions))
		}
		for i := range clusters.Items {
			err := s.client.Get(t.Context(), client.ObjectKeyFromObject(&clusters.Items[i]), &clusterv1.Cluster{})
			assert.True(c, apierrors.IsNotFound(err), "Cluster %s is still there", clusters.Items[i].Name)
		}
	})
}

// handOver is a MAAS for two clusters of the existing provider and three more.
func handOver() maassim.Config {
	cfg := maassim.DefaultConfig(3, 2, 8)
	for i := range cfg.Metal {
		cfg.Metal[i].Tags = []string{"rack-7"}
	}
	return cfg
}
