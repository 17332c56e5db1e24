package placement_test

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory/inventorytest"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

// TestProperty_R3_4_zones_of_one_placement_after_another asks for VMs of a group one by one. Each is from
// then on a peer, a reservation, or both, as it is while MAAS comes to show it.
func TestProperty_R3_4_zones_of_one_placement_after_another_differ_by_at_most_one_where_there_is_room(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(t)
		req := drawRequest(t, hosts)
		req.Group.Key, req.Group.Peers, req.Pending = "prod", nil, nil
		inZone := map[string]int{}
		for i := range rapid.IntRange(1, 15).Draw(t, "n") {
			req.VM = fmt.Sprintf("cp-%d", i)
			b := open(hosts, req)
			d, err := placement.Place(req, inventory.Snapshot{Hosts: hosts})
			if err != nil {
				break
			}
			require.Empty(t, b.breach(d.Chosen.HostID, req), "VM %d", i)
			inZone[d.Chosen.Zone]++
			for _, h := range hosts {
				if b.breach(h.ID, req) == "" {
					require.LessOrEqual(t, inZone[d.Chosen.Zone]-inZone[h.Zone.Name], 1, "VM %d: zone %s has room", i, h.Zone.Name)
				}
			}
			hosts = remember(t, &req, hosts, d.Chosen)
		}
	})
}

// remember lets a chosen VM be seen by peers, by the ledger, or by MAAS and peers.
func remember(t *rapid.T, req *placement.Request, hosts []inventory.Host, c placement.Candidate) []inventory.Host {
	peer := placement.Peer{Name: req.VM, Host: c.HostID, Zone: c.Zone}
	entry := placement.Reservation{VM: req.VM, Host: c.HostID, Zone: c.Zone, Group: req.Group.Key, Size: req.Size}
	switch rapid.SampledFrom([]string{"peer and ledger", "ledger", "MAAS and peer"}).Draw(t, "seen by") {
	case "peer and ledger":
		req.Group.Peers, req.Pending = append(req.Group.Peers, peer), append(req.Pending, entry)
	case "ledger":
		req.Pending = append(req.Pending, entry)
	default:
		req.Group.Peers = append(req.Group.Peers, peer)
		hosts = inventorytest.WithVM(hosts, c.HostID, req.Size)
	}
	return hosts
}

// TestProperty_X6_1 holds that asking again for a VM changes nothing: its own reservation and peer are the
// VM itself, and the choice is kept while the host fits, whatever else was given out since.
func TestProperty_X6_1_a_VM_that_is_asked_for_again_gets_the_same_host(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(t)
		req := drawRequest(t, hosts)
		snap := inventory.Snapshot{Hosts: hosts}
		first, err := placement.Place(req, snap)
		if err != nil {
			return
		}
		again := req
		again.Pending = append(slices.Clone(req.Pending), placement.Reservation{
			VM: req.VM, Host: first.Chosen.HostID, Zone: first.Chosen.Zone, Group: req.Group.Key, Size: req.Size,
		})
		again.Group.Peers = append(slices.Clone(req.Group.Peers), placement.Peer{Name: req.VM, Host: first.Chosen.HostID})
		second, err := placement.Place(again, snap)
		require.NoError(t, err)
		require.Equal(t, first.Chosen, second.Chosen, "the VM does not stand in its own way")
		require.Equal(t, first.Candidates(), second.Candidates())
		require.Equal(t, first.Rejections(), second.Rejections())

		again.Keep = first.Chosen.HostID
		for i := range rapid.IntRange(0, 6).Draw(t, "others") {
			again.Pending = append(again.Pending, placement.Reservation{
				VM: fmt.Sprintf("other-%d", i), Host: drawHostID(t, hosts), Size: inventorytest.DrawSize(t), Group: req.Group.Key,
			})
		}
		fits := open(hosts, withoutOwn(again)).breach(again.Keep, again) == ""
		third, err := placement.Place(again, snap)
		switch {
		case fits:
			require.NoError(t, err)
			require.Equal(t, again.Keep, third.Chosen.HostID)
		case err == nil:
			require.NotEqual(t, again.Keep, third.Chosen.HostID)
		}
	})
}

func withoutOwn(req placement.Request) placement.Request {
	own := req.VM
	req.Pending = slices.DeleteFunc(slices.Clone(req.Pending), func(r placement.Reservation) bool { return r.VM == own })
	req.Group.Peers = slices.DeleteFunc(slices.Clone(req.Group.Peers), func(p placement.Peer) bool { return p.Name == own })
	return req
}

var counted = regexp.MustCompile(`(?:^|, )(\d+) (?:is|are|has|have|lacks?) `)

// TestProperty_R4_3_a_summary_counts holds the counts of a summary against the rejections, where it had the
// room to tell all of them.
func TestProperty_R4_3_a_summary_counts_every_rejected_host_once(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(t)
		req := drawRequest(t, hosts)
		d, err := placement.Place(req, inventory.Snapshot{Hosts: hosts})
		rejections, summary := rejectionsOf(d, err), d.Summary
		if err != nil {
			summary = err.Error()
			invalid, isInvalid := errors.AsType[*placement.Invalid](err)
			require.False(t, isInvalid, "%v", invalid)
		}
		_, counts, _ := strings.Cut(summary, ": ")
		sum := int64(0)
		for _, m := range counted.FindAllStringSubmatch(counts, -1) {
			sum += number(m[1])
		}
		if strings.HasSuffix(summary, "…") {
			require.Less(t, sum, int64(len(rejections)), "%s", summary)
			return
		}
		require.EqualValues(t, len(rejections), sum, "%s", summary)
	})
}

// TestProperty_P3_an_index_answers holds an index that many use against a fresh look at the hosts for each.
func TestProperty_P3_an_index_answers_every_request_as_if_it_were_the_first(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(t)
		snap := inventory.Snapshot{Hosts: hosts}
		x := placement.NewIndex(snap)
		requests := make([]placement.PlanRequest, rapid.IntRange(1, 6).Draw(t, "requests"))
		for i := range requests {
			requests[i] = placement.PlanRequest{Request: drawRequest(t, hosts), Count: rapid.IntRange(1, 9).Draw(t, "n"), AsManyAsFit: true}
		}
		var wg sync.WaitGroup
		failures := make([]string, len(requests))
		for i, req := range requests {
			wg.Go(func() {
				plan, planErr := x.Distribute(req)
				one, oneErr := x.Place(req.Request)
				freshPlan, freshPlanErr := placement.Distribute(req, snap)
				fresh, freshErr := placement.Place(req.Request, snap)
				same := reflect.DeepEqual(plan, freshPlan) && reflect.DeepEqual(planErr, freshPlanErr) && reflect.DeepEqual(oneErr, freshErr) &&
					reflect.DeepEqual(one.Chosen, fresh.Chosen) && reflect.DeepEqual(one.Candidates(), fresh.Candidates()) &&
					reflect.DeepEqual(one.Rejections(), fresh.Rejections())
				if !same {
					failures[i] = fmt.Sprintf("request %d: %+v, fresh %+v", i, one.Chosen, fresh.Chosen)
				}
			})
		}
		wg.Wait()
		require.Empty(t, strings.Join(failures, ""))
	})
}
