package provision_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// panicking panics, quoting user data, where it is told to.
type panicking struct {
	provision.Backend

	at string
}

func (b *panicking) Make(ctx context.Context, spec provision.VMSpec) (string, error) {
	b.panicAt("make")
	return b.Backend.Make(ctx, spec)
}

func (b *panicking) Find(ctx context.Context, names []string) ([]inventory.Machine, error) {
	b.panicAt("find")
	return b.Backend.Find(ctx, names)
}

func (b *panicking) Host(ctx context.Context, id inventory.HostID) (inventory.Host, error) {
	b.panicAt("host")
	return b.Backend.Host(ctx, id)
}

func (b *panicking) Hosts(ctx context.Context) (inventory.Snapshot, error) {
	b.panicAt("hosts")
	return b.Backend.Hosts(ctx)
}

func (b *panicking) panicAt(place string) {
	if b.at == place {
		panic("unexpected " + userData)
	}
}

func TestLXD_survives_a_panic_and_keeps_user_data_to_itself(t *testing.T) {
	t.Parallel()
	for place, ask := range map[string]func(*world, provision.ComposeRequest) error{
		"make": func(w *world, req provision.ComposeRequest) error {
			_, err := w.lxd.ComposeVM(w.ctx(), req)
			return err
		},
		"find": func(w *world, req provision.ComposeRequest) error {
			_, err := w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: req.Attempt})
			return err
		},
		"host": func(w *world, req provision.ComposeRequest) error {
			_, err := w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: req.Attempt})
			return err
		},
		"hosts": func(w *world, _ provision.ComposeRequest) error {
			_, err := w.lxd.ListHosts(w.ctx(), provision.HostFilter{})
			return err
		},
	} {
		t.Run("in_"+place, func(t *testing.T) {
			t.Parallel()
			w := start(t, 1, 0)
			req := w.composeRequest("cp-0", "lxd-1")
			w.cfg.Backend = &panicking{Backend: w.cfg.Backend, at: place}
			w.restart()
			err := ask(w, req)
			requireFault(t, err, fault.Internal, fault.ReasonInternal)
			require.NotContains(t, err.Error(), "join-token")
			assert.Contains(t, err.Error(), "panic (string)")
			assert.True(t, w.logged("Panic caught", "type=string", "guarded_test.go"), "the log has the stack")
		})
	}
}

// panickingLists panics, where it is told to, in lists of machines.
type panickingLists struct {
	provision.MAAS

	on atomic.Bool
}

func (m *panickingLists) Machines(ctx context.Context, filter provision.MachineFilter) ([]inventory.Machine, error) {
	if m.on.Load() {
		panic("unexpected " + userData)
	}
	return m.MAAS.Machines(ctx, filter)
}

func TestWatchVMs_goes_on_after_a_panic(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composed("cp-0", "lxd-1")
	lists := &panickingLists{MAAS: w.cfg.MAAS}
	w.cfg.MAAS = lists
	w.restart()
	events, stop := w.watch(watched(req.Attempt, inventory.StatusAllocated))
	defer stop()
	for e := range events {
		if !e.Synced.IsZero() {
			break
		}
	}
	lists.on.Store(true)
	require.Eventually(t, func() bool { return w.logged("Panic caught", "a round of the watch") }, 10*time.Second, time.Millisecond)
	lists.on.Store(false)
	_, err := w.lxd.DeployVM(w.ctx(), deployRequest(req))
	require.NoError(t, err)
	for e := range events {
		if e.VM != nil && e.VM.Status == inventory.StatusDeployed {
			break
		}
	}
}
