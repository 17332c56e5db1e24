package network_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim/internal/network"
)

// lowest finds the lowest free address without remembering anything.
func lowest(s *network.Subnet, taken map[netip.Addr]bool) (netip.Addr, bool) {
	for a := s.First(); a.Compare(s.Last()) <= 0; a = a.Next() {
		inside := slices.ContainsFunc(s.Ranges, func(r network.Range) bool { return r.Contains(a) })
		if !inside && a != s.Gateway && !slices.Contains(s.DNS, a) && !taken[a] {
			return a, true
		}
	}
	return netip.Addr{}, false
}

func TestR4_6_the_search_for_a_free_address_goes_on_where_it_ended_and_misses_none(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 6))
		s := &network.Subnet{CIDR: netip.MustParsePrefix("10.0.0.0/26"), Managed: true, Gateway: netip.MustParseAddr("10.0.0.1")}
		taken := make(map[netip.Addr]bool)
		var held []netip.Addr
		for range 500 {
			switch dice := random.IntN(20); {
			case dice < 10:
				want, there := lowest(s, taken)
				got, ok := s.Free(func(a netip.Addr) bool { return taken[a] })
				require.Equal(t, there, ok)
				if !ok {
					continue
				}
				require.Equal(t, want, got)
				if dice < 9 { // whoever asked need not take it
					taken[got] = true
					held = append(held, got)
				}
			case dice < 18 && len(held) > 0:
				at := random.IntN(len(held))
				delete(taken, held[at])
				s.Freed(held[at])
				held = slices.Delete(held, at, at+1)
			case dice == 18:
				start := s.CIDR.Addr().As4()
				start[3] = byte(random.IntN(50))
				end := start
				end[3] += byte(random.IntN(10))
				s.Ranges = []network.Range{{Kind: network.Reserved, Start: netip.AddrFrom4(start), End: netip.AddrFrom4(end)}}
			case dice == 19:
				s.Ranges = nil
			}
		}
	}
}
