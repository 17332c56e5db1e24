package placement_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory/inventorytest"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

// drawHosts gives 1 to 12 hosts in up to four zones, some full, some unusable, some with two pools.
func drawHosts(t *rapid.T) []inventory.Host {
	n := rapid.IntRange(1, 12).Draw(t, "hosts")
	hosts := make([]inventory.Host, n)
	for i := range hosts {
		h := inventorytest.Host(fmt.Sprintf("lxd-%d", i), i)
		h.Zone.Name = rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "zone")
		h.Pool.Name = rapid.SampledFrom([]string{"default", "default", "cp"}).Draw(t, "pool")
		inventorytest.Draw(t, &h)
		h.VMs = rapid.IntRange(-1, 20).Draw(t, "VMs")
		if rapid.IntRange(0, 9).Draw(t, "off") == 0 {
			h.Machine = &inventory.HostMachine{Status: inventory.StatusDeployed, Power: inventory.PowerOff}
		}
		hosts[i] = h
	}
	return hosts
}

func drawHostID(t *rapid.T, hosts []inventory.Host) inventory.HostID {
	return hosts[rapid.IntRange(0, len(hosts)-1).Draw(t, "host")].ID
}

// drawPeer gives a peer on one of the hosts, or on one that is gone or not known, of which a zone may be known.
func drawPeer(t *rapid.T, name string, hosts []inventory.Host) placement.Peer {
	if rapid.IntRange(0, 3).Draw(t, "lost") > 0 {
		return placement.Peer{Name: name, Host: drawHostID(t, hosts)}
	}
	return placement.Peer{
		Name: name,
		Host: rapid.SampledFrom([]inventory.HostID{"", "vmhost/99", "vmhost/100"}).Draw(t, "gone"),
		Zone: rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e"}).Draw(t, "zone of the lost"),
	}
}

func drawRequest(t *rapid.T, hosts []inventory.Host) placement.Request {
	req := placement.Request{VM: "vm-0", Size: inventorytest.DrawSize(t)}
	req.Constraints.Policy = rapid.SampledFrom(
		[]placement.Policy{placement.Balanced, placement.Pack, placement.Spread}).Draw(t, "policy")
	if rapid.IntRange(0, 3).Draw(t, "names a pool") == 0 {
		req.Constraints.Pools = []string{"cp"}
	}
	if rapid.IntRange(0, 3).Draw(t, "names zones") == 0 {
		req.Constraints.Zones = []string{"a", "b"}
	}
	if rapid.Bool().Draw(t, "excludes") {
		req.Constraints.ExcludedHosts = []inventory.HostID{drawHostID(t, hosts)}
	}
	if rapid.Bool().Draw(t, "prefers") {
		req.Constraints.PreferredHosts = []string{string(drawHostID(t, hosts))}
	}
	if rapid.Bool().Draw(t, "grouped") {
		req.Group.Key = "prod"
		req.Group.AntiAffinity = rapid.SampledFrom([]placement.AntiAffinity{placement.Preferred, placement.Required}).Draw(t, "apart")
		for i := range rapid.IntRange(0, 4).Draw(t, "peers") {
			req.Group.Peers = append(req.Group.Peers, drawPeer(t, fmt.Sprintf("peer-%d", i), hosts))
		}
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "pending") {
		req.Pending = append(req.Pending, placement.Reservation{
			VM: fmt.Sprintf("pending-%d", i), Host: drawHostID(t, hosts), Size: inventorytest.DrawSize(t),
			Group: rapid.SampledFrom([]string{"", "prod"}).Draw(t, "group"),
		})
	}
	return req
}

// books keep account of hosts by the rules of MAAS, apart from the code under test.
type books struct {
	// shown are the hosts as MAAS shows them, full with everything that was given out on them.
	shown, full []inventory.Host
	group       map[inventory.HostID]map[string]bool
	// lost counts the group's VMs on hosts that are gone, by zone.
	lost map[string]int
}

func open(hosts []inventory.Host, req placement.Request) *books {
	b := &books{shown: hosts, full: hosts, group: map[inventory.HostID]map[string]bool{}, lost: map[string]int{}}
	for _, h := range hosts {
		b.group[h.ID] = map[string]bool{}
	}
	for _, p := range req.Group.Peers {
		if b.group[p.Host] == nil {
			b.lost[p.Zone]++
			continue
		}
		b.group[p.Host][p.Name] = true
	}
	for _, p := range req.Pending {
		b.put(p.Host, p.Size)
		if req.Group.Key != "" && p.Group == req.Group.Key {
			b.group[p.Host][p.VM] = true
		}
	}
	return b
}

func (b *books) put(id inventory.HostID, size inventory.VMSize) {
	b.full = inventorytest.WithVM(b.full, id, size)
}

func (b *books) host(id inventory.HostID) inventory.Host {
	h, _ := inventory.Snapshot{Hosts: b.full}.Host(id)
	return h
}

// promised is what was given out on the host and MAAS does not show.
func (b *books) promised(id inventory.HostID) inventory.Resources {
	shown, _ := inventory.Snapshot{Hosts: b.shown}.Host(id)
	return b.host(id).Used.Sub(shown.Used)
}

// breach says what keeps one more VM off the host; empty where nothing does.
func (b *books) breach(id inventory.HostID, req placement.Request) string {
	if !inventorytest.Takes(b.host(id), req.Size) {
		return "room"
	}
	return b.breachOfRules(id, req)
}

func (b *books) breachOfRules(id inventory.HostID, req placement.Request) string {
	h, c := b.host(id), req.Constraints
	switch {
	case h.Machine != nil && h.Machine.Power == inventory.PowerOff:
		return "power"
	case len(c.Pools) > 0 && !slices.Contains(c.Pools, h.Pool.Name):
		return "pool"
	case len(c.Zones) > 0 && !slices.Contains(c.Zones, h.Zone.Name):
		return "zone"
	case slices.Contains(c.ExcludedHosts, id):
		return "excluded"
	case req.Group.AntiAffinity == placement.Required && len(b.group[id]) > 0:
		return "anti-affinity"
	}
	return ""
}

func TestProperty_R4_1_Place_takes_a_host_just_when_it_is_within_every_limit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(t)
		req := drawRequest(t, hosts)
		b := open(hosts, req)
		d, err := placement.Place(req, inventory.Snapshot{Hosts: hosts})
		fitting := map[inventory.HostID]bool{}
		for _, c := range d.Candidates() {
			fitting[c.HostID] = true
			require.Empty(t, b.breach(c.HostID, req), "candidate %s", c.HostName)
		}
		for _, h := range hosts {
			require.Equal(t, fitting[h.ID], b.breach(h.ID, req) == "", "host %s: %s", h.Name, b.breach(h.ID, req))
		}
		require.Equal(t, len(fitting) == 0, err != nil)
		require.Len(t, rejectionsOf(d, err), len(hosts)-len(fitting))
	})
}

func rejectionsOf(d placement.Decision, err error) []placement.Rejection {
	if noFit, ok := errors.AsType[*placement.NoFit](err); ok {
		return noFit.Rejections
	}
	return d.Rejections()
}

func TestProperty_R4_1_Place_never_fills_a_host_over_its_limit_however_often_it_is_asked(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(t)
		req := drawRequest(t, hosts)
		b := open(hosts, req)
		for i := range 30 {
			req.VM = fmt.Sprintf("vm-%d", i)
			req.Size = inventorytest.DrawSize(t)
			d, err := placement.Place(req, inventory.Snapshot{Hosts: hosts})
			if err != nil {
				continue
			}
			id := d.Chosen.HostID
			require.Empty(t, b.breach(id, req))
			b.put(id, req.Size)
			b.group[id][req.VM] = true
			req.Pending = append(req.Pending, placement.Reservation{
				VM: req.VM, Host: id, Zone: d.Chosen.Zone, Group: req.Group.Key, Size: req.Size,
			})
		}
	})
}

func TestProperty_R4_2_the_order_of_hosts_does_not_matter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(t)
		req := drawRequest(t, hosts)
		seed := rapid.Uint64().Draw(t, "shuffle")
		shuffled := slices.Clone(hosts)
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })

		one, err1 := placement.Place(req, inventory.Snapshot{Hosts: hosts})
		other, err2 := placement.Place(req, inventory.Snapshot{Hosts: shuffled})
		require.Equal(t, err1 == nil, err2 == nil)
		if err1 != nil {
			require.Equal(t, err1.Error(), err2.Error())
			return
		}
		require.Equal(t, one.Chosen, other.Chosen)
		require.Equal(t, one.Summary, other.Summary)
		require.Equal(t, one.Candidates(), other.Candidates())
		require.ElementsMatch(t, one.Rejections(), other.Rejections())
	})
}

func TestProperty_R4_3_more_capacity_never_turns_a_yes_into_a_no(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(t)
		req := drawRequest(t, hosts)
		plan := placement.PlanRequest{Request: req, Count: rapid.IntRange(1, 12).Draw(t, "n"), AsManyAsFit: true}
		_, before := placement.Place(req, inventory.Snapshot{Hosts: hosts})
		fewer, _ := placement.Distribute(plan, inventory.Snapshot{Hosts: hosts})

		more := slices.Clone(hosts)
		for i := range more {
			more[i].Total.Cores += int64(rapid.IntRange(0, 16).Draw(t, "more cores"))
			more[i].Total.MemoryMiB += int64(rapid.IntRange(0, 32).Draw(t, "more GiB")) * 1024
			more[i].StoragePools = slices.Clone(more[i].StoragePools)
			extra := int64(rapid.IntRange(0, 200).Draw(t, "more GB")) * inventorytest.GB
			more[i].StoragePools[0].TotalBytes += extra
			more[i].StoragePools[0].AvailableBytes += extra
		}
		_, after := placement.Place(req, inventory.Snapshot{Hosts: more})
		if before == nil {
			require.NoError(t, after)
		}
		larger, _ := placement.Distribute(plan, inventory.Snapshot{Hosts: more})
		require.GreaterOrEqual(t, len(larger.VMs), len(fewer.VMs))
	})
}

func TestProperty_R3_2_Place_takes_a_zone_with_the_fewest_of_the_group(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(t)
		req := drawRequest(t, hosts)
		req.Group.Key = "prod"
		d, err := placement.Place(req, inventory.Snapshot{Hosts: hosts})
		if err != nil {
			return
		}
		inZone := zoneCounts(open(hosts, req))
		for _, c := range d.Candidates() {
			require.LessOrEqual(t, inZone[d.Chosen.Zone], inZone[c.Zone], "zone %s has fewer", c.Zone)
		}
	})
}

func zoneCounts(b *books) map[string]int {
	inZone := maps.Clone(b.lost)
	for id, vms := range b.group {
		inZone[b.host(id).Zone.Name] += len(vms)
	}
	return inZone
}

func TestProperty_R3_4_zones_of_a_plan_differ_by_at_most_one_where_there_is_room(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(t)
		req := placement.PlanRequest{Request: drawRequest(t, hosts), Count: rapid.IntRange(1, 20).Draw(t, "n"), AsManyAsFit: true}
		plan, err := placement.Distribute(req, inventory.Snapshot{Hosts: hosts})
		if err != nil {
			return
		}
		b := open(hosts, req.Request)
		inZone, got := zoneCounts(b), map[string]int{}
		for i, vm := range plan.VMs {
			require.Equal(t, i, vm.Index)
			require.Empty(t, b.breach(vm.HostID, req.Request), "VM %d", i)
			b.put(vm.HostID, req.Size)
			b.group[vm.HostID][fmt.Sprintf("new-%d", i)] = true
			inZone[vm.Zone]++
			got[vm.Zone]++
		}
		roomy := map[string]bool{}
		for _, h := range hosts {
			if b.breach(h.ID, req.Request) == "" {
				roomy[h.Zone.Name] = true
			}
		}
		require.False(t, len(plan.VMs) < req.Count && len(roomy) > 0, "short although zones %v have room", roomy)
		for zone := range roomy {
			for other, n := range got {
				require.LessOrEqual(t, inZone[other]-inZone[zone], 1, "zone %s got %d although %s has room", other, n, zone)
			}
		}
		requireShares(t, plan, got, inZone)
	})
}

// requireShares holds a plan's own account of its zones against the VMs.
func requireShares(t *rapid.T, plan placement.Plan, got, inZone map[string]int) {
	least, most := inZone[plan.Zones[0].Zone], 0
	for _, z := range plan.Zones {
		require.Equal(t, got[z.Zone], z.Planned)
		require.Equal(t, inZone[z.Zone], z.Existing+z.Planned)
		least, most = min(least, inZone[z.Zone]), max(most, inZone[z.Zone])
	}
	require.Equal(t, most-least <= 1, plan.Even)
	for _, z := range plan.Zones {
		require.Equal(t, z.Existing+z.Planned < most-1, z.Explanation != "", "zone %s", z.Zone)
	}
	require.LessOrEqual(t, len([]rune(plan.Summary)), 200)
}

func TestProperty_P3_a_plan_is_what_Place_would_do_one_by_one(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(t)
		req := placement.PlanRequest{Request: drawRequest(t, hosts), Count: rapid.IntRange(1, 12).Draw(t, "n"), AsManyAsFit: true}
		req.Group.Key = "prod"
		snap := inventory.Snapshot{Hosts: hosts}
		plan, _ := placement.Distribute(req, snap)
		one := req.Request
		for i := range req.Count {
			d, err := placement.Place(one, snap)
			if err != nil {
				require.Len(t, plan.VMs, i)
				return
			}
			require.Greater(t, len(plan.VMs), i)
			require.Equal(t, d.Chosen.HostName, plan.VMs[i].HostName, "VM %d", i)
			one.Pending = append(slices.Clip(one.Pending), placement.Reservation{
				VM: fmt.Sprintf("planned-%d", i), Host: d.Chosen.HostID, Zone: d.Chosen.Zone, Group: "prod", Size: one.Size,
			})
		}
		require.Len(t, plan.VMs, req.Count)
	})
}

func TestProperty_R4_3_summaries_stay_short_whatever_the_names(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(t)
		req := drawRequest(t, hosts)
		word := rapid.StringN(0, 300, -1)
		for i := range hosts {
			hosts[i].Name = word.Draw(t, "name")
		}
		req.Constraints.Project, req.Constraints.Zone = word.Draw(t, "project"), word.Draw(t, "zone")
		req.Constraints.Pools = rapid.SliceOfN(word, 0, 8).Draw(t, "pools")
		d, err := placement.Place(req, inventory.Snapshot{Hosts: hosts})
		summary := d.Summary
		if err != nil {
			summary = err.Error()
		}
		require.NotEmpty(t, summary)
		require.LessOrEqual(t, len([]rune(summary)), 200)
	})
}
