package maas_test

import (
	"context"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
)

const machineJSON = `{"system_id": "abc123", "hostname": "cp-0", "status": 4}`

func TestTransport_keeps_connections_and_names_itself(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	g := &region{}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.requests = append(g.requests, request{header: r.Header, close: r.Close})
		g.mu.Unlock()
		_, _ = w.Write([]byte(machineJSON))
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	c := client(t, srv.URL, func(cfg *maas.Config) { cfg.UserAgent = "lxdprovisioner/1.2.3" })
	for range 5 {
		_, err := c.Machine(t.Context(), "abc123")
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, connections.Load(), "the library asks for a new connection each time; we don't")
	for _, r := range g.seen() {
		assert.False(t, r.close)
		assert.Equal(t, "lxdprovisioner/1.2.3", r.header.Get("User-Agent"))
	}
}

func TestTransport_refuses_redirects(t *testing.T) {
	t.Parallel()
	var followed atomic.Bool
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	t.Cleanup(target.Close)
	g := serveFunc(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		http.Redirect(w, r, target.URL, http.StatusMovedPermanently)
	})
	_, err := client(t, g.URL).Claim(t.Context(), "abc123", "capmaas/cp-0")
	requireFault(t, err, fault.Unavailable, fault.ReasonMAASUnavailable)
	require.ErrorContains(t, err, "redirects")
	require.False(t, followed.Load(), "a POST would have become a GET")
	require.Len(t, g.seen(), 1)
}

func TestTransport_verifies_TLS_and_takes_a_CA_file(t *testing.T) {
	t.Parallel()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(machineJSON)) }))
	t.Cleanup(srv.Close)
	once := func(cfg *maas.Config) { cfg.Retry.Attempts = 1 }

	_, err := client(t, srv.URL, once).Machine(t.Context(), "abc123")
	requireFault(t, err, fault.Unavailable, fault.ReasonMAASUnavailable)
	require.ErrorContains(t, err, "certificate")

	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600))
	_, err = client(t, srv.URL, once, func(cfg *maas.Config) { cfg.CAFile = ca }).Machine(t.Context(), "abc123")
	require.NoError(t, err)

	require.NoError(t, os.WriteFile(ca, []byte("no PEM"), 0o600))
	_, err = maas.New(maas.Config{URL: srv.URL, Credentials: maas.StaticKey(testKey), CAFile: ca, Clock: time.Now})
	require.ErrorContains(t, err, "no PEM certificate")
}

func TestTransport_a_caller_who_gives_up_is_not_kept_waiting_by_a_region_that_hangs(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	arrived := make(chan struct{}, 2)
	g := serveFunc(t, func(_ http.ResponseWriter, r *http.Request, _ int) {
		arrived <- struct{}{}
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(hang) })
	c := client(t, g.URL)

	for name, want := range map[string]fault.Reason{"machine": fault.ReasonMAASUnavailable, "compose": fault.ReasonOutcomeUnknown} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- calls[name](ctx, c) }()
		<-arrived
		cancel()
		err := <-done
		requireFault(t, err, fault.Unavailable, want)
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Len(t, g.seen(), 2, "what was given up is not sent again")
}

func TestTransport_bounds_each_class_of_request_in_time(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	g := serveFunc(t, func(_ http.ResponseWriter, r *http.Request, _ int) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(hang) })
	c := client(t, g.URL, func(cfg *maas.Config) {
		cfg.Timeouts = maas.Timeouts{Short: 20 * time.Millisecond, List: 20 * time.Millisecond, Long: 20 * time.Millisecond}
		cfg.Retry.Attempts = 1
	})
	for name, want := range map[string]fault.Reason{
		"machine": fault.ReasonMAASUnavailable, "vmhosts": fault.ReasonMAASUnavailable, "compose": fault.ReasonOutcomeUnknown,
	} {
		err := calls[name](t.Context(), c)
		requireFault(t, err, fault.Unavailable, want)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
}

func TestTransport_tells_what_was_not_sent_from_what_may_have_been(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	unreachable := "http://" + l.Addr().String()
	require.NoError(t, l.Close())
	_, err = client(t, unreachable).Compose(t.Context(), "vmhost/3", composeForm("cp-0"))
	requireFault(t, err, fault.Unavailable, fault.ReasonMAASUnavailable)

	broken := serveFunc(t, func(http.ResponseWriter, *http.Request, int) { panic(http.ErrAbortHandler) })
	_, err = client(t, broken.URL).Compose(t.Context(), "vmhost/3", composeForm("cp-0"))
	requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)
	require.Len(t, broken.seen(), 1, "X2.4: a compose whose answer was lost is not sent again")

	cut := serveFunc(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(`{"system_id": `))
	})
	_, err = client(t, cut.URL).Compose(t.Context(), "vmhost/3", composeForm("cp-0"))
	requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)

	odd := serve(t, answer{200, form, "", `{}`})
	_, err = client(t, odd.URL).Compose(t.Context(), "vmhost/3", composeForm("cp-0"))
	requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)
}

func TestRetry_a_read_is_sent_again_a_bounded_number_of_times(t *testing.T) {
	t.Parallel()
	down := answer{502, page, "", "<html>"}
	g := serve(t, down, answer{500, plain, "", ""}, answer{200, form, "", machineJSON})
	var seen []maas.Observation
	m, err := client(t, g.URL, func(cfg *maas.Config) {
		cfg.Observe = func(o maas.Observation) { seen = append(seen, o) }
	}).Machine(t.Context(), "abc123")
	require.NoError(t, err)
	require.Equal(t, "cp-0", m.Hostname)
	require.Len(t, seen, 3)
	for i, status := range []int{502, 500, 200} {
		require.Equal(t, "machines.read", seen[i].Operation)
		require.Equal(t, status, seen[i].Status)
		require.Equal(t, i+1, seen[i].Attempt)
	}
	require.Equal(t, len(machineJSON), seen[2].Bytes)

	g = serve(t, down)
	_, err = client(t, g.URL).Machine(t.Context(), "abc123")
	requireFault(t, err, fault.Unavailable, fault.ReasonMAASUnavailable)
	require.Len(t, g.seen(), 3)
}

func TestRetry_spends_a_budget_so_that_a_failing_MAAS_is_not_asked_thrice_for_everything(t *testing.T) {
	t.Parallel()
	g := serve(t, answer{502, page, "", "<html>"})
	c := client(t, g.URL, func(cfg *maas.Config) { cfg.Retry.Budget = 4 })
	for range 10 {
		_, err := c.Machine(t.Context(), "abc123")
		require.Error(t, err)
	}
	require.Len(t, g.seen(), 14)
}

func TestRetry_of_changes_only_where_MAAS_says_that_nothing_was_done(t *testing.T) {
	t.Parallel()
	conflict := answer{409, page, "1", "<h1>Conflict error</h1>"}
	for name, want := range map[string]int{
		"claim": 2, "annotate": 2, "link": 2, "deploy": 2, "delete": 2,
		"compose": 1, "refresh": 1, // LXD's part may have run
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := serve(t, conflict, answer{500, plain, "", ""})
			require.Error(t, calls[name](t.Context(), client(t, g.URL)))
			require.Len(t, g.seen(), want)
		})
	}
	t.Run("a_500_may_be_done", func(t *testing.T) {
		t.Parallel()
		g := serve(t, answer{500, plain, "", ""})
		require.Error(t, calls["deploy"](t.Context(), client(t, g.URL)))
		require.Len(t, g.seen(), 1)
	})
	t.Run("a_long_Retry_After_is_left_to_the_caller", func(t *testing.T) {
		t.Parallel()
		g := serve(t, answer{409, page, "60", ""})
		err := calls["annotate"](t.Context(), client(t, g.URL))
		requireFault(t, err, fault.Busy, fault.ReasonMAASBusy)
		require.Len(t, g.seen(), 1)
	})
	t.Run("a_live_power_query_is_not_repeated", func(t *testing.T) {
		t.Parallel()
		g := serve(t, answer{500, plain, "", "no route"})
		require.Error(t, calls["power"](t.Context(), client(t, g.URL)))
		require.Len(t, g.seen(), 1)
	})
}

// TestLimits holds requests in the server and counts how many get there.
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
	c := client(t, g.URL, func(cfg *maas.Config) { cfg.Limits = maas.Limits{Long: 3, Short: 2} })
	var wg sync.WaitGroup
	for _, name := range []string{"compose", "vmhosts", "machine"} {
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
	go func() { waiting <- calls["compose"](ctx, c) }()
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
	wg.Go(func() { _ = calls["compose"](t.Context(), c) })
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	err := calls["compose"](ctx, c)
	requireFault(t, err, fault.Busy, fault.ReasonTooManyInFlight)
	require.NoError(t, ctx.Err(), "with the rest of the time MAAS could not have answered: the outcome would be unknown")
	close(hold)
	wg.Wait()
	require.Len(t, g.seen(), 1)
}

func TestIDs_are_checked_before_they_become_paths(t *testing.T) {
	t.Parallel()
	g := serve(t, answer{200, form, "", "[]"})
	c := client(t, g.URL)
	for _, id := range []string{"", "..", "../users/x", "abc/def", "ABC123", "abc 12", "abc123?x"} {
		_, errRead := c.Machine(t.Context(), id)
		_, errClaim := c.Claim(t.Context(), id, "capmaas/x")
		_, errHosts := c.HostMachines(t.Context(), []string{"abc123", id})
		_, errList := c.Machines(t.Context(), maas.MachineFilter{SystemIDs: []string{id}})
		_, errPower := c.QueryPower(t.Context(), id)
		_, errOwn := c.Claimed(t.Context(), id, "capmaas/x")
		for _, err := range []error{errRead, errClaim, errHosts, errList, errPower, errOwn, c.DeleteMachine(t.Context(), id), c.Abort(t.Context(), id, "")} {
			requireFault(t, err, fault.Invalid, fault.ReasonBadRequest)
		}
	}
	for _, id := range []string{"", "vmhost/", "vmhost/0", "vmhost/-1", "vmhost/07", "vmhost/1/", "lxd/1", "1"} {
		_, err := maas.VMHostNumber(inventory.HostID(id))
		requireFault(t, err, fault.Invalid, fault.ReasonBadRequest)
	}
	n, err := maas.VMHostNumber(maas.HostID(12))
	require.NoError(t, err)
	require.Equal(t, 12, n)
	require.Empty(t, g.seen())
}

func TestMachine_another_object_than_the_one_asked_for_is_not_believed(t *testing.T) {
	t.Parallel()
	g := serve(t, answer{200, form, "", `{"system_id": "zzz999", "id": 4}`})
	c := client(t, g.URL)
	_, err := c.Machine(t.Context(), "abc123")
	requireFault(t, err, fault.Unavailable, fault.ReasonMAASUnavailable)
	_, err = c.VMHost(t.Context(), "vmhost/3")
	requireFault(t, err, fault.Unavailable, fault.ReasonMAASUnavailable)
	_, err = c.Release(t.Context(), "abc123", "")
	requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)
}

func TestSecrets_never_show_when_something_that_is_not_HTTP_echoes_the_request(t *testing.T) {
	t.Parallel()
	g := serveFunc(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = conn.Write([]byte(strings.ReplaceAll(r.Header.Get("Authorization"), " ", "") + "\r\n"))
			_ = conn.Close()
		}
	})
	err := calls["compose"](t.Context(), client(t, g.URL))
	requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)
	require.ErrorContains(t, err, "malformed HTTP response")
	for _, hidden := range []string{consumer, token, secret} {
		require.NotContains(t, err.Error(), hidden)
	}
}
