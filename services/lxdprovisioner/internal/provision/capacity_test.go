package provision_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

// oneZone puts all hosts into it.
func oneZone(c *maassim.Config) {
	for i := range c.Hosts {
		c.Hosts[i].Zone = c.Hosts[0].Zone
	}
}

// shrink rebuilds an LXD server with fewer cores and less memory, and lets MAAS see it.
func (w *world) shrink(host string, cores, memoryMiB int) {
	w.t.Helper()
	require.NoError(w.t, w.sim.Rebuild(host, maassim.HostConfig{Cores: cores, MemoryMiB: memoryMiB}))
	w.post("vm-hosts/"+strings.TrimPrefix(string(w.host(host).ID), "vmhost/")+"/?op=refresh", url.Values{})
	w.clock.advance(time.Minute)
	require.Equal(w.t, int64(cores), w.host(host).Total.Cores)
}

func (w *world) capacity() provision.ZoneCapacity {
	w.t.Helper()
	zones, readAt := w.lxd.Capacity(w.ctx())
	require.False(w.t, readAt.IsZero())
	require.Len(w.t, zones, 1)
	return zones[0]
}

func TestCapacity_of_a_host_over_its_limit_is_full_and_takes_nothing_from_the_others(t *testing.T) {
	t.Parallel()
	w := start(t, 2, 0, oneZone)
	w.composed("cp-0", "lxd-1")
	w.clock.advance(w.cfg.Timing.CapacityMaxAge + time.Second)
	before := w.capacity()
	require.Equal(t, int64(64-4), before.Free.Cores)
	require.Equal(t, int64(256<<10-8192), before.Free.MemoryMiB)

	w.shrink("lxd-1", 2, 4096)
	after := w.capacity()
	assert.Equal(t, 2, after.Usable, "a host that is full is one all the same")
	assert.Equal(t, inventory.Resources{Cores: 32 + 2, MemoryMiB: 128<<10 + 4096, DiskBytes: before.Total.DiskBytes}, after.Total)
	assert.Equal(t, inventory.Resources{Cores: 32, MemoryMiB: 128 << 10, DiskBytes: before.Free.DiskBytes}, after.Free,
		"the other host's; 2 cores and 4 GiB more are used of the first than there are")
}

func TestCapacity_of_a_host_that_is_over_its_limit_by_what_was_given_out_is_full(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	_, err := w.lxd.SelectHost(w.ctx(), selectRequest("cp-0"))
	require.NoError(t, err)
	assert.Equal(t, int64(32-4), w.capacity().Free.Cores, "the ledger is taken off")
	w.shrink("lxd-1", 2, 4096)
	got := w.capacity()
	assert.Equal(t, int64(2), got.Total.Cores)
	assert.Zero(t, got.Free.Cores)
	assert.Zero(t, got.Free.MemoryMiB)
}
