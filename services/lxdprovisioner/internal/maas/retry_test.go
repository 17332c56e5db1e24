package maas_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
)

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
		"machines.claim": 2, "machines.annotate": 2, "interfaces.link_subnet": 2, "machines.deploy": 2, "machines.delete": 2,
		"vm-hosts.compose": 1, "vm-hosts.refresh": 1, // LXD's part may have run
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := serve(t, conflict, answer{500, plain, "", ""})
			c := client(t, g.URL, func(cfg *maas.Config) { waits(cfg) })
			require.Error(t, calls[name](t.Context(), c))
			require.Len(t, g.seen(), want)
		})
	}
	t.Run("a_500_may_be_done", func(t *testing.T) {
		t.Parallel()
		g := serve(t, answer{500, plain, "", ""})
		require.Error(t, calls["machines.deploy"](t.Context(), client(t, g.URL)))
		require.Len(t, g.seen(), 1)
	})
	t.Run("a_long_Retry_After_is_left_to_the_caller", func(t *testing.T) {
		t.Parallel()
		g := serve(t, answer{409, page, "60", ""})
		err := calls["machines.annotate"](t.Context(), client(t, g.URL))
		requireFault(t, err, fault.Busy, fault.ReasonMAASBusy)
		require.Len(t, g.seen(), 1)
	})
	t.Run("a_live_power_query_is_not_repeated", func(t *testing.T) {
		t.Parallel()
		g := serve(t, answer{500, plain, "", "no route"})
		require.Error(t, calls["machines.query_power_state"](t.Context(), client(t, g.URL)))
		require.Len(t, g.seen(), 1)
	})
}

// waits notes the pauses that a client makes, and makes none.
func waits(cfg *maas.Config) *[]time.Duration {
	var made []time.Duration
	cfg.Retry.Wait = func(_ context.Context, d time.Duration) bool {
		made = append(made, d)
		return true
	}
	return &made
}

func TestRetry_pauses_grow_and_a_part_of_them_is_chance(t *testing.T) {
	t.Parallel()
	g := serve(t, answer{502, page, "", ""})
	for jitter, want := range map[float64][]time.Duration{
		0:   {100 * time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond, 300 * time.Millisecond},
		0.5: {150 * time.Millisecond, 300 * time.Millisecond, 450 * time.Millisecond, 450 * time.Millisecond},
	} {
		var made *[]time.Duration
		c := client(t, g.URL, func(cfg *maas.Config) {
			cfg.Retry = maas.Retry{
				Attempts: 5, FirstWait: 200 * time.Millisecond, MaxWait: 600 * time.Millisecond, Jitter: func() float64 { return jitter },
			}
			made = waits(cfg)
		})
		require.Error(t, calls["machines.read"](t.Context(), c))
		require.Equal(t, want, *made)
	}
}

func TestRetry_waits_as_long_as_MAAS_says_and_never_past_the_callers_deadline(t *testing.T) {
	t.Parallel()
	g := serve(t, answer{409, page, "5", ""}, answer{200, form, "", machineJSON})
	var made *[]time.Duration
	c := client(t, g.URL, func(cfg *maas.Config) {
		cfg.Retry.Jitter = func() float64 { return 0 }
		made = waits(cfg)
	})
	_, err := c.Machine(t.Context(), "abc123")
	require.NoError(t, err)
	require.Equal(t, []time.Duration{5 * time.Second}, *made)

	g = serve(t, answer{409, page, "5", ""})
	c = client(t, g.URL, func(cfg *maas.Config) { made = waits(cfg) })
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	_, err = c.Machine(ctx, "abc123")
	requireFault(t, err, fault.Busy, fault.ReasonMAASBusy)
	require.Empty(t, *made)
	require.NoError(t, ctx.Err(), "the caller has the error while it can use it")
	require.Len(t, g.seen(), 1)
}

func TestRetry_takes_a_date_for_Retry_After(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	g := serve(t, answer{409, page, now.Add(3 * time.Second).Format(http.TimeFormat), ""}, answer{200, form, "", machineJSON})
	var made *[]time.Duration
	c := client(t, g.URL, func(cfg *maas.Config) {
		cfg.Clock = func() time.Time { return now }
		cfg.Retry.Jitter = func() float64 { return 0 }
		made = waits(cfg)
	})
	_, err := c.Machine(t.Context(), "abc123")
	require.NoError(t, err)
	require.Equal(t, []time.Duration{3 * time.Second}, *made)
}

func TestRetry_of_a_used_nonce_or_an_old_timestamp_is_one_request_with_new_ones(t *testing.T) {
	t.Parallel()
	refused := recordedRefusals(t)
	for name, number := range map[string]int{"clock": 9, "nonce": 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := refused[number]
			again := answer{r.Status, r.Type, "", r.Body}
			for _, op := range []string{"machines.read", "vm-hosts.compose"} {
				g := serve(t, again, answer{200, form, "", machineJSON})
				require.NoError(t, calls[op](t.Context(), client(t, g.URL)), "MAAS checks the key before it does anything")
				seen := g.seen()
				require.Len(t, seen, 2)
				require.NotEqual(t, nonce(t, seen[0]), nonce(t, seen[1]))

				g = serve(t, again)
				err := calls[op](t.Context(), client(t, g.URL))
				requireFault(t, err, fault.Denied, fault.ReasonMAASKeyRefused)
				require.Len(t, g.seen(), 2, "once")
			}
		})
	}
}

func nonce(t *testing.T, r request) string {
	t.Helper()
	found := regexp.MustCompile(`oauth_nonce="([^"]+)"`).FindStringSubmatch(r.header.Get("Authorization"))
	require.Len(t, found, 2)
	return found[1]
}

func TestRetry_of_a_refused_key_only_when_there_is_another(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte(testKey), 0o600))
	g := serveFunc(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if strings.Contains(r.Header.Get("Authorization"), `oauth_token="t2"`) {
			_, _ = w.Write([]byte(machineJSON))
			return
		}
		// The key is rotated while the request is under way.
		assert.NoError(t, os.WriteFile(file, []byte("c2:t2:s2"), 0o600))
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte("Authorization Error: Invalid API key."))
	})
	_, err := client(t, g.URL, func(cfg *maas.Config) { cfg.Credentials = maas.KeyFile(file) }).Machine(t.Context(), "abc123")
	require.NoError(t, err)
	require.Len(t, g.seen(), 2)

	g = serve(t, answer{401, page, "", "Authorization Error: Invalid API key."})
	err = calls["machines.read"](t.Context(), client(t, g.URL))
	requireFault(t, err, fault.Denied, fault.ReasonMAASKeyRefused)
	require.Len(t, g.seen(), 1, "a key that is still the same is not tried again")
}

func TestErrors_Retry_After_travels_with_the_fault(t *testing.T) {
	t.Parallel()
	g := serve(t, answer{503, plain, "10", "Unable to connect to any rack controller ; no connections available."})
	err := calls["vm-hosts.refresh"](t.Context(), client(t, g.URL))
	f, ok := errorsAsFault(err)
	require.True(t, ok)
	require.Equal(t, "10s", f.RetryAfter().String())
	require.Len(t, g.seen(), 1, "a refresh is never sent again by itself")
}

// errorsAsFault gives the fault in an error.
func errorsAsFault(err error) (*fault.Error, bool) { return errors.AsType[*fault.Error](err) }
