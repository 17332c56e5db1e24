package managertest

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/capmaas/capmaas/controllers/app"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

const (
	// patience is how long a test waits for something that is bound to happen, on a machine that is busy.
	patience = 60 * time.Second
	// timeScale makes five seconds of backoff 0.1 s and a look at a working machine 0.3 s.
	timeScale = 0.02
	// clusterDomain is the MAAS domain of all test clusters.
	clusterDomain = "maas"
)

// Bed is one test's namespace, with a manager that sees nothing else and a provisioner of its own.
type Bed struct {
	// Client reads and writes the API server itself.
	Client client.Client
	// Fake is the provisioner.
	Fake *provisionertest.Fake
	// Namespace is the test's own.
	Namespace string
	// APIServers are the control planes whose API servers answer, by IP address.
	APIServers *APIServers

	address string
	stop    func()
}

// APIServers is a Prober that a test tells which API servers answer.
type APIServers struct {
	mu sync.Mutex
	up map[string]bool
}

// Set says whether the API server of the address answers.
func (p *APIServers) Set(ip string, up bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up[ip] = up
}

// Answers says what Set has said.
func (p *APIServers) Answers(_ context.Context, ip string, _ int32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up[ip]
}

// New makes a namespace, serves a provisioner for it and starts a manager that watches it alone. All end with the test.
func New(t *testing.T, region provisionertest.Config) *Bed {
	t.Helper()
	b := NewWithoutManager(t, region)
	b.StartManager(t)
	return b
}

// NewWithoutManager is New for tests that start the manager themselves.
func NewWithoutManager(t *testing.T, region provisionertest.Config) *Bed {
	t.Helper()
	scheme, err := app.Scheme()
	require.NoError(t, err)
	direct, err := client.New(config, client.Options{Scheme: scheme})
	require.NoError(t, err)
	b := &Bed{Client: direct, Fake: provisionertest.New(region), APIServers: &APIServers{up: map[string]bool{}}}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: namePrefix(t)}}
	require.NoError(t, direct.Create(t.Context(), namespace))
	b.Namespace = namespace.Name

	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	b.Fake.Register(server)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
	})
	b.address = listener.Addr().String()
	return b
}

// Config is the way to the API server.
func Config() *rest.Config { return rest.CopyConfig(config) }

// User adds a user without any right and gives the way to the API server as that user.
func User(t *testing.T, name string) *rest.Config {
	t.Helper()
	user, err := environment.AddUser(envtest.User{Name: name}, nil)
	require.NoError(t, err)
	limited := user.Config()
	limited.QPS, limited.Burst = config.QPS, config.Burst
	return limited
}

// Options are those with which StartManager starts the manager.
func (b *Bed) Options() app.Options {
	options := app.DefaultOptions()
	options.Config = Config()
	options.Namespace = b.Namespace
	// The admission of the whole API server is served by the manager of Main.
	options.MetricsAddress, options.HealthAddress, options.WebhookPort = "0", "0", 0
	options.ProvisionerAddress, options.ProvisionerInsecure = b.address, true
	options.TimeScale = timeScale
	options.Prober = b.APIServers
	options.AnyControllerName = true
	return options
}

// StartManager starts a manager; StopManager or the test's end stops it.
func (b *Bed) StartManager(t *testing.T) {
	t.Helper()
	b.StartManagerWith(t, b.Options())
}

// StartManagerWith is StartManager with other options than Options.
func (b *Bed) StartManagerWith(t *testing.T, options app.Options) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx, options) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the manager ended: %v", err)
		}
	})
	t.Cleanup(b.stop)
}

// StopManager stops the manager and waits until it has ended.
func (b *Bed) StopManager() { b.stop() }

// Eventually waits until the condition holds.
func Eventually(t *testing.T, holds func(c *Check), what string) {
	t.Helper()
	require.EventuallyWithT(t, holds, patience, 50*time.Millisecond, what)
}

// namePrefix makes a namespace's name of the test's.
func namePrefix(t *testing.T) string {
	t.Helper()
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(t.Name()))
	return strings.Trim(name[:min(len(name), 40)], "-") + "-"
}
