// Package replicas divides the hosts among the replicas of the service, so that replicas that know
// nothing of each other's choices seldom choose the same host. It is a preference and no more:
// replicas may disagree on who they are for a while, and nothing breaks.
package replicas

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// DefaultInterval is the pause between two looks: with a lookup's own time it bounds for how long a
// replica that came or went is not known.
const DefaultInterval = 5 * time.Second

const (
	// lookLimit bounds one look. The resolver's own limit is longer than the pause.
	lookLimit = 3 * time.Second
	// maxMembers is how many replicas are believed: each costs a hash a host in every choice.
	maxMembers = 64
)

// Config says where the replicas are found.
type Config struct {
	// Name resolves to the addresses of all replicas: the DNS name of a headless Service.
	Name string
	// Self is the replica's own address.
	Self netip.Addr
	// Resolve looks a name up, for network "ip4" or "ip6", as net.Resolver.LookupNetIP does.
	Resolve func(ctx context.Context, network, name string) ([]netip.Addr, error)
	// Interval is the pause between two looks; DefaultInterval where zero.
	Interval time.Duration
	// Logger gets a line whenever the membership changes.
	Logger *slog.Logger
}

// Group is the replicas as one of them sees them. It is safe for concurrent use.
type Group struct {
	cfg     Config
	now     atomic.Pointer[view]
	changes atomic.Int64
}

// view is the membership as it was seen last.
type view struct {
	// members are in order; empty where doubt says why they are not known.
	members []netip.Addr
	doubt   string
	share   Share
}

// The doubts, in which every host is the replica's own.
const (
	unseen     = "they were not looked up yet"
	unresolved = "they can't be looked up"
	absent     = "this replica is not among them"
	tooMany    = "there are more than a name of replicas should have"
)

// New gives a group of which nothing is known yet.
func New(cfg Config) *Group {
	if cfg.Interval <= 0 {
		cfg.Interval = DefaultInterval
	}
	cfg.Self = cfg.Self.Unmap()
	g := &Group{cfg: cfg}
	g.now.Store(&view{doubt: unseen})
	return g
}

// Owns gives what says whether a host is the replica's own, as of now; nil where all hosts are.
func (g *Group) Owns() func(inventory.HostID) bool {
	v := g.now.Load()
	if len(v.members) < 2 {
		return nil
	}
	return v.share.Owns
}

// Members is how many replicas there are; 0 where that is not known.
func (g *Group) Members() int { return len(g.now.Load().members) }

// Changes is how often the membership has changed since the start.
func (g *Group) Changes() int64 { return g.changes.Load() }

// Watch looks for replicas until ctx ends. Run it once.
func (g *Group) Watch(ctx context.Context) {
	pause := time.NewTicker(g.cfg.Interval)
	defer pause.Stop()
	for {
		members, doubt, err := g.look(ctx)
		if ctx.Err() != nil {
			return
		}
		g.show(ctx, members, doubt, err)
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
	}
}

// look asks for the replicas once. Only addresses of the family of our own are asked for, or a
// replica with two would count twice.
func (g *Group) look(ctx context.Context) (members []netip.Addr, doubt string, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	network := "ip6"
	if g.cfg.Self.Is4() {
		network = "ip4"
	}
	found, err := g.cfg.Resolve(ctx, network, g.cfg.Name)
	if err != nil {
		return nil, unresolved, err
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	found = distinct(found)
	switch {
	case len(found) > maxMembers:
		return nil, tooMany, nil
	case !slices.Contains(found, g.cfg.Self):
		return nil, absent, nil
	}
	return found, "", nil
}

// show makes what was seen the group's view, and tells of it where it is another.
func (g *Group) show(ctx context.Context, members []netip.Addr, doubt string, err error) {
	last := g.now.Load()
	if doubt == last.doubt && slices.Equal(members, last.members) {
		return
	}
	g.now.Store(&view{members: members, doubt: doubt, share: ShareOf(g.cfg.Self, members)})
	g.changes.Add(1)
	switch {
	case err != nil:
		g.cfg.Logger.WarnContext(ctx, "Replicas are not known, every host is ours", "peers", g.cfg.Name, "self", g.cfg.Self, "error", err)
	case doubt != "":
		g.cfg.Logger.InfoContext(ctx, "Replicas are not known, every host is ours", "peers", g.cfg.Name, "self", g.cfg.Self, "because", doubt)
	default:
		g.cfg.Logger.InfoContext(ctx, "Replicas changed", "peers", g.cfg.Name, "self", g.cfg.Self, "members", members, "before", len(last.members))
	}
}
