package provision

import (
	"slices"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// briefing is what the caller of a deletion knew of the hosts, and when it said so.
type briefing struct {
	hosts []HostExpectation
	at    time.Time
}

// of is what was known of a host. Invalid where the caller did not say: nobody could tell what a refresh would delete there.
func (b briefing) of(id inventory.HostID) (HostExpectation, error) {
	i := slices.IndexFunc(b.hosts, func(h HostExpectation) bool { return h.HostID == id })
	if i < 0 {
		return HostExpectation{}, fault.New(fault.Invalid, fault.ReasonBadRequest, "the request does not say what is known of host %s", id).WithField("hosts")
	}
	return b.hosts[i], nil
}

// briefings keep the newest briefing of each deletion. A deletion outlives its callers and waits for others of its host: what its
// first caller knew may be wrong when the host is refreshed, since VMs are made and deleted meanwhile.
type briefings struct {
	// hold is longer than any deletion, so that there is one while it runs.
	hold time.Duration

	mu   sync.Mutex
	last map[string]briefing
}

func newBriefings(hold time.Duration) *briefings {
	return &briefings{hold: hold, last: map[string]briefing{}}
}

// take notes what a caller of a deletion knows.
func (b *briefings) take(deletion string, known briefing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, old := range b.last {
		if known.at.Sub(old.at) >= b.hold {
			delete(b.last, key)
		}
	}
	b.last[deletion] = known
}

// newest gives what the last caller of a deletion knew.
func (b *briefings) newest(deletion string) briefing {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last[deletion]
}
