package provision

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// questions makes the list calls of one round: per expected state those that have left it, every
// while the Deployed ones by owner and power too, and some by turns in full, since deleted rows and
// new addresses show only there.
func (w *watcher) questions(ctx context.Context) ([]question, error) {
	idle, full, groups := w.plan()
	var out []question
	for _, status := range slices.Sorted(maps.Keys(groups)) {
		if status.FilterWord() == "" {
			// MAAS can't be asked what has left a state that we have no word for.
			for part := range slices.Chunk(groups[status], w.limits.WatchFullBatch) {
				out = append(out, question{filter: MachineFilter{SystemIDs: part}, sweep: true, everyRound: true})
			}
			continue
		}
		for part := range slices.Chunk(groups[status], w.limits.WatchBatch) {
			if status != inventory.StatusDeployed {
				out = append(out, question{filter: MachineFilter{SystemIDs: part, NotStatuses: []inventory.Status{status}}, everyRound: true})
				continue
			}
			if !idle {
				continue
			}
			us, err := w.user.get(ctx)
			if err != nil {
				return nil, err
			}
			// Filters are ANDed: one call with all three would show only what differs in all.
			out = append(out,
				question{filter: MachineFilter{SystemIDs: part, NotStatuses: []inventory.Status{status}}},
				question{filter: MachineFilter{SystemIDs: part, NotOwners: []string{us}}},
				question{filter: MachineFilter{SystemIDs: part, NotPowers: []inventory.Power{inventory.PowerOn}}})
		}
	}
	if len(full) > 0 {
		out = append(out, question{filter: MachineFilter{SystemIDs: full}, sweep: true})
	}
	return out, nil
}

// plan says what is due: the Deployed machines, the ids to read in full, and all ids by state.
func (w *watcher) plan() (idle bool, full []string, groups map[inventory.Status][]string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock()
	if idle = now.Sub(w.idleAt) >= w.timing.IdleInterval; idle {
		w.idleAt = now
	}
	groups = map[inventory.Status][]string{}
	ids := make([]string, 0, len(w.records))
	for id, r := range w.records {
		if len(r.readers) == 0 {
			continue
		}
		ids = append(ids, id)
		if r.confirmed.IsZero() {
			full = append(full, id)
			continue
		}
		groups[r.machine.Status] = append(groups[r.machine.Status], id)
	}
	for _, g := range groups {
		slices.Sort(g)
	}
	slices.Sort(ids)
	if now.Sub(w.fullAt) >= w.timing.WatchFullRead {
		w.fullAt = now
		full = append(full, w.byTurns(ids, w.limits.WatchFullBatch-len(full))...)
	}
	slices.Sort(full)
	full = slices.Compact(full)
	return idle, full[:min(len(full), w.limits.WatchFullBatch)], groups
}

// byTurns gives the next n ids behind the cursor, and begins anew at the end.
func (w *watcher) byTurns(ids []string, n int) []string {
	if n <= 0 || len(ids) == 0 {
		return nil
	}
	from, found := slices.BinarySearchFunc(ids, w.cursor, cmp.Compare[string])
	if found {
		from++
	}
	if from >= len(ids) {
		from = 0
	}
	turn := ids[from:min(from+n, len(ids))]
	w.cursor = turn[len(turn)-1]
	return slices.Clone(turn)
}

// answer takes what a call told: what it returned may have changed, and all that it asked of in full
// and did not return is missing in MAAS.
func (w *watcher) answer(q question, found []inventory.Machine, asked time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	returned := make(map[string]bool, len(found))
	for _, m := range found {
		returned[m.SystemID] = true
		if r, ok := w.records[m.SystemID]; ok {
			w.tell(r, m)
		}
	}
	for _, id := range q.filter.SystemIDs {
		r, ok := w.records[id]
		if !ok || returned[id] {
			continue
		}
		if !q.sweep {
			r.confirmed = maxTime(r.confirmed, asked)
			continue
		}
		for s := range r.readers {
			s.notify(func() { s.missing[id] = true })
		}
	}
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// fingerprint is what of a machine a caller acts on.
func fingerprint(m inventory.Machine) string {
	return fmt.Sprintln(m.Status, m.Message, m.Power, m.Owner, m.Locked, m.Hostname, m.FQDN, m.Zone, m.Pool, m.HostID, m.Addresses, m.Annotations)
}
