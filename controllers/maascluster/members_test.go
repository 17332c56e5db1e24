package maascluster_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	"github.com/capmaas/capmaas/controllers/maascluster"
)

func TestEndpoint_X8_2_an_API_server_that_comes_up_is_asked_more_often_than_one_that_does_not(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	delays := provisioner.DefaultDelays()
	young, old := now.Add(-time.Minute), now.Add(-time.Hour)
	for name, row := range map[string]struct {
		silent []time.Time
		want   time.Duration
	}{
		"all_answer":               {nil, 0},
		"one_comes_up":             {[]time.Time{young}, 5 * time.Second},
		"one_never_came_up":        {[]time.Time{old}, 15 * time.Second},
		"one_comes_up_beside_it":   {[]time.Time{old, young}, 5 * time.Second},
		"when_it_was_made_is_lost": {[]time.Time{{}}, 15 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, maascluster.JoinWait(row.silent, now, delays))
		})
	}
}
