package maaslxd_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	command "github.com/capmaas/capmaas/cmd/maaslxd/app"
	serviceapp "github.com/capmaas/capmaas/services/lxdprovisioner/app"
	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/clusterapi"
	"github.com/capmaas/capmaas/test/scheme"
	"github.com/capmaas/capmaas/test/stack"
)

const (
	// patience bounds every wait; only a failing test comes near it.
	patience = 2 * time.Minute
	glance   = 100 * time.Millisecond
	// timeScale makes of the hour for which an orphan is watched some seconds.
	timeScale = 0.004
	// faster is how much faster the service's time runs.
	faster      = 50
	clusterName = "alpha"
)

// bed is a MAAS, a service, and a namespace of the API server.
type bed struct {
	sim       *maassim.Sim
	service   *stack.Service
	client    client.Client
	namespace string
	// kubeconfig is a file.
	kubeconfig string
	// flags go before every command.
	flags []string
}

func newBed(t *testing.T, cfg maassim.Config, configure ...func(*serviceapp.Config)) *bed {
	t.Helper()
	return newBedWithKey(t, cfg, (*maassim.Sim).APIKey, configure...)
}

// newBedWithKey gives the service a key of its own choice.
func newBedWithKey(t *testing.T, cfg maassim.Config, key func(*maassim.Sim) string, configure ...func(*serviceapp.Config)) *bed {
	t.Helper()
	sim, err := maassim.New(cfg)
	require.NoError(t, err)
	t.Cleanup(sim.Close)
	maas := httptest.NewServer(sim)
	t.Cleanup(maas.Close)
	b := &bed{sim: sim, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	b.service, err = stack.StartService(t.Context(), stack.ServiceOptions{
		Dir: t.TempDir(), MAAS: maas.URL + "/MAAS", Key: key(sim), Logs: io.Discard, Timing: stack.Timing(faster),
		Configure: func(c *serviceapp.Config) {
			c.Insecure = len(configure) == 0
			for _, change := range configure {
				change(c)
			}
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.service.Stop()) })
	b.client, err = client.New(api.Config, client.Options{Scheme: scheme.New()})
	require.NoError(t, err)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "maaslxd-"}}
	require.NoError(t, b.client.Create(t.Context(), namespace))
	b.namespace = namespace.Name
	require.NoError(t, os.WriteFile(b.kubeconfig, api.Kubeconfig, 0o600))
	b.flags = []string{"--address", b.service.Address, "--insecure", "--kubeconfig", b.kubeconfig, "-n", b.namespace}
	return b
}

// awake makes a cluster and starts the manager and what stands in for Cluster API.
func (b *bed) awake(t *testing.T) {
	t.Helper()
	b.makeCluster(t)
	b.startManager(t)
}

func (b *bed) makeCluster(t *testing.T) {
	t.Helper()
	_, _, err := stack.MakeCluster(t.Context(), b.client, b.namespace, clusterName)
	require.NoError(t, err)
}

func (b *bed) startManager(t *testing.T) {
	t.Helper()
	options := stack.ManagerOptions(api.Config, b.namespace, b.service.Address)
	options.TimeScale, options.OrphanInterval = timeScale, 2*time.Minute
	manager := stack.StartManager(t.Context(), options)
	t.Cleanup(func() { assert.NoError(t, manager.Stop()) })
	standIn := &clusterapi.StandIn{Client: b.client, Namespace: b.namespace}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		standIn.Run(t.Context())
	}()
	t.Cleanup(func() { <-ended })
}

// makeVM makes a Machine of mode lxd of so many cores.
func (b *bed) makeVM(t *testing.T, name string, cores int32, controlPlane bool, zone string) {
	t.Helper()
	require.NoError(t, stack.MakeMachine(t.Context(), b.client, stack.MachinePlan{
		Namespace: b.namespace, Name: name, Cluster: clusterName, ControlPlane: controlPlane,
		Spec: infrav1.MaasMachineSpec{
			ProvisioningMode: infrav1.ModeLXD, MinCPU: &cores, MinMemory: new(int32(8192)), MinDiskSize: new(int32(40)), Image: "ubuntu/jammy",
		},
	}))
	if zone == "" {
		return
	}
	machine := &clusterv1.Machine{}
	require.NoError(t, b.client.Get(t.Context(), client.ObjectKey{Namespace: b.namespace, Name: name}, machine))
	before := machine.DeepCopy()
	machine.Spec.FailureDomain = zone
	require.NoError(t, b.client.Patch(t.Context(), machine, client.MergeFrom(before)))
}

// awaitUp waits until machines are deployed.
func (b *bed) awaitUp(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			m := b.machine(t, name)
			assert.True(c, m.Status.Ready, "%s: %v", name, m.Status.Conditions)
		}, patience, glance)
	}
}

func (b *bed) machine(t *testing.T, name string) *infrav1.MaasMachine {
	t.Helper()
	m := &infrav1.MaasMachine{}
	require.NoError(t, b.client.Get(t.Context(), client.ObjectKey{Namespace: b.namespace, Name: name}, m))
	return m
}

func (b *bed) maasCluster(t *testing.T) *infrav1.MaasCluster {
	t.Helper()
	c := &infrav1.MaasCluster{}
	require.NoError(t, b.client.Get(t.Context(), client.ObjectKey{Namespace: b.namespace, Name: clusterName}, c))
	return c
}

// answer is what a command wrote and how it ended.
type answer struct {
	out, err string
	status   int
}

// run runs the command with the bed's flags.
func (b *bed) run(t *testing.T, args ...string) answer {
	t.Helper()
	return b.answering(t, "", args...)
}

// answering runs the command for somebody who types an input.
func (b *bed) answering(t *testing.T, input string, args ...string) answer {
	t.Helper()
	return call(t, input, append(append([]string{}, args...), b.flags...)...)
}

// call runs the command in an empty environment.
func call(t *testing.T, input string, args ...string) answer {
	t.Helper()
	var out, err bytes.Buffer
	status := command.Run(t.Context(), command.Invocation{
		Program: "/usr/bin/maaslxd", Args: args, In: strings.NewReader(input), Out: &out, Err: &err,
		Version: "v1.2.3", Getenv: func(string) string { return "" }, Clock: time.Now,
	})
	return answer{out: out.String(), err: err.String(), status: status}
}

// decode runs the command for a program and reads what it gets.
func decode[T any](t *testing.T, b *bed, args ...string) T {
	t.Helper()
	got := b.run(t, append(args, "-o", "json")...)
	var into T
	require.NoError(t, json.Unmarshal([]byte(got.out), &into), "%s%s", got.out, got.err)
	return into
}
