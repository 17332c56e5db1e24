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

func TestRun_exceeds_its_budgets_with_a_bad_outage(t *testing.T) {
	t.Parallel()
	good := load.Outage{Machines: 10, Waiting: 1, Working: 20, Down: 20, Back: 20, Concurrent: load.AtOnce, VMs: 10}
	assert.Empty(t, load.Run{Outage: []load.Outage{good}}.Exceeded())
	for name, spoil := range map[string]func(*load.Outage){
		"a_finalizer_gone":           func(o *load.Outage) { o.DroppedEarly = 1 },
		"a_machine_said_missing":     func(o *load.Outage) { o.MissedWrongly = 1 },
		"too_many_requests_at_once":  func(o *load.Outage) { o.Concurrent++ },
		"a_MAAS_that_is_away_asked":  func(o *load.Outage) { o.Down++ },
		"a_storm":                    func(o *load.Outage) { o.Back++ },
		"nobody_who_waited":          func(o *load.Outage) { o.Waiting = 0 },
		"a_VM_left":                  func(o *load.Outage) { o.VMs++ },
		"a_VM_that_was_not_made_too": func(o *load.Outage) { o.VMs-- },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := good
			spoil(&bad)
			assert.Len(t, load.Run{Outage: []load.Outage{bad}}.Exceeded(), 1)
		})
	}
}
