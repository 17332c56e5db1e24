package provision_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

// largeRegion takes longer to list its hosts than a caller has.
type largeRegion struct {
	provision.Backend

	takes time.Duration
}

func (b *largeRegion) Hosts(ctx context.Context) (inventory.Snapshot, error) {
	snap, err := b.Backend.Hosts(ctx)
	<-time.After(b.takes)
	return snap, err
}

func TestSelectHost_in_a_region_that_is_slow_to_read(t *testing.T) {
	t.Parallel()
	w := start(t, 3, 0)
	w.cfg.Backend = &largeRegion{Backend: w.cfg.Backend, takes: 500 * time.Millisecond}
	w.cfg.Timing.InventoryMaxAge = time.Millisecond
	w.restart()
	hurried := func() error {
		ctx, cancel := context.WithTimeout(w.ctx(), 100*time.Millisecond)
		defer cancel()
		_, err := w.lxd.SelectHost(ctx, selectRequest("cp-0-a1b2c"))
		return err
	}
	requireFault(t, hurried(), fault.Busy, fault.ReasonMAASBusy)
	// No reading ends within a caller's time, so one is only served by what was read for another.
	require.Eventually(t, func() bool { return hurried() == nil }, 10*time.Second, 10*time.Millisecond)
}

// interrupted answers a number of lists and breaks off then.
type interrupted struct {
	provision.MAAS

	mu    sync.Mutex
	after int
	asked map[string]int
}

func (m *interrupted) Machines(ctx context.Context, f provision.MachineFilter) ([]inventory.Machine, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.after--; m.after == -1 {
		return nil, fault.New(fault.Unavailable, fault.ReasonMAASUnavailable, "the connection broke")
	}
	for _, id := range f.SystemIDs {
		m.asked[id]++
	}
	return m.MAAS.Machines(ctx, f)
}

func TestHosts_whose_reading_breaks_off_are_read_on_from_there(t *testing.T) {
	t.Parallel()
	w := start(t, 60, 0)
	maas := &interrupted{MAAS: w.cfg.MAAS, after: 1, asked: map[string]int{}}
	w.cfg.MAAS = maas
	w.restart()
	_, err := w.lxd.ListHosts(w.ctx(), provision.HostFilter{})
	requireFault(t, err, fault.Unavailable, fault.ReasonMAASUnavailable)
	list, err := w.lxd.ListHosts(w.ctx(), provision.HostFilter{})
	require.NoError(t, err)
	require.Len(t, list.Hosts, 60)
	for _, h := range list.Hosts {
		assert.NotNil(t, h.Machine, h.Name)
		assert.Equal(t, 1, maas.asked[h.SystemID], "%s is read once", h.Name)
	}
}

func TestHosts_machines_that_MAAS_does_not_show_are_not_asked_for_each_time(t *testing.T) {
	t.Parallel()
	w := start(t, 3, 0)
	plain := &interrupted{MAAS: w.cfg.MAAS, after: 1000, asked: map[string]int{}}
	w.cfg.MAAS = hidden{plain}
	w.restart()
	for range 3 {
		list, err := w.lxd.ListHosts(w.ctx(), provision.HostFilter{})
		require.NoError(t, err)
		for _, h := range list.Hosts {
			assert.Nil(t, h.Machine)
			assert.Equal(t, 1, plain.asked[h.SystemID])
		}
		w.clock.advance(6 * time.Second)
	}
}

// hidden shows no machine, as to a user without rights.
type hidden struct{ *interrupted }

func (m hidden) Machines(ctx context.Context, f provision.MachineFilter) ([]inventory.Machine, error) {
	_, err := m.interrupted.Machines(ctx, f)
	return nil, err
}

// slowHostMachines is a MAAS that takes 20 seconds to tell of a batch of the hosts' own machines.
type slowHostMachines struct {
	provision.MAAS

	asked atomic.Int64
}

func (m *slowHostMachines) Machines(ctx context.Context, f provision.MachineFilter) ([]inventory.Machine, error) {
	if len(f.SystemIDs) > 1 {
		m.asked.Add(1)
		<-time.After(20 * time.Second)
	}
	return m.MAAS.Machines(ctx, f)
}

func TestHosts_own_machines_are_believed_for_five_minutes_at_most(t *testing.T) {
	t.Parallel()
	inBubbleWithMAAS(t, maassim.DefaultConfig(100, 3, 0), func(w *world) {
		maas := &slowHostMachines{MAAS: w.cfg.MAAS}
		w.cfg.MAAS = maas
		w.restart()
		look := func() int64 {
			before := maas.asked.Load()
			_, err := w.lxd.Snapshot(w.t.Context())
			require.NoError(w.t, err)
			return maas.asked.Load() - before
		}
		require.Equal(w.t, int64(2), look(), "100 hosts are two batches")
		<-time.After(2 * time.Minute)
		require.Zero(w.t, look(), "MAAS takes long to tell")
		<-time.After(3 * time.Minute)
		require.Equal(w.t, int64(2), look())
	})
}
