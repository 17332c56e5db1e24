package scenario_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/e2e/internal/relay"
	"github.com/capmaas/capmaas/test/e2e/internal/scenario"
)

func TestTell_a_disturbed_scenario_fails_where_not_everyone_died(t *testing.T) {
	t.Parallel()
	door, err := relay.Start(t.Context(), "127.0.0.1:0", "127.0.0.1:1")
	require.NoError(t, err)
	t.Cleanup(door.Wait)
	now := func() time.Time { return time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC) }
	var told bytes.Buffer
	run := scenario.Behind(door, scenario.Config{Now: now, Timeline: scenario.NewTimeline(&told, now)})
	atOnce := func(*scenario.Run, context.Context) error { return nil }

	require.NoError(t, run.Tell(t.Context(), atOnce, false))
	assert.Empty(t, told.String())
	require.ErrorContains(t, run.Tell(t.Context(), atOnce, true), "over before lxdprovisioner-0 died")

	broken := errors.New("broken")
	failing := func(*scenario.Run, context.Context) error { return broken }
	require.ErrorIs(t, run.Tell(t.Context(), failing, true), broken, "its own error comes first")

	waiting := func(_ *scenario.Run, ctx context.Context) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	require.ErrorContains(t, run.Tell(t.Context(), waiting, true), "kill lxdprovisioner-0: no management cluster runs", "a kill that fails ends it")
}
