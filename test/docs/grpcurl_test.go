package docs_test

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	serviceapp "github.com/capmaas/capmaas/services/lxdprovisioner/app"
	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/stack"
)

// blockLimit bounds one block; some wait in a loop of a minute for a machine to be deployed.
const blockLimit = 3 * time.Minute

// TestGrpcurl runs the blocks of each page in their order, against a service of their own on the simulated MAAS of the demo.
// In them $S is the address of the service and $G how it is reached.
func TestGrpcurl_commands_of_every_page_work(t *testing.T) {
	t.Parallel()
	path := tool(t, "grpcurl") + string(os.PathListSeparator) + os.Getenv("PATH")
	ran := 0
	for _, p := range pages(t) {
		var scripts []block
		for _, b := range p.blocks() {
			if b.language == "sh" && len(b.marks) == 0 && strings.Contains(b.text, "grpcurl ") && !strings.Contains(b.text, "tools/ensure.sh") {
				scripts = append(scripts, b)
			}
		}
		if len(scripts) == 0 {
			continue
		}
		ran += len(scripts)
		t.Run(strings.ReplaceAll(p.path, "/", "_"), func(t *testing.T) {
			t.Parallel()
			env := append(os.Environ(), "PATH="+path, "S="+startService(t), "G=-plaintext")
			for _, b := range scripts {
				assertAlone(t, b)
				ctx, cancel := context.WithTimeout(t.Context(), blockLimit)
				cmd := exec.CommandContext(ctx, "sh", "-euc", b.text)
				cmd.Env = env
				out, err := cmd.CombinedOutput()
				cancel()
				require.NoError(t, err, "%s:%d:\n%s\n%s", b.page, b.line, b.text, out)
				assert.NotEmpty(t, out, "%s:%d prints nothing", b.page, b.line)
			}
		})
	}
	assert.Positive(t, ran, "README.md and docs/grpcurl.md show grpcurl")
}

// assertAlone demands that a block which is run holds nothing else that does something.
func assertAlone(t *testing.T, b block) {
	t.Helper()
	calls, err := b.commands()
	require.NoError(t, err)
	for _, call := range calls {
		assert.True(t, call.program == "grpcurl" || slices.Contains(helpers, call.program),
			"%s:%d: this test runs the block; put %s into another", b.page, b.line, call.program)
	}
}

// startService starts a service in front of a MAAS with the hosts of the demo, whose work takes a second, and gives its address.
func startService(t *testing.T) string {
	t.Helper()
	config := maassim.DefaultConfig(12, 3, 4)
	config.Durations = maassim.Durations{Compose: time.Second, Commission: time.Second, Deploy: time.Second, Release: time.Second, Delete: time.Second}
	sim, err := maassim.New(config)
	require.NoError(t, err)
	maas := httptest.NewServer(sim)
	t.Cleanup(maas.Close)
	service, err := stack.StartService(t.Context(), stack.ServiceOptions{
		Dir: filepath.Join(t.TempDir(), "credentials"), MAAS: maas.URL + "/MAAS", Key: sim.APIKey(), Logs: t.Output(), Timing: serviceapp.DefaultTiming(),
		Configure: func(c *serviceapp.Config) { c.DrainTimeout = time.Second },
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, service.Stop()) })
	return service.Address
}

// tool gives the directory of a pinned tool, which is built where it is not there.
func tool(t *testing.T, module string) string {
	t.Helper()
	return strings.TrimSpace(output(t, filepath.Join(top(t), "tools", "ensure.sh"), module))
}

// output gives what a program prints; what it says beside is the test's own output.
func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	require.NoError(t, err, "%s %s", program, strings.Join(args, " "))
	return string(out)
}
