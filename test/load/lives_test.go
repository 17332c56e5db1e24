package load_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/load"
)

// speed is how much faster than the clock MAAS's time runs where counts alone matter.
const speed = 60

// The small form: what is about one VM alone is counted exactly; what is shared depends on how many share it, so that its
// budget is held by the benchmark with 100 machines.
func TestLife_of_a_VM_asks_MAAS_no_more_than_its_budget(t *testing.T) {
	t.Parallel()
	const count = 10
	rest, figures, err := newFleet(t, count, speed).MeasureRest(t.Context())
	require.NoError(t, err)
	t.Log(figures, rest)
	assert.Equal(t, load.OwnBudget*count, figures.Own(), "each VM is composed, claimed, marked, deployed and deleted once")
	for name, phase := range map[string]load.Usage{"waiting": rest.Waiting, "idle": rest.Idle} {
		for _, changes := range []string{"vm-hosts.refresh", "machines.read", "machines.allocate"} {
			assert.NotContains(t, phase.Operations, changes, "X7.3: a machine that is %s costs no request of its own", name)
		}
	}
	waiting, idle := rest.Waiting.PerMinute(), rest.Idle.PerMinute()
	assert.LessOrEqual(t, waiting.Requests, float64(load.WaitingRequests), "X7.1")
	assert.LessOrEqual(t, waiting.Region, load.WaitingRegion, "X7.1")
	assert.LessOrEqual(t, idle.Requests, float64(load.IdleRequests), "X7.2")
	assert.LessOrEqual(t, idle.Region, load.IdleRegion, "X7.2")
	assert.LessOrEqual(t, idle.Bytes, load.IdleBytes, "X7.2")
	assert.Positive(t, rest.Seen, "X7.2: a failure of a machine that is ready shows in its condition")
}

func TestRun_names_the_budgets_that_are_exceeded(t *testing.T) {
	t.Parallel()
	rest := load.Rest{Machines: 1000, Hosts: 100, Seen: 3 * time.Minute}
	rest.Idle.Time, rest.Waiting.Time = time.Minute, time.Minute
	run := load.Run{
		Rest: []load.Rest{rest}, Added: []load.Added{{Machines: 100, Alone: time.Minute, Provided: 2 * time.Minute}},
		Memory: []load.Memory{{Machines: 1000, Service: 200 << 20, Manager: 200 << 20}},
	}
	assert.Equal(t, []string{"s until a failure is seen: 180.00, budget 120.00", "share of time added: 1.00, budget 0.05", "MiB of memory: 400.00, budget 300.00"}, run.Exceeded())
}
