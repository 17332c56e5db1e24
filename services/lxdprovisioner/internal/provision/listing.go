package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// The pages of ListVMs.
const (
	defaultPage = 500
	maxPage     = 1000
	// listingHold is for how long the pages after the first come from one list call, where that took no longer.
	listingHold = time.Minute
	// listingLimit bounds a list of VMs: 60,000 at 30 ms.
	listingLimit = 30 * time.Minute
	// listingHosts are the hosts whose VMs are listed in one call: a VM takes MAAS 30 ms, and thousands
	// at once more than a call may take.
	listingHosts = 20
	// listingKnown are the VMs that one call leaves out because they are known: their ids and the names of the hosts fit into
	// a request line of 8 KB.
	listingKnown = 300
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
// with its mark. A VM that somebody watches is told as the watch last saw it: minutes ago at most. Busy where the list takes longer than the caller has: it goes on, and is there for who asks again.
func (l *LXD) ListVMs(ctx context.Context, req ListRequest) ([]VM, string, error) {
	size := req.PageSize
	if size <= 0 {
		size = defaultPage
	}
	size = min(size, maxPage)
	all, err := l.listing.of(ctx, req, l.listAll)
	if err != nil {
		return nil, "", err
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

// listAll lists what has no owner before what is ours: a VM that is claimed between the two calls is in both, where the other
// order would find it in neither.
func (l *LXD) listAll(ctx context.Context, req ListRequest) ([]inventory.Machine, error) {
	us, err := l.user.get(ctx)
	if err != nil {
		return nil, err
	}
	known := l.watcher.ours(us)
	var found []inventory.Machine
	for _, filter := range []MachineFilter{{Statuses: unownedStatuses}, {Owners: []string{us}}} {
		if req.Zone != "" {
			filter.Zones = []string{req.Zone}
		}
		some, err := l.listByHosts(ctx, filter, known)
		if err != nil {
			return nil, err
		}
		found = slices.Concat(some, found)
	}
	for _, vms := range known {
		found = append(found, slices.DeleteFunc(vms, func(m inventory.Machine) bool { return req.Zone != "" && m.Zone.Name != req.Zone })...)
	}
	found = slices.DeleteFunc(found, func(m inventory.Machine) bool { return !listed(m, us, req.ClusterID) })
	slices.SortStableFunc(found, func(a, b inventory.Machine) int { return cmp.Compare(a.SystemID, b.SystemID) })
	return slices.CompactFunc(found, func(a, b inventory.Machine) bool { return a.SystemID == b.SystemID }), nil
}

// listByHosts lists the VMs that match and are not known, some hosts at a time. A list by owner or by state alone would
// hold the bare metal of the whole region, too.
func (l *LXD) listByHosts(ctx context.Context, filter MachineFilter, known map[inventory.HostID][]inventory.Machine) ([]inventory.Machine, error) {
	snap, err := l.hosts.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	var found []inventory.Machine
	for rest := snap.Hosts; len(rest) > 0; {
		var hosts []inventory.Host
		filter.VMHosts, filter.NotSystemIDs = nil, nil
		hosts, rest = listedTogether(rest, known)
		for _, h := range hosts {
			filter.VMHosts = append(filter.VMHosts, h.Name)
			for _, m := range leftOut(known[h.ID]) {
				filter.NotSystemIDs = append(filter.NotSystemIDs, m.SystemID)
			}
		}
		some, err := l.cfg.MAAS.Machines(ctx, filter)
		if err != nil {
			return nil, fmt.Errorf("list the VMs of %d hosts: %w", len(hosts), err)
		}
		found = append(found, some...)
	}
	return found, nil
}

// listedTogether divides the hosts into those whose VMs one call lists, at least one, and the rest.
func listedTogether(hosts []inventory.Host, known map[inventory.HostID][]inventory.Machine) (now, later []inventory.Host) {
	n, ids := 1, len(leftOut(known[hosts[0].ID]))
	for ; n < min(len(hosts), listingHosts); n++ {
		if ids += len(leftOut(known[hosts[n].ID])); ids > listingKnown {
			break
		}
	}
	return hosts[:n], hosts[n:]
}

// leftOut are those of a host's known VMs that a call leaves out.
func leftOut(known []inventory.Machine) []inventory.Machine {
	return known[:min(len(known), listingKnown)]
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

// listing keeps the last list call of each filter: for the pages that follow the first, and for callers who
// had no time to wait for it.
type listing struct {
	clock func() time.Time
	runs  *flights[[]inventory.Machine]

	mu   sync.Mutex
	kept map[ListRequest]keptList
	// owed are the filters of callers who could not wait.
	owed map[ListRequest]bool
}

type keptList struct {
	machines []inventory.Machine
	until    time.Time
}

func newListing(cfg Config) *listing {
	runs := newFlights[[]inventory.Machine](cfg)
	runs.limit = listingLimit
	return &listing{clock: cfg.Clock, runs: runs, kept: map[ListRequest]keptList{}, owed: map[ListRequest]bool{}}
}

func listKey(req ListRequest) ListRequest {
	return ListRequest{ClusterID: req.ClusterID, Zone: req.Zone}
}

// of gives what is kept to who may have it; else it lists, or joins the list call that runs.
func (l *listing) of(ctx context.Context, req ListRequest, list func(context.Context, ListRequest) ([]inventory.Machine, error)) ([]inventory.Machine, error) {
	if all, ok := l.known(req); ok {
		return all, nil
	}
	key := listKey(req)
	all, err := l.runs.do(ctx, strconv.Quote(key.ClusterID)+strconv.Quote(key.Zone), func(ctx context.Context) ([]inventory.Machine, error) {
		began := l.clock()
		all, err := list(ctx, key)
		if err == nil {
			l.keep(key, all, l.clock().Sub(began))
		}
		return all, err
	})
	ranOn := errors.Is(err, errRunsOn)
	if req.PageToken == "" {
		l.owe(key, ranOn)
	}
	if ranOn {
		return nil, fault.New(fault.Busy, fault.ReasonMAASBusy, "the VMs are being listed").WithRetryAfter(retrySoon)
	}
	return all, err
}

// known gives what is kept for a page that follows another one, or for a caller who could not wait for it.
func (l *listing) known(req ListRequest) ([]inventory.Machine, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := listKey(req)
	list, ok := l.kept[key]
	if !ok || !l.clock().Before(list.until) || req.PageToken == "" && !l.owed[key] {
		return nil, false
	}
	if req.PageToken == "" {
		delete(l.owed, key)
	}
	return list.machines, true
}

func (l *listing) owe(key ListRequest, owed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if owed {
		l.owed[key] = true
	} else {
		delete(l.owed, key)
	}
}

// keep keeps a list for at least as long as it took, so that a caller who could not wait for it finds it.
func (l *listing) keep(key ListRequest, machines []inventory.Machine, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock()
	for other, old := range l.kept {
		if !now.Before(old.until) {
			delete(l.kept, other)
			delete(l.owed, other)
		}
	}
	l.kept[key] = keptList{machines: machines, until: now.Add(max(listingHold, took))}
}
