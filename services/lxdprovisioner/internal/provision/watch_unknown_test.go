package provision_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// younger is a MAAS that shows one machine in a state that none of ours knows.
type younger struct {
	provision.MAAS

	mu       sync.Mutex
	systemID string
}

const unknownStatus inventory.Status = 40

func (y *younger) shows(systemID string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.systemID = systemID
}

func (y *younger) Machines(ctx context.Context, f provision.MachineFilter) ([]inventory.Machine, error) {
	found, err := y.MAAS.Machines(ctx, f)
	y.mu.Lock()
	defer y.mu.Unlock()
	for i := range found {
		if found[i].SystemID == y.systemID {
			found[i].Status = unknownStatus
		}
	}
	return found, err
}

func TestWatchVMs_X7_1_a_state_that_is_not_known_hides_no_other_machine(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	maas := &younger{MAAS: w.cfg.MAAS}
	w.cfg.MAAS = maas
	w.restart()
	strange, plain := w.composed("cp-0", "lxd-1"), w.composed("cp-1", "lxd-1")
	events, stop := w.watch(watched(strange.Attempt), watched(plain.Attempt))
	defer stop()
	untilSynced(events)
	maas.shows(strange.Attempt.SystemID)
	ctx := w.ctx()
	told := func(systemID string, s inventory.Status) {
		for {
			select {
			case e := <-events:
				if e.VM != nil && e.VM.SystemID == systemID && e.VM.Status == s {
					return
				}
			case <-ctx.Done():
				assert.Fail(t, "not told", "%s as %d", systemID, s)
				return
			}
		}
	}
	told(strange.Attempt.SystemID, unknownStatus)
	w.brought(plain.Attempt.Name, inventory.StatusBroken, false)
	told(plain.Attempt.SystemID, inventory.StatusBroken)
	maas.shows("")
	told(strange.Attempt.SystemID, inventory.StatusAllocated)
}
