package provision

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// lookupMax is the most names in one look-up: a machine costs MAAS 27 ms, and a list call blocks
// the others.
const lookupMax = 50

// collector gathers look-ups by name for a moment and answers them from one list call. While one is
// under way the next gathers on: MAAS is asked for one list at a time, so that it would only wait.
type collector struct {
	window, limit time.Duration
	find          func(ctx context.Context, names []string) ([]inventory.Machine, error)
	log           *slog.Logger

	mu   sync.Mutex
	open *collection
	// asking is held by the look-up that is under way.
	asking chan struct{}
}

func newCollector(cfg Config, window time.Duration) *collector {
	return &collector{
		window: window, limit: cfg.Timing.ReadLimit, find: cfg.Backend.Find, log: cfg.Logger,
		asking: make(chan struct{}, 1),
	}
}

type collection struct {
	names    map[string]bool
	done     chan struct{}
	machines map[string]inventory.Machine
	err      error
}

// byName gives the machine of the name, and false where MAAS has none.
func (c *collector) byName(ctx context.Context, name string) (inventory.Machine, bool, error) {
	found, err := c.byNames(ctx, []string{name})
	m, ok := found[name]
	return m, ok, err
}

// byNames gives the machines of the names; those that MAAS doesn't have are missing. No names, no
// request.
func (c *collector) byNames(ctx context.Context, names []string) (map[string]inventory.Machine, error) {
	found := make(map[string]inventory.Machine, len(names))
	if len(names) == 0 {
		return found, nil
	}
	batch := c.join(ctx, names)
	select {
	case <-batch.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if batch.err != nil {
		return nil, fmt.Errorf("look for %v: %w", names, batch.err)
	}
	for _, name := range names {
		if m, ok := batch.machines[name]; ok {
			found[name] = m
		}
	}
	return found, nil
}

// join adds the names to the open collection.
func (c *collector) join(ctx context.Context, names []string) *collection {
	c.mu.Lock()
	defer c.mu.Unlock()
	batch := c.open
	if batch == nil {
		batch = &collection{names: map[string]bool{}, done: make(chan struct{})}
		c.open = batch
		go c.answer(context.WithoutCancel(ctx), batch)
	}
	for _, name := range names {
		batch.names[name] = true
	}
	if len(batch.names) >= lookupMax {
		c.open = nil
	}
	return batch
}

func (c *collector) answer(ctx context.Context, batch *collection) {
	defer close(batch.done)
	_ = pause(ctx, c.window)
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	select {
	case c.asking <- struct{}{}:
		defer func() { <-c.asking }()
	case <-ctx.Done():
	}
	names := c.close(batch)
	if batch.err = ctx.Err(); batch.err != nil {
		return
	}
	var machines []inventory.Machine
	batch.err = guarded(ctx, c.log, "a look-up of names", func() (err error) {
		machines, err = c.find(ctx, names)
		return err
	})
	batch.machines = make(map[string]inventory.Machine, len(machines))
	for _, m := range machines {
		batch.machines[m.Hostname] = m
	}
}

// close lets nobody join the collection any more, and gives its names.
func (c *collector) close(batch *collection) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == batch {
		c.open = nil
	}
	return slices.Collect(maps.Keys(batch.names))
}
