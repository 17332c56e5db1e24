package provision

import (
	"context"
	"maps"
	"slices"
	"time"

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
	found, err := s.names.byNames(ctx, namesOf(part))
	if err != nil {
		return err
	}
	absent := map[string]Attempt{}
	for _, a := range part {
		if m, ok := found[a.Name]; ok && a.onHost(m) {
			if err := s.begin(a, m); err != nil {
				return err
			}
			continue
		}
		s.attempts[absentKey(a)], absent[absentKey(a)] = a, a
	}
	s.leaveToDeletions(absent)
	return s.tellAbsent(ctx, absent)
}

func namesOf(attempts []Attempt) []string {
	names := make([]string, 0, len(attempts))
	for _, a := range attempts {
		names = append(names, a.Name)
	}
	return names
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
	lost := map[string]Attempt{}
	for _, key := range missing {
		if a, watched := s.attempts[key]; watched {
			lost[key] = a
		}
	}
	return s.miss(ctx, lost)
}

func (s *vmStream) tell(m inventory.Machine) error {
	vm := s.view(m, nil)
	return s.send(VMEvent{VM: &vm})
}

// miss looks for VMs whose record MAAS does not show any more, and tells which are gone. The keys are those of attempts. What
// a deletion is taking away is left to it.
func (s *vmStream) miss(ctx context.Context, lost map[string]Attempt) error {
	s.leaveToDeletions(lost)
	found := map[string]inventory.Machine{}
	for part := range slices.Chunk(namesOf(slices.Collect(maps.Values(lost))), lookupMax) {
		some, err := s.names.byNames(ctx, part)
		if err != nil {
			return s.unproved(ctx, lost, err)
		}
		maps.Copy(found, some)
	}
	for key, a := range lost {
		m, ok := found[a.Name]
		if !ok || !a.onHost(m) {
			continue
		}
		delete(lost, key)
		if key != m.SystemID {
			s.drop(key)
		}
		if err := s.begin(a, m); err != nil {
			return err
		}
	}
	return s.tellAbsent(ctx, lost)
}

// leaveToDeletions takes out what a deletion is taking away, for a while: its caller is told, and asks MAAS for the same.
func (s *vmStream) leaveToDeletions(absent map[string]Attempt) {
	for key, a := range absent {
		if s.refreshes.going(a.Name, s.cfg.Timing.DetachedLimit) {
			s.sub.again(key)
			delete(absent, key)
		}
	}
}

// tellAbsent tells that VMs which MAAS has just not shown are gone once that is proved, by a deletion or with one reading of
// each host; where it can't be, the proof is tried anew after a while.
func (s *vmStream) tellAbsent(ctx context.Context, absent map[string]Attempt) error {
	type place struct {
		id   inventory.HostID
		name string
	}
	hosts := map[place]error{}
	for _, key := range slices.Sorted(maps.Keys(absent)) {
		a := absent[key]
		at := place{a.HostID, a.HostName}
		proved := s.refreshes.proved.was(a.Name)
		if _, read := hosts[at]; !proved && !read {
			_, hosts[at] = s.presentHost(ctx, a.HostID, a.HostName)
		}
		if err := hosts[at]; !proved && err != nil {
			if err := s.unproved(ctx, map[string]Attempt{key: a}, err); err != nil {
				return err
			}
			continue
		}
		s.drop(key)
		if err := s.send(VMEvent{Gone: a.Name}); err != nil {
			return err
		}
	}
	return nil
}

// unproved keeps absences that can't be proved for another try. It fails where the stream has ended.
func (s *vmStream) unproved(ctx context.Context, absent map[string]Attempt, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for key, a := range absent {
		s.cfg.Logger.WarnContext(ctx, "Not reporting VM as gone: its host was not read", "vm", a.Name, "host", a.HostName, "error", cause)
		s.sub.again(key)
	}
	return nil
}

func (s *vmStream) drop(key string) {
	delete(s.attempts, key)
	s.sub.drop(key)
}
