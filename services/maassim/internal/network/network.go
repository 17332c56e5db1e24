// Package network is the part of the simulated MAAS that is arithmetic on networks: fabrics, VLANs, subnets, and which addresses are free.
package network

import (
	"iter"
	"net/netip"
	"slices"
	"strconv"
)

// VLAN is a VLAN in a fabric.
type VLAN struct {
	ID, VID    int
	Name       string
	FabricID   int
	FabricName string
	Space      string // "undefined" when it is in none
	DHCP       bool   // MAAS serves DHCP on it
	Rack       string // system id of its rack controller, empty without DHCP
}

// Kind says what a range of addresses is kept for.
type Kind string

// The kinds of ranges: handed out by DHCP, or kept away from AUTO addresses.
const (
	Dynamic  Kind = "dynamic"
	Reserved Kind = "reserved"
)

// Range is a range of addresses with both its ends.
type Range struct {
	ID         int
	Kind       Kind
	Start, End netip.Addr
	Comment    string
	Owner      string // name of the user who made it; empty: the administrator
}

// Contains reports whether the address lies in the range.
func (r Range) Contains(a netip.Addr) bool { return r.Start.Compare(a) <= 0 && a.Compare(r.End) <= 0 }

// Subnet is a subnet of a VLAN.
type Subnet struct {
	ID         int
	Name       string
	CIDR       netip.Prefix
	VLAN       *VLAN
	Gateway    netip.Addr // invalid when the subnet has none
	DNS        []netip.Addr
	Managed    bool
	Ranges     []Range
	Neighbours []netip.Addr // seen in use by something that MAAS does not know

	assigned []netip.Addr // sorted
	runs     runs         // of what is assigned
}

// First returns the first address that MAAS counts to the subnet.
func (s *Subnet) First() netip.Addr {
	first := s.CIDR.Masked().Addr()
	if s.CIDR.Bits() < first.BitLen()-1 {
		return first.Next()
	}
	return first
}

// Last returns the last address that MAAS counts to the subnet: for IPv4 the one before the broadcast address.
func (s *Subnet) Last() netip.Addr {
	last := s.end()
	if last.Is4() && s.CIDR.Bits() < 31 {
		return last.Prev()
	}
	return last
}

// end returns the very last address of the subnet.
func (s *Subnet) end() netip.Addr {
	bytes := s.CIDR.Masked().Addr().AsSlice()
	for bit := s.CIDR.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	end, _ := netip.AddrFromSlice(bytes)
	return end
}

// Broadcast returns the broadcast address of an IPv4 subnet that has one.
func (s *Subnet) Broadcast() (netip.Addr, bool) {
	end := s.end()
	return end, end.Is4() && s.CIDR.Bits() < 31
}

// InRange returns the range of this kind that holds the address.
func (s *Subnet) InRange(kind Kind, a netip.Addr) (Range, bool) {
	for _, r := range s.Ranges {
		if r.Kind == kind && r.Contains(a) {
			return r, true
		}
	}
	return Range{}, false
}

// Take says that something holds an address of the subnet.
func (s *Subnet) Take(a netip.Addr) {
	if at, found := slices.BinarySearchFunc(s.assigned, a, netip.Addr.Compare); !found {
		s.assigned = slices.Insert(s.assigned, at, a)
		s.runs = s.runs.with(a)
	}
}

// Freed says that nothing holds an address any more.
func (s *Subnet) Freed(a netip.Addr) {
	if at, found := slices.BinarySearchFunc(s.assigned, a, netip.Addr.Compare); found {
		s.assigned = slices.Delete(s.assigned, at, at+1)
		s.runs = s.runs.without(a)
	}
}

// Lowest returns the lowest free address, as somebody who configures hosts by hand would choose it. It is false when there is none.
func (s *Subnet) Lowest() (netip.Addr, bool) {
	for free := range s.gaps(s.usedBy(s.runs, nil, func(Range) bool { return true })) {
		return free.Start, true
	}
	return netip.Addr{}, false
}

// Next returns the address that MAAS hands out next: the first of the smallest free range, the lower one of equals, so that the larger ranges
// stay whole (recordings 248, 380). Addresses of neighbours come last, those excepted never. It is false when the subnet is exhausted.
func (s *Subnet) Next(except ...netip.Addr) (netip.Addr, bool) {
	for _, seen := range [][]netip.Addr{s.Neighbours, nil} {
		var best Span
		for free := range s.allocatable(slices.Concat(except, seen)) {
			if !best.Start.IsValid() || free.size().compare(best.size()) < 0 {
				best = free
			}
		}
		if best.Start.IsValid() {
			return best.Start, true
		}
	}
	return netip.Addr{}, false
}

// allocatable are the spans that MAAS may hand out: in a managed subnet all unused ones, in another only those within reserved ranges.
func (s *Subnet) allocatable(seen []netip.Addr) iter.Seq[Span] {
	used := s.usedBy(s.runs, seen, func(Range) bool { return true })
	if s.Managed {
		return s.gaps(used)
	}
	outside := s.usedBy(s.runs, seen, func(r Range) bool { return r.Kind == Dynamic })
	return s.gaps(combine(slices.AppendSeq(outside, s.gaps(used))))
}

// String returns the subnet as MAAS names it in messages.
func (s *Subnet) String() string {
	return s.Name + ":" + s.CIDR.String() + "(vid=" + strconv.Itoa(s.VLAN.VID) + ")"
}
