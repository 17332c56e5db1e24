package docs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// What the page installs, upgrades to, and where.
const (
	firstRelease  = "v0.10.0"
	secondRelease = "v0.10.1"
	systemSpace   = "capmaas-system"
)

// credentials is the Secret with MAAS's key, authority the one in which cert-manager keeps the provider's own authority.
var (
	credentials = client.ObjectKey{Namespace: systemSpace, Name: "capmaas-manager-bootstrap-credentials"}
	authority   = client.ObjectKey{Namespace: systemSpace, Name: "capmaas-ca"}
)

// TestGettingStarted does what the page says, in the page's order, with the real clusterctl and kubectl: it makes the release,
// installs it, makes a cluster, upgrades the provider and removes everything. The API server is real; there are no kubelets
// and no controllers, so that nothing becomes ready.
func TestGettingStarted_is_walked_from_the_release_to_its_removal(t *testing.T) {
	t.Parallel()
	w := newWalk(t, filepath.Join("docs", "getting-started.md"))
	w.section("Prepare MAAS")
	w.section("Install")
	w.assertInstalled(firstRelease)
	w.assertWantedVariables()

	w.standIn()
	w.makeAuthority()
	w.makeKubeconfig("one")
	w.section("Look before you build")
	w.section("The first cluster")
	assert.Equal(t, "3 1", w.replicas())
	w.section("Scale")
	assert.Equal(t, "5 4", w.replicas())

	before := w.survivors()
	w.assertUpgradeWithoutVariablesStops()
	w.section("Upgrade the provider")
	w.assertInstalled(secondRelease)
	w.assertSurvived(before)
	w.mustRun(`export MAAS_ENDPOINT=http://maas.example.com:5240/MAAS MAAS_API_KEY=consumer:token:secret
		clusterctl upgrade apply --infrastructure maas:` + firstRelease)
	w.assertInstalled(firstRelease)
	w.assertSurvived(before)

	w.assertRemovalKeepsClusters(before)
	w.section("Delete")
	w.collectGarbage()
	w.section("Uninstall")
	w.assertGone()
	w.done()
}

// assertInstalled demands every object of the release's components, and that clusterctl's inventory has it.
func (w *walk) assertInstalled(version string) {
	w.t.Helper()
	for _, object := range w.components(version) {
		_, err := w.get(object)
		assert.NoError(w.t, err, "%s %s", object.GetKind(), object.GetName())
	}
	inventory := w.inventory()
	assert.Equal(w.t, version, inventory["infrastructure-maas"])
	for _, provider := range []string{"cluster-api", "bootstrap-kubeadm", "control-plane-kubeadm"} {
		assert.Equal(w.t, clusterAPIVersion(w.t), inventory[provider], provider)
	}
	for name, replicas := range map[string]int32{"capmaas-controller-manager": 1, "capmaas-lxdprovisioner": 2} {
		var deployment appsv1.Deployment
		require.NoError(w.t, w.api.Get(w.t.Context(), client.ObjectKey{Namespace: systemSpace, Name: name}, &deployment))
		image := deployment.Spec.Template.Spec.Containers[0].Image
		assert.True(w.t, strings.HasPrefix(image, "registry.example.com/capmaas/capmaas-") && strings.HasSuffix(image, ":"+version), image)
		assert.Equal(w.t, replicas, *deployment.Spec.Replicas, name)
	}
	var secret corev1.Secret
	require.NoError(w.t, w.api.Get(w.t.Context(), credentials, &secret))
	assert.Equal(w.t, map[string][]byte{
		"MAAS_ENDPOINT": []byte("http://maas.example.com:5240/MAAS"), "MAAS_API_KEY": []byte("consumer:token:secret"),
	}, secret.Data)
	crds := w.ourKinds()
	assert.Len(w.t, crds, 4)
	for _, crd := range crds {
		assert.Equal(w.t, "v1beta1", crd.GetLabels()["cluster.x-k8s.io/v1beta2"], "how %s keeps Cluster API's contract", crd.GetName())
	}
}

// assertWantedVariables compares what clusterctl asks for with what the page sets.
func (w *walk) assertWantedVariables() {
	w.t.Helper()
	asked := w.mustRun("clusterctl generate provider --infrastructure maas:" + firstRelease + " --describe")
	_, list, found := strings.Cut(asked, "Variables:")
	require.True(w.t, found, asked)
	list, _, _ = strings.Cut(list, "Images:")
	var names []string
	for word := range strings.FieldsSeq(list) {
		if word != "-" {
			names = append(names, word)
		}
	}
	assert.ElementsMatch(w.t, []string{"MAAS_ENDPOINT", "MAAS_API_KEY"}, names)
}

// standIn does what pods and controllers would have done after clusterctl init: no pod answers the webhooks, so they go, and
// the namespace in which clusterctl has tried cert-manager ends.
func (w *walk) standIn() {
	w.t.Helper()
	w.mustRun("kubectl delete validatingwebhookconfigurations,mutatingwebhookconfigurations --all")
	clients, err := kubernetes.NewForConfig(w.config)
	require.NoError(w.t, err)
	namespaces, err := clients.CoreV1().Namespaces().List(w.t.Context(), metav1.ListOptions{})
	require.NoError(w.t, err)
	for _, namespace := range namespaces.Items {
		if namespace.DeletionTimestamp == nil {
			continue
		}
		namespace.Spec.Finalizers = nil
		_, err := clients.CoreV1().Namespaces().Finalize(w.t.Context(), &namespace, metav1.UpdateOptions{})
		require.NoError(w.t, err, namespace.Name)
	}
}

// makeAuthority does what cert-manager does for the Certificate of the authority.
func (w *walk) makeAuthority() {
	w.t.Helper()
	require.NoError(w.t, w.api.Create(w.t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: authority.Namespace, Name: authority.Name}, StringData: map[string]string{"tls.key": "key"},
	}))
}

// makeKubeconfig does what the control plane's provider does for a cluster, which here is the management cluster itself.
func (w *walk) makeKubeconfig(cluster string) {
	w.t.Helper()
	kubeconfig, err := os.ReadFile(filepath.Join(w.dir, "kubeconfig"))
	require.NoError(w.t, err)
	require.NoError(w.t, w.api.Create(w.t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: cluster + "-kubeconfig"}, Data: map[string][]byte{"value": kubeconfig},
	}))
}

// replicas gives those of the control plane and of the workers in VMs.
func (w *walk) replicas() string {
	w.t.Helper()
	return strings.TrimSpace(w.mustRun(
		`echo $(kubectl get kubeadmcontrolplane/one-control-plane -o jsonpath={.spec.replicas}) $(kubectl get machinedeployment/one-vm -o jsonpath={.spec.replicas})`))
}

// survivors are what no upgrade may touch, by kind and name: the custom resources, their definitions and the authority.
func (w *walk) survivors() map[string]types.UID {
	w.t.Helper()
	all := map[string]types.UID{}
	add := func(object client.Object) {
		all[object.GetObjectKind().GroupVersionKind().Kind+" "+object.GetName()] = object.GetUID()
	}
	for _, crd := range w.ourKinds() {
		add(&crd)
		kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
		for _, object := range w.list("infrastructure.cluster.x-k8s.io/v1beta1", kind) {
			add(&object)
		}
	}
	for _, cluster := range w.list(clusterv1.GroupVersion.String(), "Cluster") {
		add(&cluster)
	}
	var secret corev1.Secret
	require.NoError(w.t, w.api.Get(w.t.Context(), authority, &secret))
	all["Secret "+secret.Name] = secret.UID
	assert.Contains(w.t, all, "MaasCluster one")
	assert.Contains(w.t, all, "MaasMachineTemplate one-vm")
	return all
}

func (w *walk) assertSurvived(before map[string]types.UID) {
	w.t.Helper()
	assert.Equal(w.t, before, w.survivors())
}

// assertUpgradeWithoutVariablesStops shows the state that the page warns of, from which its own command goes on.
func (w *walk) assertUpgradeWithoutVariablesStops() {
	w.t.Helper()
	w.mustRun("make release VERSION=" + secondRelease + " REGISTRY=registry.example.com/capmaas DIST=" + published + "/infrastructure-maas/" + secondRelease)
	out, err := w.sh("clusterctl upgrade apply --infrastructure maas:" + secondRelease)
	require.Error(w.t, err)
	assert.Contains(w.t, out, "MAAS_API_KEY")
	assert.Equal(w.t, firstRelease, w.inventory()["infrastructure-maas"])
	var secret corev1.Secret
	assert.NoError(w.t, w.api.Get(w.t.Context(), credentials, &secret), "the key")
	var deployments appsv1.DeploymentList
	require.NoError(w.t, w.api.List(w.t.Context(), &deployments, client.InNamespace(systemSpace)))
	for _, d := range deployments.Items {
		assert.Zero(w.t, *d.Spec.Replicas, d.Name)
	}
}

// assertRemovalKeepsClusters removes the provider without the flags that the page has, installs it again, and sees that
// with the flags nothing is removed while there are clusters.
func (w *walk) assertRemovalKeepsClusters(before map[string]types.UID) {
	w.t.Helper()
	w.mustRun("clusterctl delete --infrastructure maas")
	assert.NotContains(w.t, w.inventory(), "infrastructure-maas")
	w.assertSurvived(before)
	var deployments appsv1.DeploymentList
	require.NoError(w.t, w.api.List(w.t.Context(), &deployments, client.InNamespace(systemSpace)))
	assert.Empty(w.t, deployments.Items)
	assert.True(w.t, apierrors.IsNotFound(w.api.Get(w.t.Context(), credentials, &corev1.Secret{})), "the key goes with the service")

	w.mustRun(`export MAAS_ENDPOINT=http://maas.example.com:5240/MAAS MAAS_API_KEY=consumer:token:secret
		clusterctl init --infrastructure maas:` + firstRelease)
	w.assertInstalled(firstRelease)
	w.assertSurvived(before)
	w.standIn()

	out, err := w.sh("clusterctl delete --infrastructure maas --include-crd --include-namespace")
	require.Error(w.t, err)
	assert.Contains(w.t, out, "found existing objects for provider CRDs")
	assert.Equal(w.t, firstRelease, w.inventory()["infrastructure-maas"])
	w.assertSurvived(before)
}

// collectGarbage deletes what Cluster API has made the cluster the owner of.
func (w *walk) collectGarbage() {
	w.t.Helper()
	for _, list := range []client.Object{&infrav1.MaasCluster{}, &infrav1.MaasMachine{}, &infrav1.MaasMachineTemplate{}} {
		require.NoError(w.t, w.api.DeleteAllOf(w.t.Context(), list, client.InNamespace("default")))
	}
}

// assertGone demands that nothing is left of the release, but what a controller would delete with its namespace.
func (w *walk) assertGone() {
	w.t.Helper()
	var namespace corev1.Namespace
	require.NoError(w.t, w.api.Get(w.t.Context(), client.ObjectKey{Name: systemSpace}, &namespace))
	assert.NotNil(w.t, namespace.DeletionTimestamp)
	for _, object := range w.components(firstRelease) {
		if object.GetNamespace() != "" || object.GetKind() == "Namespace" {
			continue
		}
		found, err := w.get(object)
		assert.True(w.t, apierrors.IsNotFound(err) || found.GetDeletionTimestamp() != nil, "%s %s", object.GetKind(), object.GetName())
	}
}

// components are the objects of a release.
func (w *walk) components(version string) []unstructured.Unstructured {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "published", "infrastructure-maas", version, "infrastructure-components.yaml"))
	require.NoError(w.t, err)
	var all []unstructured.Unstructured
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var object unstructured.Unstructured
		require.NoError(w.t, yaml.Unmarshal([]byte(document), &object.Object))
		all = append(all, object)
	}
	require.Greater(w.t, len(all), 30)
	return all
}

func (w *walk) get(object unstructured.Unstructured) (*unstructured.Unstructured, error) {
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(object.GroupVersionKind())
	return found, w.api.Get(w.t.Context(), client.ObjectKeyFromObject(&object), found)
}

func (w *walk) list(version, kind string) []unstructured.Unstructured {
	w.t.Helper()
	var all unstructured.UnstructuredList
	all.SetAPIVersion(version)
	all.SetKind(kind + "List")
	require.NoError(w.t, w.api.List(w.t.Context(), &all))
	return all.Items
}

// ourKinds are the definitions of our custom resources.
func (w *walk) ourKinds() []unstructured.Unstructured {
	w.t.Helper()
	var ours []unstructured.Unstructured
	for _, crd := range w.list("apiextensions.k8s.io/v1", "CustomResourceDefinition") {
		if group, _, _ := unstructured.NestedString(crd.Object, "spec", "group"); group == infrav1.GroupVersion.Group {
			ours = append(ours, crd)
		}
	}
	return ours
}

// inventory gives the versions that clusterctl has installed by the providers' names.
func (w *walk) inventory() map[string]string {
	w.t.Helper()
	versions := map[string]string{}
	for _, provider := range w.list("clusterctl.cluster.x-k8s.io/v1alpha3", "Provider") {
		versions[provider.GetName()], _, _ = unstructured.NestedString(provider.Object, "version")
	}
	return versions
}

// mustRun runs a script that is not the page's.
func (w *walk) mustRun(script string) string {
	w.t.Helper()
	out, err := w.sh(script)
	require.NoError(w.t, err, "%s\n%s", script, out)
	return out
}
