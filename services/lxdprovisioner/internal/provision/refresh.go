package provision

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// historyHold is for how long refreshes and absences are remembered. Forgetting them costs another
// refresh.
const historyHold = time.Hour

// refreshes remember which hosts were refreshed when, and since when names are absent, so that one
// refresh serves all who wait for it and every deletion is proved by one that began after it.
type refreshes struct {
	backend Backend
	hosts   *hostCache
	gate    *hostGate
	silent  silence
	clock   func() time.Time
	timing  Timing
	log     *slog.Logger
	turns   *turns[span]

	mu      sync.Mutex
	history map[inventory.HostID][]span
	absent  map[string]time.Time
	// proved are the names of which a deletion has proved the absence.
	proved *lately
	// shown are the names of which a VM was seen, which settles their attempts.
	shown map[string]time.Time
}

// span is when a refresh began and ended. One that did not end well proves nothing: ended is zero, and
// err says why it failed then.
type span struct {
	began, ended, failed time.Time
	err                  error
}

func newRefreshes(cfg Config, hosts *hostCache, gate *hostGate, silent silence) *refreshes {
	return &refreshes{
		backend: cfg.Backend, hosts: hosts, gate: gate, silent: silent, clock: cfg.Clock, timing: cfg.Timing, log: cfg.Logger,
		turns:   newTurns[span](cfg.Timing.LookupWindow, cfg.Timing.DetachedLimit+cfg.Timing.QueueLimit, cfg.Logger),
		history: map[inventory.HostID][]span{},
		absent:  map[string]time.Time{},
		proved:  newLately(cfg.Clock, historyHold),
		shown:   map[string]time.Time{},
	}
}

// gone notes that the name was seen absent or was deleted, and gives since when that is so.
func (r *refreshes) gone(name string) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	expire(r.absent, now)
	if since, ok := r.absent[name]; ok {
		return since
	}
	r.absent[name] = now
	return now
}

// isGone says whether the name was seen absent or was deleted, and not seen since.
func (r *refreshes) isGone(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.absent[name]
	return ok
}

// going says whether the name is absent or deleted for less than a time, and a deletion is about to prove it.
func (r *refreshes) going(name string, most time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	since, gone := r.absent[name]
	return gone && !r.proved.was(name) && r.clock().Sub(since) < most
}

// there notes that a VM of the name exists.
func (r *refreshes) there(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	expire(r.shown, r.clock())
	r.shown[name] = r.clock()
	delete(r.absent, name)
	r.proved.take(name)
}

// wasThere says whether a VM of the name was seen.
func (r *refreshes) wasThere(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.shown[name]
	return ok
}

func expire(noted map[string]time.Time, now time.Time) {
	for name, at := range noted {
		if now.Sub(at) >= historyHold {
			delete(noted, name)
		}
	}
}

// after says whether a refresh of the host began at or after the time and has ended.
func (r *refreshes) after(id inventory.HostID, t time.Time) (span, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.history[id] {
		if !s.ended.IsZero() && !s.began.Before(t) {
			return s, true
		}
	}
	return span{}, false
}

// refresh makes MAAS compare its records with the host, at most once in RefreshGap, whatever came of
// it; those who ask meanwhile share the next one.
func (r *refreshes) refresh(ctx context.Context, host inventory.Host) error {
	_, err := r.turns.do(ctx, string(host.ID), func(ctx context.Context) (span, error) {
		if err := r.tooSoon(host.ID, host.Name); err != nil {
			return span{}, err
		}
		leave, err := r.gate.refresh(host)
		if err != nil {
			return span{}, err
		}
		defer leave()
		s := span{began: r.clock()}
		// MAAS may work on a refresh whose answer never comes: its beginning counts.
		r.note(host.ID, s)
		_, err = r.backend.Verify(ctx, host.ID)
		r.silent.hear(host.ID, err)
		if err != nil {
			s.failed, s.err = r.clock(), fmt.Errorf("refresh host %s: %w", host.Name, err)
			r.note(host.ID, s)
			return span{}, s.err
		}
		s.ended = r.clock()
		r.hosts.drop(host.ID)
		r.note(host.ID, s)
		r.log.InfoContext(ctx, "Refreshed host", "host", host.Name, "zone", host.Zone.Name, "took", s.ended.Sub(s.began))
		return s, nil
	})
	return err
}

// tooSoon is the error of a host that must not be refreshed yet: why the last refresh did not work, or
// Busy after one that did.
func (r *refreshes) tooSoon(id inventory.HostID, name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	spans := r.history[id]
	if len(spans) == 0 {
		return nil
	}
	last := spans[len(spans)-1]
	since := last.began
	if last.err != nil {
		// It may have taken MAAS longer than the gap to say so, of a host that is as silent the next moment.
		since = last.failed
	}
	wait := r.timing.RefreshGap - r.clock().Sub(since)
	if wait <= 0 || last.unsent() {
		return nil
	}
	if last.err != nil {
		return last.err
	}
	return fault.New(fault.Busy, fault.ReasonDeletionInProgress, "host %s was refreshed less than %s ago", name, r.timing.RefreshGap).WithRetryAfter(wait)
}

// unsent says that MAAS was never asked: all its requests were under way.
func (s span) unsent() bool { return fault.ReasonOf(s.err) == fault.ReasonTooManyInFlight }

// note writes the refresh down, or what became of the one that began at that time.
func (r *refreshes) note(id inventory.HostID, s span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.history[id][:0:0]
	for _, old := range r.history[id] {
		if !old.began.Equal(s.began) && s.began.Sub(old.began) < historyHold {
			kept = append(kept, old)
		}
	}
	r.history[id] = append(kept, s)
}

// drain waits until no refresh runs any more, or for ctx.
func (r *refreshes) drain(ctx context.Context) error { return r.turns.drain(ctx) }
