package gate_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim/internal/gate"
)

func TestGates_hold_one_call_until_it_is_let_go(t *testing.T) {
	t.Parallel()
	var g gate.Gates
	g.Pass(nil, "lxd.created", "lxd-1") // nothing is to be held

	g.Hold("lxd.created", "lxd-1")
	g.Pass(nil, "lxd.created", "lxd-2") // another host
	passed := make(chan struct{})
	go func() {
		g.Pass(nil, "lxd.created", "lxd-1")
		close(passed)
	}()
	require.NoError(t, g.Await(t.Context(), "lxd.created", "lxd-1"))
	g.Pass(nil, "lxd.created", "lxd-1") // the one that is held is enough
	select {
	case <-passed:
		require.Fail(t, "passed while it was to be held")
	default:
	}
	require.NoError(t, g.LetGo("lxd.created", "lxd-1"))
	<-passed
	require.ErrorContains(t, g.LetGo("lxd.created", "lxd-1"), "nothing is held at lxd.created of lxd-1")
}

func TestGates_any_name_matches_every_call(t *testing.T) {
	t.Parallel()
	var g gate.Gates
	g.Hold("machines.allocate", gate.Any)
	passed := make(chan struct{})
	go func() {
		g.Pass(nil, "machines.allocate")
		close(passed)
	}()
	require.NoError(t, g.Await(t.Context(), "machines.allocate", gate.Any))
	require.NoError(t, g.LetGo("machines.allocate", gate.Any))
	<-passed
}

func TestGates_end_with_their_context_or_simulator(t *testing.T) {
	t.Parallel()
	var g gate.Gates
	g.Hold("machines.deploy", "va-0")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, g.Await(ctx, "machines.deploy", "va-0"), context.Canceled)
	require.Error(t, g.Await(t.Context(), "machines.deploy", "va-1"), "nothing is to be held there")
	closed := make(chan struct{})
	close(closed)
	g.Pass(closed, "machines.deploy", "va-0")
	assert.NoError(t, g.Await(t.Context(), "machines.deploy", "va-0"), "it had got there")
}
