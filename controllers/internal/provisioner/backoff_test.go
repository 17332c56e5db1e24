package provisioner_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/types"

	"github.com/capmaas/capmaas/controllers/internal/provisioner"
)

func TestBackoff_P5_doubles_from_5_s_to_10_min_and_starts_anew_after_a_success(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	middle := func() float64 { return 0.5 } // no jitter
	b := provisioner.NewBackoff(func() time.Time { return now }, middle, 1)
	const machine, other = types.UID("a"), types.UID("b")

	var delays []time.Duration
	for range 10 {
		delay := b.Fail(machine, 1)
		delays = append(delays, delay)
		assert.Equal(t, delay, b.Remaining(machine, 1))
		now = now.Add(delay)
		assert.Zero(t, b.Remaining(machine, 1))
	}
	s := time.Second
	assert.Equal(t, []time.Duration{5 * s, 10 * s, 20 * s, 40 * s, 80 * s, 160 * s, 320 * s, 600 * s, 600 * s, 600 * s}, delays)
	assert.Equal(t, 5*s, b.Fail(other, 1), "machines fail each for itself")

	b.Succeed(machine)
	assert.Equal(t, 5*s, b.Fail(machine, 1))
	assert.Equal(t, 10*s, b.Fail(machine, 1))
	assert.Zero(t, b.Remaining(machine, 2), "a changed object is not held back")
	assert.Equal(t, 5*s, b.Fail(machine, 2), "nor are its failures counted on")
}

func TestBackoff_strays_by_a_fifth(t *testing.T) {
	t.Parallel()
	for random, want := range map[float64]time.Duration{0: 4 * time.Second, 0.5: 5 * time.Second, 1: 6 * time.Second} {
		b := provisioner.NewBackoff(time.Now, func() float64 { return random }, 1)
		assert.Equal(t, want, b.Fail("a", 1).Round(time.Millisecond))
	}
}

func TestBackoff_Hold_counts_no_failure(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b := provisioner.NewBackoff(func() time.Time { return now }, func() float64 { return 0.5 }, 1)
	b.Hold("a", 1, time.Minute)
	assert.Equal(t, time.Minute, b.Remaining("a", 1))
	assert.Equal(t, 5*time.Second, b.Fail("a", 1))
}
