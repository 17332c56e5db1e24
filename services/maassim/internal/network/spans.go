package network

import (
	"math/big"
	"net/netip"
	"slices"
	"strconv"
)

// Span is a run of addresses with what they are used for, as the subnet operations of MAAS list them.
type Span struct {
	Start   netip.Addr `json:"start"`
	End     netip.Addr `json:"end"`
	Count   *big.Int   `json:"num_addresses"`
	Purpose []string   `json:"purpose,omitempty"`
}

func itoa(n int) string { return strconv.Itoa(n) }

func span(start, end netip.Addr, purpose ...string) Span {
	count := new(big.Int).Sub(number(end), number(start))
	return Span{Start: start, End: end, Count: count.Add(count, big.NewInt(1)), Purpose: purpose}
}

func number(a netip.Addr) *big.Int { return new(big.Int).SetBytes(a.AsSlice()) }

// Used returns the spans of the subnet that are not free, in order; assigned are the addresses that something holds.
func (s *Subnet) Used(assigned []netip.Addr) []Span {
	var used []Span
	if s.Gateway.IsValid() {
		used = append(used, span(s.Gateway, s.Gateway, "gateway-ip"))
	}
	for _, a := range s.DNS {
		if s.CIDR.Contains(a) {
			used = append(used, span(a, a, "dns-server"))
		}
	}
	for _, r := range s.Ranges {
		used = append(used, span(r.Start, r.End, string(r.Kind)))
	}
	for _, a := range assigned {
		if _, inside := s.rangeOf(a); !inside && a != s.Gateway {
			used = append(used, span(a, a, "assigned-ip"))
		}
	}
	slices.SortFunc(used, func(a, b Span) int { return a.Start.Compare(b.Start) })
	return merge(used)
}

// merge joins neighbours of the same purpose.
func merge(spans []Span) []Span {
	merged := []Span{}
	for _, next := range spans {
		if n := len(merged); n > 0 && merged[n-1].End.Next() == next.Start && slices.Equal(merged[n-1].Purpose, next.Purpose) {
			merged[n-1] = span(merged[n-1].Start, next.End, next.Purpose...)
			continue
		}
		merged = append(merged, next)
	}
	return merged
}

// Unused returns the spans between the used ones.
func (s *Subnet) Unused(used []Span) []Span {
	unused := []Span{}
	next, last := s.First(), s.Last()
	for _, u := range used {
		if next.Compare(u.Start) < 0 {
			unused = append(unused, span(next, u.Start.Prev()))
		}
		if next.Compare(u.End) <= 0 {
			next = u.End.Next()
		}
	}
	if next.IsValid() && next.Compare(last) <= 0 {
		unused = append(unused, span(next, last))
	}
	return unused
}
