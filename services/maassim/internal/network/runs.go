package network

import (
	"net/netip"
	"slices"
)

// runs are addresses as spans without purpose, sorted and with a gap between each two. Addresses that are handed out one after the other are few
// runs, however many they are, which keeps the search for the next one short.
type runs []Span

// at returns the place of the first run that ends at the address or above it.
func (r runs) at(a netip.Addr) int {
	at, _ := slices.BinarySearchFunc(r, a, func(s Span, a netip.Addr) int { return s.End.Compare(a) })
	return at
}

// with adds an address that is not in them.
func (r runs) with(a netip.Addr) runs {
	at := r.at(a)
	before := at > 0 && r[at-1].End.Next() == a
	after := at < len(r) && a.Next() == r[at].Start
	switch {
	case before && after:
		r[at-1].End = r[at].End
		return slices.Delete(r, at, at+1)
	case before:
		r[at-1].End = a
	case after:
		r[at].Start = a
	default:
		return slices.Insert(r, at, Span{Start: a, End: a})
	}
	return r
}

// without takes out an address that is in them.
func (r runs) without(a netip.Addr) runs {
	at := r.at(a)
	run := r[at]
	switch {
	case run.Start == a && run.End == a:
		return slices.Delete(r, at, at+1)
	case run.Start == a:
		r[at].Start = a.Next()
	case run.End == a:
		r[at].End = a.Prev()
	default:
		r[at].End = a.Prev()
		return slices.Insert(r, at+1, Span{Start: a.Next(), End: run.End})
	}
	return r
}
