package provision

import (
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

// ledger holds what SelectHost gave out and MAAS does not show yet, by VM name (docs/protocol-coverage.md 6.1).
// Losing it costs at most a refused composition: MAAS and the check after composing have the last
// word.
type ledger struct {
	clock func() time.Time
	hold  time.Duration

	mu      sync.Mutex
	entries map[string]*entry
}

type entry struct {
	placement.Reservation

	// noted is when the choice was made or last used; composing says that a composition runs.
	noted     time.Time
	composing bool
	// answered is when compose was answered; zero before.
	answered time.Time
}

func newLedger(clock func() time.Time, hold time.Duration) *ledger {
	return &ledger{clock: clock, hold: hold, entries: map[string]*entry{}}
}

// note writes a choice down.
func (l *ledger) note(r placement.Reservation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[r.VM] = &entry{Reservation: r, noted: l.clock()}
}

// compose keeps the entry while a composition runs.
func (l *ledger) compose(r placement.Reservation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[r.VM] = &entry{Reservation: r, noted: l.clock(), composing: true}
}

// answer starts the end of the entry: the first read of its host that began later ends it.
func (l *ledger) answer(vm string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.entries[vm]; ok {
		e.composing, e.answered = false, l.clock()
	}
}

// hostRead ends the entries of the host whose composition was answered before the read began.
func (l *ledger) hostRead(id inventory.HostID, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for vm, e := range l.entries {
		if e.Host == id && !e.composing && !e.answered.IsZero() && e.answered.Before(began) {
			delete(l.entries, vm)
		}
	}
}

// forget ends the entry.
func (l *ledger) forget(vm string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.entries, vm)
}

// kept gives the host that was chosen for the VM.
func (l *ledger) kept(vm string) inventory.HostID {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.entries[vm]; ok && l.alive(e) {
		return e.Host
	}
	return ""
}

// pending gives every entry that counts, and drops those whose time is over.
func (l *ledger) pending() []placement.Reservation {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]placement.Reservation, 0, len(l.entries))
	for vm, e := range l.entries {
		if !l.alive(e) {
			delete(l.entries, vm)
			continue
		}
		all = append(all, e.Reservation)
	}
	return all
}

// counts tells how many entries count, by how far they are.
func (l *ledger) counts() LedgerCounts {
	l.mu.Lock()
	defer l.mu.Unlock()
	var n LedgerCounts
	for _, e := range l.entries {
		switch {
		case !l.alive(e):
		case e.composing:
			n.Composing++
		case !e.answered.IsZero():
			n.Unseen++
		default:
			n.Chosen++
		}
	}
	return n
}

func (l *ledger) alive(e *entry) bool {
	return e.composing || l.clock().Sub(e.noted) < l.hold
}

// lose ends a composition whose outcome is unknown: the entry stays until its time is over.
func (l *ledger) lose(vm string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.entries[vm]; ok {
		e.composing, e.noted = false, l.clock()
	}
}
