package maasvmhost_test

import (
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/backend/maasvmhost"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

// start gives a back end over a simulated MAAS, for the administrator or for a plain user.
func start(t *testing.T, cfg maassim.Config, key func(*maassim.Sim) string) (*maassim.Sim, *maasvmhost.Backend) {
	t.Helper()
	sim, err := maassim.New(cfg)
	require.NoError(t, err)
	srv := httptest.NewServer(sim)
	t.Cleanup(func() {
		sim.Close()
		srv.Close()
	})
	client, err := maas.New(maas.Config{URL: srv.URL + "/MAAS", Credentials: maas.StaticKey(key(sim)), Clock: time.Now})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return sim, maasvmhost.New(client, time.Now, slog.New(slog.DiscardHandler))
}

func TestRemove_never_deletes_what_is_no_VM(t *testing.T) {
	t.Parallel()
	sim, b := start(t, maassim.DefaultConfig(1, 1, 1), (*maassim.Sim).APIKey)
	for _, m := range sim.Machines() {
		err := b.Remove(t.Context(), inventory.Machine{SystemID: m.SystemID, Hostname: m.Hostname})
		require.Error(t, err, "X4.1 X3.9")
		assert.Equal(t, fault.Conflict, fault.KindOf(err))
	}
	assert.Len(t, sim.Machines(), 2)
}

func TestMake_sends_the_zone_and_the_pool_of_the_host(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(3, 3, 0)
	cfg.Pools = []maassim.PoolConfig{{Name: "cp"}}
	cfg.Hosts[1].Pool = "cp"
	sim, b := start(t, cfg, (*maassim.Sim).APIKey)
	snap, err := b.Hosts(t.Context())
	require.NoError(t, err)
	_, err = b.Make(t.Context(), provision.VMSpec{
		Name: "cp-0", Host: snap.Hosts[1], Architecture: "amd64/generic", SkipCommissioning: true,
		Size: inventory.VMSize{Cores: 2, MemoryMiB: 2048, Disks: []inventory.Disk{{SizeGB: 10, StoragePool: "default"}}},
	})
	require.NoError(t, err)
	m, ok := sim.Machine("cp-0")
	require.True(t, ok)
	assert.Equal(t, "az2", m.Zone, "X2.2 MAAS's default is its default zone, not the host's")
	assert.Equal(t, "cp", m.Pool)
}

func TestHosts_names_the_project_where_MAAS_tells_it(t *testing.T) {
	t.Parallel()
	t.Run("P2_once_a_host", func(t *testing.T) {
		t.Parallel()
		sim, b := start(t, maassim.DefaultConfig(6, 3, 0), (*maassim.Sim).APIKey)
		for range 3 {
			snap, err := b.Hosts(t.Context())
			require.NoError(t, err)
			for _, h := range snap.Hosts {
				assert.NotEmpty(t, h.Project)
			}
		}
		assert.Equal(t, 6, sim.Requests()["vm-hosts.parameters"])
	})
	t.Run("P2_it_stays_unset_for_a_user_without_the_right", func(t *testing.T) {
		t.Parallel()
		_, b := start(t, maassim.DefaultConfig(6, 3, 0), (*maassim.Sim).UserAPIKey)
		snap, err := b.Hosts(t.Context())
		require.NoError(t, err)
		require.Len(t, snap.Hosts, 6)
		for _, h := range snap.Hosts {
			assert.Empty(t, h.Project)
		}
	})
}

func TestAlive_believes_only_a_power_that_LXD_told(t *testing.T) {
	t.Parallel()
	for power, alive := range map[string]bool{"on": true, "off": true, "unknown": false, "error": false, "": false} {
		t.Run("X4.2_"+power, func(t *testing.T) {
			t.Parallel()
			sim, b := start(t, maassim.DefaultConfig(1, 1, 1), (*maassim.Sim).APIKey)
			vm := inventory.Machine{SystemID: sim.Machines()[0].SystemID, Hostname: "cp-0", HostName: "lxd-1"}
			require.NoError(t, sim.AddFaults(maassim.Fault{Operation: "machines.query_power_state", Status: 200, Body: `{"state":"` + power + `"}`}))
			err := b.Alive(t.Context(), vm)
			if alive {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			assert.Equal(t, fault.ReasonHostUnreachable, fault.ReasonOf(err))
		})
	}
}
