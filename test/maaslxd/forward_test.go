package maaslxd_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cri-streaming/pkg/streaming/portforward"

	"github.com/capmaas/capmaas/services/maassim"
)

// idle ends a forwarded port that nobody uses, and a stream that never comes.
const idle = time.Minute

// kubelet forwards every port of every pod to one address.
type kubelet struct{ address string }

// PortForward copies until one side ends.
func (k kubelet) PortForward(ctx context.Context, _, _ string, _ int32, stream io.ReadWriteCloser) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", k.address)
	if err != nil {
		return err //nolint:wrapcheck // it is the caller's to tell
	}
	back := make(chan error, 1)
	go func() {
		_, err := io.Copy(stream, conn)
		back <- err
	}()
	_, err = io.Copy(conn, stream)
	err = errors.Join(err, conn.Close(), <-back)
	if errors.Is(err, net.ErrClosed) {
		return nil // the caller hung up
	}
	return err
}

// runPod makes a node of this process's kubelet and, on it, a pod of the service.
func (b *bed) runPod(t *testing.T, ready corev1.ConditionStatus) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		portforward.ServePortForward(w, r, kubelet{b.service.Address}, "pod", "uid", &portforward.V4Options{}, idle, idle, portforward.SupportedProtocols)
	}))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	number, err := strconv.ParseInt(port, 10, 32)
	require.NoError(t, err)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: b.namespace}}
	require.NoError(t, b.client.Create(t.Context(), node))
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(number)
	require.NoError(t, b.client.Status().Update(t.Context(), node))
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: "lxdprovisioner-0", Labels: map[string]string{"app.kubernetes.io/component": "lxdprovisioner"}},
		Spec: corev1.PodSpec{NodeName: node.Name, Containers: []corev1.Container{{
			Name: "lxdprovisioner", Image: "lxdprovisioner", Ports: []corev1.ContainerPort{{Name: "metrics", ContainerPort: 8080}, {Name: "grpc", ContainerPort: 9090}},
		}}},
	}
	require.NoError(t, b.client.Create(t.Context(), pod))
	pod.Status.Phase = corev1.PodRunning
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
	require.NoError(t, b.client.Status().Update(t.Context(), pod))
}

func TestMaaslxd_goes_through_the_Kubernetes_API_where_no_address_is_given(t *testing.T) {
	t.Parallel()
	b := newBed(t, maassim.DefaultConfig(3, 3, 0))
	b.flags = []string{"--kubeconfig", b.kubeconfig, "--service-namespace", b.namespace, "--insecure"}

	got := b.run(t, "hosts")
	assert.Equal(t, 1, got.status)
	assert.Contains(t, got.err, "none of the 0 pods with app.kubernetes.io/component=lxdprovisioner in namespace "+b.namespace+" is ready")
	b.runPod(t, corev1.ConditionTrue)
	got = b.run(t, "hosts")
	assert.Equal(t, 0, got.status, got.err)
	assert.Contains(t, got.out, "lxd-3")
	r := decode[report](t, b, "doctor")
	assert.Equal(t, "ok", r.says(t, "the service answers through the Kubernetes API, namespace "+b.namespace), "%+v", r.Findings)
}

func TestMaaslxd_says_where_the_kubeconfig_leads_nowhere(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/kubeconfig"
	require.NoError(t, os.WriteFile(path, []byte("nonsense: ["), 0o600))
	got := call(t, "", "explain", "cp-0", "--kubeconfig", path)
	assert.Equal(t, 1, got.status)
	assert.Contains(t, got.err, "read the kubeconfig")
	got = call(t, "", "explain", "cp-0", "--kubeconfig", t.TempDir()+"/none")
	assert.Equal(t, 1, got.status)
	assert.Contains(t, got.err, "no such file")
}
