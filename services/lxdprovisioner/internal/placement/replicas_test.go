package placement_test

import (
	"context"
	"fmt"
	"net/http/httptest"
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
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

// callers is how many ask at once.
const callers = 64

// TestReplicas_X6_1_64_callers asks one service for more VMs than there is room for, all at once: what one
// caller was given, no other gets.
func TestReplicas_X6_1_64_callers_at_once_fill_no_host_over_its_limit(t *testing.T) {
	t.Parallel()
	for round := range 8 {
		in := fleetInstance(round, kinds[round%len(kinds)])
		in.hosts = in.hosts[:10]
		lxd, _ := service(in.hosts, newStepClock().now)
		var mu sync.Mutex
		r, refused := newRegion(in.hosts), []order{}
		atOnce(in.orders, func(o order) {
			selection, err := lxd.SelectHost(t.Context(), provision.SelectRequest{Request: placement.Request{
				VM: o.name, Size: o.size, Group: placement.Group{Key: o.group},
			}})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				refused = append(refused, o)
				return
			}
			r.put(r.index(selection.Chosen.HostID), o)
		})
		for i := range r.hosts {
			h := &r.hosts[i]
			require.False(t, h.OverLimit(), "round %d: %s: %+v of %+v", round, h.Name, h.Used, h.Allowed())
			require.GreaterOrEqual(t, r.defaultPool(i).AvailableBytes, int64(0), "round %d: storage of %s", round, h.Name)
		}
		require.NotEmpty(t, r.placed)
		for _, o := range refused {
			require.False(t, r.anyTakes(o.size), "round %d: %s was turned down with room left", round, o.name)
		}
	}
}

// atOnce runs f for every order, many at a time.
func atOnce(orders []order, f func(order)) {
	next := make(chan order)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for o := range next {
				f(o)
			}
		})
	}
	for _, o := range orders {
		next <- o
	}
	close(next)
	wg.Wait()
}

// TestReplicas_X6_1_control_planes asks for control planes whose members know of each other by the ledger
// alone.
func TestReplicas_X6_1_control_planes_chosen_at_once_do_not_meet_while_a_zone_is_free(t *testing.T) {
	t.Parallel()
	hosts := make([]inventory.Host, 12)
	for i := range hosts {
		hosts[i] = newHost(fmt.Sprintf("lxd-%d", i), i)
		hosts[i].Zone.Name = fmt.Sprintf("zone-%d", i%3)
	}
	var orders []order
	for i := range 60 {
		orders = append(orders, order{name: fmt.Sprintf("c%d-cp-%d", i/3, i%3), group: fmt.Sprintf("c%d", i/3), size: sized(4, 4, 10)})
	}
	lxd, _ := service(hosts, newStepClock().now)
	var mu sync.Mutex
	r := newRegion(hosts)
	atOnce(orders, func(o order) {
		selection, err := lxd.SelectHost(t.Context(), provision.SelectRequest{Request: placement.Request{
			VM: o.name, Size: o.size, Group: placement.Group{Key: o.group, AntiAffinity: placement.Required},
		}})
		if assert.NoError(t, err, o.name) {
			mu.Lock()
			defer mu.Unlock()
			r.put(r.index(selection.Chosen.HostID), o)
		}
	})
	for _, o := range orders {
		require.Equal(t, map[string]int{"zone-0": 1, "zone-1": 1, "zone-2": 1}, r.byZone(o.group), "R3.2 %s", o.group)
	}
}

// fleet of replicas over one simulated MAAS, through the real client and HTTP.
type replicaWorld struct {
	t        *testing.T
	sim      *maassim.Sim
	replicas []*provision.LXD
	hosts    []inventory.Host

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
	cfg := maassim.DefaultConfig(hosts, 3, 0)
	for i := range cfg.Hosts {
		cfg.Hosts[i].Cores = hostCores
	}
	cfg.Durations.Compose = 20 * time.Millisecond
	sim, err := maassim.New(cfg)
	require.NoError(t, err)
	srv := httptest.NewServer(sim)
	t.Cleanup(func() {
		sim.Close()
		srv.Close()
	})
	w := &replicaWorld{t: t, sim: sim, stored: map[string]map[string]placement.Peer{}, refusals: map[fault.Reason]int{}}
	timing := provision.DefaultTiming()
	timing.LookupWindow, timing.YieldLook = time.Millisecond, 5*time.Millisecond
	for range replicas {
		client, err := maas.New(maas.Config{URL: srv.URL + "/MAAS", Credentials: maas.StaticKey(sim.APIKey()), Clock: time.Now})
		require.NoError(t, err)
		t.Cleanup(client.Close)
		w.replicas = append(w.replicas, provision.NewLXD(provision.Config{
			Backend: maasvmhost.New(client, time.Now, nil), MAAS: maasregion.New(client, time.Now), Clock: time.Now, Timing: timing,
		}))
	}
	list, err := w.replicas[0].ListHosts(t.Context(), provision.HostFilter{})
	require.NoError(t, err)
	for _, h := range list.Hosts {
		w.hosts = append(w.hosts, h.Host)
	}
	return w
}

// make does what a controller does for one VM: the attempt is chosen and stored under the lock of the group,
// composed, and after a refusal opened anew on another host, each time through another replica.
func (w *replicaWorld) make(ctx context.Context, o order, first int) error {
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
		size := sized(hostCores/2, 4, 10)
		orders = append(orders, order{name: fmt.Sprintf("c%d-cp-%d", i/3, i%3), group: fmt.Sprintf("c%d", i/3), size: size})
	}
	var wg sync.WaitGroup
	for i, o := range orders {
		wg.Go(func() { assert.NoError(t, w.make(ctx, o, i)) })
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
