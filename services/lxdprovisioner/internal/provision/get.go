package provision

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// GetVM reads one VM: from the watch where it is watched, with the age of what it says, else from
// MAAS. NotFound only where its host was read in the same pass; Conflict where the name is a machine's
// elsewhere.
func (l *LXD) GetVM(ctx context.Context, req GetRequest) (VM, error) {
	m, found := l.watcher.seen(req.Attempt.SystemID)
	if !found || m.Hostname != req.Attempt.Name {
		var err error
		if m, found, err = l.names.byName(ctx, req.Attempt.Name); err != nil {
			return VM{}, err
		}
	}
	if !found {
		return VM{}, l.notFound(ctx, req.Attempt)
	}
	if err := foreign(m, req.Attempt); err != nil {
		return VM{}, err
	}
	if req.Owner == nil {
		return l.view(m, nil), nil
	}
	claimed, err := l.claimedFor(ctx, m, *req.Owner)
	if err != nil {
		return VM{}, unproved(err)
	}
	return l.view(m, &claimed), nil
}

// claimedFor says whether the claim of the VM is the owner's. The mark says it too: only who holds a
// machine can write it, and releasing wipes it.
func (l *LXD) claimedFor(ctx context.Context, m inventory.Machine, owner Owner) (bool, error) {
	if mark := ownerOf(m); mark != nil && m.Owner != "" {
		return mark.same(owner), nil
	}
	return l.proved(ctx, m)
}

// userNameHold is for how long MAAS's name for us is believed: the key may be replaced by another
// user's while the process runs.
const userNameHold = time.Minute

// userName is MAAS's name for us.
type userName struct {
	maas  Catalogue
	clock func() time.Time

	mu   sync.Mutex
	name string
	at   time.Time
}

func newUserName(cfg Config) *userName { return &userName{maas: cfg.MAAS, clock: cfg.Clock} }

func (u *userName) get(ctx context.Context) (string, error) {
	u.mu.Lock()
	name, fresh := u.name, u.clock().Sub(u.at) < userNameHold
	u.mu.Unlock()
	if name != "" && fresh {
		return name, nil
	}
	asked := u.clock()
	who, err := u.maas.WhoAmI(ctx)
	if err != nil {
		return "", fmt.Errorf("ask MAAS who we are: %w", err)
	}
	if who.Name == "" {
		return "", fault.New(fault.Unavailable, fault.ReasonMAASUnavailable, "MAAS does not tell the name of our user")
	}
	u.mu.Lock()
	u.name, u.at = who.Name, asked
	u.mu.Unlock()
	return who.Name, nil
}
