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

// The short form of the campaign; `make faults` is the long one. LIFECYCLES=60 SEED=1 in the environment change it.
func TestCampaign_short_leaks_doubles_steals_and_sticks_nothing(t *testing.T) {
	figures, err := faults.Run(t.Context(), faults.Options{
		Config: api.Config, Seed: fromEnvironment(t, "SEED", 1), Lifecycles: int(fromEnvironment(t, "LIFECYCLES", 20)),
		Worlds: 2, PerRound: 12, Patience: 2 * time.Minute, Out: t.Output(),
	})
	t.Log(figures)
	require.NoError(t, err)
	assert.Zero(t, figures.Leaked, "R5.4: VMs, machines, addresses, DNS records and the ledger")
	assert.Zero(t, figures.Doubled, "R4.4")
	assert.Zero(t, figures.Stolen, "X3.2")
	assert.Zero(t, figures.Stuck, "P5")
	assert.GreaterOrEqual(t, figures.Kills, 30, "hardly anything died")
	assert.Greater(t, figures.Hit*2, figures.Known, "hardly any boundary was reached")
}
