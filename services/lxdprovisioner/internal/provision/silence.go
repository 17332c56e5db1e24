package provision

import (
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// silenceHold is for how long it is remembered that a host did not answer. It is longer than the wait of a caller who counts for how
// long it does not: a machine whose host has not answered for five minutes is let go (docs/protocol-coverage.md 4.6).
const silenceHold = 10 * time.Minute

// silence remembers which hosts did not answer MAAS when it asked them last. MAAS takes a minute or two to say so of a host that is
// cut off, which is longer than a caller waits: who comes back meanwhile is told what is known, or would hear of the silence once
// in many calls, and in all others that the deletion goes on.
type silence struct{ *lately }

func newSilence(clock func() time.Time) silence { return silence{newLately(clock, silenceHold)} }

// hear takes in what became of a question that only the host itself can answer.
func (s silence) hear(id inventory.HostID, err error) {
	switch {
	case err == nil:
		s.take(string(id))
	case fault.ReasonOf(err) == fault.ReasonHostUnreachable:
		s.note(string(id), s.clock())
	}
}

// beingDeleted is the answer to a caller whose deletion runs on: Busy, or that a host does not answer, where it did not when it was
// asked last.
func (l *LXD) beingDeleted(key string, attempts []Attempt) error {
	for _, a := range attempts {
		if !a.Sent() || l.refreshes.proved.was(a.Name) {
			continue
		}
		if at, silent := l.silent.at(string(a.HostID)); silent {
			return fault.New(fault.Unavailable, fault.ReasonHostUnreachable, "%s is being deleted, and host %s did not answer when it was asked at %s",
				key, a.HostName, moment(at))
		}
	}
	return fault.New(fault.Busy, fault.ReasonDeletionInProgress, "%s is being deleted", key).WithRetryAfter(retrySoon)
}
