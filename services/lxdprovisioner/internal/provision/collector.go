package provision

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// lookupMax is the most names in one look-up: a machine costs MAAS 27 ms, and a list call blocks
// the others.
const lookupMax = 50

// collector gathers look-ups by name for a moment and answers them from one list call.
type collector struct {
	window, limit time.Duration
	find          func(ctx context.Context, names []string) ([]inventory.Machine, error)
	log           *slog.Logger

	mu   sync.Mutex
	open *collection
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
	timer := time.NewTimer(c.window)
	defer timer.Stop()
	<-timer.C
	c.mu.Lock()
	if c.open == batch {
		c.open = nil
	}
	names := make([]string, 0, len(batch.names))
	for name := range batch.names {
		names = append(names, name)
	}
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
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
