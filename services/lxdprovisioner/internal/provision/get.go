package provision

import (
	"cmp"
	"context"
	"fmt"
	"slices"
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

// The pages of ListVMs.
const (
	defaultPage = 500
	maxPage     = 1000
	// listingHold is for how long the pages after the first come from one list call.
	listingHold = time.Minute
	// listingHosts are the hosts whose VMs are listed in one call: a VM takes MAAS 30 ms, and thousands
	// at once more than a call may take.
	listingHosts = 20
)

// unownedStatuses are the states in which a composed VM may have no owner. An operator may have marked it
// broken, which takes the owner away and leaves the mark, or brought it into rescue mode.
var unownedStatuses = []inventory.Status{
	inventory.StatusNew, inventory.StatusCommissioning, inventory.StatusFailedCommissioning, inventory.StatusReady,
	inventory.StatusTesting, inventory.StatusFailedTesting, inventory.StatusBroken, inventory.StatusMissing, inventory.StatusRetired,
	inventory.StatusRescueMode, inventory.StatusEnteringRescueMode, inventory.StatusFailedEnteringRescue,
	inventory.StatusExitingRescueMode, inventory.StatusFailedExitingRescue,
}

// ListVMs lists composed VMs that bear our mark or our shape of name, by system id; the second value
// is the token of the next page, empty on the last. VMs without an owner are among them: what a crash
// leaves is one without owner and mark, which no cluster's list holds, and what is marked broken is one
// with its mark.
func (l *LXD) ListVMs(ctx context.Context, req ListRequest) ([]VM, string, error) {
	size := req.PageSize
	if size <= 0 {
		size = defaultPage
	}
	size = min(size, maxPage)
	all, ok := l.listing.of(req)
	if !ok || req.PageToken == "" {
		var err error
		if all, err = l.listAll(ctx, req); err != nil {
			return nil, "", err
		}
		l.listing.keep(req, all)
	}
	from, found := slices.BinarySearchFunc(all, req.PageToken, func(m inventory.Machine, id string) int { return cmp.Compare(m.SystemID, id) })
	if found {
		from++
	}
	page := all[from:min(from+size, len(all))]
	vms := make([]VM, 0, len(page))
	for _, m := range page {
		vms = append(vms, l.view(m, nil))
	}
	if from+size >= len(all) {
		return vms, "", nil
	}
	return vms, page[len(page)-1].SystemID, nil
}

func (l *LXD) listAll(ctx context.Context, req ListRequest) ([]inventory.Machine, error) {
	us, err := l.user.get(ctx)
	if err != nil {
		return nil, err
	}
	var found []inventory.Machine
	for _, filter := range []MachineFilter{{Owners: []string{us}}, {Statuses: unownedStatuses}} {
		if req.Zone != "" {
			filter.Zones = []string{req.Zone}
		}
		some, err := l.listByHosts(ctx, filter)
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	found = slices.DeleteFunc(found, func(m inventory.Machine) bool { return !listed(m, us, req.ClusterID) })
	slices.SortFunc(found, func(a, b inventory.Machine) int { return cmp.Compare(a.SystemID, b.SystemID) })
	return slices.CompactFunc(found, func(a, b inventory.Machine) bool { return a.SystemID == b.SystemID }), nil
}

// listByHosts lists the VMs that match, some hosts at a time. A list by owner or by state alone would
// hold the bare metal of the whole region, too.
func (l *LXD) listByHosts(ctx context.Context, filter MachineFilter) ([]inventory.Machine, error) {
	snap, err := l.hosts.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	var found []inventory.Machine
	for hosts := range slices.Chunk(snap.Hosts, listingHosts) {
		filter.VMHosts = nil
		for _, h := range hosts {
			filter.VMHosts = append(filter.VMHosts, h.Name)
		}
		some, err := l.cfg.MAAS.Machines(ctx, filter)
		if err != nil {
			return nil, fmt.Errorf("list the VMs of %d hosts: %w", len(hosts), err)
		}
		found = append(found, some...)
	}
	return found, nil
}

func listed(m inventory.Machine, us, clusterID string) bool {
	if !m.IsVM() || m.Owner != "" && m.Owner != us {
		return false
	}
	mark := ownerOf(m)
	if clusterID != "" {
		return mark != nil && mark.ClusterID == clusterID
	}
	return mark != nil || vmName.MatchString(m.Hostname)
}

// listing keeps the last list call of each filter for the pages that follow the first.
type listing struct {
	clock func() time.Time

	mu   sync.Mutex
	kept map[ListRequest]keptList
}

type keptList struct {
	machines []inventory.Machine
	at       time.Time
}

func newListing(clock func() time.Time) *listing {
	return &listing{clock: clock, kept: map[ListRequest]keptList{}}
}

func listKey(req ListRequest) ListRequest {
	return ListRequest{ClusterID: req.ClusterID, Zone: req.Zone}
}

func (l *listing) of(req ListRequest) ([]inventory.Machine, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list, ok := l.kept[listKey(req)]
	return list.machines, ok && l.clock().Sub(list.at) < listingHold
}

func (l *listing) keep(req ListRequest, machines []inventory.Machine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock()
	for key, old := range l.kept {
		if now.Sub(old.at) >= listingHold {
			delete(l.kept, key)
		}
	}
	l.kept[listKey(req)] = keptList{machines: machines, at: now}
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
