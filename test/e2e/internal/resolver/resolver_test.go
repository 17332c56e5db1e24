package resolver_test

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/e2e/internal/resolver"
)

func TestResolver_gives_the_addresses_of_a_name(t *testing.T) {
	t.Parallel()
	client := serve(t, map[string][]netip.Addr{
		"api.maas":   {netip.MustParseAddr("10.10.0.5"), netip.MustParseAddr("10.10.0.6"), netip.MustParseAddr("fd00::5")},
		"empty.maas": nil,
	})

	four, err := client.LookupNetIP(t.Context(), "ip4", "api.maas.")
	require.NoError(t, err)
	six, err := client.LookupNetIP(t.Context(), "ip6", "API.maas.")
	require.NoError(t, err)
	_, unknown := client.LookupNetIP(t.Context(), "ip4", "other.maas.")
	_, empty := client.LookupNetIP(t.Context(), "ip4", "empty.maas.")

	assert.ElementsMatch(t, []netip.Addr{netip.MustParseAddr("10.10.0.5"), netip.MustParseAddr("10.10.0.6")}, four)
	assert.Equal(t, []netip.Addr{netip.MustParseAddr("fd00::5")}, six)
	var dns *net.DNSError
	require.ErrorAs(t, unknown, &dns)
	assert.True(t, dns.IsNotFound)
	require.Error(t, empty, "a name without addresses leads nowhere")
}

func TestResolver_gives_them_in_an_order_that_changes(t *testing.T) {
	t.Parallel()
	all := []netip.Addr{netip.MustParseAddr("10.10.0.5"), netip.MustParseAddr("10.10.0.6"), netip.MustParseAddr("10.10.0.7")}
	client := serve(t, map[string][]netip.Addr{"api.maas": all})
	first := make(map[netip.Addr]bool)

	for range 100 { // the odds that one of three is never the first are 10^-17
		found, err := client.LookupNetIP(t.Context(), "ip4", "api.maas.")
		require.NoError(t, err)
		require.Len(t, found, len(all))
		first[found[0]] = true
	}

	assert.Len(t, first, len(all))
}

func TestResolver_does_not_answer_noise_and_goes_on(t *testing.T) {
	t.Parallel()
	client := serve(t, map[string][]netip.Addr{"api.maas": {netip.MustParseAddr("10.10.0.5")}})
	conn, err := client.Dial(t.Context(), "udp", "")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close()) })
	for _, noise := range [][]byte{{}, []byte("no DNS"), make([]byte, 12)} { // the last is a header without a question
		_, err := conn.Write(noise)
		require.NoError(t, err)
	}

	found, err := client.LookupNetIP(t.Context(), "ip4", "api.maas.")

	require.NoError(t, err)
	assert.Equal(t, []netip.Addr{netip.MustParseAddr("10.10.0.5")}, found)
}

func serve(t *testing.T, names map[string][]netip.Addr) *net.Resolver {
	t.Helper()
	free, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	address := netip.MustParseAddrPort(free.LocalAddr().String())
	require.NoError(t, free.Close())
	r, err := resolver.Start(t.Context(), address, func(name string) ([]netip.Addr, bool) {
		found, ok := names[name]
		return found, ok
	})
	require.NoError(t, err)
	t.Cleanup(r.Wait)
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", address.String())
	}}
}
