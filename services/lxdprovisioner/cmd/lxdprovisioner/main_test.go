package main_test

import (
	"errors"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// build builds the command as make does.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "lxdprovisioner")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags",
		"-X github.com/capmaas/capmaas/services/lxdprovisioner/app.Version=v9.8.7", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}

func TestCommand_exit_codes_and_version(t *testing.T) {
	t.Parallel()
	binary := build(t)
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"version":             {[]string{"--version"}, 0, "v9.8.7"},
		"help_names_flags":    {[]string{"--help"}, 0, "maas-credentials-dir"},
		"an_unknown_flag":     {[]string{"--no-such-flag"}, 2, "no-such-flag"},
		"an_argument":         {[]string{"serve"}, 2, `"serve"`},
		"a_bad_configuration": {[]string{"--listen=x", "--metrics-addr=y"}, 1, "--metrics-addr"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), binary, c.args...).CombinedOutput()
			code := 0
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				code = exit.ExitCode()
			} else {
				require.NoError(t, err)
			}
			assert.Equal(t, c.code, code, "%s", out)
			assert.Contains(t, string(out), c.says)
		})
	}
}
