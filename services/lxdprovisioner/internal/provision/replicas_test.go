package provision_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/backend/maasregion"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/backend/maasvmhost"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

// order is a VM that is asked for.
type order struct {
	name, group string
	size        inventory.VMSize
}

// replicaWorld is replicas over one simulated MAAS, each with a client of its own.
type replicaWorld struct {
	*world

	replicas []*provision.LXD

	mu sync.Mutex
	// stored are the attempts that controllers have stored, by group; refusals count what MAAS or the check
	// before the claim refused.
	stored   map[string]map[string]placement.Peer
	refusals map[fault.Reason]int
}

// hostCores is what each host of a replicaWorld has; a VM takes half of them.
const hostCores = 8

func startReplicas(t *testing.T, replicas, hosts int) *replicaWorld {
	t.Helper()
	w := &replicaWorld{
		world: start(t, hosts, 0, func(c *maassim.Config) {
			for i := range c.Hosts {
				c.Hosts[i].Cores = hostCores
			}
			c.Durations.Compose = 20 * time.Millisecond
		}),
		stored: map[string]map[string]placement.Peer{}, refusals: map[fault.Reason]int{},
	}
	w.cfg.Timing.YieldLook = 5 * time.Millisecond
	for range replicas {
		client := w.as(w.sim.APIKey())
		w.cfg.Backend, w.cfg.MAAS = maasvmhost.New(client, w.clock.now, nil), maasregion.New(client, w.clock.now)
		w.replicas = append(w.replicas, provision.NewLXD(w.cfg))
	}
	return w
}

// compose does what a controller does for one VM: the attempt is chosen and stored under the lock of the group,
// composed, and after a refusal opened anew on another host, each time through another replica.
func (w *replicaWorld) compose(ctx context.Context, o order, first int) error {
	var excluded []inventory.HostID
	for attempt := range 50 {
		lxd := w.replicas[(first+attempt)%len(w.replicas)]
		name := fmt.Sprintf("%s-a%04d", o.name, attempt)
		chosen, err := w.choose(ctx, lxd, o, name, excluded)
		if fault.Is(err, fault.NoRoom) {
			// Others give room back when they yield.
			excluded = nil
			if err := rest(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		_, err = lxd.ComposeVM(ctx, provision.ComposeRequest{
			Attempt:  provision.Attempt{Number: attempt + 1, Name: name, HostID: chosen.HostID, HostName: chosen.HostName},
			Owner:    provision.Owner{ClusterID: "c-1", Namespace: "prod", Cluster: o.group, Machine: o.name, MachineUID: "uid-" + o.name, SpecDigest: "d1"},
			Size:     o.size,
			GroupKey: o.group,
		})
		if !fault.Is(err, fault.Refused) {
			return err
		}
		excluded = append(excluded, chosen.HostID)
		w.mu.Lock()
		delete(w.stored[o.group], name)
		w.refusals[fault.ReasonOf(err)]++
		w.mu.Unlock()
	}
	return fmt.Errorf("%s found no host in 50 attempts", o.name)
}

// choose selects a host and stores the attempt; the lock is that of every group, which is stricter than one
// for each.
func (w *replicaWorld) choose(ctx context.Context, lxd *provision.LXD, o order, name string, excluded []inventory.HostID) (placement.Candidate, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var peers []placement.Peer
	for _, p := range w.stored[o.group] {
		peers = append(peers, p)
	}
	selection, err := lxd.SelectHost(ctx, provision.SelectRequest{Request: placement.Request{
		VM: name, Size: o.size, Group: placement.Group{Key: o.group, Peers: peers},
		Constraints: placement.Constraints{ExcludedHosts: excluded, Policy: placement.Pack},
	}})
	if err != nil {
		return placement.Candidate{}, err
	}
	if w.stored[o.group] == nil {
		w.stored[o.group] = map[string]placement.Peer{}
	}
	w.stored[o.group][name] = placement.Peer{Name: name, Host: selection.Chosen.HostID, Zone: selection.Chosen.Zone}
	return selection.Chosen, nil
}

// rest waits a moment.
func rest(ctx context.Context) error {
	select {
	case <-time.After(5 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestReplicas_X2_6_over_HTTP lets three replicas, each with a ledger of its own and an inventory seconds old,
// pack the VMs of control planes onto the same hosts of a MAAS that does not arbitrate.
func TestReplicas_X2_6_three_replicas_over_one_MAAS_end_within_every_limit(t *testing.T) {
	t.Parallel()
	w := startReplicas(t, 3, 12)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var orders []order
	for i := range 15 {
		size := inventory.VMSize{Cores: hostCores / 2, MemoryMiB: 4096, Disks: []inventory.Disk{{SizeGB: 10}}}
		orders = append(orders, order{name: fmt.Sprintf("c%d-cp-%d", i/3, i%3), group: fmt.Sprintf("c%d", i/3), size: size})
	}
	var wg sync.WaitGroup
	for i, o := range orders {
		wg.Go(func() { assert.NoError(t, w.compose(ctx, o, i)) })
	}
	wg.Wait()
	t.Logf("refused: %v", w.refusals)

	require.Len(t, w.sim.LXD(), len(orders), "every VM is there once, and nothing else is")
	cores := map[string]int{}
	for _, vm := range w.sim.LXD() {
		cores[vm.Host] += vm.Cores
	}
	for host, used := range cores {
		assert.LessOrEqual(t, used, hostCores, "X2.6 %s is over its limit", host)
	}
	for group, members := range w.stored {
		var zones []string
		for _, p := range members {
			zones = append(zones, p.Zone)
		}
		slices.Sort(zones)
		assert.Equal(t, []string{"az1", "az2", "az3"}, zones, "X6.2 R3.2 group %s, while every zone has room", group)
	}
}

// TestReplicas_see_each_other_once_the_host_was_read_again has two replicas that share nothing but
// MAAS (docs/protocol-coverage.md 2.6, 6.3).
func TestReplicas_see_each_other_once_the_host_was_read_again(t *testing.T) {
	t.Parallel()
	w := start(t, 3, 0)
	one := w.lxd
	w.restart()
	other := w.lxd
	_, err := other.ListHosts(w.ctx(), provision.HostFilter{})
	require.NoError(t, err)
	var peers []placement.Peer
	for i := range 2 {
		name := fmt.Sprintf("cp-%d", i)
		req := selectRequest(name + "-a1b2c")
		req.Group = placement.Group{Key: "prod", Peers: peers}
		s, err := one.SelectHost(w.ctx(), req)
		require.NoError(t, err)
		_, err = one.ComposeVM(w.ctx(), provision.ComposeRequest{
			Attempt: provision.Attempt{Number: 1, Name: name + "-a1b2c", HostID: s.Chosen.HostID, HostName: s.Chosen.HostName},
			Owner:   owner(name), Size: small(), GroupKey: "prod",
		})
		require.NoError(t, err)
		peers = append(peers, placement.Peer{Name: name + "-a1b2c", Host: s.Chosen.HostID, Zone: s.Chosen.Zone})
	}
	w.clock.advance(6 * time.Second)
	req := selectRequest("cp-2-a1b2c")
	req.Group = placement.Group{Key: "prod", Peers: peers}
	s, err := other.SelectHost(w.ctx(), req)
	require.NoError(t, err)
	assert.NotContains(t, []inventory.HostID{peers[0].Host, peers[1].Host}, s.Chosen.HostID, "R3.2 peers come with the request")
	for _, p := range peers {
		h := w.hostByID(p.Host)
		assert.Equal(t, int64(4), h.Used.Cores, "R4.1 what the other replica made is seen")
	}
}

func (w *world) hostByID(id inventory.HostID) provision.HostView {
	w.t.Helper()
	list, err := w.lxd.ListHosts(w.ctx(), provision.HostFilter{})
	require.NoError(w.t, err)
	for _, h := range list.Hosts {
		if h.ID == id {
			return h
		}
	}
	w.t.Fatalf("no host %s", id)
	return provision.HostView{}
}
