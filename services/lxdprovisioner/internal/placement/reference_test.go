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
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory/inventorytest"
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
	case lacks(h.Bridges, c.Bridges), slices.ContainsFunc(c.Subnets, func(s placement.Subnet) bool { return !slices.Contains(h.VLANs, s.VLANID) }):
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

// draws makes what a test needs of random choices. The common choice comes first.
type draws struct{ *rapid.T }

func (d draws) word(label string, words ...string) string {
	return rapid.SampledFrom(words).Draw(d.T, label)
}

func (d draws) number(label string, low, high int) int {
	return rapid.IntRange(low, high).Draw(d.T, label)
}

// rarely is true once in ten times.
func (d draws) rarely(label string) bool {
	return rapid.Uint64Range(1, 1<<60).Draw(d.T, label)%10 == 9
}

// some gives one or two of the words, once in three times.
func (d draws) some(label string, words ...string) []string {
	if rapid.Uint64Range(1, 1<<60).Draw(d.T, "any "+label)%3 != 2 {
		return nil
	}
	return rapid.SliceOfNDistinct(rapid.SampledFrom(words), 1, 2, rapid.ID).Draw(d.T, label)
}

func (d draws) size(label string) inventory.VMSize {
	return inventory.VMSize{Cores: d.number(label+" cores", 1, 4), MemoryMiB: int64(d.number(label+" GiB", 1, 6)) * 1024, Disks: []inventory.Disk{
		{SizeGB: int64(d.number(label+" root", 1, 60)), StoragePool: d.word(label+" pool", "", "", "ssd")},
		{SizeGB: int64(d.number(label+" data", 1, 90)), StoragePool: d.word(label+" pool", "", "ssd", "hdd")},
	}}
}

// hosts gives hosts of which most could take a VM, and each of the others lacks something else.
func (d draws) hosts() []inventory.Host {
	hosts := make([]inventory.Host, d.number("hosts", 1, 10))
	for i := range hosts {
		h := inventorytest.Host(fmt.Sprintf("lxd-%d", i), i)
		h.Zone.Name, h.Pool.Name = d.word("zone", "a", "b", "c"), d.word("pool", "cp", "batch")
		h.Project, h.LXDVersion = d.word("project", "maas", "maas", "other", ""), d.word("LXD", "5.21.4", "6.6", "")
		h.Tags, h.Bridges = d.some("tags", "ssd", "gpu"), d.some("bridges", "br0", "br1")
		h.VLANs = [][]int{{5001}, {5001, 5002}, {5002}, nil}[d.number("VLANs", 0, 3)]
		h.Architectures = []string{d.word("architecture", "amd64/generic", "amd64/ga-24.04", "arm64/generic")}
		h.Total.Cores, h.Used.Cores = int64(d.number("cores", 2, 16)), int64(d.number("used cores", 0, 12))
		h.Total.MemoryMiB, h.Used.MemoryMiB = int64(d.number("GiB", 2, 24))*1024, int64(d.number("used GiB", 0, 20))*1024
		h.CPURatio, h.MemoryRatio = float64(d.number("CPU ratio", 1, 6))/2, float64(d.number("memory ratio", 2, 6))/4
		h.StoragePools = []inventory.StoragePool{inventorytest.Pool("ssd", int64(d.number("ssd", 0, 300)), int64(d.number("ssd in all", 50, 300)), !d.rarely("no default"))}
		if d.number("hdd", 0, 1) == 1 {
			h.StoragePools = append(h.StoragePools, inventorytest.Pool("hdd", int64(d.number("hdd free", 0, 300)), 300, false))
		}
		h.VMs = d.number("VMs", -1, 4)
		d.spoil(&h)
		hosts[i] = h
	}
	return hosts
}

func (d draws) spoil(h *inventory.Host) {
	if !d.rarely("spoilt") {
		return
	}
	h.Machine = &inventory.HostMachine{Status: inventory.StatusDeployed, Power: inventory.PowerOn}
	switch d.number("how", 0, 9) {
	case 0:
		h.Type = "virsh"
	case 1:
		h.Capabilities = nil
	case 2:
		h.Zone.Name = ""
	case 3:
		h.LXDVersion = "6.7"
	case 4:
		h.Total.Cores = 0
	case 5:
		h.Machine.Status = inventory.StatusReady
	case 6:
		h.Machine.Power = inventory.PowerOff
	case 7:
		h.Machine.Tags = []string{placement.TagMaintenance}
	case 8:
		h.Tags = []string{placement.TagNoSchedule}
	default:
		h.Tags = []string{"rack.7"}
	}
}

// request gives a request of which every field matters now and then.
func (d draws) request(hosts []inventory.Host) placement.Request {
	id := func(label string) inventory.HostID {
		return inventory.HostID(fmt.Sprintf("vmhost/%d", d.number(label, 1, len(hosts))))
	}
	req := placement.Request{VM: "vm-0", Size: d.size("VM"), Constraints: placement.Constraints{
		Zones: d.some("zones", "a", "b", "c"), Pools: d.some("pools", "cp", "batch"), Tags: d.some("wanted tags", "ssd", "gpu"),
		PreferredHosts: d.some("preferred", "lxd-1", "vmhost/3"), Bridges: d.some("wanted bridges", "br0", "br1"),
		Architecture: d.word("wanted architecture", "", "", "amd64", "amd64/generic"), Policy: placement.Policy(d.number("policy", 0, 2)),
	}}
	if d.rarely("wants a subnet") {
		req.Constraints.Subnets = []placement.Subnet{{Name: "data", VLANID: 5002}}
	}
	if d.rarely("wants a zone") {
		req.Constraints.Zone = "a"
	}
	if d.rarely("wants a project") {
		req.Constraints.Project = "maas"
	}
	if d.rarely("allows") {
		req.Constraints.AllowedHosts = []string{"lxd-0", "vmhost/2", "lxd-3"}
	}
	if d.rarely("excludes") {
		req.Constraints.ExcludedHosts = []inventory.HostID{id("excluded")}
	}
	if d.rarely("keeps") {
		req.Keep = id("kept")
	}
	if d.rarely("shares") {
		own := id("own")
		req.OwnShare = func(h inventory.HostID) bool { return h == own }
	}
	req.Group = placement.Group{Key: d.word("group", "prod", ""), AntiAffinity: placement.AntiAffinity(d.number("apart", 0, 1))}
	for range d.number("peers", 0, 3) {
		req.Group.Peers = append(req.Group.Peers, placement.Peer{Name: d.word("peer", "vm-1", "vm-2", "vm-0"), Host: id("peer's host")})
	}
	for i := range d.number("pending", 0, 3) {
		req.Pending = append(req.Pending, placement.Reservation{
			VM: fmt.Sprintf("vm-%d", i), Host: id("pending on"), Group: d.word("pending group", "prod", ""), Size: d.size("pending"),
		})
	}
	return req
}

// requestsPerIndex is how many requests are asked of one index: they must not get into each other's
// way.
const requestsPerIndex = 10

func TestProperty_R4_1_Place_answers_as_the_obvious_way_does(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draws{t}
		hosts := d.hosts()
		index := placement.NewIndex(inventory.Snapshot{Hosts: hosts})
		for range requestsPerIndex {
			requireSame(t, &reference{hosts: hosts, req: d.request(hosts)}, index)
		}
	})
}

// TestProperty_R4_2_the_choice_is_the_best_candidate has many hosts with room, so that what is skipped
// in the search for the best of them is held against the ranking, which skips nothing.
func TestProperty_R4_2_the_choice_is_the_best_candidate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draws{t}
		hosts := make([]inventory.Host, 30)
		least := d.number("least used cores", 0, 24)
		for i := range hosts {
			h := inventorytest.Host(fmt.Sprintf("lxd-%d", i), i)
			h.Zone.Name = d.word("zone", "a", "b")
			// The first is empty: whether a VM of the group is there decides more often than not.
			if i > 0 {
				h.Used.Cores, h.Used.MemoryMiB = int64(d.number("used cores", least, 28)), int64(d.number("used GiB", 0, 56))*1024
			}
			h.VMs = d.number("VMs", -1, 4)
			hosts[i] = h
		}
		index := placement.NewIndex(inventory.Snapshot{Hosts: hosts})
		for range requestsPerIndex {
			req := d.request(hosts)
			req.Constraints = placement.Constraints{Policy: req.Constraints.Policy, PreferredHosts: req.Constraints.PreferredHosts}
			if choice, err := index.Place(req); err == nil {
				require.Equal(t, choice.Candidates()[0], choice.Chosen)
			}
		}
	})
}

func requireSame(t *rapid.T, ref *reference, index *placement.Index) {
	d, err := index.Place(ref.req)
	var told, obvious []string
	for _, r := range rejectionsOf(d, err) {
		told = append(told, fmt.Sprintf("%s %s", r.HostID, r.Reason))
		require.NotEmpty(t, r.Message)
	}
	for _, h := range ref.hosts {
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
	if len(candidates) > 0 {
		require.Equal(t, candidates[0], d.Chosen)
		require.Equal(t, d.Chosen, d.Best(1)[0])
	}
}

// TestProperty_R2_3_hosts_that_are_unusable_are_so_for_everybody holds Unusable, which ListHosts
// tells, against what any request is told.
func TestProperty_R2_3_hosts_that_are_unusable_are_so_for_everybody(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hosts := draws{t}.hosts()
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
