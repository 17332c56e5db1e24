package replicas_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/replicas"
)

// names is a DNS with one name.
type names struct {
	members []netip.Addr
	err     error
	// hangs lets a lookup last as long as its caller lets it.
	hangs   bool
	asked   int
	network string
	name    string
	// turn is held by the test while it looks or changes anything, by the group while it looks up.
	turn sync.Mutex
}

func (n *names) resolve(ctx context.Context, network, name string) ([]netip.Addr, error) {
	n.turn.Lock()
	n.asked, n.network, n.name = n.asked+1, network, name
	members, err, hangs := n.members, n.err, n.hangs
	n.turn.Unlock()
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return slices.Clone(members), err
}

// scene is a group in a bubble of its own time.
type scene struct {
	*testing.T

	dns   *names
	group *replicas.Group
	logs  *bytes.Buffer
	// wait lets the group look once more.
	wait func()
}

// watched plays f in a scene whose group has not looked yet.
func watched(t *testing.T, self netip.Addr, f func(s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{T: t, dns: &names{}, logs: &bytes.Buffer{}}
		s.group = replicas.New(replicas.Config{
			Name: "replicas.test", Self: self, Resolve: s.dns.resolve, Logger: slog.New(slog.NewTextHandler(s.logs, nil)),
		})
		require.Nil(t, s.group.Owns(), "before the first look all hosts are its own")
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		looks := false
		s.wait = func() {
			s.dns.turn.Unlock()
			defer s.dns.turn.Lock()
			if looks {
				<-time.After(replicas.DefaultInterval)
			} else {
				looks = true
				running.Go(func() { s.group.Watch(ctx) })
			}
			synctest.Wait()
		}
		s.dns.turn.Lock()
		defer func() {
			s.dns.turn.Unlock()
			stop()
			running.Wait()
		}()
		f(s)
	})
}

// owned counts the group's own hosts of a hundred.
func owned(g *replicas.Group) int {
	owns, n := g.Owns(), 0
	for i := range 100 {
		if owns == nil || owns(hostID(i)) {
			n++
		}
	}
	return n
}

func TestGroup_X6_3_shares_the_hosts_with_those_that_the_name_tells(t *testing.T) {
	t.Parallel()
	members := addresses(3)
	watched(t, members[1], func(s *scene) {
		s.dns.members = members[:2]
		s.wait()
		assert.Equal(s, "replicas.test", s.dns.name)
		assert.Equal(s, 2, s.group.Members())
		assert.InDelta(s, 50, owned(s.group), 20)
		two := owned(s.group)
		assert.Contains(s, s.logs.String(), "Replicas changed")
		assert.Contains(s, s.logs.String(), members[0].String())

		for range 10 {
			s.wait()
		}
		assert.Equal(s, int64(1), s.group.Changes(), "what stays the same is no change")
		assert.Equal(s, 1, strings.Count(s.logs.String(), "\n"), "and nothing to log: %s", s.logs)
		assert.Equal(s, 11, s.dns.asked, "one lookup an interval")

		s.dns.members = members
		s.wait()
		assert.Equal(s, 3, s.group.Members())
		assert.Less(s, owned(s.group), two, "who joins takes hosts over")
		assert.Equal(s, int64(2), s.group.Changes())

		s.dns.members = members[1:2]
		s.wait()
		assert.Equal(s, 1, s.group.Members())
		assert.Equal(s, 100, owned(s.group), "alone")
	})
}

func TestGroup_X6_3_takes_all_hosts_as_its_own_while_it_does_not_know(t *testing.T) {
	t.Parallel()
	members := addresses(3)
	crowd := addresses(65)
	for name, c := range map[string]struct {
		change func(*names)
		says   string
	}{
		"the_lookup_fails":          {func(n *names) { n.err = errors.New("no such host") }, "no such host"},
		"the_lookup_lasts":          {func(n *names) { n.hangs = true }, "deadline exceeded"},
		"nobody_is_there":           {func(n *names) { n.members = nil }, "not among them"},
		"it_is_not_among_them":      {func(n *names) { n.members = members[1:] }, "not among them"},
		"there_are_absurdly_many":   {func(n *names) { n.members = crowd }, "more than"},
		"they_are_another_family's": {func(n *names) { n.members = []netip.Addr{netip.MustParseAddr("fd00::1")} }, "not among them"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			watched(t, members[0], func(s *scene) {
				s.dns.members = members
				s.wait()
				require.Less(s, owned(s.group), 100)
				c.change(s.dns)
				s.wait()
				s.wait()
				assert.Nil(s, s.group.Owns())
				assert.Zero(s, s.group.Members())
				assert.Contains(s, s.logs.String(), c.says)
				before := s.logs.Len()
				s.wait()
				s.wait()
				assert.Equal(s, before, s.logs.Len(), "a doubt that stays is told once")
				s.dns.members, s.dns.err, s.dns.hangs = members, nil, false
				s.wait()
				s.wait()
				assert.Equal(s, 3, s.group.Members(), "and believes again")
				assert.Equal(s, int64(3), s.group.Changes())
			})
		})
	}
}

func TestGroup_X6_3_counts_a_replica_once_whatever_its_address_looks_like(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		self    string
		members []string
		network string
	}{
		"IPv4_in_IPv6":         {"10.0.0.1", []string{"::ffff:10.0.0.1", "::ffff:10.0.0.2"}, "ip4"},
		"its_own_IPv4_in_IPv6": {"::ffff:10.0.0.1", []string{"10.0.0.1", "10.0.0.2"}, "ip4"},
		"named_twice":          {"10.0.0.1", []string{"10.0.0.1", "10.0.0.2", "10.0.0.1"}, "ip4"},
		"IPv6":                 {"fd00::1", []string{"fd00::2", "fd00:0::1"}, "ip6"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			watched(t, netip.MustParseAddr(c.self), func(s *scene) {
				for _, m := range c.members {
					s.dns.members = append(s.dns.members, netip.MustParseAddr(m))
				}
				s.wait()
				assert.Equal(s, 2, s.group.Members())
				assert.Equal(s, c.network, s.dns.network, "only its own family is asked for")
				assert.Less(s, owned(s.group), 100)
			})
		})
	}
}
