package provision_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// silent is a back end whose hosts don't even refuse a connection: MAAS waits a minute for them, and
// says then that they did not answer, to whoever has waited so long.
type silent struct{ provision.Backend }

func (silent) Alive(ctx context.Context, vm inventory.Machine) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < 65*time.Second {
		return fault.New(fault.Unavailable, fault.ReasonMAASUnavailable, "MAAS gave no answer")
	}
	return fault.New(fault.Unavailable, fault.ReasonHostUnreachable, "LXD on %s did not answer MAAS in time", vm.HostName)
}

func TestDeleteVM_X4_2_waits_for_MAAS_to_say_that_a_silent_host_does_not_answer(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composed("cp-0", "lxd-1")
	w.cfg.Backend = silent{w.cfg.Backend}
	w.restart()
	_, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
	requireFault(t, err, fault.Unavailable, fault.ReasonHostUnreachable)
	assert.True(t, w.inLXD(req.Attempt.Name))
	assert.Zero(t, w.sim.Requests()["machines.delete"])
}

// slowHosts is a back end whose hosts are asked, and answer or not when the test says so.
type slowHosts struct {
	provision.Backend

	alive, verify chan error
}

func (s slowHosts) Alive(ctx context.Context, vm inventory.Machine) error {
	if s.alive == nil {
		return s.Backend.Alive(ctx, vm)
	}
	return <-s.alive
}

func (s slowHosts) Verify(ctx context.Context, id inventory.HostID) (inventory.Host, error) {
	if err := <-s.verify; err != nil {
		return inventory.Host{}, err
	}
	return s.Backend.Verify(ctx, id)
}

// MAAS takes longer to say that a host is silent than a caller waits. A machine is let go when its host has not answered for five
// minutes, and who hears of it once in many calls never gets there.
func TestDeleteVM_X4_6_tells_of_a_silent_host_while_MAAS_asks_it_anew(t *testing.T) {
	t.Parallel()
	for name, part := range map[string]func(*slowHosts) chan error{
		"of_which_MAAS_asks_whether_it_lives": func(s *slowHosts) chan error {
			s.alive = make(chan error)
			return s.alive
		},
		"that_MAAS_refreshes": func(s *slowHosts) chan error { return s.verify },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, 1, 0)
			req := w.composed("cp-0", "lxd-1")
			hosts := slowHosts{Backend: w.cfg.Backend, verify: make(chan error)}
			answers := part(&hosts)
			w.cfg.Backend = hosts
			w.restart()
			hurried := func() error {
				ctx, cancel := context.WithTimeout(w.ctx(), 50*time.Millisecond)
				defer cancel()
				_, err := w.lxd.DeleteVM(ctx, deleteRequest(req.Owner, req.Attempt))
				return err
			}
			requireFault(t, hurried(), fault.Busy, fault.ReasonDeletionInProgress)
			answers <- fault.New(fault.Unavailable, fault.ReasonHostUnreachable, "LXD on lxd-1 did not answer MAAS in time")
			require.Eventually(t, func() bool { return fault.ReasonOf(hurried()) == fault.ReasonHostUnreachable }, 10*time.Second, time.Millisecond)
			w.clock.advance(2 * time.Minute)
			for range 3 {
				requireFault(t, hurried(), fault.Unavailable, fault.ReasonHostUnreachable)
			}
			if hosts.alive != nil {
				close(hosts.alive)
			} else {
				answers <- nil
			}
			spoken := func() bool { return fault.ReasonOf(hurried()) != fault.ReasonHostUnreachable }
			require.Eventually(t, func() bool { return !w.inLXD(req.Attempt.Name) && spoken() }, 10*time.Second, time.Millisecond)
			w.clock.advance(2 * time.Minute)
			for range 3 {
				assert.True(t, spoken(), "the host is back, and a refresh of it is under way or has proved the deletion")
			}
			close(hosts.verify)
		})
	}
}
