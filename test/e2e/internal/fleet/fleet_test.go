package fleet_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/e2e/internal/fleet"
	"github.com/capmaas/capmaas/test/e2e/internal/maastest"
	_ "github.com/capmaas/capmaas/test/e2e/internal/node" // it runs in the machines: what changes it changes what is tested here
	"github.com/capmaas/capmaas/test/e2e/internal/world"
)

// patience bounds what takes seconds on a machine that does nothing else, and rhythm is how often it is looked for.
const (
	patience = 3 * time.Minute
	rhythm   = 50 * time.Millisecond
)

// programVariable tells what is inside the world where the program of the machines is.
const programVariable = "FLEET_TEST_PROGRAM"

// TestMain builds the program of the machines, and runs the tests in a world of their own where this machine has what that takes.
func TestMain(m *testing.M) {
	if world.Missing() != nil {
		os.Exit(m.Run()) // they skip themselves
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "fleet-test-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if world.Inside() {
		if err := world.Furnish(dir); err != nil {
			return 1, err
		}
		return m.Run(), nil
	}
	program := filepath.Join(dir, "machine")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", program, "../../cmd/machine")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off") // capabilities are dropped in all threads, which C's threads rule out
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build the program of the machines: %w: %s", err, out)
	}
	if err := os.Setenv(programVariable, program); err != nil {
		return 1, err
	}
	return 0, world.Enter(context.Background())
}

// The images of these tests, as machines show them, and what their Kubernetes says of itself.
const (
	firstImage, firstVersion   = "custom/first", "v1.0.1"
	secondImage, secondVersion = "custom/second", "v1.0.2"
)

// machineData are user data that leave traces where the logs of a machine go.
const machineData = `#cloud-config
write_files: [{path: /etc/greeting, content: "%s"}]
runcmd:
- kubeadm > /var/log/kubernetes
- cat /etc/greeting /etc/hostname /etc/hosts /etc/resolv.conf > /var/log/settings
- touch /usr/written || echo kept out > /var/log/usr
- grep CapBnd /proc/self/status > /var/log/capabilities
- 'ls /proc | grep -c "^[0-9]" > /var/log/processes'
- echo done > /var/log/done
`

// stage is a simulated MAAS with its fleet.
type stage struct {
	*maastest.Client

	fleet *fleet.Fleet
	logs  string

	mu   sync.Mutex
	said []string
}

// newStage starts both; they end with the test. It skips the test where this machine lacks what machines need.
func newStage(t *testing.T) *stage {
	t.Helper()
	if err := world.Missing(); err != nil {
		t.Skip(err)
	}
	cfg := maassim.DefaultConfig(1, 1, 2)
	cfg.Images = append(cfg.Images, maassim.ImageConfig{Name: "first", Uploaded: true}, maassim.ImageConfig{Name: "second", Uploaded: true})
	cfg.Durations = maassim.Durations{Release: time.Millisecond, Deploy: 29 * time.Minute} // a machine ends its own deployment
	server, err := maassim.Start(t.Context(), cfg)
	require.NoError(t, err)
	s := &stage{Client: &maastest.Client{Server: server, Now: time.Now}, logs: t.TempDir()}
	s.fleet = fleet.New(fleet.Config{
		Sim: server.Sim, Program: os.Getenv(programVariable), Dir: s.logs, Sayf: s.sayf,
		Images: map[string]fleet.Image{
			firstImage:  {Kubernetes: kubernetes(t, firstVersion), Version: firstVersion},
			secondImage: {Kubernetes: kubernetes(t, secondVersion), Version: secondVersion},
		},
	})
	ctx, end := context.WithCancel(context.Background()) // it ends in Cleanup, which waits for its machines
	ended := make(chan error, 1)
	go func() { ended <- s.fleet.Run(ctx) }()
	t.Cleanup(func() {
		end()
		require.NoError(t, <-ended)
		assert.Empty(t, s.fleet.On(), "what is still on when the fleet has ended")
		t.Log(strings.Join(s.lines(), "\n"))
	})
	return s
}

// kubernetes makes a directory with a kubeadm that says which it is.
func kubernetes(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kubeadm"), []byte("#!/bin/sh\necho this is "+version+"\n"), 0o700))
	return dir
}

func (s *stage) sayf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, fmt.Sprintf(format, args...))
}

func (s *stage) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.said...)
}

// deploy deploys a machine as a user does, who writes a greeting into its user data.
func (s *stage) deploy(t *testing.T, hostname, image, greeting string) {
	t.Helper()
	data := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, machineData, greeting))
	require.NoError(t, s.Deploy(t.Context(), s.machine(t, hostname).SystemID, image, data))
}

func (s *stage) machine(t *testing.T, hostname string) maassim.Machine {
	t.Helper()
	m, ok := s.Server.Machine(hostname)
	require.True(t, ok)
	return m
}

func (s *stage) awaitStatus(t *testing.T, hostname, status string) {
	t.Helper()
	require.Eventually(t, func() bool { return s.machine(t, hostname).Status == status }, patience, rhythm, "%s is not %s", hostname, status)
}

func (s *stage) awaitOn(t *testing.T, want ...string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Join(s.fleet.On(), " ") == strings.Join(want, " ") }, patience, rhythm, "not on: %v", want)
}

// traces waits until a machine has left all its traces, and gives them by their names.
func (s *stage) traces(t *testing.T, dir string) map[string]string {
	t.Helper()
	dir = filepath.Join(s.logs, dir)
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(dir, "done"))
		return err == nil
	}, patience, rhythm, "%s has not done what its user data say", dir)
	all := make(map[string]string)
	for _, name := range []string{"kubernetes", "settings", "usr", "capabilities", "processes"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		all[name] = string(text)
	}
	return all
}

func TestRun_gives_each_deployed_machine_a_body_with_its_own_user_data_and_image(t *testing.T) {
	s := newStage(t)
	s.deploy(t, "metal-1", firstImage, "hello one")
	s.awaitOn(t, "metal-1")
	s.deploy(t, "metal-2", secondImage, "hello two")
	s.awaitStatus(t, "metal-1", "deployed")
	s.awaitStatus(t, "metal-2", "deployed")
	s.awaitOn(t, "metal-1", "metal-2")

	first, second := s.traces(t, "metal-1-1"), s.traces(t, "metal-2-2")

	assert.Equal(t, "this is "+firstVersion+"\n", first["kubernetes"])
	assert.Equal(t, "this is "+secondVersion+"\n", second["kubernetes"])
	assert.Contains(t, first["settings"], "hello onemetal-1\n")
	assert.Contains(t, second["settings"], "hello twometal-2\n")
	assert.Contains(t, first["settings"], s.machine(t, "metal-1").IPs[0]+" metal-1\n", "its address is MAAS's")
	assert.Contains(t, first["settings"], "nameserver "+world.Rack.String()+"\n")
	assert.Equal(t, 2, s.fleet.Made())
}

func TestRun_keeps_a_machine_from_the_host(t *testing.T) {
	s := newStage(t)
	s.deploy(t, "metal-1", firstImage, "hello")

	traces := s.traces(t, "metal-1-1")

	assert.Equal(t, "kept out\n", traces["usr"], "its programs are the host's")
	var bounds uint64
	_, err := fmt.Sscanf(traces["capabilities"], "CapBnd: %x", &bounds)
	require.NoError(t, err)
	const sysModule, sysAdmin, netAdmin = 16, 21, 12 // as capability.h numbers them
	assert.Zero(t, bounds&(1<<sysModule|1<<sysAdmin), "root in there may load modules or mount")
	assert.NotZero(t, bounds&(1<<netAdmin), "its network is its own")
	var processes int
	_, err = fmt.Sscan(traces["processes"], &processes)
	require.NoError(t, err)
	assert.Less(t, processes, 10, "it sees processes of others")
}

func TestRun_lets_a_dead_machine_lie_until_MAAS_takes_it_back(t *testing.T) {
	s := newStage(t)
	s.deploy(t, "metal-1", firstImage, "hello")
	s.awaitStatus(t, "metal-1", "deployed")

	require.NoError(t, s.fleet.Kill("metal-1"))
	s.awaitOn(t)
	assert.Equal(t, "deployed", s.machine(t, "metal-1").Status, "MAAS does not hear of it")
	assert.Contains(t, s.lines(), "machine metal-1 has died")
	require.ErrorContains(t, s.fleet.Kill("metal-2"), "no machine metal-2 is on")

	require.NoError(t, s.Do(t.Context(), s.machine(t, "metal-1").SystemID, "release"))
	s.awaitStatus(t, "metal-1", "ready")
	s.deploy(t, "metal-1", secondImage, "hello again")
	assert.Equal(t, "this is "+secondVersion+"\n", s.traces(t, "metal-1-2")["kubernetes"])
}

func TestRun_ends_what_MAAS_switches_off(t *testing.T) {
	s := newStage(t)
	s.deploy(t, "metal-1", firstImage, "hello")
	s.awaitStatus(t, "metal-1", "deployed")
	s.awaitOn(t, "metal-1")

	require.NoError(t, s.Do(t.Context(), s.machine(t, "metal-1").SystemID, "power_off"))

	s.awaitOn(t)
	assert.Equal(t, "deployed", s.machine(t, "metal-1").Status)
}

func TestRun_fails_the_deployment_of_an_image_that_it_does_not_know(t *testing.T) {
	s := newStage(t)

	s.deploy(t, "metal-1", "ubuntu/jammy", "hello")

	s.awaitStatus(t, "metal-1", "failed_deployment")
	assert.Contains(t, s.lines(), `machine metal-1 does not start: image "ubuntu/jammy" holds no Kubernetes`)
	assert.Empty(t, s.fleet.On())
}

func TestRun_gives_user_data_to_nobody_but_their_machine(t *testing.T) {
	s := newStage(t)
	s.deploy(t, "metal-1", firstImage, "hello")
	s.awaitStatus(t, "metal-1", "deployed")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+world.Rack.String()+":5248/MAAS/metadata/latest/user-data", http.NoBody)
	require.NoError(t, err)

	response, err := http.DefaultClient.Do(request)

	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusNotFound, response.StatusCode)
}
