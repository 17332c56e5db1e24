package integration_test

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	managerapp "github.com/capmaas/capmaas/controllers/app"
	"github.com/capmaas/capmaas/proto/mtls/mtlstest"
	serviceapp "github.com/capmaas/capmaas/services/lxdprovisioner/app"
	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/apiserver"
	"github.com/capmaas/capmaas/test/clusterapi"
	"github.com/capmaas/capmaas/test/scheme"
)

const (
	// patience bounds every wait; only a failing test comes near it.
	patience = 2 * time.Minute
	glance   = 50 * time.Millisecond
	// timeScale shortens the waits of the manager: everything in the simulated MAAS is done at once.
	timeScale = 0.02
	// connectionAge makes manager and service look at each other's certificates often.
	connectionAge = 3 * time.Second
)

// stack is a MAAS, a service and a manager with a namespace of their own.
type stack struct {
	namespace string
	client    client.Client
	// server is the API server, admission what its webhooks ask; nil where it asks nobody.
	server    *apiserver.Server
	admission *apiserver.Admission
	sim       *maassim.Sim
	logs      *logBuffer

	maas    *httptest.Server
	down    atomic.Bool
	key     string
	address string
	// authority signs the certificates of both sides, which are in serviceTLS and managerTLS.
	authority              *mtlstest.Authority
	serviceTLS, managerTLS string
	stopService            func()
	stopManager            func()
}

type option func(*stack)

// withKey gives the service another key.
func withKey(key string) option { return func(s *stack) { s.key = key } }

// on gives the stack an API server of its own, and keeps its manager and Cluster API still until awake is called.
func on(server *apiserver.Server) option { return func(s *stack) { s.server = server } }

func newStack(t *testing.T, cfg maassim.Config, options ...option) *stack {
	t.Helper()
	sim, err := maassim.New(cfg)
	require.NoError(t, err)
	t.Cleanup(sim.Close)
	s := &stack{sim: sim, key: sim.APIKey(), logs: &logBuffer{}, server: api, serviceTLS: t.TempDir(), managerTLS: t.TempDir()}
	s.issueCertificates(t)
	for _, o := range options {
		o(s)
	}
	s.maas = httptest.NewServer(http.HandlerFunc(s.serveMAAS))
	t.Cleanup(s.maas.Close)
	s.client, err = client.New(s.server.Config, client.Options{Scheme: scheme.New()})
	require.NoError(t, err)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "it-"}}
	require.NoError(t, s.client.Create(t.Context(), namespace))
	s.namespace = namespace.Name
	s.startService(t)
	if s.server == api {
		s.awake(t)
	}
	return s
}

// awake starts the manager and what stands in for Cluster API.
func (s *stack) awake(t *testing.T) {
	t.Helper()
	s.startManager(t)
	s.startStandIn(t)
}

// serveMAAS is MAAS, or a MAAS that breaks every connection.
func (s *stack) serveMAAS(w http.ResponseWriter, r *http.Request) {
	if s.down.Load() {
		panic(http.ErrAbortHandler)
	}
	s.sim.ServeHTTP(w, r)
}

// maasDown takes MAAS away or brings it back.
func (s *stack) maasDown(down bool) { s.down.Store(down) }

func (s *stack) startService(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for name, value := range map[string]string{"MAAS_ENDPOINT": s.maas.URL + "/MAAS", "MAAS_API_KEY": s.key} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600))
	}
	bound := make(chan serviceapp.Addresses, 1)
	cfg := serviceapp.Config{
		Clock: time.Now, Getenv: os.Getenv, Logs: s.logs, Timing: shortTiming(),
		Started: func(a serviceapp.Addresses) { bound <- a },
	}
	cfg.AddFlags(flag.NewFlagSet("lxdprovisioner", flag.PanicOnError))
	cfg.Listen, cfg.MetricsAddr, cfg.CredentialsDir, cfg.LogLevel = cmp.Or(s.address, "127.0.0.1:0"), "127.0.0.1:0", dir, "debug"
	cfg.TLSDir, cfg.ConnectionAge = s.serviceTLS, connectionAge
	s.stopService = s.background(t, "service", func(ctx context.Context) error { return serviceapp.Run(ctx, cfg) })
	select {
	case a := <-bound:
		s.address = a.GRPC.String()
	case <-time.After(patience):
		require.Fail(t, "the service does not start", s.logs.String())
	}
}

// shortTiming is the service's timing for a MAAS that does everything at once.
func shortTiming() serviceapp.Timing {
	timing := serviceapp.DefaultTiming()
	timing.InventoryMaxAge, timing.MachinesMaxAge = 100*time.Millisecond, time.Second
	timing.DetachedLimit, timing.SettleFirst, timing.SettleGap = 3*time.Second, 4*time.Second, time.Second
	timing.RefreshGap, timing.CheckGather, timing.YieldLook = 200*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond
	timing.WatchInterval, timing.IdleInterval = 200*time.Millisecond, time.Second
	timing.DrainLimit, timing.AliveFresh = 10*time.Second, 200*time.Millisecond
	return timing
}

// restartService stops the service and starts another one at the same address.
func (s *stack) restartService(t *testing.T) {
	t.Helper()
	s.stopService()
	s.startService(t)
}

// restartManager stops the manager and starts another one, which knows only what is stored.
func (s *stack) restartManager(t *testing.T) {
	t.Helper()
	s.stopManager()
	s.startManager(t)
}

func (s *stack) startManager(t *testing.T) {
	t.Helper()
	options := managerapp.DefaultOptions()
	options.Config, options.Namespace = s.server.Config, s.namespace
	options.MetricsAddress, options.HealthAddress, options.WebhookPort = "0", "0", 0
	if a := s.admission; a != nil {
		options.WebhookHost, options.WebhookPort, options.WebhookCertDir = a.Host, a.Port, a.CertDir
	}
	options.ProvisionerAddress, options.ProvisionerTLSDir = s.address, s.managerTLS
	options.TimeScale, options.AnyControllerName = timeScale, true
	options.MachineConcurrency = 8
	s.stopManager = s.background(t, "manager", func(ctx context.Context) error {
		return managerapp.Run(ctx, options)
	})
}

func (s *stack) startStandIn(t *testing.T) {
	t.Helper()
	standIn := &clusterapi.StandIn{Client: s.client, Namespace: s.namespace}
	s.background(t, "stand-in", func(ctx context.Context) error { standIn.Run(ctx); return nil })
}

// background runs something until it is stopped or the test ends, whichever is first.
func (s *stack) background(t *testing.T, name string, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-done, name)
	})
	t.Cleanup(stop)
	return stop
}

func (s *stack) eventually(t *testing.T, check func(c *assert.CollectT)) {
	t.Helper()
	require.EventuallyWithT(t, check, patience, glance)
}

// logBuffer keeps what a process logs.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
