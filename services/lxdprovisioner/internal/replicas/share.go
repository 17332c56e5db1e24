package replicas

import (
	"net/netip"
	"slices"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// Share is one replica's share of the hosts, by rendezvous: a host belongs to the replica with the
// highest hash of both. All who know the same members agree on it without a word, and who joins or
// leaves moves only the hosts that it gets or had. The zero value owns every host.
type Share struct {
	// seeds are the members' hashes, in the order of their addresses; own is whose share this is.
	seeds []uint64
	own   int
}

// ShareOf gives what self has among the members; all hosts where self is not one of them. A member
// that is named twice counts once.
func ShareOf(self netip.Addr, members []netip.Addr) Share {
	members = distinct(members)
	own, found := slices.BinarySearchFunc(members, self, netip.Addr.Compare)
	if !found || len(members) == 1 {
		return Share{}
	}
	s := Share{own: own, seeds: make([]uint64, len(members))}
	for i, m := range members {
		s.seeds[i] = hash(fnvOffset, m.String())
	}
	return s
}

// distinct gives the addresses in order, each once.
func distinct(members []netip.Addr) []netip.Addr {
	members = slices.Clone(members)
	slices.SortFunc(members, netip.Addr.Compare)
	return slices.Compact(members)
}

// Owns says whether the host belongs to the share.
func (s Share) Owns(id inventory.HostID) bool {
	highest, owner := uint64(0), s.own
	for i, seed := range s.seeds {
		if weight := mix(hash(seed, string(id))); weight > highest {
			highest, owner = weight, i
		}
	}
	return owner == s.own
}

// The numbers of 64-bit FNV-1a.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// hash carries FNV-1a on over the text. Replicas of several versions must agree, so it may never be
// another.
func hash(from uint64, text string) uint64 {
	for i := range len(text) {
		from = (from ^ uint64(text[i])) * fnvPrime
	}
	return from
}

// mix spreads every bit over all others, which FNV does not do with the last bytes: it is the end of
// MurmurHash3.
func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
