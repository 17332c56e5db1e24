package load_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/load"
)

// patience bounds every wait, by the clock; only a failing test comes near it.
const patience = 5 * time.Minute

func newFleet(tb testing.TB, machines int, speed float64) *load.Fleet {
	tb.Helper()
	fleet, err := load.Start(tb.Context(), load.Options{Config: api.Config, Machines: machines, Speed: speed, Patience: patience})
	tb.Cleanup(func() { assert.NoError(tb, fleet.Close()) })
	require.NoError(tb, err)
	return fleet
}

// `make load` does it with 1,000 machines; fewer take seconds instead of minutes.
func TestMAAS_that_was_away_is_not_stormed_and_nothing_is_given_up(t *testing.T) {
	t.Parallel()
	const count = 20
	fleet := newFleet(t, count, 2*speed)
	o, err := fleet.Outlive(t.Context())
	require.NoError(t, err, "P5: what was asked for while MAAS was away is done afterwards")
	t.Log(o)
	assert.Zero(t, o.MissedWrongly, "X4.5: a MAAS that does not answer says nothing about a machine")
	assert.Zero(t, o.DroppedEarly, "R5.4: nothing was proved while MAAS was away, so no finalizer goes")
	assert.Positive(t, o.Waiting, "some wait for their deployment when MAAS goes")
	assert.Equal(t, count, o.VMs, "R5.4: as many VMs as machines")
	assert.LessOrEqual(t, o.Concurrent, load.AtOnce, "X7.5: never more requests at a time than the limits")
	assert.LessOrEqual(t, o.Down, o.Working, "X7.5: asking a MAAS that is away is not more work than making the fleet")
	assert.LessOrEqual(t, o.Back, o.Working, "X7.5: no storm when MAAS is back")
}
