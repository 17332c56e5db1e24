package network_test

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim/internal/network"
)

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func subnet(cidr string) *network.Subnet {
	return &network.Subnet{Name: "data", CIDR: netip.MustParsePrefix(cidr), Managed: true, VLAN: &network.VLAN{}}
}

// recorded is the subnet "data" as it is in recordings 394 to 400.
func recorded() *network.Subnet {
	s := subnet("10.30.0.0/24")
	s.Gateway, s.DNS = addr("10.30.0.1"), []netip.Addr{addr("10.30.0.2")}
	s.Ranges = []network.Range{
		{Kind: network.Dynamic, Start: addr("10.30.0.200"), End: addr("10.30.0.220")},
		{Kind: network.Reserved, Start: addr("10.30.0.10"), End: addr("10.30.0.19")},
	}
	for _, a := range []string{"20", "21", "25", "26", "60", "61", "70"} {
		s.Take(addr("10.30.0." + a))
	}
	return s
}

func spans(t *testing.T, list []network.Span) []string {
	t.Helper()
	all := []string{}
	for _, s := range list {
		text := s.Start.String() + "-" + s.End.String() + " " + s.Count().String()
		for _, p := range s.Purpose {
			text += " " + p
		}
		all = append(all, text)
	}
	return all
}

func TestSubnet_lists_what_is_used_and_unused(t *testing.T) {
	t.Parallel()
	t.Run("recordings_397_398", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, []string{
			"10.30.0.1-10.30.0.1 1 gateway-ip", "10.30.0.2-10.30.0.2 1 dns-server", "10.30.0.10-10.30.0.19 10 reserved",
			"10.30.0.20-10.30.0.21 2 assigned-ip", "10.30.0.25-10.30.0.26 2 assigned-ip", "10.30.0.60-10.30.0.61 2 assigned-ip",
			"10.30.0.70-10.30.0.70 1 assigned-ip", "10.30.0.200-10.30.0.220 21 dynamic",
		}, spans(t, recorded().Used()))
		assert.Equal(t, []string{
			"10.30.0.3-10.30.0.9 7", "10.30.0.22-10.30.0.24 3", "10.30.0.27-10.30.0.59 33", "10.30.0.62-10.30.0.69 8",
			"10.30.0.71-10.30.0.199 129", "10.30.0.221-10.30.0.254 34",
		}, spans(t, recorded().Unused()))
	})
	t.Run("an_address_in_a_range_has_both_purposes_with_it", func(t *testing.T) {
		t.Parallel()
		s := recorded()
		s.Take(addr("10.30.0.12"))
		s.Take(addr("10.30.0.1"))
		assert.Contains(t, spans(t, s.Used()), "10.30.0.10-10.30.0.19 10 assigned-ip reserved")
		assert.Contains(t, spans(t, s.Used()), "10.30.0.1-10.30.0.1 1 assigned-ip gateway-ip")
	})
	t.Run("network_and_broadcast_address_may_be_assigned_and_are_never_unused", func(t *testing.T) {
		t.Parallel()
		s := subnet("10.30.0.0/29")
		s.Take(addr("10.30.0.0"))
		s.Take(addr("10.30.0.7"))
		assert.Equal(t, []string{"10.30.0.1-10.30.0.6 6"}, spans(t, s.Unused()))
	})
	t.Run("a_64_of_IPv6_keeps_its_first_addresses", func(t *testing.T) {
		t.Parallel()
		s := subnet("fd00:30::/64")
		s.Gateway = addr("fd00:30::1")
		assert.Equal(t, []string{"fd00:30::-fd00:30:: 1 rfc-4291-2.6.1", "fd00:30::1-fd00:30::ffff:ffff 4294967295 gateway-ip reserved"}, spans(t, s.Used()))
		assert.Equal(t, []string{"fd00:30::1:0:0-fd00:30::ffff:ffff:ffff:ffff 18446744069414584320"}, spans(t, s.Unused()))
	})
	t.Run("the_last_subnet_of_all_ends", func(t *testing.T) {
		t.Parallel()
		s := subnet("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127")
		s.Take(addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"))
		assert.Equal(t, []string{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 1"}, spans(t, s.Unused()))
	})
}

func TestSubnet_hands_out_addresses(t *testing.T) {
	t.Parallel()
	next := func(t *testing.T, s *network.Subnet) string {
		t.Helper()
		a, ok := s.Next()
		require.True(t, ok)
		s.Take(a)
		return a.String()
	}
	t.Run("recording_380_from_the_smallest_free_range", func(t *testing.T) {
		t.Parallel()
		s := recorded()
		assert.Equal(t, "10.30.0.22", next(t, s))
		assert.Equal(t, "10.30.0.23", next(t, s))
		s.Freed(addr("10.30.0.22"))
		assert.Equal(t, "10.30.0.22", next(t, s), "of ranges of equal size the lower one")
		lowest, ok := s.Lowest()
		assert.True(t, ok)
		assert.Equal(t, "10.30.0.3", lowest.String())
	})
	t.Run("never_what_is_special_until_it_is_exhausted", func(t *testing.T) {
		t.Parallel()
		s := subnet("10.30.0.0/28")
		s.Gateway, s.DNS = addr("10.30.0.1"), []netip.Addr{addr("10.30.0.2")}
		s.Ranges = []network.Range{
			{Kind: network.Dynamic, Start: addr("10.30.0.8"), End: addr("10.30.0.9")}, {Kind: network.Reserved, Start: addr("10.30.0.4"), End: addr("10.30.0.5")},
		}
		s.Neighbours = []netip.Addr{addr("10.30.0.6")}
		var got []string
		for range 8 {
			got = append(got, next(t, s))
		}
		assert.Equal(t, []string{"10.30.0.3", "10.30.0.7", "10.30.0.10", "10.30.0.11", "10.30.0.12", "10.30.0.13", "10.30.0.14", "10.30.0.6"}, got,
			"a neighbour's address comes last")
		_, ok := s.Next()
		assert.False(t, ok)
		_, ok = s.Lowest()
		assert.False(t, ok)
	})
	t.Run("of_an_unmanaged_subnet_only_reserved_ranges", func(t *testing.T) {
		t.Parallel()
		s := subnet("10.33.0.0/24")
		s.Managed = false
		_, ok := s.Next()
		assert.False(t, ok)
		s.Ranges = []network.Range{{Kind: network.Reserved, Start: addr("10.33.0.20"), End: addr("10.33.0.21")}}
		assert.Equal(t, "10.33.0.20", next(t, s))
		assert.Equal(t, "10.33.0.21", next(t, s))
		_, ok = s.Next()
		assert.False(t, ok)
	})
	t.Run("of_IPv6_beyond_the_first_ones", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, "fd00:30::1:0:0", next(t, subnet("fd00:30::/64")))
	})
}

func TestSubnet_statistics(t *testing.T) {
	t.Parallel()
	t.Run("recordings_399_400", func(t *testing.T) {
		t.Parallel()
		st := recorded().Statistics()
		assert.Equal(t, []string{"214", "129", "40", "254"}, []string{st.Available.String(), st.Largest.String(), st.Unavailable.String(), st.Total.String()})
		assert.InDelta(t, 0.15748031496062992, st.Usage, 0)
		assert.Equal(t, "16% 84%", network.Percent(st.Usage)+" "+network.Percent(1-st.Usage))
		assert.Equal(t, []string{"10.30.0.1", "10.30.0.254"}, []string{st.First.String(), st.Last.String()})
		assert.Len(t, st.Ranges, 14)
		assert.False(t, st.Gateway.IsValid())
		assert.Nil(t, st.Dynamic)
	})
	t.Run("suggests_what_is_missing", func(t *testing.T) {
		t.Parallel()
		st := subnet("10.32.0.0/24").Statistics()
		assert.Equal(t, "10.32.0.1", st.Gateway.String())
		text, err := json.Marshal(st.Dynamic)
		require.NoError(t, err)
		assert.JSONEq(t, `{"start": "10.32.0.191", "end": "10.32.0.254", "num_addresses": 64, "purpose": ["proposed-dynamic"]}`, string(text))
	})
	t.Run("suggests_half_of_what_little_is_left", func(t *testing.T) {
		t.Parallel()
		s := subnet("10.32.0.0/29")
		s.Gateway = addr("10.32.0.1")
		for _, a := range []string{"10.32.0.2", "10.32.0.3"} {
			s.Take(addr(a))
		}
		st := s.Statistics()
		assert.Equal(t, []string{"10.32.0.5-10.32.0.6 2 proposed-dynamic"}, spans(t, []network.Span{*st.Dynamic}))
	})
	t.Run("suggests_nothing_in_a_full_subnet", func(t *testing.T) {
		t.Parallel()
		s := subnet("10.32.0.0/30")
		s.Take(addr("10.32.0.1"))
		s.Take(addr("10.32.0.2"))
		st := s.Statistics()
		assert.False(t, st.Gateway.IsValid())
		assert.Nil(t, st.Dynamic)
	})
}
