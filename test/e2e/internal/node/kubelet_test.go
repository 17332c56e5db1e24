package node_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// staticManifest is a static pod as kubeadm writes etcd's: its probe asks for its health at a port of the machine.
const staticManifest = `
apiVersion: v1
kind: Pod
metadata:
  name: etcd
  namespace: kube-system
  annotations: {kubeadm.kubernetes.io/etcd.advertise-client-urls: "https://10.10.0.10:2379"}
spec:
  hostNetwork: true
  containers:
  - name: etcd
    image: registry.k8s.io/etcd:3.6.0-0
    command: [/bin/sh, -c, "trap 'echo told to end; kill $!; exit' TERM; echo $GREETING; tail -f /dev/null & wait"]
    env: [{name: GREETING, value: %q}]
    livenessProbe: {httpGet: {host: 127.0.0.1, path: /livez, port: probe}}
    ports: [{name: probe, containerPort: %s}]
`

// controlPlane boots a machine on which kubeadm has made a control plane of the cluster, with one static pod.
func controlPlane(t *testing.T, c *cluster, hostname string) (root string, healthy *atomic.Bool, probe *url.URL) {
	t.Helper()
	healthy = new(atomic.Bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/livez" || !healthy.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, "the member says so")
	}))
	t.Cleanup(server.Close)
	probe, err := url.Parse(server.URL)
	require.NoError(t, err)
	root = newRoot(t)
	certificate, key, err := c.issue("system:node:"+hostname, "system:nodes")
	require.NoError(t, err)
	c.kubeconfig(t, root, "etc/kubernetes/kubelet.conf", clientcmdapi.AuthInfo{ClientCertificateData: certificate, ClientKeyData: key})
	write(t, root, "var/lib/kubelet/kubeadm-flags.env",
		`KUBELET_KUBEADM_ARGS="--container-runtime-endpoint=unix:///run/none.sock --register-with-taints=node-role.kubernetes.io/control-plane=:NoSchedule"`)
	write(t, root, "etc/kubernetes/manifests/etcd.yaml", fmt.Sprintf(staticManifest, "the first", probe.Port()))
	boot(t, configure(t, hostname, root, userData(root, "#cloud-config\n")))
	return root, healthy, probe
}

func TestRun_registers_the_node_as_a_kubelet_does(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	controlPlane(t, c, "registered")

	node := awaitNode(t, c, "registered")

	assert.Empty(t, node.Spec.ProviderID, "the infrastructure provider knows it")
	require.NotEmpty(t, node.Spec.Taints)
	assert.Equal(t, corev1.Taint{Key: "node-role.kubernetes.io/control-plane", Effect: corev1.TaintEffectNoSchedule}, node.Spec.Taints[0])
	assert.Equal(t, version, node.Status.NodeInfo.KubeletVersion)
	assert.Contains(t, node.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: "127.0.0.1"})
	assert.Contains(t, node.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeHostName, Address: "registered"})
}

func TestRun_mirrors_static_pods_which_are_ready_when_their_own_probe_says_so(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	root, healthy, _ := controlPlane(t, c, "mirrored")
	awaitFile(t, root, "var/log/etcd.log", "the first")

	pod := awaitPod(t, c, "kube-system", "etcd-mirrored", corev1.ConditionFalse)
	assert.Equal(t, "https://10.10.0.10:2379", pod.Annotations["kubeadm.kubernetes.io/etcd.advertise-client-urls"], "kubeadm finds members by it")
	assert.NotEmpty(t, pod.Annotations["kubernetes.io/config.mirror"])
	assert.Equal(t, corev1.PodRunning, pod.Status.Phase)
	assert.Equal(t, "127.0.0.1", pod.Status.PodIP)

	healthy.Store(true)
	awaitPod(t, c, "kube-system", "etcd-mirrored", corev1.ConditionTrue)
}

func TestRun_runs_what_the_manifest_says_now(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	root, healthy, probe := controlPlane(t, c, "replaced")
	healthy.Store(true)
	before := awaitPod(t, c, "kube-system", "etcd-replaced", corev1.ConditionTrue)

	write(t, root, "etc/kubernetes/manifests/etcd.yaml", fmt.Sprintf(staticManifest, "the second", probe.Port()))

	awaitFile(t, root, "var/log/etcd.log", "the first\ntold to end\nthe second\n")
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		after, err := c.admin.CoreV1().Pods("kube-system").Get(t.Context(), "etcd-replaced", metav1.GetOptions{})
		if assert.NoError(collect, err) {
			assert.NotEqual(collect, before.UID, after.UID)
		}
	}, patience, rhythm)

	require.NoError(t, os.Remove(filepath.Join(root, "etc/kubernetes/manifests/etcd.yaml")))

	awaitFile(t, root, "var/log/etcd.log", "the second\ntold to end\n")
	awaitGone(t, c, "kube-system", "etcd-replaced")
}

func TestRun_starts_a_process_again_that_has_ended(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	write(t, root, "etc/kubernetes/manifests/once.yaml", `
apiVersion: v1
kind: Pod
metadata: {name: once, namespace: kube-system}
spec: {containers: [{name: once, image: none, command: [/bin/echo], args: [it began]}]}
`)

	boot(t, configure(t, "again", root, userData(root, "#cloud-config\n")))

	awaitFile(t, root, "var/log/once.log", "it began\nit began\n")
}

func TestRun_says_of_other_pods_that_they_run_and_lets_them_go(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	controlPlane(t, c, "said")
	awaitNode(t, c, "said")
	pods := c.admin.CoreV1().Pods("default")
	_, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "coredns"},
		Spec:       corev1.PodSpec{NodeName: "said", Containers: []corev1.Container{{Name: "coredns", Image: "coredns"}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)

	pod := awaitPod(t, c, "default", "coredns", corev1.ConditionTrue)
	assert.Equal(t, corev1.PodRunning, pod.Status.Phase)

	require.NoError(t, pods.Delete(t.Context(), "coredns", metav1.DeleteOptions{}))
	awaitGone(t, c, "default", "coredns")
}

func TestRun_forwards_ports_for_the_API_server(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	_, healthy, probe := controlPlane(t, c, "forwarding")
	healthy.Store(true)
	awaitPod(t, c, "kube-system", "etcd-forwarding", corev1.ConditionTrue)
	transport, upgrader, err := spdy.RoundTripperFor(c.config)
	require.NoError(t, err)
	at := c.admin.CoreV1().RESTClient().Post().Resource("pods").Namespace("kube-system").Name("etcd-forwarding").SubResource("portforward").URL()
	stop, ready := make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.NewOnAddresses(spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, at),
		[]string{"127.0.0.1"}, []string{"0:" + probe.Port()}, stop, ready, io.Discard, io.Discard)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-ended:
		require.NoError(t, err, "the API server reaches no kubelet")
	}
	ports, err := forwarder.GetPorts()
	require.NoError(t, err)

	text := get(t, fmt.Sprintf("http://127.0.0.1:%d/livez", ports[0].Local))

	assert.Equal(t, "the member says so", text)
	close(stop)
	require.NoError(t, <-ended)
}

func TestRun_asks_for_a_certificate_with_a_bootstrap_token(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.allowBootstrap(t)
	root := newRoot(t)
	c.kubeconfig(t, root, "etc/kubernetes/bootstrap-kubelet.conf", clientcmdapi.AuthInfo{Token: "abcdef.0123456789abcdef"})
	boot(t, configure(t, "joining", root, userData(root, "#cloud-config\n")))

	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		assert.NoError(collect, c.signKubelets(t.Context(), "system:node:joining"))
		_, err := c.admin.CoreV1().Nodes().Get(t.Context(), "joining", metav1.GetOptions{})
		assert.NoError(collect, err)
	}, patience, rhythm)

	own, err := clientcmd.LoadFromFile(filepath.Join(root, "etc/kubernetes/kubelet.conf"))
	require.NoError(t, err)
	require.Len(t, own.AuthInfos, 1)
	assert.Empty(t, own.AuthInfos["default"].Token)
	assert.NotEmpty(t, own.AuthInfos["default"].ClientCertificateData)
}

// allowBootstrap gives the holder of a token the right that kubeadm gives it: to ask for a certificate.
func (c *cluster) allowBootstrap(t *testing.T) {
	t.Helper()
	require.EventuallyWithT(t, func(collect *assert.CollectT) { // the namespace comes a moment after the API server
		_, err := c.admin.CoreV1().Secrets("kube-system").Create(t.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "bootstrap-token-abcdef"}, Type: corev1.SecretTypeBootstrapToken,
			StringData: map[string]string{"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true"},
		}, metav1.CreateOptions{})
		assert.NoError(collect, err)
	}, patience, rhythm)
	_, err := c.admin.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "kubeadm:kubelet-bootstrap"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:node-bootstrapper"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:bootstrappers"}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// signKubelets signs what a kubelet of this name has asked for, as the controller manager does.
func (c *cluster) signKubelets(ctx context.Context, name string) error {
	requests := c.admin.CertificatesV1().CertificateSigningRequests()
	list, err := requests.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range list.Items {
		request := &list.Items[i]
		if request.Spec.SignerName != certificatesv1.KubeAPIServerClientKubeletSignerName || len(request.Status.Certificate) > 0 {
			continue
		}
		block, _ := pem.Decode(request.Spec.Request)
		asked, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			return err
		}
		if asked.Subject.CommonName != name || strings.Join(asked.Subject.Organization, " ") != "system:nodes" {
			return fmt.Errorf("a kubelet asks to be %s", asked.Subject)
		}
		if err := c.approve(ctx, requests, request, asked); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) approve(ctx context.Context, requests certificates, request *certificatesv1.CertificateSigningRequest, asked *x509.CertificateRequest) error {
	request.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{
		{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "AutoApproved"},
	}
	request, err := requests.UpdateApproval(ctx, request.Name, request, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	request.Status.Certificate, err = c.sign(pkix.Name{CommonName: asked.Subject.CommonName, Organization: asked.Subject.Organization}, asked.PublicKey)
	if err != nil {
		return err
	}
	_, err = requests.UpdateStatus(ctx, request, metav1.UpdateOptions{})
	return err
}

// certificates is what signing needs of the API.
type certificates interface {
	UpdateApproval(ctx context.Context, name string, r *certificatesv1.CertificateSigningRequest, o metav1.UpdateOptions) (*certificatesv1.CertificateSigningRequest, error)
	UpdateStatus(ctx context.Context, r *certificatesv1.CertificateSigningRequest, o metav1.UpdateOptions) (*certificatesv1.CertificateSigningRequest, error)
}

// awaitNode waits until the node says that it is well.
func awaitNode(t *testing.T, c *cluster, name string) *corev1.Node {
	t.Helper()
	var node *corev1.Node
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		var err error
		node, err = c.admin.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
		if !assert.NoError(collect, err) {
			return
		}
		states := make(map[corev1.NodeConditionType]corev1.ConditionStatus)
		for _, condition := range node.Status.Conditions {
			states[condition.Type] = condition.Status
		}
		assert.Equal(collect, corev1.ConditionTrue, states[corev1.NodeReady])
	}, patience, rhythm)
	return node
}

// awaitPod waits until a pod runs and is ready, or runs and is not.
func awaitPod(t *testing.T, c *cluster, namespace, name string, ready corev1.ConditionStatus) *corev1.Pod {
	t.Helper()
	var pod *corev1.Pod
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		var err error
		pod, err = c.admin.CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
		if !assert.NoError(collect, err) {
			return
		}
		states := make(map[corev1.PodConditionType]corev1.ConditionStatus)
		for _, condition := range pod.Status.Conditions {
			states[condition.Type] = condition.Status
		}
		assert.Equal(collect, corev1.PodRunning, pod.Status.Phase)
		assert.Equal(collect, ready, states[corev1.PodReady])
	}, patience, rhythm)
	return pod
}

func awaitGone(t *testing.T, c *cluster, namespace, name string) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := c.admin.CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}, patience, rhythm)
}

func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	var text bytes.Buffer
	_, err = text.ReadFrom(response.Body)
	require.NoError(t, err)
	return text.String()
}
