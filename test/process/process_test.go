package process_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/process"
)

// patience bounds what takes milliseconds on a machine that does nothing else.
const patience = time.Minute

// What the program of these tests reads: what it does when it is asked to end, and the file that it writes when it is up.
const (
	endingVariable = "PROCESS_TEST_ENDING"
	readyVariable  = "PROCESS_TEST_READY"
)

// The endings, besides that by the signal itself.
const (
	inOrder = "in order"
	failing = "failing"
	// busy keeps a processor busy until the end.
	busy = "busy"
)

func TestMain(m *testing.M) {
	if ready := os.Getenv(readyVariable); ready != "" {
		os.Exit(program(os.Getenv(endingVariable), ready))
	}
	os.Exit(m.Run())
}

func program(ending, ready string) int {
	asked := make(chan os.Signal, 1)
	// A program that waits for no signal at all would be told that it can never go on.
	signal.Notify(asked, syscall.SIGUSR1)
	if ending != "" {
		signal.Notify(asked, syscall.SIGTERM)
	}
	if err := os.WriteFile(ready, nil, 0o600); err != nil {
		return 1
	}
	for ending == busy && len(asked) == 0 {
	}
	<-asked
	if ending == failing {
		fmt.Fprintln(os.Stderr, "cannot part")
		return 3
	}
	return 0
}

func TestStop_says_what_was_not_in_order(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ending  string
		foreign bool
		want    string
	}{
		"nothing_of_an_orderly_end":            {ending: inOrder},
		"the_code_of_a_failure":                {ending: failing, want: "exit status 3"},
		"the_log_of_a_failure":                 {ending: failing, want: "cannot part"},
		"the_signal_that_ended_it":             {want: "signal: terminated"},
		"nothing_of_a_foreign_end_by_a_signal": {foreign: true},
		"nothing_of_a_foreign_end_with_a_code": {foreign: true, ending: failing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, process.Spec{Foreign: tc.foreign}, tc.ending)

			err := p.Stop()

			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "the program: ")
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestKill_leaves_the_program_no_time_and_Restart_starts_it_again(t *testing.T) {
	t.Parallel()
	p := start(t, process.Spec{}, inOrder)
	require.NoError(t, p.Exited())

	p.Kill()

	require.ErrorContains(t, p.Exited(), "the program has ended by itself: signal: killed")
	again, err := p.Restart()
	require.NoError(t, err)
	t.Cleanup(again.Kill)
	assert.Equal(t, "the program", again.Name())
	require.NoError(t, again.Exited())
}

func TestAwait_ends_when_what_it_waits_for_can_not_come_any_more(t *testing.T) {
	t.Parallel()
	gone := errors.New("the program is gone")

	err := process.Await(t.Context(), "an answer", patience, func() error { return gone }, func(context.Context) error { return errors.New("none yet") })

	require.ErrorIs(t, err, gone)
	require.ErrorContains(t, err, "wait for an answer")
}

func TestAwait_says_what_it_last_saw(t *testing.T) {
	t.Parallel()
	last := errors.New("two of three")

	err := process.Await(t.Context(), "three", time.Millisecond, func() error { return nil }, func(context.Context) error { return last })

	require.ErrorIs(t, err, last)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// start starts the program of these tests and returns when it is up.
func start(t *testing.T, spec process.Spec, ending string) *process.Process {
	t.Helper()
	dir := t.TempDir()
	ready := filepath.Join(dir, "ready")
	spec.Name, spec.Binary, spec.Log = "the program", os.Args[0], filepath.Join(dir, "log")
	spec.Env = []string{endingVariable + "=" + ending, readyVariable + "=" + ready}
	p, err := process.Start(spec)
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	require.NoError(t, process.Await(t.Context(), "the program", patience, p.Exited, func(context.Context) error {
		_, err := os.Stat(ready)
		return err
	}))
	return p
}
