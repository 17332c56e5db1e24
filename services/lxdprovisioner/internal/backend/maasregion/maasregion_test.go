package maasregion_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/backend/maasregion"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

func TestAllocateMetal_X3_9_asks_anew_after_minutes_whether_VMs_must_be_kept_out(t *testing.T) {
	t.Parallel()
	sim, err := maassim.New(maassim.DefaultConfig(1, 1, 0))
	require.NoError(t, err)
	srv := httptest.NewServer(sim)
	t.Cleanup(func() {
		sim.Close()
		srv.Close()
	})
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	client, err := maas.New(maas.Config{URL: srv.URL + "/MAAS", Credentials: maas.StaticKey(sim.APIKey()), Clock: time.Now})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	region := maasregion.New(client, func() time.Time { return now })

	require.NoError(t, sim.AddFaults(maassim.Fault{Operation: "vm-hosts.list", Status: http.StatusGone, Body: "Gone", Count: 1}))
	tooLarge := provision.Constraints{MinCores: 100_000}
	for range 2 {
		_, err = region.AllocateMetal(t.Context(), "capmaas/w-0", tooLarge)
		require.Error(t, err)
	}
	require.Equal(t, 1, sim.Requests()["vm-hosts.list"], "not asked each time")

	now = now.Add(5 * time.Minute)
	_, err = region.AllocateMetal(t.Context(), "capmaas/w-0", provision.Constraints{})
	require.Error(t, err)
	assert.Equal(t, fault.NoRoom, fault.KindOf(err), err)
	assert.Empty(t, sim.LXD(), "MAAS composes a VM where nothing Ready matches, unless VMs are kept out")
}

func TestAllocateMetal_X3_9_keeps_VMs_out_unless_MAAS_says_that_it_has_no_VM_hosts(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{
		"a_method_that_something_does_not_take": http.StatusMethodNotAllowed,
		"an_operation_that_is_not_known":        http.StatusBadRequest,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, err := maassim.New(maassim.DefaultConfig(1, 1, 0))
			require.NoError(t, err)
			srv := httptest.NewServer(sim)
			t.Cleanup(func() {
				sim.Close()
				srv.Close()
			})
			client, err := maas.New(maas.Config{URL: srv.URL + "/MAAS", Credentials: maas.StaticKey(sim.APIKey()), Clock: time.Now})
			require.NoError(t, err)
			t.Cleanup(client.Close)
			region := maasregion.New(client, time.Now)
			body := "Unrecognised signature: method=GET op=x"
			require.NoError(t, sim.AddFaults(maassim.Fault{Operation: "vm-hosts.list", Status: status, Body: body, Count: 1}))
			for range 2 {
				_, err = region.AllocateMetal(t.Context(), "capmaas/w-0", provision.Constraints{})
				require.Error(t, err)
			}
			assert.Equal(t, fault.NoRoom, fault.KindOf(err), err)
			assert.Empty(t, sim.LXD(), "MAAS composes a VM where nothing Ready matches, unless VMs are kept out")
		})
	}
}
