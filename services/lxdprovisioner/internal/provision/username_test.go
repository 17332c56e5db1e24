package provision_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// rotated is a MAAS that knows us under another user's name until the key is rotated.
type rotated struct {
	provision.MAAS

	done atomic.Bool
}

func (r *rotated) WhoAmI(ctx context.Context) (provision.Identity, error) {
	who, err := r.MAAS.WhoAmI(ctx)
	if !r.done.Load() {
		who.Name = "alice"
	}
	return who, err
}

func TestListVMs_follows_a_key_that_is_replaced_by_another_users(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composed("cp-0", "lxd-1")
	maas := &rotated{MAAS: w.cfg.MAAS}
	w.cfg.MAAS = maas
	w.restart()
	vms, _, err := w.lxd.ListVMs(w.ctx(), provision.ListRequest{})
	require.NoError(t, err)
	require.Empty(t, vms)
	maas.done.Store(true)
	w.clock.advance(61 * time.Second)
	vms, _, err = w.lxd.ListVMs(w.ctx(), provision.ListRequest{})
	require.NoError(t, err)
	require.Len(t, vms, 1, "X5.1 all of ours is what our user of today owns")
	assert.Equal(t, req.Attempt.SystemID, vms[0].SystemID)
}
