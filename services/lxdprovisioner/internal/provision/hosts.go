package provision

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

// hostCache is the inventory: seconds old, read once for all who ask together, and read again for
// the hosts on which something was made or deleted.
type hostCache struct {
	backend  Backend
	machines *hostMachines
	clock    func() time.Time
	timing   Timing
	log      *slog.Logger
	// seen is told of every host that was read and when that reading began.
	seen func(id inventory.HostID, began time.Time)

	flight singleflight.Group
	single *turns[inventory.Host]

	mu      sync.Mutex
	current inventory.Snapshot
	// index is current, ready for placements; made when the first one asks.
	index func() *placement.Index
	// until is how long that is believed.
	until   time.Time
	began   map[inventory.HostID]time.Time
	dropped map[inventory.HostID]time.Time
}

func newHostCache(cfg Config, seen func(inventory.HostID, time.Time)) *hostCache {
	c := &hostCache{
		backend: cfg.Backend, machines: newHostMachines(cfg), clock: cfg.Clock, timing: cfg.Timing, log: cfg.Logger, seen: seen,
		single:  newTurns[inventory.Host](cfg.Timing.LookupWindow, cfg.Timing.ReadLimit, cfg.Logger),
		began:   map[inventory.HostID]time.Time{},
		dropped: map[inventory.HostID]time.Time{},
	}
	c.show(inventory.Snapshot{})
	return c
}

// drop says that something was written to the host: what was read before is not believed any more.
func (c *hostCache) drop(id inventory.HostID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped[id] = c.clock()
}

// snapshot gives all hosts, no older than seconds.
func (c *hostCache) snapshot(ctx context.Context) (inventory.Snapshot, error) {
	if err := c.renew(ctx); err != nil {
		return inventory.Snapshot{}, err
	}
	return c.last(), nil
}

// last gives what was read last, however long ago; the zero value where nothing was.
func (c *hostCache) last() inventory.Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

// indexed gives what was read last, ready for placements. Who reads the ledger does so before: what
// is seen leaves the ledger only once it is here.
func (c *hostCache) indexed() *placement.Index {
	c.mu.Lock()
	index := c.index
	c.mu.Unlock()
	return index()
}

// renew reads the hosts where what was read is older than seconds, and again those that were
// written to. Busy where the reading takes longer than the caller has: it goes on, and is there for who asks again.
func (c *hostCache) renew(ctx context.Context) error {
	if !c.fresh() {
		read := c.flight.DoChan("all", func() (any, error) {
			bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timing.DetachedLimit)
			defer cancel()
			return nil, guarded(bounded, c.log, "the reading of the hosts", func() error { return c.readAll(bounded) })
		})
		select {
		case res := <-read:
			if res.Err != nil {
				return res.Err
			}
		case <-ctx.Done():
			return beingRead(ctx)
		}
	}
	err := c.readOutdated(ctx)
	if err != nil && ctx.Err() != nil {
		return beingRead(ctx)
	}
	return err
}

// beingRead is the error of a caller whose time is over.
func beingRead(ctx context.Context) error {
	return fault.Wrap(ctx.Err(), fault.Busy, fault.ReasonMAASBusy, "the hosts are being read").WithRetryAfter(retrySoon)
}

// show makes the snapshot the current one; c.mu is held.
func (c *hostCache) show(snap inventory.Snapshot) {
	c.current = snap
	c.index = sync.OnceValue(func() *placement.Index { return placement.NewIndex(snap) })
}

// readOutdated reads the hosts that were written to since they were read.
func (c *hostCache) readOutdated(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, id := range c.outdated() {
		group.Go(func() error {
			_, err := c.read(ctx, id)
			if fault.Is(err, fault.NotFound) {
				// The next list will be without it; who chooses it meanwhile is refused.
				return nil
			}
			return err
		})
	}
	return group.Wait()
}

func (c *hostCache) fresh() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock().Before(c.until)
}

// outdated gives the hosts that were written to after they had been read.
func (c *hostCache) outdated() []inventory.HostID {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []inventory.HostID
	for id, at := range c.dropped {
		began, known := c.began[id]
		switch {
		case !known || began.After(at):
			delete(c.dropped, id)
		default:
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (c *hostCache) readAll(ctx context.Context) error {
	snap, err := c.backend.Hosts(ctx)
	if err != nil {
		return fmt.Errorf("read the hosts: %w", err)
	}
	if err := c.machines.fill(ctx, snap.Hosts); err != nil {
		return err
	}
	c.replaceAll(snap, c.clock().Sub(snap.Began))
	for _, h := range snap.Hosts {
		c.seen(h.ID, snap.Began)
	}
	return nil
}

// replaceAll makes the snapshot the current one. A host that was read alone since the snapshot's
// reading began stays as it was read then: the ledger has forgotten what was seen there. It is believed for at
// least as long as the reading took, so that a caller who could not wait for it finds it.
func (c *hostCache) replaceAll(snap inventory.Snapshot, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	began := make(map[inventory.HostID]time.Time, len(snap.Hosts))
	for i, h := range snap.Hosts {
		began[h.ID] = snap.Began
		if c.began[h.ID].After(snap.Began) {
			if younger, ok := c.current.Host(h.ID); ok {
				snap.Hosts[i], began[h.ID] = younger, c.began[h.ID]
			}
		}
	}
	c.began = began
	c.until = c.clock().Add(max(c.timing.InventoryMaxAge, took))
	c.show(snap)
}

// read gives one host as it is: the reading begins after the call, and is shared by those who wait
// for the same host. NotFound where MAAS has no such host.
func (c *hostCache) read(ctx context.Context, id inventory.HostID) (inventory.Host, error) {
	return c.single.do(ctx, string(id), func(ctx context.Context) (inventory.Host, error) {
		began := c.clock()
		h, err := c.backend.Host(ctx, id)
		if err != nil {
			return inventory.Host{}, fmt.Errorf("read host %s: %w", id, err)
		}
		hosts := []inventory.Host{h}
		if err := c.machines.fill(ctx, hosts); err != nil {
			return inventory.Host{}, err
		}
		c.replace(hosts[0], began)
		c.seen(id, began)
		return hosts[0], nil
	})
}

// replace puts a host that was read alone into the snapshot, unless that is younger.
func (c *hostCache) replace(h inventory.Host, began time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.began[h.ID].After(began) {
		return
	}
	i := slices.IndexFunc(c.current.Hosts, func(o inventory.Host) bool { return o.ID == h.ID })
	if i < 0 {
		return
	}
	snap := c.current
	snap.Hosts = slices.Clone(snap.Hosts)
	snap.Hosts[i] = h
	c.show(snap)
	c.began[h.ID] = began
}

// parents gives the interfaces of the host's own machine, to which MAAS attaches the NICs of VMs.
func (c *hostCache) parents(h inventory.Host) []inventory.Interface {
	return c.machines.of(h.SystemID).Interfaces
}

// project gives the LXD project of the host, where the inventory knows it.
func (c *hostCache) project(id inventory.HostID) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	h, _ := c.current.Host(id)
	return h.Project
}
