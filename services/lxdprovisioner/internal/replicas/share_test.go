package replicas_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/replicas"
)

func hostID(i int) inventory.HostID { return inventory.HostID(fmt.Sprintf("vmhost/%d", i+1)) }

// addresses gives n addresses of pods, neighbours as they mostly are.
func addresses(n int) []netip.Addr {
	all := make([]netip.Addr, n)
	for i := range all {
		all[i] = netip.AddrFrom4([4]byte{10, 244, byte(i / 200), byte(10 + i%200)})
	}
	return all
}

// owners gives, for each of so many hosts, the members who call it their own.
func owners(members []netip.Addr, hosts int) [][]netip.Addr {
	owned := make([][]netip.Addr, hosts)
	for _, m := range members {
		share := replicas.ShareOf(m, members)
		for i := range owned {
			if share.Owns(hostID(i)) {
				owned[i] = append(owned[i], m)
			}
		}
	}
	return owned
}

func TestProperty_X6_3_every_host_belongs_to_just_one_replica(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.Permutation(addresses(64)).Draw(t, "members")[:rapid.IntRange(1, 64).Draw(t, "replicas")]
		for i, owner := range owners(members, 50) {
			require.Len(t, owner, 1, "host %s", hostID(i))
		}
	})
}

func TestShare_X6_3_is_about_as_large_for_every_replica(t *testing.T) {
	t.Parallel()
	const hosts = 3000
	for _, n := range []int{2, 3, 5, 10} {
		sizes := map[netip.Addr]int{}
		for _, owner := range owners(addresses(n), hosts) {
			sizes[owner[0]]++
		}
		for member, size := range sizes {
			assert.InEpsilon(t, hosts/n, size, 0.2, "%s of %d", member, n)
		}
		assert.Len(t, sizes, n)
	}
}

func TestProperty_X6_3_a_replica_that_joins_or_leaves_moves_only_its_own_hosts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.Permutation(addresses(12)).Draw(t, "members")[:rapid.IntRange(2, 12).Draw(t, "replicas")]
		leaves := members[rapid.IntRange(0, len(members)-1).Draw(t, "leaves")]
		rest := slices.DeleteFunc(slices.Clone(members), func(m netip.Addr) bool { return m == leaves })
		with, without := owners(members, 60), owners(rest, 60)
		for i := range with {
			if with[i][0] != leaves {
				require.Equal(t, with[i], without[i], "host %s was not the one's that left", hostID(i))
			}
		}
	})
}

func TestShare_X6_3_is_everything_where_the_replica_is_unknown_or_alone(t *testing.T) {
	t.Parallel()
	members := addresses(3)
	for name, share := range map[string]replicas.Share{
		"the_zero_value":    {},
		"not_among_them":    replicas.ShareOf(netip.MustParseAddr("192.0.2.1"), members),
		"nobody":            replicas.ShareOf(members[0], nil),
		"alone":             replicas.ShareOf(members[0], members[:1]),
		"alone_named_twice": replicas.ShareOf(members[0], []netip.Addr{members[0], members[0]}),
		"an_invalid_self":   replicas.ShareOf(netip.Addr{}, members),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range 100 {
				require.True(t, share.Owns(hostID(i)), hostID(i))
			}
		})
	}
}

// TestShare_X6_3_is_the_same_in_every_version holds the hash still: during a roll-out replicas of two
// versions divide the hosts.
func TestShare_X6_3_is_the_same_in_every_version(t *testing.T) {
	t.Parallel()
	var got []byte
	for _, owner := range owners(addresses(3), 12) {
		got = append(got, owner[0].As4()[3])
	}
	// By hand: the highest of MurmurHash3's last step over the 64-bit FNV-1a of "10.244.0.<n>vmhost/<i>".
	assert.Equal(t, []byte{11, 11, 12, 11, 12, 10, 10, 10, 11, 11, 10, 10}, got)
}

func TestShare_allocates_nothing_to_say_whose_a_host_is(t *testing.T) {
	share := replicas.ShareOf(addresses(3)[0], addresses(3))
	assert.Zero(t, testing.AllocsPerRun(100, func() { share.Owns("vmhost/17") }))
}
