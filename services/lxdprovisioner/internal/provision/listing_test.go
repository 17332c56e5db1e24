package provision_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// manyVMs holds the list of our VMs until it is let go.
type manyVMs struct {
	provision.MAAS

	held chan struct{}
	// meanwhile is what happens while a list runs.
	meanwhile func()

	mu    sync.Mutex
	lists int
	fails error
}

func (m *manyVMs) Machines(ctx context.Context, f provision.MachineFilter) ([]inventory.Machine, error) {
	if len(f.Owners) == 0 {
		return m.MAAS.Machines(ctx, f)
	}
	m.mu.Lock()
	m.lists++
	fails := m.fails
	m.fails = nil
	m.mu.Unlock()
	select {
	case <-m.held:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if m.meanwhile != nil {
		m.meanwhile()
	}
	if fails != nil {
		return nil, fails
	}
	return m.MAAS.Machines(ctx, f)
}

func (m *manyVMs) listed() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lists
}

// manyVMsOf begins a world with three VMs, in which lists of VMs are held.
func manyVMsOf(t *testing.T) (*world, *manyVMs) {
	t.Helper()
	w := start(t, 3, 0)
	for i, host := range []string{"lxd-1", "lxd-2", "lxd-3"} {
		w.composed([]string{"cp-0", "cp-1", "cp-2"}[i], host)
	}
	maas := &manyVMs{MAAS: w.cfg.MAAS, held: make(chan struct{})}
	w.cfg.MAAS = maas
	w.restart()
	return w, maas
}

// page lists in the time of a caller in a hurry.
func (w *world) page(req provision.ListRequest) ([]provision.VM, string, error) {
	ctx, cancel := context.WithTimeout(w.ctx(), 50*time.Millisecond)
	defer cancel()
	return w.lxd.ListVMs(ctx, req)
}

func TestListVMs_that_takes_longer_than_its_caller_has_is_there_for_who_comes_back(t *testing.T) {
	t.Parallel()
	w, maas := manyVMsOf(t)
	maas.meanwhile = func() { w.clock.advance(10 * time.Minute) }
	req := provision.ListRequest{PageSize: 1}
	for range 2 {
		_, _, err := w.page(req)
		requireFault(t, err, fault.Busy, fault.ReasonMAASBusy)
	}
	close(maas.held)
	var vms []provision.VM
	var token string
	require.Eventually(t, func() bool {
		var err error
		vms, token, err = w.page(req)
		return err == nil
	}, 10*time.Second, 5*time.Millisecond)
	names := hostnames(vms)
	for token != "" {
		var err error
		vms, token, err = w.lxd.ListVMs(w.ctx(), provision.ListRequest{PageSize: 1, PageToken: token})
		require.NoError(t, err)
		names = append(names, hostnames(vms)...)
	}
	assert.ElementsMatch(t, []string{"cp-0-a1b2c", "cp-1-a1b2c", "cp-2-a1b2c"}, names)
	assert.Equal(t, 1, maas.listed(), "X5.1 one list serves all")
}

func TestListVMs_is_kept_for_as_long_as_it_took(t *testing.T) {
	t.Parallel()
	w, maas := manyVMsOf(t)
	maas.meanwhile = func() { w.clock.advance(10 * time.Minute) }
	_, _, err := w.page(provision.ListRequest{PageSize: 1})
	requireFault(t, err, fault.Busy, fault.ReasonMAASBusy)
	close(maas.held)
	require.Eventually(t, func() bool {
		_, _, err := w.page(provision.ListRequest{PageSize: 1, PageToken: "0"})
		return err == nil
	}, 10*time.Second, 5*time.Millisecond, "the list is there; a later page leaves it to who waits for the first")
	w.clock.advance(9 * time.Minute)
	vms, token, err := w.lxd.ListVMs(w.ctx(), provision.ListRequest{PageSize: 1})
	require.NoError(t, err)
	assert.Len(t, vms, 1)
	_, _, err = w.lxd.ListVMs(w.ctx(), provision.ListRequest{PageSize: 1, PageToken: token})
	require.NoError(t, err)
	assert.Equal(t, 1, maas.listed(), "the caller who had no time for it, and the pages that follow, are served by it")
	_, _, err = w.lxd.ListVMs(w.ctx(), provision.ListRequest{PageSize: 1})
	require.NoError(t, err)
	assert.Equal(t, 2, maas.listed(), "who has got it asks for another one")
}

func TestListVMs_that_failed_without_its_caller_is_begun_anew(t *testing.T) {
	t.Parallel()
	w, maas := manyVMsOf(t)
	maas.fails = errors.New("the connection broke")
	_, _, err := w.page(provision.ListRequest{})
	requireFault(t, err, fault.Busy, fault.ReasonMAASBusy)
	close(maas.held)
	require.Eventually(t, func() bool {
		vms, _, err := w.page(provision.ListRequest{})
		return err == nil && len(vms) == 3
	}, 10*time.Second, 5*time.Millisecond)
	assert.GreaterOrEqual(t, maas.listed(), 2)
}

// betweenLists lets something happen after the first list of VMs.
type betweenLists struct {
	provision.MAAS

	meanwhile func()
	once      sync.Once
}

func (b *betweenLists) Machines(ctx context.Context, f provision.MachineFilter) ([]inventory.Machine, error) {
	found, err := b.MAAS.Machines(ctx, f)
	if len(f.VMHosts) > 0 {
		b.once.Do(b.meanwhile)
	}
	return found, err
}

func TestListVMs_X5_1_finds_a_VM_that_is_claimed_while_VMs_are_listed(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	a := w.attempt("cp-0", "lxd-1")
	id := w.made(a)
	w.cfg.MAAS = &betweenLists{MAAS: w.cfg.MAAS, meanwhile: func() {
		_, err := w.as(w.sim.APIKey()).Claim(w.ctx(), id, a.Name)
		assert.NoError(t, err)
	}}
	w.restart()
	vms, _, err := w.lxd.ListVMs(w.ctx(), provision.ListRequest{})
	require.NoError(t, err)
	require.Equal(t, []string{a.Name}, hostnames(vms))
	assert.Equal(t, inventory.StatusAllocated, vms[0].Status, "as it was seen last")
}
