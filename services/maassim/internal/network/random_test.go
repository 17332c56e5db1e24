package network_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim/internal/network"
)

// search finds the lowest free address and the first one of the smallest free run by looking at every address of a subnet.
func search(s *network.Subnet, taken []netip.Addr) (lowest, best netip.Addr) {
	free := func(a netip.Addr) bool {
		inside := slices.ContainsFunc(s.Ranges, func(r network.Range) bool { return r.Contains(a) })
		return !inside && a != s.Gateway && !slices.Contains(s.DNS, a) && !slices.Contains(taken, a) && a.Compare(s.Last()) <= 0
	}
	smallest := 0
	for a := s.First(); a.Compare(s.Last()) <= 0; a = a.Next() {
		run, start := 0, a
		for ; free(a); a = a.Next() {
			run++
		}
		if run == 0 {
			continue
		}
		if !lowest.IsValid() {
			lowest = start
		}
		if smallest == 0 || run < smallest {
			smallest, best = run, start
		}
	}
	return lowest, best
}

func TestR4_6_free_addresses_are_those_that_a_search_of_all_finds(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 6))
		s := subnet("10.0.0.0/26")
		s.Gateway = addr("10.0.0.1")
		var held []netip.Addr
		for range 500 {
			switch dice := random.IntN(20); {
			case dice < 10:
				lowest, best := search(s, held)
				next, ok := s.Next()
				require.Equal(t, best.IsValid(), ok)
				require.Equal(t, best, next)
				low, ok := s.Lowest()
				require.Equal(t, lowest.IsValid(), ok)
				require.Equal(t, lowest, low)
				if ok && dice < 9 { // whoever asked need not take it
					took := []netip.Addr{next, low}[dice%2]
					s.Take(took)
					held = append(held, took)
				}
			case dice < 18 && len(held) > 0:
				at := random.IntN(len(held))
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
