package provision

import (
	"context"
	"slices"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// WatchVMs sends each VM once, then Synced, then every change, until ctx ends or send fails. Gone is
// sent only after the VM's host was read.
func (l *LXD) WatchVMs(ctx context.Context, vms []WatchedVM, send func(VMEvent) error) error {
	sub := l.watcher.subscribe(ctx)
	defer sub.close()
	s := vmStream{LXD: l, sub: sub, send: send, attempts: make(map[string]Attempt, len(vms))}
	synced, err := s.snapshot(ctx, vms)
	if err != nil {
		return err
	}
	if err := send(VMEvent{Synced: synced}); err != nil {
		return err
	}
	for {
		changed, missing, err := sub.next(ctx)
		if err != nil {
			return err
		}
		if err := s.pass(ctx, changed, missing); err != nil {
			return err
		}
	}
}

// vmStream is one open stream.
type vmStream struct {
	*LXD

	sub  *subscription
	send func(VMEvent) error
	// attempts are those that are watched: by the system id of the watcher's record, or by absentKey
	// where MAAS has shown no VM yet and its absence is not proved.
	attempts map[string]Attempt
}

// absentKey is no system id.
func absentKey(a Attempt) string { return "name/" + a.Name }

// snapshot sends every VM once. What this process has just seen in the state that the caller knows is
// not read again; the rest is read batch by batch, with pauses, so that a restarted manager doesn't
// take MAAS for itself.
func (s *vmStream) snapshot(ctx context.Context, vms []WatchedVM) (time.Time, error) {
	synced := s.cfg.Clock()
	var unknown []Attempt
	for _, vm := range vms {
		m, ok := s.watcher.recent(vm.Attempt.SystemID)
		if !ok || !slices.Contains(vm.Known, m.Status) || !vm.Attempt.onHost(m) || m.Hostname != vm.Attempt.Name {
			unknown = append(unknown, vm.Attempt)
			continue
		}
		if err := s.begin(vm.Attempt, m); err != nil {
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

func (s *vmStream) readPart(ctx context.Context, part []Attempt) error {
	names := make([]string, 0, len(part))
	for _, a := range part {
		names = append(names, a.Name)
	}
	found, err := s.names.byNames(ctx, names)
	if err != nil {
		return err
	}
	for _, a := range part {
		m, ok := found[a.Name]
		if ok && a.onHost(m) {
			err = s.begin(a, m)
		} else {
			s.attempts[absentKey(a)] = a
			err = s.miss(ctx, absentKey(a), a)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *vmStream) begin(a Attempt, m inventory.Machine) error {
	s.attempts[m.SystemID] = a
	s.sub.add(m)
	return s.tell(m)
}

// pass tells what one wake-up of the watcher brought. What was told as gone meanwhile is not told again.
func (s *vmStream) pass(ctx context.Context, changed []inventory.Machine, missing []string) error {
	for _, m := range changed {
		if _, watched := s.attempts[m.SystemID]; !watched {
			continue
		}
		if err := s.tell(m); err != nil {
			return err
		}
	}
	for _, key := range missing {
		a, watched := s.attempts[key]
		if !watched {
			continue
		}
		if err := s.miss(ctx, key, a); err != nil {
			return err
		}
	}
	return nil
}

func (s *vmStream) tell(m inventory.Machine) error {
	vm := s.view(m, nil)
	return s.send(VMEvent{VM: &vm})
}

// miss tells that a VM is gone once that is proved; where it can't be, the proof is tried anew after a
// while. The key is the attempt's in attempts.
func (s *vmStream) miss(ctx context.Context, key string, a Attempt) error {
	m, found, err := s.names.byName(ctx, a.Name)
	if err == nil && found && a.onHost(m) {
		if key != m.SystemID {
			s.drop(key)
		}
		return s.begin(a, m)
	}
	if err == nil {
		err = s.notFound(ctx, a)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !fault.Is(err, fault.NotFound) {
		s.cfg.Logger.WarnContext(ctx, "Not reporting VM as gone: its host was not read", "vm", a.Name, "host", a.HostName, "error", err)
		s.sub.again(key)
		return nil
	}
	s.drop(key)
	return s.send(VMEvent{Gone: a.Name})
}

func (s *vmStream) drop(key string) {
	delete(s.attempts, key)
	s.sub.drop(key)
}
