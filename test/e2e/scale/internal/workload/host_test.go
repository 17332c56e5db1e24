package workload_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	"sigs.k8s.io/cluster-api/util/certs"
	"sigs.k8s.io/cluster-api/util/kubeconfig"
	"sigs.k8s.io/cluster-api/util/secret"

	"github.com/capmaas/capmaas/test/e2e/scale/internal/workload"
)

// bed is a cluster that is to come, as its control-plane provider sees it.
type bed struct {
	host         *workload.Host
	certificates secret.Certificates
	endpoint     string
	port         int
	dial         func(ctx context.Context, network, address string) (net.Conn, error)
}

// The address of the only control plane, and of a worker; the endpoint's name leads to the first.
const (
	controlPlane = "127.0.0.21"
	worker       = "127.0.0.22"
	token        = "abcdef.0123456789abcdef"
)

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{certificates: secret.NewCertificatesForInitialControlPlane(&bootstrapv1.ClusterConfiguration{}), port: freePort(t)}
	require.NoError(t, b.certificates.Generate())
	b.endpoint = fmt.Sprintf("one.maas:%d", b.port)
	b.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, strings.Replace(address, "one.maas", controlPlane, 1))
	}
	var err error
	b.host, err = workload.NewHost(t.Context(), time.Now, b.dial)
	require.NoError(t, err)
	return b
}

// freePort is a port that nobody listens at.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", controlPlane+":0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	port, err := netip.ParseAddrPort(l.Addr().String())
	require.NoError(t, err)
	return int(port.Port())
}

var initData = template.Must(template.New("").Funcs(template.FuncMap{"indent": indent}).Parse(`## template: jinja
#cloud-config

write_files:
{{range $path, $content := .Files}}-   path: {{$path}}
    content: |
{{indent $content}}
{{end}}-   path: /run/kubeadm/kubeadm.yaml
    content: |
      ---
      apiVersion: kubeadm.k8s.io/v1beta4
      controlPlaneEndpoint: {{.Endpoint}}
      kind: ClusterConfiguration
      ---
      apiVersion: kubeadm.k8s.io/v1beta4
      kind: InitConfiguration
      localAPIEndpoint: {bindPort: {{.Port}}}
      nodeRegistration: {name: '{{"{{"}} v1.local_hostname {{"}}"}}'}
runcmd: [kubeadm init]
`))

func indent(content string) string {
	return "      " + strings.ReplaceAll(strings.TrimSpace(content), "\n", "\n      ")
}

// first is the machine that makes the cluster.
func (b *bed) first(t *testing.T) workload.Machine {
	t.Helper()
	files := make(map[string]string)
	for purpose, path := range map[secret.Purpose]string{secret.ClusterCA: "/etc/kubernetes/pki/ca", secret.EtcdCA: "/etc/kubernetes/pki/etcd/ca"} {
		pair := b.certificates.GetByPurpose(purpose).KeyPair
		files[path+".crt"], files[path+".key"] = string(pair.Cert), string(pair.Key)
	}
	var text bytes.Buffer
	require.NoError(t, initData.Execute(&text, map[string]any{"Files": files, "Endpoint": b.endpoint, "Port": b.port}))
	return workload.Machine{
		Hostname: "cp-1", Address: netip.MustParseAddr(controlPlane), Version: "v1.36.3", UserData: base64.StdEncoding.EncodeToString(text.Bytes()),
	}
}

// worker is a machine that wants to join.
func (b *bed) worker() workload.Machine {
	text := fmt.Sprintf(`#cloud-config

write_files:
-   path: /run/kubeadm/kubeadm-join-config.yaml
    content: |
      ---
      apiVersion: kubeadm.k8s.io/v1beta4
      discovery:
        bootstrapToken: {apiServerEndpoint: '%s', token: %s}
      kind: JoinConfiguration
`, b.endpoint, token)
	return workload.Machine{
		Hostname: "worker-1", Address: netip.MustParseAddr(worker), Version: "v1.36.3", UserData: base64.StdEncoding.EncodeToString([]byte(text)),
	}
}

// client reaches the cluster by its name, as Cluster API's kubeconfig says.
func (b *bed) client(t *testing.T) kubernetes.Interface {
	t.Helper()
	ca := b.certificates.GetByPurpose(secret.ClusterCA).KeyPair
	certificate, err := certs.DecodeCertPEM(ca.Cert)
	require.NoError(t, err)
	key, err := certs.DecodePrivateKeyPEM(ca.Key)
	require.NoError(t, err)
	written, err := kubeconfig.New("one", "https://"+b.endpoint, certificate, key)
	require.NoError(t, err)
	config, err := clientcmd.NewDefaultClientConfig(*written, nil).ClientConfig()
	require.NoError(t, err)
	config.Dial = b.dial
	clients, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return clients
}

func TestBoot_makes_a_cluster_that_its_kubeconfig_reaches_by_name(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	require.NoError(t, b.host.Boot(t.Context(), b.first(t)))
	require.NoError(t, b.host.Boot(t.Context(), b.first(t)), "a repetition finds what is there")

	node, err := b.client(t).CoreV1().Nodes().Get(t.Context(), "cp-1", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Empty(t, node.Spec.ProviderID, "the infrastructure provider gives it")
	assert.Equal(t, controlPlane, node.Status.Addresses[0].Address)
	pods, err := b.client(t).CoreV1().Pods(metav1.NamespaceSystem).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Len(t, pods.Items, 4)
}

func TestBoot_lets_a_worker_join_with_a_token_that_the_cluster_knows(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	require.ErrorContains(t, b.host.Boot(t.Context(), b.worker()), "no such cluster yet")
	require.NoError(t, b.host.Boot(t.Context(), b.first(t)))
	require.ErrorContains(t, b.host.Boot(t.Context(), b.worker()), "token")

	_, err := b.client(t).CoreV1().Secrets(metav1.NamespaceSystem).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "bootstrap-token-abcdef"}, Data: map[string][]byte{"token-secret": []byte("0123456789abcdef")},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.NoError(t, b.host.Boot(t.Context(), b.worker()))
	nodes, err := b.client(t).CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Len(t, nodes.Items, 2)
}

func TestAPIServer_knows_its_callers_by_their_certificates(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	require.NoError(t, b.host.Boot(t.Context(), b.first(t)))
	anonymous := unverified(b)
	for path, want := range map[string]int{"/readyz": http.StatusOK, "/api/v1/nodes": http.StatusUnauthorized} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+b.endpoint+path, http.NoBody)
		require.NoError(t, err)
		response, err := anonymous.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, want, response.StatusCode, path)
	}
}

func TestHalt_of_the_last_control_plane_ends_the_cluster(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	require.NoError(t, b.host.Boot(t.Context(), b.first(t)))
	require.Equal(t, 1, b.host.Clusters())
	require.NoError(t, b.host.Halt(t.Context(), b.first(t)))
	assert.Zero(t, b.host.Clusters())
	_, err := b.client(t).CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	assert.ErrorContains(t, err, "connection refused")
}
