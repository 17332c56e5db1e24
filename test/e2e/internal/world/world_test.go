package world_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/e2e/internal/world"
)

// missingVariable makes the test program say what is missing, and end.
const missingVariable = "WORLD_TEST_MISSING"

// TestMain is also what Enter runs inside, where it rehearses.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(missingVariable) != "":
		fmt.Fprintln(os.Stdout, world.Missing())
		os.Exit(0)
	case world.Inside():
		if err := world.Rehearse(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(7)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestMissing_says_that_another_user_is_not_root_and_what_he_may_not_do(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), missingVariable+"=1")
	if os.Geteuid() == 0 {
		const nobody = 65534
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}

	out, err := cmd.CombinedOutput()

	require.NoError(t, err, string(out))
	assert.Contains(t, string(out), "a run of real clusters needs:\n")
	for _, want := range []string{"the user root", "the capability CAP_NET_ADMIN", "the capability CAP_SYS_ADMIN"} {
		assert.Contains(t, string(out), want)
	}
}

func TestEnter_leads_to_a_place_that_has_what_a_run_needs(t *testing.T) {
	t.Parallel()
	if err := world.Missing(); err != nil {
		t.Skip(err)
	}

	require.NoError(t, world.Enter(context.Background()), "what is inside says on standard error what it lacks")
}
