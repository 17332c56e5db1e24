package app_test

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
	"github.com/capmaas/capmaas/services/maassim"
)

func TestService_keeps_the_contract(t *testing.T) {
	t.Parallel()
	provisionertest.RunContract(t, harness)
}

// TestService_keeps_the_contract_of_the_last_tag lets the suite speak to the service through the
// contract of the last tag, for which its image stands: an older manager loses nothing that it knows.
func TestService_keeps_the_contract_of_the_last_tag(t *testing.T) {
	t.Parallel()
	contract, err := provisionertest.ReadContract(filepath.Join("..", "..", "..", "proto", "image.binpb"))
	require.NoError(t, err)
	provisionertest.RunContract(t, func(t *testing.T) provisionertest.Harness {
		t.Helper()
		h := harness(t)
		h.Conn = provisionertest.Skewed(h.Conn, contract)
		return h
	})
}

// harness is the service before a region of its own.
func harness(t *testing.T) provisionertest.Harness {
	t.Helper()
	r := newRegion(t, nil)
	s := r.start(t, nil)
	return provisionertest.Harness{
		Conn: s.conn, Now: time.Now, Image: &lxdprovisionerv1.Image{Os: "ubuntu", Series: "jammy"},
		ResourcePool: "default", Domain: "cluster.example",
		BreakHost: func(t *testing.T, name string) { t.Helper(); require.NoError(t, r.SetHostOffline(name, true)) },
		AddStranger: func(t *testing.T, name, hostID string) {
			t.Helper()
			r.ask(t, "vm-hosts/"+strings.TrimPrefix(hostID, "vmhost/")+"/?op=compose", url.Values{"hostname": {name}, "skip_commissioning": {"true"}})
			stranger, ok := r.Machine(name)
			require.True(t, ok)
			r.ask(t, "machines/?op=allocate", url.Values{"system_id": {stranger.SystemID}, "agent_name": {"somebody-else"}})
		},
		LoseNextAnswer: func(t *testing.T) {
			t.Helper()
			require.NoError(t, r.AddFaults(maassim.Fault{Operation: "vm-hosts.compose", Count: 1, Reset: true, After: true}))
		},
		LockMachine: func(t *testing.T, systemID string, locked bool) {
			t.Helper()
			op := map[bool]string{true: "lock", false: "unlock"}[locked]
			r.ask(t, "machines/"+systemID+"/?op="+op, nil)
		},
		SwitchOff: func(t *testing.T, systemID string) {
			t.Helper()
			r.ask(t, "machines/"+systemID+"/?op=power_off", nil)
		},
		FailMachine: func(t *testing.T, systemID string) {
			t.Helper()
			require.NoError(t, r.AddFaults(maassim.Fault{Operation: "machines.deploy", Machine: systemID, Effect: maassim.EffectFail}))
		},
		AddAllocation: func(t *testing.T, agent string) {
			t.Helper()
			r.ask(t, "machines/?op=allocate", url.Values{"agent_name": {agent}, "not_pod_type": {"lxd", "virsh"}})
		},
		StopMAAS: func(t *testing.T) {
			t.Helper()
			require.NoError(t, r.server.Listener.Close())
			r.server.CloseClientConnections()
		},
	}
}
