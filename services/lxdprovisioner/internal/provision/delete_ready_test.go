package provision_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// watchful lets somebody else act once a VM was found, and while its host is asked whether it answers.
type watchful struct {
	provision.Backend

	found, asked func()
}

func (b *watchful) Find(ctx context.Context, names []string) ([]inventory.Machine, error) {
	machines, err := b.Backend.Find(ctx, names)
	step(b.found)
	return machines, err
}

func (b *watchful) Alive(ctx context.Context, vm inventory.Machine) error {
	step(b.asked)
	return b.Backend.Alive(ctx, vm)
}

// abandoned is a world with a Ready VM that nobody has claimed, which its attempt is to be rid of.
func abandoned(t *testing.T) (*world, *watchful, provision.DeleteRequest, func() error) {
	t.Helper()
	w := start(t, 1, 0)
	req := w.composeRequest("cp-0", "lxd-1")
	id := w.made(req.Attempt)
	req.Attempt = w.sent(req.Attempt)
	b := &watchful{Backend: w.cfg.Backend}
	w.cfg.Backend = b
	w.restart()
	alice := w.as(w.sim.UserAPIKey())
	claim := func() error {
		_, err := alice.Claim(w.ctx(), id, "alice/build")
		return err
	}
	return w, b, deleteRequest(req.Owner, req.Attempt), claim
}

func TestDeleteVM_of_a_Ready_VM_takes_it_from_nobody(t *testing.T) {
	t.Parallel()
	t.Run("X3.2_who_claims_it_after_it_was_found_keeps_it", func(t *testing.T) {
		t.Parallel()
		w, b, del, claim := abandoned(t)
		b.found = func() {
			b.found = nil
			assert.NoError(t, claim())
		}
		_, err := w.lxd.DeleteVM(w.ctx(), del)
		require.Error(t, err, "the attempt is young")
		m, ok := w.sim.Machine(del.Attempts[0].Name)
		require.True(t, ok, "stolen from alice")
		assert.Equal(t, "alice", m.Owner)
		assert.True(t, w.logged("Leaving machine alone", "vm="+del.Attempts[0].Name))
	})
	t.Run("X3.2_nobody_can_claim_it_between_the_look_at_its_host_and_its_deletion", func(t *testing.T) {
		t.Parallel()
		w, b, del, claim := abandoned(t)
		b.asked = func() { requireFault(t, claim(), fault.Conflict, fault.ReasonNameTaken) }
		del.Attempts[0].Settled = true
		_, err := w.lxd.DeleteVM(w.ctx(), del)
		require.NoError(t, err)
		assert.Empty(t, w.sim.LXD())
	})
	t.Run("X4.6_while_its_host_does_not_answer_its_row_says_what_it_is", func(t *testing.T) {
		t.Parallel()
		w, _, del, _ := abandoned(t)
		require.NoError(t, w.sim.SetHostOffline("lxd-1", true))
		_, err := w.lxd.DeleteVM(w.ctx(), del)
		requireFault(t, err, fault.Unavailable, fault.ReasonHostUnreachable)
		m, ok := w.sim.Machine(del.Attempts[0].Name)
		require.True(t, ok)
		assert.Equal(t, "allocated", m.Status, "nobody else gets a VM whose deletion is handed over")
		assert.NotEmpty(t, m.Annotations["capmaas-delete"])
		assert.Equal(t, "uid-cp-0", m.Annotations["capmaas.machine-uid"])
		require.NoError(t, w.sim.SetHostOffline("lxd-1", false))
		w.restart()
		del.Attempts[0].Settled = true
		_, err = w.lxd.DeleteVM(w.ctx(), del)
		require.NoError(t, err)
		assert.Empty(t, w.sim.LXD())
	})
}

func TestComposeVM_X3_2_leaves_a_VM_of_no_use_to_whoever_claims_it_first(t *testing.T) {
	t.Parallel()
	w := start(t, 3, 0)
	req := w.composeRequest("cp-0", "lxd-1")
	elsewhere := w.hostOf(req.Attempt)
	elsewhere.Zone = w.host("lxd-2").Zone
	id, err := w.cfg.Backend.Make(w.ctx(), provision.VMSpec{
		Name: req.Attempt.Name, Host: elsewhere, Size: small(), Architecture: "amd64/generic", SkipCommissioning: true,
	})
	require.NoError(t, err)
	req.Attempt = w.sent(req.Attempt)
	alice := w.as(w.sim.UserAPIKey())
	w.cfg.Backend = &watchful{Backend: w.cfg.Backend, asked: func() {
		_, err := alice.Claim(w.ctx(), id, "alice/build")
		assert.NoError(t, err)
	}}
	w.restart()
	_, err = w.lxd.ComposeVM(w.ctx(), req)
	requireFault(t, err, fault.Conflict, fault.ReasonNameTaken)
	m, ok := w.sim.Machine(req.Attempt.Name)
	require.True(t, ok, "stolen from alice")
	assert.Equal(t, "alice", m.Owner)
}
