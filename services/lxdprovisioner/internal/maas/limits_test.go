package maas_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
)

func TestLimits_X7_5_bound_what_runs_at_a_time_by_class(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	running, most := map[string]int{}, map[string]int{}
	hold := make(chan struct{})
	arrived := make(chan struct{}, 100)
	g := serveFunc(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		kind := "short"
		switch {
		case r.URL.Query().Get("op") == "compose":
			kind = "long"
		case strings.HasSuffix(r.URL.Path, "/vm-hosts/"):
			kind = "list"
		}
		mu.Lock()
		running[kind]++
		most[kind] = max(most[kind], running[kind])
		mu.Unlock()
		arrived <- struct{}{}
		<-hold
		mu.Lock()
		running[kind]--
		mu.Unlock()
		w.WriteHeader(http.StatusBadRequest)
	})
	c := client(t, g.URL, func(cfg *maas.Config) { cfg.Limits = maas.Limits{Long: 3, Short: 2, Host: 3} })
	var wg sync.WaitGroup
	for _, name := range []string{"vm-hosts.compose", "vm-hosts.list", "machines.read"} {
		for range 5 {
			wg.Go(func() { _ = calls[name](t.Context(), c) })
		}
	}
	for range 6 { // 3 long, 2 short and the default of 1 list
		<-arrived
	}

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Compose(gone, "vmhost/3", composeForm("cp-1"))
	requireFault(t, err, fault.Busy, fault.ReasonTooManyInFlight)

	ctx, cancelWaiting := context.WithCancel(t.Context())
	waiting := make(chan error, 1)
	go func() { waiting <- calls["vm-hosts.compose"](ctx, c) }()
	cancelWaiting()
	requireFault(t, <-waiting, fault.Busy, fault.ReasonTooManyInFlight)

	close(hold)
	wg.Wait()
	require.Equal(t, map[string]int{"long": 3, "list": 1, "short": 2}, most)
	require.Len(t, g.seen(), 15, "what was given up while it waited was never sent")
}

func TestLimits_X2_5_a_change_that_waits_is_sent_in_time_or_not_at_all(t *testing.T) {
	t.Parallel()
	hold, arrived := make(chan struct{}), make(chan struct{}, 10)
	g := serveFunc(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		arrived <- struct{}{}
		<-hold
		w.WriteHeader(http.StatusBadRequest)
	})
	c := client(t, g.URL, func(cfg *maas.Config) { cfg.Limits = maas.Limits{Long: 1} })
	var wg sync.WaitGroup
	wg.Go(func() { _ = calls["vm-hosts.compose"](t.Context(), c) })
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	err := calls["vm-hosts.compose"](ctx, c)
	requireFault(t, err, fault.Busy, fault.ReasonTooManyInFlight)
	require.NoError(t, ctx.Err(), "with the rest of the time MAAS could not have answered: the outcome would be unknown")
	close(hold)
	wg.Wait()
	require.Len(t, g.seen(), 1)
}

// held is a region that holds every request until it is told to let one go.
type held struct {
	*region
	arrived chan string
	release chan struct{}
}

func hold(t *testing.T) *held {
	t.Helper()
	h := &held{arrived: make(chan string, 100), release: make(chan struct{})}
	h.region = serveFunc(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		h.arrived <- r.URL.Path
		<-h.release
		w.WriteHeader(http.StatusBadRequest)
	})
	return h
}

func composeOn(ctx context.Context, c *maas.Client, host inventory.HostID) error {
	_, err := c.Compose(ctx, host, composeForm("cp-0"))
	return err
}

func TestLimits_one_host_never_takes_the_slots_of_the_others(t *testing.T) {
	t.Parallel()
	h := hold(t)
	c := client(t, h.URL, func(cfg *maas.Config) { cfg.Limits = maas.Limits{Long: 4, Host: 2} })
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() { _ = composeOn(t.Context(), c, "vmhost/1") })
	}
	require.Equal(t, "/MAAS/api/2.0/vm-hosts/1/", <-h.arrived)
	require.Equal(t, "/MAAS/api/2.0/vm-hosts/1/", <-h.arrived)
	waiting(t, c, "long", 3)
	most, hosts := c.HostLoads()
	require.Equal(t, 2, most)
	require.Equal(t, []maas.HostLoad{{Host: "vmhost/1", Running: 2, Waiting: 3}}, hosts)
	for range 2 {
		wg.Go(func() { _ = composeOn(t.Context(), c, "vmhost/2") })
		require.Equal(t, "/MAAS/api/2.0/vm-hosts/2/", <-h.arrived, "those that wait for host 1 hold no slot")
	}

	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error, 1)
	go func() { gaveUp <- c.DeleteMachine(ctx, "vmhost/1", "abc123") }()
	waiting(t, c, "long", 4)
	cancel()
	err := <-gaveUp
	requireFault(t, err, fault.Busy, fault.ReasonTooManyInFlight)
	require.ErrorContains(t, err, "2 such requests are under way on vmhost/1")
	close(h.release)
	wg.Wait()
	require.Len(t, h.seen(), 7)
	_, hosts = c.HostLoads()
	require.Empty(t, hosts, "a host that nobody waits for is not named")
}

// waiting waits until so many requests of a class wait.
func waiting(t *testing.T, c *maas.Client, class string, want int) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, l := range c.Loads() {
			if l.Class == class {
				return l.Waiting == want
			}
		}
		return false
	}, 10*time.Second, time.Millisecond)
}

func TestLimits_who_gives_up_leaves_the_queue_to_those_behind(t *testing.T) {
	t.Parallel()
	h := hold(t)
	c := client(t, h.URL, func(cfg *maas.Config) { cfg.Limits = maas.Limits{Short: 1} })
	var wg sync.WaitGroup
	read := func(ctx context.Context, id string) {
		wg.Go(func() { _, _ = c.Machine(ctx, id) })
	}
	read(t.Context(), "first1")
	require.Contains(t, <-h.arrived, "first1")
	impatient, cancel := context.WithCancel(t.Context())
	read(impatient, "second")
	waiting(t, c, "short", 1)
	read(t.Context(), "third3")
	waiting(t, c, "short", 2)
	cancel()
	waiting(t, c, "short", 1)
	h.release <- struct{}{}
	require.Contains(t, <-h.arrived, "third3")
	require.Equal(t, []maas.Load{
		{Class: "short", Limit: 1, Running: 1}, {Class: "list", Limit: 1}, {Class: "long", Limit: 6},
	}, c.Loads())
	h.release <- struct{}{}
	wg.Wait()
	require.Len(t, h.seen(), 2)
	require.Equal(t, maas.Load{Class: "short", Limit: 1}, c.Loads()[0])
}

func TestLimits_what_never_left_is_observed_as_not_sent(t *testing.T) {
	t.Parallel()
	var seen []maas.Observation
	c := client(t, "http://127.0.0.1:1", func(cfg *maas.Config) {
		cfg.Observe = func(o maas.Observation) { seen = append(seen, o) }
	})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, composeOn(gone, c, "vmhost/1"))
	require.Equal(t, []maas.Observation{{Operation: "vm-hosts.compose", Outcome: "TOO_MANY_IN_FLIGHT", Attempt: 1}}, seen)
}
