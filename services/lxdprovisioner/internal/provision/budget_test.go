package provision_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// callDeadline is how long a manager waits for an answer, workers how many calls it has under way.
const (
	callDeadline = 10 * time.Second
	workers      = 50
)

func TestLXD_makes_and_deletes_a_hundred_at_once_within_the_budget(t *testing.T) {
	t.Parallel()
	const count = 100
	for name, c := range map[string]struct {
		network func(i int) provision.Network
		apart   time.Duration
		budget  int
	}{
		"VMs without wishes":       {network: noWish, budget: 8},
		"VMs that come one by one": {network: noWish, apart: 500 * time.Millisecond, budget: 8},
		"VMs with fixed addresses": {network: fixedAddress, budget: 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubbleWithMAAS(t, usual(12), func(w *world) {
				m := newManager(w, count, c.network)
				m.apart = c.apart
				created := m.all("created", m.create)
				<-time.After(6 * time.Minute)
				deleted := m.all("deleted", m.remove)
				m.stop()
				assert.Empty(w.t, w.sim.LXD())
				assert.LessOrEqual(w.t, created+deleted, c.budget*count)
			})
		})
	}
}

// addedBudget is by how much a hundred VMs at once may take longer than MAAS alone (docs/performance.md, Time added).
const addedBudget = 0.05

func TestLXD_adds_little_to_the_time_that_MAAS_takes_for_a_hundred(t *testing.T) {
	t.Parallel()
	// When the last deployment ends between two looks is chance, so that one run says little.
	const count, runs = 100, 6
	var alone, provided time.Duration
	inBubbleWithMAAS(t, usual(12), func(w *world) { alone = w.withoutProvisioner(count) })
	for range runs {
		inBubbleWithMAAS(t, usual(12), func(w *world) {
			m := newManager(w, count, noWish)
			began := time.Now()
			m.all("created", m.create)
			m.awaitAll(inventory.StatusDeployed)
			provided += time.Since(began) / runs
			m.stop()
		})
	}
	added := float64(provided-alone) / float64(alone)
	t.Logf("MAAS alone %s, provided %s: %.1f %% added", alone, provided, 100*added)
	assert.LessOrEqual(t, added, addedBudget)
}

// withoutProvisioner composes, claims and deploys VMs as soon as the limits of concurrency let it, asks for nothing else, and
// gives the time until the last is Deployed.
func (w *world) withoutProvisioner(count int) time.Duration {
	snap, err := w.lxd.Snapshot(w.ctx())
	require.NoError(w.t, err)
	began := time.Now()
	each(count, func(i int) {
		spec := provision.VMSpec{
			Name: fmt.Sprintf("w-%d", i), Host: snap.Hosts[i%len(snap.Hosts)], Size: ofTwo(), Architecture: "amd64/generic", SkipCommissioning: true,
		}
		id, err := w.cfg.Backend.Make(w.t.Context(), spec)
		if !assert.NoError(w.t, err) {
			return
		}
		_, err = w.cfg.MAAS.Claim(w.t.Context(), id, "alone/"+spec.Name)
		assert.NoError(w.t, err)
		_, err = w.cfg.MAAS.Deploy(w.t.Context(), id, provision.Deployment{Image: provision.Image{OS: "ubuntu", Series: "jammy"}, UserData: []byte(userData)})
		assert.NoError(w.t, err)
		for m, _ := w.sim.Machine(spec.Name); m.Status != "deployed"; m, _ = w.sim.Machine(spec.Name) {
			<-time.After(glance)
		}
	})
	return time.Since(began)
}

// glance is how often something is looked at that is waited for.
const glance = 100 * time.Millisecond

// ofTwo is a size of which a host takes ten and more.
func ofTwo() inventory.VMSize {
	return inventory.VMSize{Cores: 2, MemoryMiB: 4096, Disks: []inventory.Disk{{SizeGB: 40}}}
}

func noWish(int) provision.Network { return provision.Network{} }

// fixedAddress is an address outside of what MAAS gives out by itself.
func fixedAddress(i int) provision.Network {
	return provision.Network{StaticIP: &provision.StaticIP{Address: netip.AddrFrom4([4]byte{10, 10, 100, byte(1 + i)})}}
}

// manager asks for VMs as the delivered one does: some calls at a time, each with a deadline, again when the answer says, and
// with one stream of what has changed.
type manager struct {
	*world

	vms     []managed
	network func(i int) provision.Network
	// apart is the time between what is asked for two VMs: an API server is not infinitely fast.
	apart time.Duration

	mu       sync.Mutex
	followed map[int]inventory.Status
	changed  chan struct{}
	stop     func()
}

// gone is the state of a VM that is no more.
const gone = inventory.Status(-1)

type managed struct {
	provision.ComposeRequest

	chosen, composed bool
}

func newManager(w *world, count int, network func(i int) provision.Network) *manager {
	ctx, cancel := context.WithCancel(w.t.Context())
	m := &manager{world: w, vms: make([]managed, count), network: network, followed: map[int]inventory.Status{}, changed: make(chan struct{}, 1)}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		m.watch(ctx)
	}()
	m.stop = func() {
		cancel()
		<-stopped
	}
	return m
}

// all takes every VM to the end of something, and gives the requests that it took.
func (m *manager) all(what string, step func(i int) error) int {
	m.sim.ResetRequests()
	began := time.Now()
	left := atomic.Int64{}
	left.Store(int64(len(m.vms)))
	queue := make(chan int, len(m.vms))
	for i := range m.vms {
		time.AfterFunc(time.Duration(i)*m.apart, func() { queue <- i })
	}
	each(workers, func(int) {
		for i := range queue {
			err := step(i)
			if fault.Is(err, fault.Busy) {
				time.AfterFunc(retryAfter(err), func() { queue <- i })
				continue
			}
			assert.NoError(m.t, err, "%s of %d after %s", what, i, time.Since(began))
			if left.Add(-1) == 0 {
				close(queue)
			}
		}
	})
	m.t.Logf("%s in %s with %d requests: %v", what, time.Since(began).Round(time.Second), total(m.sim.Requests()), m.sim.Requests())
	return total(m.sim.Requests())
}

func retryAfter(err error) time.Duration {
	known, _ := errors.AsType[*fault.Error](err)
	return cmp.Or(known.RetryAfter(), 5*time.Second)
}

// call gives a call its deadline.
func (m *manager) call(f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(m.t.Context(), callDeadline)
	defer cancel()
	return f(ctx)
}

func (m *manager) create(i int) error {
	vm := &m.vms[i]
	if !vm.chosen {
		if err := m.call(func(ctx context.Context) error { return m.choose(ctx, i) }); err != nil {
			return err
		}
	}
	if !vm.composed {
		err := m.call(func(ctx context.Context) error {
			made, err := m.lxd.ComposeVM(ctx, vm.ComposeRequest)
			vm.Attempt.SystemID = made.SystemID
			return err
		})
		if vm.Attempt.SentAt.IsZero() {
			vm.Attempt = m.sent(vm.Attempt)
		}
		if err != nil {
			return err
		}
		vm.composed, vm.Attempt.Settled = true, true
	}
	err := m.call(func(ctx context.Context) error {
		_, err := m.lxd.DeployVM(ctx, deployRequest(vm.ComposeRequest))
		return err
	})
	if err == nil {
		m.follow(i, inventory.StatusDeploying)
	}
	return err
}

func (m *manager) choose(ctx context.Context, i int) error {
	name := fmt.Sprintf("w-%d", i)
	choice := selectRequest(name + "-a1b2c")
	choice.Size = ofTwo()
	choice.Network = m.network(i)
	choice.Group = placement.Group{Key: "workers"}
	selection, err := m.lxd.SelectHost(ctx, choice)
	if err != nil {
		return fmt.Errorf("select: %w", err)
	}
	m.vms[i] = managed{chosen: true, ComposeRequest: provision.ComposeRequest{
		Attempt: provision.Attempt{Number: 1, Name: choice.VM, HostID: selection.Chosen.HostID, HostName: selection.Chosen.HostName},
		Owner:   owner(name), Size: choice.Size, Network: choice.Network, GroupKey: "workers",
	}}
	return nil
}

// awaitAll waits until the stream has told of every VM that it is in this state.
func (m *manager) awaitAll(status inventory.Status) {
	for there := 0; there < len(m.vms); <-time.After(glance) {
		m.mu.Lock()
		there = 0
		for _, s := range m.followed {
			if s == status {
				there++
			}
		}
		m.mu.Unlock()
	}
}

func (m *manager) remove(i int) error {
	err := m.call(func(ctx context.Context) error {
		_, err := m.lxd.DeleteVM(ctx, deleteRequest(m.vms[i].Owner, m.vms[i].Attempt))
		return err
	})
	if err == nil {
		m.follow(i, gone)
	}
	return err
}

// follow notes in which state a VM is; none where it is gone.
func (m *manager) follow(i int, status inventory.Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, known := m.followed[i]
	if m.followed[i] = status; status == gone {
		delete(m.followed, i)
	}
	if known == (status != gone) {
		return
	}
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// watch keeps a stream open over what is followed.
func (m *manager) watch(ctx context.Context) {
	var last context.CancelFunc = func() {}
	var streams sync.WaitGroup
	defer streams.Wait()
	for {
		select {
		case <-ctx.Done():
			last()
			return
		case <-m.changed:
		}
		<-time.After(2 * time.Second)
		stream, end := context.WithCancel(ctx)
		synced := make(chan struct{})
		streams.Go(func() { m.stream(stream, sync.OnceFunc(func() { close(synced) })) })
		<-synced
		last()
		last = end
	}
}

func (m *manager) stream(ctx context.Context, synced func()) {
	defer synced()
	var vms []provision.WatchedVM
	index := map[string]int{}
	m.mu.Lock()
	for i, status := range m.followed {
		vms = append(vms, provision.WatchedVM{Attempt: m.vms[i].Attempt, Known: []inventory.Status{status}})
		index[m.vms[i].Attempt.Name] = i
	}
	m.mu.Unlock()
	_ = m.lxd.WatchVMs(ctx, vms, func(e provision.VMEvent) error {
		switch {
		case e.VM != nil:
			m.mu.Lock()
			if _, ok := m.followed[index[e.VM.Hostname]]; ok {
				m.followed[index[e.VM.Hostname]] = e.VM.Status
			}
			m.mu.Unlock()
		case !e.Synced.IsZero():
			synced()
		}
		return nil
	})
}
