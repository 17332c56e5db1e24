package faults_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/faults"
)

// fromEnvironment gives a number from the environment, or the default.
func fromEnvironment(t *testing.T, name string, value uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return value
	}
	value, err := strconv.ParseUint(text, 10, 63)
	require.NoError(t, err, name)
	return value
}

// The short form of the campaign, for example `LIFECYCLES=60 SEED=1 go test ./faults`; `make faults` is the long one. It
// takes minutes, so it runs only when it is asked for.
func TestCampaign_short_leaks_doubles_steals_and_sticks_nothing(t *testing.T) {
	if os.Getenv("LIFECYCLES") == "" {
		t.Skip("set LIFECYCLES to run it, or use make faults")
	}
	figures, err := faults.Run(t.Context(), faults.Options{
		Config: api.Config, Seed: fromEnvironment(t, "SEED", 1), Lifecycles: int(fromEnvironment(t, "LIFECYCLES", 60)),
		Worlds: 2, PerRound: 15, Patience: 3 * time.Minute, Out: t.Output(),
	})
	t.Log(figures)
	require.NoError(t, err)
	assert.Zero(t, figures.Leaked, "R5.4")
	assert.Zero(t, figures.Doubled, "R4.4")
	assert.Zero(t, figures.Stolen, "X3.2")
	assert.Zero(t, figures.Stuck, "P5")
	assert.GreaterOrEqual(t, figures.Kills, 30, "hardly anything died")
	assert.Greater(t, figures.Hit*3, figures.Known, "hardly any boundary was reached")
}
