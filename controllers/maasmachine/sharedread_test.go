package maasmachine_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/controllers/maasmachine"
)

func TestSharedRead_of_those_who_ask_while_one_runs_begins_after_they_have_asked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const later = 20
		began, goOn := 0, make(chan struct{})
		get := maasmachine.SharedRead(func(context.Context) (int, error) {
			began++
			mine := began
			<-goOn
			return mine, nil
		})
		var asking sync.WaitGroup
		ask := func(given *int) {
			asking.Go(func() {
				value, err := get(t.Context())
				assert.NoError(t, err)
				*given = value
			})
		}
		var first int
		ask(&first)
		synctest.Wait() // it is being read for the first
		var others [later]int
		for i := range others {
			ask(&others[i])
		}
		synctest.Wait() // all others have asked
		assert.Equal(t, 1, began, "one read at a time")
		close(goOn)
		asking.Wait()

		assert.Equal(t, 1, first)
		for _, given := range others {
			assert.Equal(t, 2, given)
		}
		assert.Equal(t, 2, began)
	})
}

func TestSharedRead_does_not_keep_a_failure(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	err := away
	get := maasmachine.SharedRead(func(context.Context) (string, error) { return "read", err })
	_, failed := get(t.Context())
	require.ErrorIs(t, failed, away)
	err = nil
	value, failed := get(t.Context())
	require.NoError(t, failed)
	assert.Equal(t, "read", value)
}

func TestSharedRead_outlives_the_first_who_asked(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(t.Context())
	get := maasmachine.SharedRead(func(ctx context.Context) (string, error) { return "read", ctx.Err() })
	leave()
	value, err := get(ctx)
	require.NoError(t, err)
	assert.Equal(t, "read", value)
}
