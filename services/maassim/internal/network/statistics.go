package network

import (
	"math/big"
	"net/netip"
	"slices"
	"strconv"
)

// Statistics say how full a subnet is.
type Statistics struct {
	Available, Largest, Unavailable, Total *big.Int // numbers of addresses
	Usage                                  float64  // from 0 to 1
	First, Last                            netip.Addr
	Ranges                                 []Span // all of the subnet, used and unused
	// Gateway and Dynamic are what MAAS suggests where the subnet has none; invalid and nil otherwise.
	Gateway netip.Addr
	Dynamic *Span
}

// Statistics counts the subnet.
func (s *Subnet) Statistics() Statistics {
	used := s.Used()
	st := Statistics{Available: new(big.Int), Largest: new(big.Int), Unavailable: new(big.Int)}
	st.Ranges = slices.Clone(used)
	for free := range s.gaps(used) {
		count := free.Count()
		st.Available.Add(st.Available, count)
		if count.Cmp(st.Largest) > 0 {
			st.Largest = count
		}
		free.Purpose = []string{purposeUnused}
		st.Ranges = append(st.Ranges, free)
	}
	for _, span := range used {
		st.Unavailable.Add(st.Unavailable, span.Count())
	}
	st.Ranges = combine(st.Ranges)
	st.Total = new(big.Int).Add(st.Available, st.Unavailable)
	st.Usage, _ = new(big.Rat).SetFrac(st.Unavailable, st.Total).Float64()
	st.First, st.Last = st.Ranges[0].Start, st.Ranges[len(st.Ranges)-1].End
	if !st.has(purposeGateway) {
		st.Gateway = st.suggestGateway()
	}
	if !st.has(string(Dynamic)) {
		st.Dynamic = st.suggestDynamic()
	}
	return st
}

func (st *Statistics) has(purpose string) bool {
	return slices.ContainsFunc(st.Ranges, func(s Span) bool { return slices.Contains(s.Purpose, purpose) })
}

// unusedAt returns the unused span that holds an address.
func (st *Statistics) unusedAt(a netip.Addr) bool {
	return slices.ContainsFunc(st.Ranges, func(s Span) bool {
		return s.Start.Compare(a) <= 0 && a.Compare(s.End) <= 0 && slices.Contains(s.Purpose, purposeUnused)
	})
}

// suggestGateway is for IPv6 always the anycast address, for IPv4 the first or the last address, else the first that is unused.
func (st *Statistics) suggestGateway() netip.Addr {
	switch {
	case st.First.Is6() && st.Total.Cmp(big.NewInt(2)) <= 0:
		return netip.Addr{}
	case st.First.Is6():
		return st.First.Prev()
	case st.unusedAt(st.First):
		return st.First
	case st.unusedAt(st.Last):
		return st.Last
	}
	for _, s := range st.Ranges {
		if slices.Contains(s.Purpose, purposeUnused) {
			return s.Start
		}
	}
	return netip.Addr{}
}

// suggestDynamic is the upper end of the largest unused span, at most about a quarter of the subnet and half of what is free.
func (st *Statistics) suggestDynamic() *Span {
	largest, ok := st.largestUnused()
	if !ok || st.Gateway.IsValid() && largest.Start == largest.End {
		return nil
	}
	switch st.Gateway {
	case largest.Start:
		largest.Start = largest.Start.Next()
	case largest.End:
		largest.End = largest.End.Prev()
	}
	quarter, half := new(big.Int).Rsh(st.Total, 2), new(big.Int).Rsh(st.Available, 1)
	first := largest.Start
	switch size := largest.Count(); {
	case size.Cmp(quarter) > 0:
		first = below(largest.End, quarter)
	case size.Cmp(half) >= 0:
		first = below(largest.End, half.Sub(half, big.NewInt(1)))
	}
	if first.Compare(largest.End) >= 0 {
		return nil
	}
	return &Span{Start: first, End: largest.End, Purpose: []string{"proposed-dynamic"}}
}

// largestUnused is the last one of equals.
func (st *Statistics) largestUnused() (Span, bool) {
	var largest Span
	for _, s := range st.Ranges {
		if slices.Contains(s.Purpose, purposeUnused) && (!largest.Start.IsValid() || s.size().compare(largest.size()) >= 0) {
			largest = s
		}
	}
	return largest, largest.Start.IsValid()
}

// below returns the address that lies n before a.
func below(a netip.Addr, n *big.Int) netip.Addr {
	value := new(big.Int).SetBytes(a.AsSlice())
	bytes := value.Sub(value, n).FillBytes(make([]byte, a.BitLen()/8))
	lower, _ := netip.AddrFromSlice(bytes)
	return lower
}

// Percent writes a share as MAAS does.
func Percent(share float64) string { return strconv.FormatFloat(share*100, 'f', 0, 64) + "%" }
