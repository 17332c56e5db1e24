package placement_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

// reference places as Place does, the obvious way: host by host and rule by rule, with inventory's
// own arithmetic and nothing worked out before. What Place gains in speed must not show in answers.
type reference struct {
	hosts []inventory.Host
	req   placement.Request
}

// others are the VMs that count on a host besides what MAAS shows: those of the ledger, and how many
// of the group are there.
func (r *reference) others(id inventory.HostID) (pending []placement.Reservation, group int) {
	seen := map[string]bool{r.req.VM: true}
	for _, p := range r.req.Group.Peers {
		if r.req.Group.Key != "" && p.Host == id && !seen[p.Name] {
			seen[p.Name] = true
			group++
		}
	}
	for _, p := range r.req.Pending {
		if p.Host != id || p.VM == r.req.VM {
			continue
		}
		pending = append(pending, p)
		if r.req.Group.Key != "" && p.Group == r.req.Group.Key && !seen[p.VM] {
			seen[p.VM] = true
			group++
		}
	}
	return pending, group
}

// reason says why the host is out; empty where it fits.
func (r *reference) reason(h inventory.Host) placement.Reason {
	for _, why := range []placement.Reason{r.notAsked(h), r.unusable(h), r.noMatch(h), r.noRoom(h)} {
		if why != "" {
			return why
		}
	}
	return ""
}

func (r *reference) notAsked(h inventory.Host) placement.Reason {
	switch {
	case h.Type != "lxd":
		return placement.NotLXD
	case len(r.req.Constraints.Pools) > 0 && !slices.Contains(r.req.Constraints.Pools, h.Pool.Name):
		return placement.OtherPool
	}
	return ""
}

func (r *reference) unusable(h inventory.Host) placement.Reason {
	var major, minor int
	_, _ = fmt.Sscanf(h.LXDVersion, "%d.%d", &major, &minor)
	tags := slices.Concat(h.Tags, h.Machine.Tags)
	switch {
	case !slices.Contains(h.Capabilities, "composable") || h.Zone.Name == "":
		return placement.NotComposable
	case major*100+minor >= 607:
		return placement.LXDTooNewForMAAS
	case h.Total.Cores == 0 || h.Total.MemoryMiB == 0:
		return placement.HostNotInventoried
	case h.Machine.Status != inventory.StatusDeployed:
		return placement.HostNotDeployed
	case h.Machine.Power == inventory.PowerOff:
		return placement.HostPoweredOff
	case slices.Contains(tags, placement.TagMaintenance) || slices.Contains(tags, placement.TagNoSchedule):
		return placement.HostMaintenance
	case slices.ContainsFunc(h.Tags, func(tag string) bool { return strings.ContainsAny(tag, ".:/ ") }):
		return placement.BadTag
	}
	return ""
}

func (r *reference) noMatch(h inventory.Host) placement.Reason {
	c := r.req.Constraints
	_, group := r.others(h.ID)
	ids := []string{h.Name, string(h.ID)}
	lacks := func(has, wants []string) bool {
		return slices.ContainsFunc(wants, func(w string) bool { return !slices.Contains(has, w) })
	}
	switch {
	case c.Zone != "" && h.Zone.Name != c.Zone, len(c.Zones) > 0 && !slices.Contains(c.Zones, h.Zone.Name):
		return placement.OtherZone
	case len(c.AllowedHosts) > 0 && !slices.Contains(c.AllowedHosts, ids[0]) && !slices.Contains(c.AllowedHosts, ids[1]):
		return placement.NotAllowed
	case slices.Contains(c.ExcludedHosts, h.ID):
		return placement.Excluded
	case lacks(h.Tags, c.Tags):
		return placement.MissingTags
	case c.Architecture != "" && !slices.ContainsFunc(h.Architectures, func(a string) bool { return strings.HasPrefix(a+"/", c.Architecture+"/") }):
		return placement.OtherArchitecture
	case lacks(h.Bridges, c.Bridges):
		return placement.NetworkMissing
	case r.req.Group.AntiAffinity == placement.Required && group > 0:
		return placement.GroupOnHost
	case c.Project != "" && h.Project != c.Project:
		return placement.OtherProject
	}
	return ""
}

func (r *reference) noRoom(h inventory.Host) placement.Reason {
	for _, d := range r.req.Size.Disks {
		if _, ok := h.StoragePool(d.StoragePool); !ok {
			return placement.NoStoragePool
		}
	}
	need, left := r.req.Size.Resources(), r.left(h)
	total, free := r.pools(h)
	short := func(pools map[string]int64) bool {
		for name, bytes := range r.disks(h, r.req.Size) {
			if bytes > pools[name] {
				return true
			}
		}
		return false
	}
	switch {
	case need.Cores > h.Total.Cores:
		return placement.InsufficientCores
	case need.MemoryMiB > h.Total.MemoryMiB:
		return placement.InsufficientMemory
	case short(total):
		return placement.InsufficientStorage
	case need.Cores > left.Cores:
		return placement.InsufficientCores
	case need.MemoryMiB > left.MemoryMiB:
		return placement.InsufficientMemory
	case short(free):
		return placement.InsufficientStorage
	}
	return ""
}

// left is what is left of the host's cores and memory.
func (r *reference) left(h inventory.Host) inventory.Resources {
	left := h.Available()
	pending, _ := r.others(h.ID)
	for _, p := range pending {
		left = left.Sub(p.Size.Resources())
	}
	return left
}

// disks gives the bytes that a VM takes of each storage pool of the host.
func (r *reference) disks(h inventory.Host, size inventory.VMSize) map[string]int64 {
	bytes := map[string]int64{}
	for _, d := range size.Disks {
		pool, _ := h.StoragePool(d.StoragePool)
		bytes[pool.Name] += d.SizeGB * inventory.BytesPerGB
	}
	return bytes
}

// pools gives the size of the host's storage pools, and what is left of them.
func (r *reference) pools(h inventory.Host) (total, free map[string]int64) {
	total, free = map[string]int64{}, map[string]int64{}
	pending, _ := r.others(h.ID)
	for _, p := range h.StoragePools {
		total[p.Name], free[p.Name] = p.TotalBytes, p.AvailableBytes
	}
	for _, p := range pending {
		for name, bytes := range r.disks(h, p.Size) {
			free[name] -= bytes
		}
	}
	return total, free
}

// terms gives what the host is compared by, but for the spread over zones.
func (r *reference) terms(h inventory.Host) []float64 {
	pending, group := r.others(h.ID)
	need, left, allowed := r.req.Size.Resources(), r.left(h), h.Allowed()
	total, free := r.pools(h)
	share := max(usedShare(allowed.Cores, left.Cores-need.Cores), usedShare(allowed.MemoryMiB, left.MemoryMiB-need.MemoryMiB))
	for name, bytes := range r.disks(h, r.req.Size) {
		share = max(share, usedShare(total[name], free[name]-bytes))
	}
	vms := h.VMs
	if vms < 0 {
		vms = int(math.Ceil(max(float64(h.Used.Cores), 0) / float64(need.Cores)))
	}
	policy, exact := 1-share, 1-share
	switch r.req.Constraints.Policy {
	case placement.Pack:
		policy, exact = share, share
	case placement.Spread:
		policy = 1 / float64(1+vms+len(pending))
	case placement.Balanced:
	}
	if r.req.Constraints.Policy != placement.Spread {
		policy = math.Floor(policy*20) / 20
	}
	preferred := slices.Contains(r.req.Constraints.PreferredHosts, h.Name) || slices.Contains(r.req.Constraints.PreferredHosts, string(h.ID))
	return []float64{
		asTerm(h.ID == r.req.Keep), 1, 1 / float64(1+group), asTerm(preferred), policy,
		asTerm(r.req.OwnShare == nil || r.req.OwnShare(h.ID)), exact,
	}
}

func usedShare(total, left int64) float64 {
	if total <= 0 {
		return 1
	}
	return min(max(1-float64(left)/float64(total), 0), 1)
}

func asTerm(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// ranked gives the hosts that fit with their terms, best first, as far as the terms tell them apart.
func (r *reference) ranked() (ids []inventory.HostID, terms map[inventory.HostID][]float64) {
	inZone, terms := map[string]int{}, map[inventory.HostID][]float64{}
	zones := map[inventory.HostID]string{}
	fewest := math.MaxInt
	for _, h := range r.hosts {
		_, group := r.others(h.ID)
		inZone[h.Zone.Name] += group
		zones[h.ID] = h.Zone.Name
	}
	for _, h := range r.hosts {
		if r.reason(h) == "" {
			ids, terms[h.ID] = append(ids, h.ID), r.terms(h)
			fewest = min(fewest, inZone[h.Zone.Name])
		}
	}
	for _, id := range ids {
		terms[id][1] = 1 / float64(1+inZone[zones[id]]-fewest)
	}
	slices.SortStableFunc(ids, func(a, b inventory.HostID) int { return slices.Compare(terms[b], terms[a]) })
	return ids, terms
}

// drawAny gives hosts and a request of which every field matters now and then.
func drawAny(t *rapid.T) ([]inventory.Host, placement.Request) {
	one := func(label string, words ...string) string { return rapid.SampledFrom(words).Draw(t, label) }
	some := func(label string, words ...string) []string {
		if rapid.IntRange(0, 3).Draw(t, "any "+label) > 0 {
			return nil
		}
		return rapid.SliceOfNDistinct(rapid.SampledFrom(words), 1, 2, rapid.ID).Draw(t, label)
	}
	number := func(label string, low, high int) int { return rapid.IntRange(low, high).Draw(t, label) }
	hosts := make([]inventory.Host, number("hosts", 1, 10))
	for i := range hosts {
		h := newHost(fmt.Sprintf("lxd-%d", i), i)
		h.Type, h.Project, h.LXDVersion = one("type", "lxd", "lxd", "lxd", "virsh"), one("project", "maas", "maas", "other", ""), one("LXD", "5.21.4", "6.6", "6.7", "")
		h.Zone.Name, h.Pool.Name = one("zone", "a", "a", "b", "c", ""), one("pool", "cp", "batch")
		h.Tags, h.Bridges = some("tags", "ssd", "gpu", "rack.7", placement.TagNoSchedule), some("bridges", "br0", "br1")
		h.Architectures = []string{one("architecture", "amd64/generic", "amd64/ga-24.04", "arm64/generic")}
		h.Total.Cores, h.Used.Cores = int64(number("cores", 0, 16)), int64(number("used cores", 0, 12))
		h.Total.MemoryMiB, h.Used.MemoryMiB = int64(number("GiB", 1, 32))*1024, int64(number("used GiB", 0, 24))*1024
		h.CPURatio, h.MemoryRatio = float64(number("CPU ratio", 0, 6))/2, float64(number("memory ratio", 1, 6))/4
		h.StoragePools = []inventory.StoragePool{newPool("ssd", int64(number("ssd", 0, 300)), 300, number("no default", 0, 5) > 0)}
		if number("hdd", 0, 1) == 1 {
			h.StoragePools = append(h.StoragePools, newPool("hdd", int64(number("hdd free", 0, 300)), 300, false))
		}
		h.VMs = number("VMs", -1, 4)
		h.Machine = &inventory.HostMachine{Status: inventory.Status(number("deployed", 5, 6)), Power: inventory.PowerOn}
		if number("power", 0, 5) == 0 {
			h.Machine.Power = inventory.PowerOff
		}
		hosts[i] = h
	}
	id := func(label string) inventory.HostID {
		return inventory.HostID(fmt.Sprintf("vmhost/%d", number(label, 1, len(hosts))))
	}
	size := func(label string) inventory.VMSize {
		return inventory.VMSize{Cores: number(label+" cores", 1, 4), MemoryMiB: int64(number(label+" GiB", 1, 4)) * 1024, Disks: []inventory.Disk{
			{SizeGB: int64(number(label+" root", 1, 60)), StoragePool: one(label+" pool", "", "", "ssd")},
			{SizeGB: int64(number(label+" data", 1, 60)), StoragePool: one(label+" pool", "", "ssd", "hdd")},
		}}
	}
	req := placement.Request{VM: "vm-0", Size: size("VM"), Constraints: placement.Constraints{
		Zone: one("wanted zone", "", "", "a"), Zones: some("zones", "a", "b"), Pools: some("pools", "cp", "batch"), Tags: some("wanted tags", "ssd", "gpu"),
		AllowedHosts: some("allowed", "lxd-0", "vmhost/2", "lxd-3"), PreferredHosts: some("preferred", "lxd-1", "vmhost/3"),
		Project: one("wanted project", "", "", "maas"), Architecture: one("wanted architecture", "", "amd64", "amd64/generic"),
		Bridges: some("wanted bridges", "br0", "br1"), Policy: placement.Policy(number("policy", 0, 2)),
	}}
	if number("excludes", 0, 2) == 0 {
		req.Constraints.ExcludedHosts = []inventory.HostID{id("excluded")}
	}
	if number("keeps", 0, 2) == 0 {
		req.Keep = id("kept")
	}
	if number("shares", 0, 2) == 0 {
		own := id("own")
		req.OwnShare = func(h inventory.HostID) bool { return h == own }
	}
	req.Group = placement.Group{Key: one("group", "", "prod"), AntiAffinity: placement.AntiAffinity(number("apart", 0, 1))}
	for range number("peers", 0, 3) {
		req.Group.Peers = append(req.Group.Peers, placement.Peer{Name: one("peer", "vm-0", "vm-1", "vm-2"), Host: id("peer's host")})
	}
	for i := range number("pending", 0, 3) {
		req.Pending = append(req.Pending, placement.Reservation{
			VM: fmt.Sprintf("vm-%d", i), Host: id("pending on"), Group: one("pending group", "", "prod"), Size: size("pending"),
		})
	}
	return hosts, req
}

func TestProperty_R4_1_Place_answers_as_the_obvious_way_does(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hosts, req := drawAny(t)
		ref := &reference{hosts: hosts, req: req}
		index := placement.NewIndex(inventory.Snapshot{Hosts: hosts})
		d, err := index.Place(req)

		var told []string
		for _, r := range rejectionsOf(d, err) {
			told = append(told, fmt.Sprintf("%s %s", r.HostID, r.Reason))
			require.NotEmpty(t, r.Message)
		}
		var obvious []string
		for _, h := range hosts {
			if why := ref.reason(h); why != "" {
				obvious = append(obvious, fmt.Sprintf("%s %s", h.ID, why))
			}
		}
		require.Equal(t, obvious, told)

		ids, terms := ref.ranked()
		require.Equal(t, len(ids) == 0, err != nil)
		candidates := d.Candidates()
		require.Len(t, candidates, len(ids))
		for i, c := range candidates {
			for j, term := range c.Terms {
				require.InDelta(t, terms[c.HostID][j], term.Value, 0, "%s of %s", term.Name, c.HostID)
			}
			require.Equal(t, terms[ids[i]], terms[c.HostID], "rank %d: %s is not as good as %s", i, c.HostID, ids[i])
		}
		for n := range len(candidates) + 2 {
			require.Equal(t, candidates[:min(n, len(candidates))], d.Best(n), "the best %d", n)
		}
	})
}

// TestProperty_R2_3_hosts_that_are_unusable_are_so_for_everybody holds Unusable, which ListHosts
// tells, against what any request is told.
func TestProperty_R2_3_hosts_that_are_unusable_are_so_for_everybody(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hosts, _ := drawAny(t)
		plain := placement.Request{VM: "vm-0", Size: inventory.VMSize{Cores: 1, MemoryMiB: 1024, Disks: []inventory.Disk{{SizeGB: 1}}}}
		told := map[inventory.HostID]placement.Rejection{}
		d, err := placement.Place(plain, inventory.Snapshot{Hosts: hosts})
		for _, r := range rejectionsOf(d, err) {
			told[r.HostID] = r
		}
		ref := &reference{hosts: hosts, req: plain}
		for _, h := range hosts {
			r, out := placement.Unusable(h)
			require.Equal(t, cmp.Or(ref.notAsked(h), ref.unusable(h)), r.Reason)
			if out {
				require.Equal(t, r, told[h.ID])
			}
		}
	})
}
