package provision

import (
	"context"
	"log/slog"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// Config is what the use cases need. Zero values of Timing and Limits mean their defaults.
type Config struct {
	// Backend makes and removes VMs; only LXD needs it.
	Backend Backend
	// MAAS is the region: claims, networks, deployments, DNS.
	MAAS MAAS
	// Clock tells the time.
	Clock  func() time.Time
	Logger *slog.Logger
	// Snapshot tells the region what hosts there are; LXD.Snapshot shares one reading of them with those that
	// choose a host. Backend.Hosts where it is nil.
	Snapshot func(context.Context) (inventory.Snapshot, error)
	// OwnShare gives what says which hosts are this replica's own, as of now: it prefers them to others
	// that are as good. All are where it, or what it gives, is nil.
	OwnShare func() func(inventory.HostID) bool
	// Placed is told how each selection of a host ended; nil for nobody. It must not block.
	Placed func(Placement)
	Timing Timing
	Limits Limits
}

// Timing are the durations on which the rules of docs/protocol-coverage.md rest. Tests shorten them.
type Timing struct {
	// InventoryMaxAge is how old an inventory may be that a choice is made from.
	InventoryMaxAge time.Duration
	// CapacityMaxAge is how old an inventory may be that is only told of.
	CapacityMaxAge time.Duration
	// MachinesMaxAge is how old power, status and bridges of the hosts' own machines may be.
	MachinesMaxAge time.Duration
	// LedgerHold is how long a choice counts as used when nothing is composed.
	LedgerHold time.Duration
	// DetachedLimit bounds a call that runs on when its caller is gone. It is also how long an
	// attempt counts as running after it was sent.
	DetachedLimit time.Duration
	// QueueLimit is how long such a call may wait for its turn at MAAS besides.
	QueueLimit time.Duration
	// ReplyMargin is how long before the caller's deadline a joined call is answered as running.
	ReplyMargin time.Duration
	// ReadLimit bounds a shared read: of one host, of machines by name.
	ReadLimit time.Duration
	// CheckGather is how long the check of a host waits for other compositions there, to serve them too.
	CheckGather time.Duration
	// YieldLook is how long a VM on a host over its limit waits before it looks again.
	YieldLook time.Duration
	// ProofHold is for how long a proved claim is remembered.
	ProofHold time.Duration
	// ProofFresh is for how long a claim that was just proved lets its VM be deployed unread.
	ProofFresh time.Duration
	// AliveFresh is for how long a host that answered counts as alive. A host that dies meanwhile keeps a VM of which MAAS
	// forgets the row: the refresh that proves the deletion then fails, and finds the VM when the host is back.
	AliveFresh time.Duration
	// LookupWindow is for how long look-ups are collected into one list call, and callers into one
	// read of a host.
	LookupWindow time.Duration
	// SettleFirst is how long after it was sent an attempt's absence may first be verified;
	// SettleGap is the least time between the two refreshes that settle it.
	SettleFirst time.Duration
	SettleGap   time.Duration
	// RefreshGap is the least time between two refreshes of one host.
	RefreshGap time.Duration
	// WatchInterval is the least time between two rounds of the polling loop.
	WatchInterval time.Duration
	// IdleInterval is the least time between two rounds for machines that are Deployed.
	IdleInterval time.Duration
	// WatchFullRead is how often WatchFullBatch ids are read in full, by turns.
	WatchFullRead time.Duration
	// DrainLimit bounds how long Drain waits.
	DrainLimit time.Duration
}

// DefaultTiming are the durations that hold with a real MAAS.
func DefaultTiming() Timing {
	return Timing{
		InventoryMaxAge: 5 * time.Second,
		CapacityMaxAge:  5 * time.Minute,
		MachinesMaxAge:  60 * time.Second,
		LedgerHold:      180 * time.Second,
		DetachedLimit:   150 * time.Second,
		QueueLimit:      150 * time.Second,
		ReplyMargin:     250 * time.Millisecond,
		ReadLimit:       60 * time.Second,
		CheckGather:     10 * time.Second,
		YieldLook:       2 * time.Second,
		ProofHold:       10 * time.Minute,
		ProofFresh:      15 * time.Second,
		AliveFresh:      15 * time.Second,
		LookupWindow:    100 * time.Millisecond,
		SettleFirst:     300 * time.Second,
		SettleGap:       120 * time.Second,
		RefreshGap:      60 * time.Second,
		WatchInterval:   10 * time.Second,
		IdleInterval:    120 * time.Second,
		WatchFullRead:   60 * time.Second,
		DrainLimit:      180 * time.Second,
	}
}

// Limits are the sizes that the use cases keep to.
type Limits struct {
	// UserDataBytes is the most user data that is taken.
	UserDataBytes int
	// WatchBatch is the most ids in one list call: more make a request line that nginx refuses.
	WatchBatch int
	// WatchFullBatch is how many ids are read in full at a time.
	WatchFullBatch int
	// EndpointTTL is the time to live in seconds of a record where the caller names none.
	EndpointTTL int
}

// DefaultLimits are the limits of the contract.
func DefaultLimits() Limits {
	return Limits{UserDataBytes: 2 << 20, WatchBatch: 400, WatchFullBatch: 50, EndpointTTL: 10}
}

func (c Config) withDefaults() Config {
	if c.Timing == (Timing{}) {
		c.Timing = DefaultTiming()
	}
	if c.Limits == (Limits{}) {
		c.Limits = DefaultLimits()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.OwnShare == nil {
		c.OwnShare = func() func(inventory.HostID) bool { return nil }
	}
	if c.Placed == nil {
		c.Placed = func(Placement) {}
	}
	return c
}
