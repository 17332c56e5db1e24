package provision_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

// recordOfTwo begins a world with two members, of which the record holds the first.
func recordOfTwo(t *testing.T) (w *world, first provision.ComposeRequest, a, b netip.Addr) {
	t.Helper()
	w = start(t, 3, 0)
	first, a = w.deployed("cp-0", "lxd-1")
	_, b = w.deployed("cp-1", "lxd-2")
	_, _, err := w.region.EnsureEndpoint(w.ctx(), endpoint, []netip.Addr{a}, nil)
	require.NoError(t, err)
	return w, first, a, b
}

func TestEnsureEndpoint_whose_caller_is_gone(t *testing.T) {
	t.Parallel()
	w, _, a, b := recordOfTwo(t)
	w.fault(maassim.Fault{Operation: "dnsresources.update", Latency: 300 * time.Millisecond, Count: 1})
	hurried, cancel := context.WithTimeout(w.ctx(), 100*time.Millisecond)
	defer cancel()
	_, _, err := w.region.EnsureEndpoint(hurried, endpoint, []netip.Addr{a, b}, nil)
	requireFault(t, err, fault.Busy, fault.ReasonMAASBusy)
	// A member leaves while MAAS still has to write the set with it.
	got, _, err := w.region.EnsureEndpoint(w.ctx(), endpoint, []netip.Addr{b}, nil)
	require.NoError(t, err)
	assert.Equal(t, []netip.Addr{b}, got.Addresses)
	require.NoError(t, w.region.Drain(w.ctx()))
	last, err := w.region.GetEndpoint(w.ctx(), endpoint)
	require.NoError(t, err)
	assert.Equal(t, []netip.Addr{b}, last.Addresses, "X8.1 the set that was asked for last stays")
}

func TestEnsureEndpoint_X8_1_what_is_asked_for_again_is_written_after_what_was_asked_for_meanwhile(t *testing.T) {
	t.Parallel()
	w, _, a, b := recordOfTwo(t)
	w.fault(maassim.Fault{Operation: "dnsresources.update", Latency: 300 * time.Millisecond, Count: 1})
	for _, addresses := range [][]netip.Addr{{a, b}, {b}} {
		hurried, cancel := context.WithTimeout(w.ctx(), 50*time.Millisecond)
		_, _, err := w.region.EnsureEndpoint(hurried, endpoint, addresses, nil)
		cancel()
		requireFault(t, err, fault.Busy, fault.ReasonMAASBusy)
	}
	got, _, err := w.region.EnsureEndpoint(w.ctx(), endpoint, []netip.Addr{a, b}, nil)
	require.NoError(t, err)
	assert.Equal(t, []netip.Addr{a, b}, got.Addresses)
	require.NoError(t, w.region.Drain(w.ctx()))
	last, err := w.region.GetEndpoint(w.ctx(), endpoint)
	require.NoError(t, err)
	assert.Equal(t, []netip.Addr{a, b}, last.Addresses)
}

func TestDeleteEndpoint_X2_5_waits_for_what_is_written_meanwhile(t *testing.T) {
	t.Parallel()
	w := start(t, 3, 0)
	_, a := w.deployed("cp-0", "lxd-1")
	w.fault(maassim.Fault{Operation: "dnsresources.create", Latency: 300 * time.Millisecond, Count: 1})
	hurried, cancel := context.WithTimeout(w.ctx(), 100*time.Millisecond)
	defer cancel()
	_, _, err := w.region.EnsureEndpoint(hurried, endpoint, []netip.Addr{a}, nil)
	requireFault(t, err, fault.Busy, fault.ReasonMAASBusy)
	require.NoError(t, w.region.DeleteEndpoint(w.ctx(), endpoint))
	require.NoError(t, w.region.Drain(w.ctx()))
	assert.Empty(t, w.sim.DNSRecords(), "the record is not left behind by the cluster's deletion")
}
