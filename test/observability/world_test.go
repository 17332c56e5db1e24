package observability_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/proto/mtls"
	"github.com/capmaas/capmaas/proto/mtls/mtlstest"
	serviceapp "github.com/capmaas/capmaas/services/lxdprovisioner/app"
	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/clusterapi"
	"github.com/capmaas/capmaas/test/scheme"
	"github.com/capmaas/capmaas/test/stack"
)

const (
	patience = 2 * time.Minute
	glance   = 50 * time.Millisecond
	// timeScale shortens the waits of the manager, speed those of the service.
	timeScale = 0.02
	speed     = 20
	// work is how long the simulated MAAS takes for what takes time.
	work = 500 * time.Millisecond

	clusterName = "c1"
	// joinToken stands in every user data.
	joinToken = "abcdef.0123456789abcdef"
)

// world is a MAAS whose request log is kept, a service and a manager.
type world struct {
	namespace string
	client    client.Client
	sim       *maassim.Sim
	maas      *httptest.Server
	down      atomic.Bool
	// manager is where the manager serves its metrics.
	manager string
	logs    *book
	// serviceTLS and managerTLS are the directories of their certificates.
	serviceTLS, managerTLS string

	mu sync.Mutex
	// requests is MAAS's access log: a line a request.
	requests []request
	// service is the service that runs, bound where it listens.
	service *stack.Service
	bound   serviceapp.Addresses
}

// request is a line of MAAS's access log.
type request struct{ method, path, agent string }

func newWorld(t *testing.T) *world {
	t.Helper()
	cfg := maassim.DefaultConfig(3, 3, 2)
	cfg.Durations = maassim.Durations{Compose: work, Deploy: work, Release: work}
	sim, err := maassim.New(cfg)
	require.NoError(t, err)
	t.Cleanup(sim.Close)
	w := &world{sim: sim, logs: &book{}}
	w.maas = httptest.NewServer(http.HandlerFunc(w.serveMAAS))
	t.Cleanup(w.maas.Close)
	w.client, err = client.New(api.Config, client.Options{Scheme: scheme.New()})
	require.NoError(t, err)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "obs-"}}
	require.NoError(t, w.client.Create(t.Context(), namespace))
	w.namespace = namespace.Name
	w.mountTLS(t)
	w.start(t)
	return w
}

// mountTLS lays out the certificates of service and manager.
func (w *world) mountTLS(t *testing.T) {
	t.Helper()
	authority, err := mtlstest.NewAuthority("capmaas", time.Now)
	require.NoError(t, err)
	w.serviceTLS, w.managerTLS = t.TempDir(), t.TempDir()
	require.NoError(t, authority.Mount(w.serviceTLS, mtlstest.Subject{DNSNames: []string{mtls.ServerName}}))
	require.NoError(t, authority.Mount(w.managerTLS, mtlstest.Subject{CommonName: "capmaas-manager"}))
}

// serveMAAS is MAAS behind nginx, which logs each request, or a MAAS that breaks every connection.
func (w *world) serveMAAS(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.requests = append(w.requests, request{r.Method, r.URL.RequestURI(), r.UserAgent()})
	w.mu.Unlock()
	if w.down.Load() {
		panic(http.ErrAbortHandler)
	}
	w.sim.ServeHTTP(out, r)
}

// log gives MAAS's access log.
func (w *world) log() []request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]request(nil), w.requests...)
}

// timing is that of the service with a MAAS that is fast: attempts of which nothing is known are settled within seconds.
func timing() serviceapp.Timing {
	all := stack.Timing(speed)
	all.DetachedLimit, all.SettleFirst, all.SettleGap = 5*time.Second, 6*time.Second, time.Second
	return all
}

// addresses are where the service listens.
func (w *world) addresses() serviceapp.Addresses {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bound
}

// startService starts a service, at the address or, where that is empty, at a free one.
func (w *world) startService(t *testing.T, listen string) {
	t.Helper()
	service, err := stack.StartService(t.Context(), stack.ServiceOptions{
		Dir: t.TempDir(), MAAS: w.maas.URL + "/MAAS", Key: w.sim.APIKey(), Logs: w.logs, Timing: timing(), Listen: listen,
		Configure: func(c *serviceapp.Config) {
			c.Insecure, c.TLSDir = false, w.serviceTLS
			c.LogLevel, c.DebugAddr, c.CheckInterval = "debug", "127.0.0.1:0", 200*time.Millisecond
			c.Peers, c.PeersInterval = "replicas", 200*time.Millisecond
			c.Resolve = func(context.Context, string, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
			}
			c.Getenv = func(name string) string {
				if name == "POD_IP" {
					return "192.0.2.1"
				}
				return os.Getenv(name)
			}
			started := c.Started
			c.Started = func(a serviceapp.Addresses) {
				w.mu.Lock()
				w.bound = a
				w.mu.Unlock()
				started(a)
			}
		},
	})
	require.NoError(t, err)
	w.service = service
	t.Cleanup(func() { assert.NoError(t, service.Stop()) })
}

// restartService lets the service end and starts another at the same address.
func (w *world) restartService(t *testing.T) {
	t.Helper()
	require.NoError(t, w.service.Stop())
	w.startService(t, w.service.Address)
}

func (w *world) start(t *testing.T) {
	t.Helper()
	w.startService(t, "")
	options := stack.ManagerOptions(api.Config, w.namespace, w.service.Address)
	options.ProvisionerInsecure, options.ProvisionerTLSDir = false, w.managerTLS
	options.TimeScale, options.OrphanInterval = timeScale, 50*time.Second
	w.manager = free(t)
	options.MetricsAddress = w.manager
	manager := stack.StartManager(t.Context(), options)
	t.Cleanup(func() { assert.NoError(t, manager.Stop()) })
	standIn := &clusterapi.StandIn{Client: w.client, Namespace: w.namespace}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		standIn.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

// free gives an address that nobody listens at: controller-runtime doesn't say at which port it serves metrics.
func free(t *testing.T) string {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().String()
}

func (w *world) makeCluster(t *testing.T) {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: w.namespace, Name: clusterName, Labels: map[string]string{clusterv1.ClusterNameLabel: clusterName}}
	require.NoError(t, w.client.Create(t.Context(), &clusterv1.Cluster{ObjectMeta: meta, Spec: clusterv1.ClusterSpec{
		InfrastructureRef: clusterv1.ContractVersionedObjectReference{APIGroup: infrav1.GroupVersion.Group, Kind: "MaasCluster", Name: clusterName},
	}}))
	require.NoError(t, w.client.Create(t.Context(), &infrav1.MaasCluster{ObjectMeta: meta, Spec: infrav1.MaasClusterSpec{DNSDomain: "maas"}}))
}

// makeMachine makes a Machine and its MaasMachine with as many cores; a VM, or a physical machine.
func (w *world) makeMachine(t *testing.T, name string, cores int32, mode infrav1.ProvisioningMode) {
	t.Helper()
	meta := func() metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: w.namespace, Name: name, Labels: map[string]string{clusterv1.ClusterNameLabel: clusterName}}
	}
	userData := fmt.Sprintf("#cloud-config\nruncmd: [kubeadm join --token %s]\n", joinToken)
	require.NoError(t, w.client.Create(t.Context(), clusterapi.Bootstrap(w.namespace, name+"-bootstrap", clusterName, []byte(userData))))
	require.NoError(t, w.client.Create(t.Context(), &clusterv1.Machine{ObjectMeta: meta(), Spec: clusterv1.MachineSpec{
		ClusterName: clusterName, Bootstrap: clusterv1.Bootstrap{DataSecretName: new(name + "-bootstrap")},
		InfrastructureRef: clusterv1.ContractVersionedObjectReference{APIGroup: infrav1.GroupVersion.Group, Kind: "MaasMachine", Name: name},
	}}))
	require.NoError(t, w.client.Create(t.Context(), &infrav1.MaasMachine{ObjectMeta: meta(), Spec: infrav1.MaasMachineSpec{
		ProvisioningMode: mode, MinCPU: &cores, MinMemory: new(int32(8192)), MinDiskSize: new(int32(40)), Image: "ubuntu/jammy",
	}}))
}

func (w *world) machine(t require.TestingT, name string) *infrav1.MaasMachine {
	m := &infrav1.MaasMachine{}
	require.NoError(t, w.client.Get(context.Background(), client.ObjectKey{Namespace: w.namespace, Name: name}, m))
	return m
}

func eventually(t *testing.T, what string, check func(c *assert.CollectT)) {
	t.Helper()
	require.EventuallyWithT(t, check, patience, glance, what)
}
