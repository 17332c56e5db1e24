package provisionertest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// wanted is one VM for which a host is sought.
type wanted struct {
	name    string
	size    *lxdprovisionerv1.VMResources
	where   *lxdprovisionerv1.Placement
	group   *lxdprovisionerv1.Group
	network *lxdprovisionerv1.VMNetwork
}

// SelectHost chooses the host of the zone and host with the fewest peers and then the most room.
func (f *Fake) SelectHost(_ context.Context, request *lxdprovisionerv1.SelectHostRequest) (*lxdprovisionerv1.SelectHostResponse, error) {
	return answer(f, "SelectHost", request, func(request *lxdprovisionerv1.SelectHostRequest) (*lxdprovisionerv1.SelectHostResponse, error) {
		w := wanted{
			name: request.GetVmName(), size: request.GetResources(), where: request.GetPlacement(),
			group: request.GetGroup(), network: request.GetNetwork(),
		}
		candidates, rejections, err := f.rank(w)
		if err != nil {
			return nil, err
		}
		if chosen := f.choices[w.name]; f.now().Before(chosen.until) && proto.Equal(chosen.size, w.size) {
			if i := slices.IndexFunc(candidates, func(c *lxdprovisionerv1.Candidate) bool { return c.GetHostId() == chosen.hostID }); i > 0 {
				again := candidates[i]
				candidates = slices.Insert(slices.Delete(candidates, i, i+1), 0, again)
			}
		}
		if !request.GetDryRun() {
			f.choices[w.name] = choice{hostID: candidates[0].GetHostId(), size: proto.CloneOf(w.size), until: f.now().Add(choiceFor)}
		}
		return &lxdprovisionerv1.SelectHostResponse{
			Chosen: candidates[0], Candidates: candidates, Rejections: rejections, Snapshot: f.snapshot(),
			Summary: fmt.Sprintf("%s in zone %s: %d of %d hosts fit", candidates[0].GetHostName(), candidates[0].GetZone(), len(candidates), len(f.hosts)),
		}, nil
	})
}

// rank gives the hosts that fit, best first, and the rest with reasons, or the fault.
func (f *Fake) rank(w wanted) ([]*lxdprovisionerv1.Candidate, []*lxdprovisionerv1.Rejection, error) {
	if err := f.known(w.where); err != nil {
		return nil, nil, err
	}
	if err := f.checkSize(w.size); err != nil {
		return nil, nil, err
	}
	if err := f.checkSubnets(w.network); err != nil {
		return nil, nil, err
	}
	var fit []*host
	var rejections []*lxdprovisionerv1.Rejection
	for _, h := range f.hosts {
		if r := f.filter(h, w); r != nil {
			rejections = append(rejections, r)
			continue
		}
		fit = append(fit, h)
	}
	if len(fit) == 0 {
		return nil, nil, f.noHost(rejections)
	}
	inZone, onHost := map[string]int{}, map[string]int{}
	for _, p := range w.group.GetPeers() {
		onHost[p.GetHostId()]++
		zone := p.GetZone()
		if h := f.host(p.GetHostId()); h != nil {
			zone = h.Zone
		}
		inZone[zone]++
	}
	rankOf := func(h *host) []float64 {
		preferred := 0.0
		if slices.Contains(w.where.GetPreferredHosts(), h.id) || slices.Contains(w.where.GetPreferredHosts(), h.Name) {
			preferred = 1
		}
		left := f.available(h, w.name)
		room := min(share(left.GetCores(), h.Cores), share(left.GetMemoryMib(), h.MemoryMiB))
		return []float64{1 / float64(1+inZone[h.Zone]), 1 / float64(1+onHost[h.id]), preferred, room}
	}
	slices.SortStableFunc(fit, func(a, b *host) int { return slices.Compare(rankOf(b), rankOf(a)) })
	names := []string{"zone-spread", "host-spread", "preferred", "room"}
	candidates := make([]*lxdprovisionerv1.Candidate, 0, len(fit))
	for i, h := range fit {
		c := &lxdprovisionerv1.Candidate{
			HostId: h.id, HostName: h.Name, Zone: h.Zone, ResourcePool: h.Pool, Score: float64(len(fit)-i) / float64(len(fit)),
		}
		for t, value := range rankOf(h) {
			c.Terms = append(c.Terms, &lxdprovisionerv1.ScoreTerm{Name: names[t], Value: value})
		}
		candidates = append(candidates, c)
	}
	return candidates, rejections, nil
}

func share(left, total int64) float64 { return max(0, float64(left)/float64(total)) }

// known checks that MAAS has the zones and pools that are named.
func (f *Fake) known(where *lxdprovisionerv1.Placement) error {
	zones := where.GetZones()
	if where != nil && where.Zone != nil {
		zones = append(slices.Clone(zones), where.GetZone())
	}
	for _, z := range zones {
		if !slices.Contains(f.config.Zones, z) {
			return Fault(errorinfo.NoCandidate, lxdprovisionerv1.Reason_REASON_ZONE_NOT_FOUND, "MAAS has no zone %q", z)
		}
	}
	for _, p := range where.GetResourcePools() {
		if !slices.Contains(f.config.Pools, p) {
			return Fault(errorinfo.NoCandidate, lxdprovisionerv1.Reason_REASON_POOL_NOT_FOUND, "MAAS has no resource pool %q", p)
		}
	}
	if where != nil && where.Profile != nil && where.GetProfile() != "maas" {
		return Fault(errorinfo.NoCandidate, lxdprovisionerv1.Reason_REASON_PROFILE_NOT_FOUND, "MAAS composes with its own profile \"maas\", not with %q", where.GetProfile())
	}
	return nil
}

// checkSize refuses what MAAS can't compose on any host, however empty.
func (f *Fake) checkSize(size *lxdprovisionerv1.VMResources) error {
	if size.GetMemoryMib() < minMemoryMiB {
		return invalid(lxdprovisionerv1.Reason_REASON_BAD_RESOURCES, "resources.memory_mib", "MAAS takes %d MiB and more, not %d", minMemoryMiB, size.GetMemoryMib())
	}
	for _, h := range f.hosts {
		if int64(size.GetCores()) <= h.Cores && size.GetMemoryMib() <= h.MemoryMiB && diskGB(size) <= h.DiskGB {
			return nil
		}
	}
	if len(f.hosts) == 0 {
		return nil
	}
	return invalid(lxdprovisionerv1.Reason_REASON_BAD_RESOURCES, "resources", "%d cores, %d MiB and %d GB are more than any host has in all",
		size.GetCores(), size.GetMemoryMib(), diskGB(size))
}

// check is one rule of the filter: the host is out where it holds.
type check struct {
	out     bool
	reason  lxdprovisionerv1.RejectionReason
	message string
}

// filter says why the host can't take the VM; nil where it can.
func (f *Fake) filter(h *host, w wanted) *lxdprovisionerv1.Rejection {
	for _, c := range append(allowed(h, w), f.room(h, w)...) {
		if c.out {
			return h.reject(c.reason, c.message)
		}
	}
	return nil
}

// allowed are the rules that hold whatever the host's load is.
func allowed(h *host, w wanted) []check {
	p := w.where
	if p == nil {
		p = &lxdprovisionerv1.Placement{}
	}
	other := func(names []string, name string) bool { return len(names) > 0 && !slices.Contains(names, name) }
	differs := func(want, has string) bool { return want != "" && want != has }
	noPool := func(d *lxdprovisionerv1.Disk) bool { return differs(d.GetStoragePool(), h.StoragePool) }
	noBridge := func(i *lxdprovisionerv1.VMInterface) bool { return differs(i.GetBridge(), bridge) }
	noTag := func(tag string) bool { return !slices.Contains(h.Tags, tag) }
	return []check{
		{h.Unusable != lxdprovisionerv1.RejectionReason_REJECTION_REASON_UNSPECIFIED, h.Unusable, "takes no VM"},
		{other(p.GetResourcePools(), h.Pool), lxdprovisionerv1.RejectionReason_REJECTION_REASON_OTHER_POOL, "is in pool " + h.Pool},
		{
			differs(p.GetZone(), h.Zone) || other(p.GetZones(), h.Zone),
			lxdprovisionerv1.RejectionReason_REJECTION_REASON_OTHER_ZONE, "is in zone " + h.Zone,
		},
		{slices.ContainsFunc(p.GetTags(), noTag), lxdprovisionerv1.RejectionReason_REJECTION_REASON_MISSING_TAGS, "lacks a tag"},
		{
			other(p.GetAllowedHosts(), h.id) && other(p.GetAllowedHosts(), h.Name),
			lxdprovisionerv1.RejectionReason_REJECTION_REASON_NOT_ALLOWED, "is not among the hosts that are allowed",
		},
		{slices.Contains(p.GetExcludedHosts(), h.id), lxdprovisionerv1.RejectionReason_REJECTION_REASON_EXCLUDED, "is excluded"},
		{differs(p.GetProject(), h.Project), lxdprovisionerv1.RejectionReason_REJECTION_REASON_OTHER_PROJECT, "has project " + h.Project},
		{
			!strings.HasPrefix(architecture, p.GetArchitecture()),
			lxdprovisionerv1.RejectionReason_REJECTION_REASON_OTHER_ARCHITECTURE, "is " + architecture,
		},
		{
			slices.ContainsFunc(w.size.GetDisks(), noPool),
			lxdprovisionerv1.RejectionReason_REJECTION_REASON_STORAGE_POOL_MISSING, "has storage pool " + h.StoragePool,
		},
		{
			slices.ContainsFunc(w.network.GetInterfaces(), noBridge),
			lxdprovisionerv1.RejectionReason_REJECTION_REASON_NETWORK_MISSING, "has bridge " + bridge,
		},
	}
}

// room are the rules about what is on the host already.
func (f *Fake) room(h *host, w wanted) []check {
	left := f.available(h, w.name)
	here := func(p *lxdprovisionerv1.Peer) bool { return p.GetHostId() == h.id }
	required := w.group.GetAntiAffinity() == lxdprovisionerv1.AntiAffinity_ANTI_AFFINITY_REQUIRED
	disk, cores, memory := diskGB(w.size), int64(w.size.GetCores()), w.size.GetMemoryMib()
	return []check{
		{
			required && slices.ContainsFunc(w.group.GetPeers(), here),
			lxdprovisionerv1.RejectionReason_REJECTION_REASON_ANTI_AFFINITY, "has a VM of the group",
		},
		{
			disk > left.GetDiskGb(), lxdprovisionerv1.RejectionReason_REJECTION_REASON_INSUFFICIENT_STORAGE,
			fmt.Sprintf("needs %d GB, has %d GB", disk, left.GetDiskGb()),
		},
		{
			cores > left.GetCores(), lxdprovisionerv1.RejectionReason_REJECTION_REASON_INSUFFICIENT_CORES,
			fmt.Sprintf("needs %d cores, has %d", cores, left.GetCores()),
		},
		{
			memory > left.GetMemoryMib(), lxdprovisionerv1.RejectionReason_REJECTION_REASON_INSUFFICIENT_MEMORY,
			fmt.Sprintf("needs %d MiB, has %d MiB", memory, left.GetMemoryMib()),
		},
	}
}

// noHost makes the fault of a VM that no host takes.
func (f *Fake) noHost(rejections []*lxdprovisionerv1.Rejection) error {
	if len(f.hosts) == 0 {
		return Fault(errorinfo.NoCandidate, lxdprovisionerv1.Reason_REASON_NO_HOSTS, "MAAS knows no LXD host")
	}
	count := map[lxdprovisionerv1.RejectionReason]int{}
	var words []string
	for _, r := range rejections {
		count[r.GetReason()]++
	}
	for _, reason := range slices.Sorted(maps.Keys(count)) {
		words = append(words, fmt.Sprintf("%d %s", count[reason], strings.TrimPrefix(reason.String(), "REJECTION_REASON_")))
	}
	failure := &lxdprovisionerv1.PlacementFailure{
		Summary: fmt.Sprintf("0 of %d hosts fit: %s", len(f.hosts), strings.Join(words, ", ")), Rejections: rejections,
	}
	lacking := count[lxdprovisionerv1.RejectionReason_REJECTION_REASON_INSUFFICIENT_CORES] +
		count[lxdprovisionerv1.RejectionReason_REJECTION_REASON_INSUFFICIENT_MEMORY] +
		count[lxdprovisionerv1.RejectionReason_REJECTION_REASON_INSUFFICIENT_STORAGE] +
		count[lxdprovisionerv1.RejectionReason_REJECTION_REASON_ANTI_AFFINITY]
	if lacking > 0 {
		return fault(errorinfo.NoRoom, lxdprovisionerv1.Reason_REASON_INSUFFICIENT_RESOURCES, failure.GetSummary(), failure)
	}
	reason := lxdprovisionerv1.Reason_REASON_NO_HOST_MATCHES
	switch all := len(rejections); all {
	case count[lxdprovisionerv1.RejectionReason_REJECTION_REASON_OTHER_POOL]:
		reason = lxdprovisionerv1.Reason_REASON_NO_HOST_IN_POOL
	case count[lxdprovisionerv1.RejectionReason_REJECTION_REASON_OTHER_ZONE]:
		reason = lxdprovisionerv1.Reason_REASON_NO_HOST_IN_ZONE
	case count[lxdprovisionerv1.RejectionReason_REJECTION_REASON_OTHER_PROJECT]:
		reason = lxdprovisionerv1.Reason_REASON_PROJECT_NOT_FOUND
	case count[lxdprovisionerv1.RejectionReason_REJECTION_REASON_STORAGE_POOL_MISSING]:
		reason = lxdprovisionerv1.Reason_REASON_STORAGE_POOL_NOT_FOUND
	}
	return fault(errorinfo.NoCandidate, reason, failure.GetSummary(), failure)
}
