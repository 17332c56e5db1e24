package provision_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory/inventorytest"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

const callers = 64

// tally counts the choices of many callers.
type tally struct {
	mu     sync.Mutex
	byHost map[string]int
	zones  map[string][]string
	full   int
}

func (y *tally) note(group string, s provision.Selection, err error) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	switch {
	case fault.Is(err, fault.NoRoom):
		y.full++
		return nil
	case err != nil:
		return err
	}
	y.byHost[s.Chosen.HostName]++
	y.zones[group] = append(y.zones[group], s.Chosen.Zone)
	return nil
}

func newTally() *tally { return &tally{byHost: map[string]int{}, zones: map[string][]string{}} }

func TestSelectHost_under_64_callers(t *testing.T) {
	t.Parallel()
	t.Run("R4.1_no_host_goes_over_its_capacity_and_none_is_left_empty", func(t *testing.T) {
		t.Parallel()
		// A host of 32 cores holds eight VMs of four: four hosts hold half of what is asked for.
		w, y := start(t, 4, 0), newTally()
		each(callers, func(i int) {
			s, err := w.lxd.SelectHost(w.ctx(), selectRequest(fmt.Sprintf("w-%d-a1b2c", i)))
			assert.NoError(t, y.note("", s, err))
		})
		assert.Equal(t, map[string]int{"lxd-1": 8, "lxd-2": 8, "lxd-3": 8, "lxd-4": 8}, y.byHost)
		assert.Equal(t, callers/2, y.full)
		again, err := w.lxd.SelectHost(w.ctx(), selectRequest("late-a1b2c"))
		requireFault(t, err, fault.NoRoom, fault.ReasonInsufficientResources)
		assert.Empty(t, again.Chosen)
	})
	t.Run("R3.2_no_two_control_planes_of_a_group_meet_while_a_zone_is_free", func(t *testing.T) {
		t.Parallel()
		w, y := start(t, 9, 0), newTally()
		each(callers, func(i int) {
			group := fmt.Sprintf("group-%d", i%(callers/3))
			req := selectRequest(fmt.Sprintf("cp-%d-a1b2c", i))
			req.Group = placement.Group{Key: group}
			s, err := w.lxd.SelectHost(w.ctx(), req)
			assert.NoError(t, y.note(group, s, err))
		})
		require.Zero(t, y.full)
		for group, zones := range y.zones {
			distinct := map[string]bool{}
			for _, zone := range zones {
				distinct[zone] = true
			}
			assert.Len(t, distinct, min(len(zones), 3), "%s is in %v", group, zones)
		}
	})
	t.Run("R3.2_required_anti_affinity_holds", func(t *testing.T) {
		t.Parallel()
		w, y := start(t, 6, 0), newTally()
		each(callers, func(i int) {
			req := selectRequest(fmt.Sprintf("cp-%d-a1b2c", i))
			req.Group = placement.Group{Key: "prod", AntiAffinity: placement.Required}
			s, err := w.lxd.SelectHost(w.ctx(), req)
			if fault.Is(err, fault.NoCandidate) {
				err = fault.New(fault.NoRoom, fault.ReasonInsufficientResources, "every host has one")
			}
			assert.NoError(t, y.note("prod", s, err))
		})
		assert.Len(t, y.byHost, 6)
		assert.Equal(t, callers-6, y.full)
	})
	t.Run("R4.1_hosts_and_sizes_of_all_kinds_are_filled_and_never_over_their_limits", func(t *testing.T) {
		t.Parallel()
		for round := range uint64(8) {
			fillShelf(t, rand.New(rand.NewPCG(20260101, round)))
		}
	})
	t.Run("X6.1_one_name_asked_for_by_all_is_one_choice", func(t *testing.T) {
		t.Parallel()
		w, y := start(t, 4, 0), newTally()
		each(callers, func(int) {
			s, err := w.lxd.SelectHost(w.ctx(), selectRequest("cp-0-a1b2c"))
			assert.NoError(t, y.note("", s, err))
		})
		require.Len(t, y.byHost, 1)
		for name := range y.byHost {
			h := w.host(name)
			assert.Equal(t, h.Host.Available().Cores-4, h.Available.Cores, "the VM is counted once")
		}
	})
}

// fillShelf lets many ask at once for more VMs of several sizes than ten unlike hosts have room for.
func fillShelf(t *testing.T, r *rand.Rand) {
	t.Helper()
	pick := func(values ...int64) int64 { return values[r.IntN(len(values))] }
	hosts := make([]inventory.Host, 10)
	for i := range hosts {
		h := shelfHost(i)
		h.Total.Cores, h.CPURatio = pick(16, 24, 32, 48), float64(pick(9, 10, 10, 15, 20))/10
		h.Total.MemoryMiB, h.MemoryRatio = h.Total.Cores*1024*pick(2, 4, 8), float64(pick(90, 100, 125))/100
		h.Used = inventory.Resources{Cores: pick(0, 3, 10), MemoryMiB: 1024 * pick(0, 5, 20)}
		h.StoragePools = []inventory.StoragePool{inventorytest.Pool("ssd", pick(100, 400, 1000), 1000, true)}
		hosts[i] = h
	}
	lxd, _ := onShelf(hosts, newStepClock().now)
	var mu sync.Mutex
	var refused []inventory.VMSize
	placed := 0
	sizes := make([]inventory.VMSize, 200)
	for i := range sizes {
		sizes[i] = inventory.VMSize{Cores: int(pick(2, 4, 8)), MemoryMiB: 1024 * pick(4, 8, 16), Disks: []inventory.Disk{{SizeGB: pick(40, 60, 100)}}}
	}
	each(len(sizes), func(i int) {
		s, err := lxd.SelectHost(t.Context(), provision.SelectRequest{Request: placement.Request{VM: fmt.Sprintf("w-%d", i), Size: sizes[i]}})
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			assert.True(t, fault.Is(err, fault.NoRoom), "%v", err)
			refused = append(refused, sizes[i])
			return
		}
		placed++
		assert.True(t, inventorytest.Takes(hostOn(hosts, s.Chosen.HostID), sizes[i]), "%s was given out beyond its limit", s.Chosen.HostName)
		hosts = inventorytest.WithVM(hosts, s.Chosen.HostID, sizes[i])
	})
	require.NotZero(t, placed)
	require.NotEmpty(t, refused)
	for _, size := range refused {
		assert.False(t, slices.ContainsFunc(hosts, func(h inventory.Host) bool { return inventorytest.Takes(h, size) }), "%+v was turned down with room left", size)
	}
}

// TestSelectHost_and_ComposeVM_fill_the_hosts_to_the_last_core has the inventory read again and again
// while choices leave the ledger: neither side of that exchange may lose a VM. While a composition runs MAAS may
// show its VM already, which counts it twice and turns somebody away; who asks again when it has ended is not.
func TestSelectHost_and_ComposeVM_fill_the_hosts_to_the_last_core(t *testing.T) {
	t.Parallel()
	const hosts, fit, asking = 3, 24, 32
	w := start(t, hosts, 0, func(c *maassim.Config) { c.Durations.Compose = 5 * time.Millisecond })
	y := newTally()
	var away [asking]bool
	ask := func(i int) {
		w.clock.advance(time.Second)
		name := fmt.Sprintf("w-%d", i)
		s, err := w.lxd.SelectHost(w.ctx(), selectRequest(name+"-a1b2c"))
		away[i] = err != nil
		if !assert.NoError(t, y.note("", s, err)) || err != nil {
			return
		}
		_, err = w.lxd.ComposeVM(w.ctx(), provision.ComposeRequest{
			Attempt: provision.Attempt{Number: 1, Name: name + "-a1b2c", HostID: s.Chosen.HostID, HostName: s.Chosen.HostName},
			Owner:   owner(name), Size: small(),
		})
		assert.NoError(t, err, "R4.1 what was chosen fits")
	}
	each(asking, ask)
	for i, turnedAway := range away {
		if turnedAway {
			ask(i)
		}
	}
	assert.Equal(t, map[string]int{"lxd-1": 8, "lxd-2": 8, "lxd-3": 8}, y.byHost)
	assert.Len(t, w.sim.LXD(), fit)
}

func TestLedger_ends_when_the_composition_is_refused(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	s, err := w.lxd.SelectHost(w.ctx(), selectRequest("cp-0-a1b2c"))
	require.NoError(t, err)
	w.fault(maassim.Fault{Operation: "vm-hosts.compose", Count: 1, Status: 403})
	_, err = w.lxd.ComposeVM(w.ctx(), w.composeRequest("cp-0", s.Chosen.HostName))
	require.Error(t, err)
	host := w.host("lxd-1")
	assert.Equal(t, host.Host.Available(), host.Available, "X6.1 what was refused takes no room")
}

func TestLedger_keeps_what_may_still_appear(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	s, err := w.lxd.SelectHost(w.ctx(), selectRequest("cp-0-a1b2c"))
	require.NoError(t, err)
	w.fault(maassim.Fault{Operation: "vm-hosts.compose", Count: 1, Reset: true})
	_, err = w.lxd.ComposeVM(w.ctx(), w.composeRequest("cp-0", s.Chosen.HostName))
	requireFault(t, err, fault.Busy, fault.ReasonCompositionInProgress)
	host := w.host("lxd-1")
	assert.Equal(t, host.Host.Available().Cores-4, host.Available.Cores, "X6.1 nobody knows that nothing was made")
	w.clock.advance(181 * time.Second)
	host = w.host("lxd-1")
	assert.Equal(t, host.Host.Available(), host.Available, "X6.1 until its time is over")
}

// slowList is a back end whose list of hosts, once armed, ends when a test lets it.
type slowList struct {
	provision.Backend

	arrived, open chan struct{}
}

func (b *slowList) Hosts(ctx context.Context) (inventory.Snapshot, error) {
	snap, err := b.Backend.Hosts(ctx)
	if b.arrived != nil {
		close(b.arrived)
		<-b.open
	}
	return snap, err
}

// TestInventory_keeps_a_younger_reading_of_a_host has a list of the hosts that began before a VM was
// made and ends after its host was read alone.
func TestInventory_keeps_a_younger_reading_of_a_host(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	other := w.lxd
	backend := &slowList{Backend: w.cfg.Backend}
	w.cfg.Backend = backend
	w.restart()
	req := w.composeRequest("cp-0", "lxd-1")
	backend.arrived, backend.open = make(chan struct{}), make(chan struct{})
	w.clock.advance(6 * time.Second)
	listed := make(chan provision.HostView, 1)
	go func() { listed <- w.host("lxd-1") }()
	<-backend.arrived

	w.cfg.Backend = backend.Backend
	_, err := other.ComposeVM(w.ctx(), req)
	require.NoError(t, err)
	_, err = w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: w.sent(provision.Attempt{
		Number: 1, Name: "none-a1b2c", HostID: req.Attempt.HostID, HostName: req.Attempt.HostName,
	})})
	requireFault(t, err, fault.NotFound, fault.ReasonVMNotFound)
	close(backend.open)
	assert.Equal(t, int64(4), (<-listed).Used.Cores, "X6.1 what was seen on a host is not forgotten")
}
