package provision

import (
	"context"
	"slices"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// WatchMachines streams the state of physical machines as WatchVMs does. Gone is sent where MAAS has
// no machine of the system id under the agent name.
func (b *BareMetal) WatchMachines(ctx context.Context, machines []WatchedMachine, send func(MachineEvent) error) error {
	sub := b.watcher.subscribe(ctx)
	defer sub.close()
	s := metalStream{BareMetal: b, sub: sub, send: send, refs: make(map[string]MachineRef, len(machines))}
	synced, err := s.snapshot(ctx, machines)
	if err != nil {
		return err
	}
	if err := send(MachineEvent{Synced: synced}); err != nil {
		return err
	}
	for {
		changed, missing, err := sub.next(ctx)
		if err != nil {
			return err
		}
		for _, m := range changed {
			if err := s.tell(ctx, m); err != nil {
				return err
			}
		}
		for _, id := range missing {
			if err := s.miss(ctx, id); err != nil {
				return err
			}
		}
	}
}

// metalStream is one open stream.
type metalStream struct {
	*BareMetal

	sub  *subscription
	send func(MachineEvent) error
	// refs are the allocations that are watched, by system id.
	refs map[string]MachineRef
}

func (s *metalStream) snapshot(ctx context.Context, machines []WatchedMachine) (time.Time, error) {
	synced := s.cfg.Clock()
	var unknown []string
	for _, w := range machines {
		s.refs[w.Machine.SystemID] = w.Machine
		m, ok := s.watcher.recent(w.Machine.SystemID)
		if !ok || !slices.Contains(w.Known, m.Status) {
			unknown = append(unknown, w.Machine.SystemID)
			continue
		}
		if err := s.begin(ctx, m); err != nil {
			return synced, err
		}
	}
	for part := range slices.Chunk(unknown, s.cfg.Limits.WatchFullBatch) {
		began := s.cfg.Clock()
		if err := s.readPart(ctx, part); err != nil {
			return synced, err
		}
		synced = s.cfg.Clock()
		if len(part) == s.cfg.Limits.WatchFullBatch {
			if err := pause(ctx, synced.Sub(began)); err != nil {
				return synced, err
			}
		}
	}
	return synced, nil
}

func (s *metalStream) readPart(ctx context.Context, part []string) error {
	found, err := s.cfg.MAAS.Machines(ctx, MachineFilter{SystemIDs: part})
	if err != nil {
		return err
	}
	for _, m := range found {
		if err := s.begin(ctx, m); err != nil {
			return err
		}
	}
	for _, id := range part {
		if slices.ContainsFunc(found, func(m inventory.Machine) bool { return m.SystemID == id }) {
			continue
		}
		if err := s.miss(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (s *metalStream) begin(ctx context.Context, m inventory.Machine) error {
	s.sub.add(m)
	return s.tell(ctx, m)
}

// tell sends a machine that is still held. In the states in which MAAS has let go of the agent name
// it is asked; in the others the name stands.
func (s *metalStream) tell(ctx context.Context, m inventory.Machine) error {
	switch m.Status {
	case inventory.StatusNew, inventory.StatusReady, inventory.StatusReleasing, inventory.StatusAllocated:
		return s.miss(ctx, m.SystemID)
	default:
		if _, watched := s.refs[m.SystemID]; !watched {
			return nil
		}
		told := metal(m)
		return s.send(MachineEvent{Machine: &told})
	}
}

// miss reads a machine by its agent name and tells what is so. Where MAAS doesn't answer, that is tried
// again after a while.
func (s *metalStream) miss(ctx context.Context, systemID string) error {
	ref, ok := s.refs[systemID]
	if !ok {
		return nil
	}
	m, err := s.cfg.MAAS.Claimed(ctx, ref.SystemID, ref.AgentName)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		s.sub.add(m)
		told := metal(m)
		return s.send(MachineEvent{Machine: &told})
	case fault.Is(err, fault.NotFound):
		delete(s.refs, systemID)
		s.sub.drop(systemID)
		return s.send(MachineEvent{Gone: systemID})
	default:
		s.cfg.Logger.WarnContext(ctx, "Not reporting machine as gone: MAAS was not read", "systemID", systemID, "error", err)
		s.sub.again(systemID)
		return nil
	}
}
