package provision

import (
	"context"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// hostAlive proves that the host of a VM answers, by a question that begins after the call (docs/protocol-coverage.md
// 4.2). Those who come together share one about any VM of the host.
// So do those who come seconds after its answer (Timing.AliveFresh): a deletion may wait as long for its slot.
func (l *LXD) hostAlive(ctx context.Context, m inventory.Machine) error {
	if l.answered.was(string(m.HostID)) {
		return nil
	}
	asked, err := l.alive.do(ctx, string(m.HostID), func(ctx context.Context) (string, error) { return m.SystemID, l.askAlive(ctx, m) })
	if fault.Is(err, fault.NotFound) && asked != m.SystemID {
		// The VM that was asked about has gone, which tells nothing of the host.
		err = l.askAlive(ctx, m)
	}
	if fault.Is(err, fault.NotFound) {
		// Gone in the meantime: deleting it will find nothing.
		return nil
	}
	return err
}

// askAlive asks, and remembers whether the host answered.
func (l *LXD) askAlive(ctx context.Context, m inventory.Machine) error {
	began := l.cfg.Clock()
	err := l.cfg.Backend.Alive(ctx, m)
	l.silent.hear(m.HostID, err)
	if err == nil {
		l.answered.note(string(m.HostID), began)
	}
	return err
}
