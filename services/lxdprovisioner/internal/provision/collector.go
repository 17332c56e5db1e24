package provision

import (
	"context"
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
	c.mu.Lock()
	batch := c.open
	if batch == nil {
		batch = &collection{names: map[string]bool{}, done: make(chan struct{})}
		c.open = batch
		go c.answer(context.WithoutCancel(ctx), batch)
	}
	batch.names[name] = true
	if len(batch.names) >= lookupMax {
		c.open = nil
	}
	c.mu.Unlock()
	select {
	case <-batch.done:
		m, ok := batch.machines[name]
		return m, ok, batch.err
	case <-ctx.Done():
		return inventory.Machine{}, false, ctx.Err()
	}
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
	machines, err := c.find(ctx, names)
	batch.err = err
	batch.machines = make(map[string]inventory.Machine, len(machines))
	for _, m := range machines {
		batch.machines[m.Hostname] = m
	}
}
