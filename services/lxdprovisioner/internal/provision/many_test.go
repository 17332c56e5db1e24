package provision_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

func TestLXD_makes_and_deletes_many_at_once_within_the_budget(t *testing.T) {
	t.Parallel()
	start(t, 6, 0, func(c *maassim.Config) { c.Durations.Compose = 20 * time.Millisecond }).inBubble(makeAndDeleteMany)
}

func makeAndDeleteMany(w *world) {
	const count = 24
	t := w.t
	w.cfg.Timing.LookupWindow = provision.DefaultTiming().LookupWindow
	w.restart()
	reqs := make([]provision.ComposeRequest, count)
	each(count, func(i int) {
		name := fmt.Sprintf("w-%d", i)
		choice := selectRequest(name + "-a1b2c")
		choice.Group = placement.Group{Key: "workers"}
		selection, err := w.lxd.SelectHost(w.ctx(), choice)
		if !assert.NoError(t, err) {
			return
		}
		reqs[i] = provision.ComposeRequest{
			Attempt:  provision.Attempt{Number: 1, Name: name + "-a1b2c", HostID: selection.Chosen.HostID, HostName: selection.Chosen.HostName},
			Owner:    owner(name),
			Size:     small(),
			GroupKey: "workers",
		}
		_, err = w.lxd.ComposeVM(w.ctx(), reqs[i])
		assert.NoError(t, err)
		_, err = w.lxd.DeployVM(w.ctx(), deployRequest(reqs[i]))
		assert.NoError(t, err)
	})
	require.Len(t, w.sim.LXD(), count)
	perHost := map[string]int{}
	for _, vm := range w.sim.LXD() {
		perHost[vm.Host]++
	}
	for host, n := range perHost {
		// The requests name no peers, so a VM that MAAS shows already counts by its load alone.
		assert.InDelta(t, count/6, n, 1, "R3.4 the ledger spreads those that are chosen at once: %s", host)
	}
	left := make([]bool, count)
	for range 5 {
		each(count, func(i int) {
			if left[i] {
				return
			}
			a := w.sent(reqs[i].Attempt)
			a.Settled = true
			_, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(reqs[i].Owner, a))
			left[i] = err == nil
			assert.True(t, err == nil || fault.Is(err, fault.Busy), "%v", err)
		})
		w.clock.advance(61 * time.Second)
	}
	assert.NotContains(t, left, false)
	assert.Empty(t, w.sim.LXD())
	t.Logf("%d requests: %v", total(w.sim.Requests()), w.sim.Requests())
	assert.LessOrEqual(t, total(w.sim.Requests()), 8*count, "at most 8 requests a life: %v", w.sim.Requests())
	assert.LessOrEqual(t, w.sim.Requests()["machines.query_power_state"], 6, "X4.2 one question proves a host alive for all who come together")
}

// each runs f for every index at once.
func each(count int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range count {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

func TestCompositions_X2_6_of_one_host_share_the_check_of_it(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	w.cfg.Timing.CheckGather = time.Minute
	w.restart()
	_, err := w.lxd.Snapshot(w.ctx())
	require.NoError(t, err)
	w.sim.Hold("lxd.created", "lxd-1")
	var composing sync.WaitGroup
	compose := func(req provision.ComposeRequest) {
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		assert.NoError(t, err)
	}
	first, second := w.composeRequest("w-1", "lxd-1"), w.composeRequest("w-2", "lxd-1")
	composing.Go(func() { compose(first) })
	require.NoError(t, w.sim.AwaitHeld(w.ctx(), "lxd.created", "lxd-1"))
	w.sim.ResetRequests()
	composing.Go(func() { compose(second) })
	require.Eventually(t, func() bool { return w.logged("Composed VM", second.Attempt.Name) }, time.Minute, time.Millisecond)
	require.NoError(t, w.sim.LetGo("lxd.created", "lxd-1"))
	composing.Wait()
	assert.Equal(t, 1, w.sim.Requests()["vm-hosts.read"], "it began when both waited for it")
}

func TestWatchVMs_X7_1_looks_together_for_VMs_that_vanish_together(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	const count = 8
	var watched []provision.WatchedVM
	for i := range count {
		req := w.composeRequest(fmt.Sprintf("w-%d", i), "lxd-1")
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		require.NoError(t, err)
		require.NoError(t, w.sim.RemoveInstance("lxd-1", "maas", req.Attempt.Name))
		watched = append(watched, provision.WatchedVM{Attempt: w.sent(req.Attempt)})
	}
	_, err := w.cfg.Backend.Verify(w.ctx(), w.host("lxd-1").ID)
	require.NoError(t, err)
	w.sim.ResetRequests()
	ctx, stop := context.WithCancel(w.ctx())
	gone := map[string]bool{}
	err = w.lxd.WatchVMs(ctx, watched, func(e provision.VMEvent) error {
		if e.Gone != "" {
			gone[e.Gone] = true
		}
		if !e.Synced.IsZero() {
			stop()
		}
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	assert.Len(t, gone, count)
	assert.Equal(t, 1, w.sim.Requests()["machines.list"])
	assert.Equal(t, 1, w.sim.Requests()["vm-hosts.read"], "X4.5 the host is there, whichever of its VMs is not")
}
