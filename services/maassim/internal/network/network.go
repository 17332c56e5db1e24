// Package network is the part of the simulated MAAS that is arithmetic on networks: fabrics, VLANs, subnets, and which addresses are free.
package network

import (
	"net/netip"
	"slices"
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
}

// Contains reports whether the address lies in the range.
func (r Range) Contains(a netip.Addr) bool { return r.Start.Compare(a) <= 0 && a.Compare(r.End) <= 0 }

// Subnet is a subnet of a VLAN.
type Subnet struct {
	ID      int
	Name    string
	CIDR    netip.Prefix
	VLAN    *VLAN
	Gateway netip.Addr // invalid when the subnet has none
	DNS     []netip.Addr
	Managed bool
	Ranges  []Range

	// cursor is an address below which none is free as long as the subnet looks as it did then; invalid: not known.
	cursor netip.Addr
	shape  shape
}

// shape is what decides which addresses of a subnet may be free.
type shape struct {
	cidr    netip.Prefix
	gateway netip.Addr
	dns     []netip.Addr
	managed bool
	ranges  []Range
}

// First returns the first address that MAAS counts to the subnet.
func (s *Subnet) First() netip.Addr {
	first := s.CIDR.Masked().Addr()
	if s.CIDR.Bits() < first.BitLen()-1 {
		return first.Next()
	}
	return first
}

// Last returns the last address that MAAS counts to the subnet: the one before the broadcast address.
func (s *Subnet) Last() netip.Addr {
	bytes := s.CIDR.Masked().Addr().AsSlice()
	for bit := s.CIDR.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	if last.Is4() && s.CIDR.Bits() < 31 {
		return last.Prev()
	}
	return last
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

// Freed says that an address is taken no more.
func (s *Subnet) Freed(a netip.Addr) {
	if s.CIDR.Contains(a) && a.Less(s.cursor) {
		s.cursor = a
	}
}

// Free returns the lowest address that MAAS would give to an AUTO link, and false when the subnet is exhausted. In a managed subnet that
// is any address outside the ranges, in an unmanaged one only an address of a reserved range.
//
// It goes on where the last search ended, so that a full subnet costs no more than an empty one; Freed must be told what is given back.
func (s *Subnet) Free(taken func(netip.Addr) bool) (netip.Addr, bool) {
	a, ok := s.search(s.start(), taken)
	s.cursor = a
	return a, ok
}

// start is where a search begins: at the cursor, unless the subnet has changed since.
func (s *Subnet) start() netip.Addr {
	was := s.shape
	if !s.cursor.IsValid() || was.cidr != s.CIDR || was.gateway != s.Gateway || was.managed != s.Managed || !slices.Equal(was.dns, s.DNS) ||
		!slices.Equal(was.ranges, s.Ranges) {
		s.shape = shape{cidr: s.CIDR, gateway: s.Gateway, dns: slices.Clone(s.DNS), managed: s.Managed, ranges: slices.Clone(s.Ranges)}
		return s.First()
	}
	return s.cursor
}

// search returns the first free address from one on, or the one after the last.
func (s *Subnet) search(from netip.Addr, taken func(netip.Addr) bool) (netip.Addr, bool) {
	last := s.Last()
	a := from
	for ; a.Compare(last) <= 0; a = a.Next() {
		if r, inside := s.rangeOf(a); inside && (s.Managed || r.Kind == Dynamic) {
			a = r.End
			continue
		} else if !inside && !s.Managed {
			continue
		}
		if a == s.Gateway || slices.Contains(s.DNS, a) || taken(a) {
			continue
		}
		return a, true
	}
	return a, false
}

func (s *Subnet) rangeOf(a netip.Addr) (Range, bool) {
	for _, r := range s.Ranges {
		if r.Contains(a) {
			return r, true
		}
	}
	return Range{}, false
}

// String returns the subnet as MAAS names it in messages.
func (s *Subnet) String() string {
	return s.Name + ":" + s.CIDR.String() + "(vid=" + itoa(s.VLAN.VID) + ")"
}
