package network

import (
	"encoding/json"
	"iter"
	"math/big"
	"math/bits"
	"net/netip"
	"slices"
)

// Span is a run of addresses with what they are used for, as the subnet operations of MAAS list them.
type Span struct {
	Start, End netip.Addr
	Purpose    []string // sorted; empty for an unused span
}

// Count returns how many addresses the span has.
func (s Span) Count() *big.Int {
	n := s.size()
	count := new(big.Int).SetUint64(n.hi)
	count.Lsh(count, 64).Add(count, new(big.Int).SetUint64(n.lo))
	return count.Add(count, big.NewInt(1))
}

// MarshalJSON writes the span as MAAS does.
func (s Span) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Start   netip.Addr `json:"start"`
		End     netip.Addr `json:"end"`
		Count   *big.Int   `json:"num_addresses"`
		Purpose []string   `json:"purpose,omitempty"`
	}{s.Start, s.End, s.Count(), s.Purpose})
}

// size is the distance of the ends, one less than the number of addresses.
func (s Span) size() distance {
	start, end := s.Start.As16(), s.End.As16()
	lo, borrow := bits.Sub64(word(end[8:]), word(start[8:]), 0)
	hi, _ := bits.Sub64(word(end[:8]), word(start[:8]), borrow)
	return distance{hi: hi, lo: lo}
}

// distance is a number of 128 bits.
type distance struct{ hi, lo uint64 }

func (d distance) compare(other distance) int {
	switch {
	case d == other:
		return 0
	case d.hi < other.hi, d.hi == other.hi && d.lo < other.lo:
		return -1
	default:
		return 1
	}
}

func word(b []byte) uint64 {
	var w uint64
	for _, x := range b[:8] {
		w = w<<8 | uint64(x)
	}
	return w
}

// What MAAS calls the uses of addresses.
const (
	purposeGateway   = "gateway-ip"
	purposeDNS       = "dns-server"
	purposeAnycast   = "rfc-4291-2.6.1"
	purposeNeighbour = "neighbour"
	purposeUnused    = "unused"
)

var assignedIP = []string{"assigned-ip"}

// Used returns the spans of the subnet that are not free, in order. Spans that overlap are one with the purposes of both.
func (s *Subnet) Used() []Span {
	assigned := make([]Span, 0, len(s.assigned))
	for _, a := range s.assigned {
		assigned = append(assigned, Span{Start: a, End: a, Purpose: assignedIP})
	}
	return s.usedBy(assigned, nil, func(Range) bool { return true })
}

// usedBy also counts addresses that are not assigned, and of the ranges only those that are wanted. Where only the gaps matter, runs do for what is
// assigned.
func (s *Subnet) usedBy(assigned []Span, seen []netip.Addr, wanted func(Range) bool) []Span {
	used := make([]Span, 0, len(assigned)+len(s.Ranges)+len(s.DNS)+len(seen)+3)
	add := func(start, end netip.Addr, purpose []string) {
		if s.CIDR.Contains(start) {
			used = append(used, Span{Start: start, End: end, Purpose: purpose})
		}
	}
	for _, span := range assigned { // most of them, and sorted already
		add(span.Start, span.End, span.Purpose)
	}
	s.addSpecial(add)
	for _, a := range s.DNS {
		add(a, a, []string{purposeDNS})
	}
	for _, r := range s.Ranges {
		if wanted(r) {
			add(r.Start, r.End, []string{string(r.Kind)})
		}
	}
	for _, a := range seen {
		add(a, a, []string{purposeNeighbour})
	}
	return combine(used)
}

// addSpecial adds the gateway and what MAAS keeps of an IPv6 subnet: its anycast address, and of a /64 the first 2^32 addresses.
func (s *Subnet) addSpecial(add func(start, end netip.Addr, purpose []string)) {
	first := s.CIDR.Masked().Addr()
	if first.Is6() && s.CIDR.Bits() < 127 {
		add(first, first, []string{purposeAnycast})
	}
	if first.Is6() && s.CIDR.Bits() == 64 {
		end := first.As16()
		copy(end[12:], []byte{0xff, 0xff, 0xff, 0xff})
		add(first.Next(), netip.AddrFrom16(end), []string{string(Reserved)})
	}
	if s.Gateway.IsValid() {
		add(s.Gateway, s.Gateway, []string{purposeGateway})
	}
}

// combine sorts spans, joins those that overlap under all their purposes, and neighbours of the same purpose.
func combine(spans []Span) []Span {
	slices.SortFunc(spans, func(a, b Span) int {
		if order := a.Start.Compare(b.Start); order != 0 {
			return order
		}
		return b.End.Compare(a.End)
	})
	combined := make([]Span, 0, len(spans))
	for _, next := range spans {
		if n := len(combined); n > 0 && next.Start.Compare(combined[n-1].End) <= 0 {
			last := &combined[n-1]
			last.Purpose = union(last.Purpose, next.Purpose)
			if last.End.Less(next.End) {
				last.End = next.End
			}
			continue
		}
		combined = append(combined, next)
	}
	return coalesce(combined)
}

func coalesce(spans []Span) []Span {
	joined := spans[:0]
	for _, next := range spans {
		if n := len(joined); n > 0 && joined[n-1].End.Next() == next.Start && slices.Equal(joined[n-1].Purpose, next.Purpose) {
			joined[n-1].End = next.End
			continue
		}
		joined = append(joined, next)
	}
	return joined
}

func union(a, b []string) []string {
	if slices.Equal(a, b) {
		return a
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// Unused returns the spans between the used ones, without the network and the broadcast address.
func (s *Subnet) Unused() []Span { return slices.AppendSeq([]Span{}, s.gaps(s.Used())) }

// gaps goes through the spans between those given, which are sorted.
func (s *Subnet) gaps(used []Span) iter.Seq[Span] {
	return func(yield func(Span) bool) {
		next, last := s.First(), s.Last()
		for _, u := range used {
			if next.Compare(u.Start) < 0 && !yield(Span{Start: next, End: u.Start.Prev()}) {
				return
			}
			if next.Compare(u.End) <= 0 {
				next = u.End.Next()
			}
			if !next.IsValid() { // the used ones reach to the end of all addresses
				return
			}
		}
		if next.Compare(last) <= 0 {
			yield(Span{Start: next, End: last})
		}
	}
}

// AtLeast reports whether the span has that many addresses.
func (s Span) AtLeast(n uint64) bool { return n == 0 || s.size().compare(distance{lo: n - 1}) >= 0 }

// RoomForRange reports whether there is room for any range of this kind, and whether this one conflicts with what is there: for a reserved
// range the other ranges, for a dynamic one also addresses in use.
func (s *Subnet) RoomForRange(r Range) (room, conflicts bool) {
	bare := s
	if r.Kind == Reserved {
		bare = &Subnet{CIDR: s.CIDR, Ranges: s.Ranges, Managed: true}
	}
	conflicts = true
	for free := range s.gaps(bare.Used()) {
		room = true
		if free.Start.Compare(r.Start) <= 0 && r.End.Compare(free.End) <= 0 {
			conflicts = false
		}
	}
	return room, conflicts
}
