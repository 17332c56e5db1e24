package command_test

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/command"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

// answer is what a command wrote and how it ended.
type answer struct {
	out, err string
	status   int
}

// caller is who calls the command.
type caller struct {
	program string
	env     map[string]string
	// terminal says whether a person sits there.
	terminal bool
}

func (c caller) run(t *testing.T, args ...string) answer {
	t.Helper()
	t.Setenv("KUBECONFIG", "/dev/null")
	t.Setenv("HOME", t.TempDir())
	var out, err bytes.Buffer
	status := command.Run(t.Context(), command.Invocation{
		Program: c.program, Args: args, In: strings.NewReader(""), Out: &out, Err: &err, Terminal: c.terminal, ErrorTerminal: c.terminal,
		Version: "v1.2.3", Getenv: func(name string) string { return c.env[name] }, Clock: time.Now,
	})
	return answer{out: out.String(), err: err.String(), status: status}
}

// serve serves a region that keeps the contract.
func serve(t *testing.T, cfg provisionertest.Config) string {
	t.Helper()
	server := grpc.NewServer()
	provisionertest.New(cfg).Register(server)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
	})
	return listener.Addr().String()
}

func TestRun_calls_itself_as_it_was_called(t *testing.T) {
	for program, want := range map[string]string{
		"/usr/local/bin/maaslxd":         "\n  maaslxd [command]",
		"/usr/local/bin/kubectl-maaslxd": "\n  kubectl maaslxd [command]",
	} {
		got := caller{program: program}.run(t, "--help")
		assert.Equal(t, 0, got.status)
		assert.Contains(t, got.out, want)
		for _, name := range []string{"hosts", "vms", "plan", "explain", "orphans", "drain", "doctor", "version", "completion"} {
			assert.Contains(t, got.out, "\n  "+name+" ")
		}
	}
}

func TestRun_ends_with_2_where_the_command_line_is_wrong(t *testing.T) {
	for _, args := range [][]string{
		{"bogus"},
		{"hosts", "lxd-1"},
		{"hosts", "--bogus"},
		{"hosts", "-o", "xml"},
		{"plan", "--memory", "5XB"},
		{"plan", "--policy", "random"},
		{"explain"},
		{"drain", "lxd-1"},
		{"orphans", "--delete", "--forget", "x"},
		{"orphans", "x"},
	} {
		got := caller{}.run(t, args...)
		assert.Equal(t, 2, got.status, args)
		assert.Contains(t, got.err, "error: ", args)
		assert.Empty(t, got.out, args)
	}
}

func TestRun_ends_with_1_where_there_is_no_way_to_the_service(t *testing.T) {
	got := caller{}.run(t, "hosts")
	assert.Equal(t, 1, got.status)
	assert.Contains(t, got.err, "no way to the service: give --address (or $MAASLXD_ADDRESS), or a kubeconfig")
	got = caller{env: map[string]string{"MAASLXD_ADDRESS": "127.0.0.1:1"}}.run(t, "hosts")
	assert.Equal(t, 1, got.status)
	assert.Contains(t, got.err, "no certificates: give --tls-dir")
	got = caller{env: map[string]string{"MAASLXD_ADDRESS": "127.0.0.1:1", "MAASLXD_TLS_DIR": "/nowhere"}}.run(t, "hosts")
	assert.Equal(t, 1, got.status)
	assert.Contains(t, got.err, "read the certificates: open /nowhere/tls.crt")
	got = caller{}.run(t, "hosts", "--cert", "x", "--address", "127.0.0.1:1")
	assert.Contains(t, got.err, "--cert and --key go together")
	got = caller{}.run(t, "explain", "cp-0")
	assert.Equal(t, 1, got.status)
	assert.Contains(t, got.err, "no kubeconfig")
}

func TestRun_shows_colours_and_blocks_to_a_terminal_that_has_them(t *testing.T) {
	address := serve(t, provisionertest.Config{})
	for name, test := range map[string]struct {
		who            caller
		colour, blocks bool
	}{
		"a pipe":           {caller{env: map[string]string{"LANG": "en_US.UTF-8"}}, false, false},
		"a terminal":       {caller{terminal: true, env: map[string]string{"LANG": "en_US.UTF-8"}}, true, true},
		"an old terminal":  {caller{terminal: true, env: map[string]string{"LANG": "C"}}, true, false},
		"a dumb terminal":  {caller{terminal: true, env: map[string]string{"TERM": "dumb"}}, false, false},
		"who wants no red": {caller{terminal: true, env: map[string]string{"NO_COLOR": "1", "LC_ALL": "C.utf8"}}, false, true},
	} {
		got := test.who.run(t, "hosts", "--insecure", "--address", address)
		assert.Equal(t, 0, got.status, got.err)
		assert.Equal(t, test.colour, strings.Contains(got.out, "\x1b["), name)
		assert.Equal(t, test.blocks, strings.Contains(got.out, "░"), name)
		assert.Equal(t, test.who.terminal, strings.Contains(got.err, "Listing the hosts …"), "what is being done is told to a person alone: %s", name)
	}
}

func TestRun_plans_one_VM_with_the_ranks_of_hosts_and_several_over_zones(t *testing.T) {
	address := serve(t, provisionertest.Config{})
	flags := []string{"--insecure", "--address", address}
	got := caller{}.run(t, append(flags, "plan", "--cores", "4", "--memory", "8GiB", "--zone", "az1")...)
	assert.Equal(t, 0, got.status, got.err)
	assert.Contains(t, got.out, "1 × 4 cores, 8 GiB, 60 GB: fits")
	assert.Contains(t, got.out, "Hosts that fit, best first:")
	got = caller{}.run(t, append(flags, "plan", "--count", "3", "--anti-affinity", "--pool", "lxd")...)
	assert.Equal(t, 0, got.status, got.err)
	for _, zone := range []string{"az1", "az2", "az3"} {
		assert.Contains(t, got.out, zone+"    1     -")
	}
	got = caller{}.run(t, append(flags, "plan", "--count", "40", "--cores", "16", "--as-many-as-fit")...)
	assert.Equal(t, 1, got.status)
	assert.Contains(t, got.out, "only 12 fit")
	got = caller{}.run(t, append(flags, "plan", "--count", "2", "--pool", "nowhere", "-o", "json")...)
	assert.Equal(t, 1, got.status)
	assert.Contains(t, got.out+got.err, "nowhere")
}

func TestRun_tells_the_versions(t *testing.T) {
	address := serve(t, provisionertest.Config{Version: "v1.2.2"})
	assert.Contains(t, caller{}.run(t, "version").out, "maaslxd v1.2.3 (go")
	got := caller{}.run(t, "version", "--service", "--insecure", "--address", address, "-o", "yaml")
	assert.Contains(t, got.out, "service: v1.2.2")
	got = caller{}.run(t, "doctor", "--insecure", "--address", address)
	assert.Contains(t, got.out, "maaslxd is v1.2.3, the service v1.2.2")
}

func TestRun_completes_names_of_hosts_and_formats(t *testing.T) {
	address := serve(t, provisionertest.Config{})
	got := caller{}.run(t, "__complete", "drain", "--insecure", "--address", address, "")
	assert.Contains(t, got.out, "lxd-01\n")
	assert.Contains(t, caller{}.run(t, "__complete", "hosts", "-o", "").out, "table\njson\nyaml\n")
	assert.Contains(t, caller{}.run(t, "completion", "bash").out, "__start_maaslxd")
}
