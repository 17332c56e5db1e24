package maasmachine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/maasmachine"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

func withAttempts(text string) *infrav1.MaasMachine {
	m := &infrav1.MaasMachine{}
	metav1.SetMetaDataAnnotation(&m.ObjectMeta, infrav1.ComposeAttemptsAnnotation, text)
	return m
}

func TestPeers_X6_2_a_refused_attempt_leaves_its_host_once_no_VM_can_appear(t *testing.T) {
	t.Parallel()
	m := withAttempts(`[
		{"name":"refused","sentAt":"2026-01-01T00:00:00Z","givenUp":true},
		{"name":"seen","systemID":"abc","sentAt":"2026-01-01T00:00:00Z","givenUp":true},
		{"name":"removed","systemID":"abd","sentAt":"2026-01-01T00:00:00Z","givenUp":true,"settled":true},
		{"name":"current","sentAt":"2026-01-01T00:00:00Z"}]`)
	sent := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	soon, err := maasmachine.MayExist(m, sent.Add(299*time.Second))
	require.NoError(t, err)
	assert.Equal(t, map[string]bool{"refused": true, "seen": true, "removed": false, "current": true}, soon)
	late, err := maasmachine.MayExist(m, sent.Add(300*time.Second))
	require.NoError(t, err)
	assert.Equal(t, map[string]bool{"refused": false, "seen": true, "removed": false, "current": true}, late)
}

func TestDelete_X4_5_every_attempt_needs_its_own_proof(t *testing.T) {
	t.Parallel()
	m := withAttempts(`[{"name":"one"},{"name":"two"}]`)
	missing, err := maasmachine.Unproved(m, []*lxdprovisionerv1.Absence{{Name: "one"}})
	require.NoError(t, err)
	assert.Equal(t, "two", missing)
	missing, err = maasmachine.Unproved(m, []*lxdprovisionerv1.Absence{{Name: "two"}, {Name: "one"}})
	require.NoError(t, err)
	assert.Empty(t, missing)
}

func TestFailedHosts_R7_2_rest_for_longer_after_every_failure(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const first, longest = 15 * time.Second, 30 * time.Minute
	type failure struct {
		host  string
		after time.Duration
	}
	for name, tc := range map[string]struct {
		failures        []failure
		now             time.Duration
		failed, resting []string
		due             time.Duration
	}{
		"none_failed": {},
		"one_that_failed_rests": {
			failures: []failure{{"vmhost/1", 0}}, now: 14 * time.Second,
			failed: []string{"vmhost/1"}, resting: []string{"vmhost/1"}, due: 15 * time.Second,
		},
		"it_is_a_last_resort_after_its_rest": {
			failures: []failure{{"vmhost/1", 0}}, now: 15 * time.Second, failed: []string{"vmhost/1"},
		},
		"a_second_failure_doubles_the_rest": {
			failures: []failure{{"vmhost/1", 0}, {"vmhost/1", 15 * time.Second}}, now: 40 * time.Second,
			failed: []string{"vmhost/1"}, resting: []string{"vmhost/1"}, due: 45 * time.Second,
		},
		"hosts_rest_on_their_own": {
			failures: []failure{{"vmhost/1", 0}, {"vmhost/2", 10 * time.Second}}, now: 20 * time.Second,
			failed: []string{"vmhost/1", "vmhost/2"}, resting: []string{"vmhost/2"}, due: 25 * time.Second,
		},
		"no_rest_is_longer_than_the_longest": {
			failures: slices.Repeat([]failure{{"vmhost/1", 0}}, 20), now: 29 * time.Minute,
			failed: []string{"vmhost/1"}, resting: []string{"vmhost/1"}, due: 30 * time.Minute,
		},
		"what_is_older_than_the_longest_rest_is_forgotten": {
			failures: []failure{{"vmhost/1", 0}}, now: 30 * time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var made []string
			for n, f := range tc.failures {
				made = append(made, fmt.Sprintf(`{"attempt":%d,"name":"cp-%d","hostID":%q,"sentAt":%q,"givenUp":true}`,
					n+1, n+1, f.host, start.Add(f.after).Format(time.RFC3339)))
			}
			m := withAttempts("[" + strings.Join(made, ",") + "]")
			failed, resting, due, err := maasmachine.FailedHosts(m, start.Add(tc.now), first, longest)
			require.NoError(t, err)
			assert.Equal(t, tc.failed, failed)
			assert.Equal(t, tc.resting, resting)
			if tc.due == 0 {
				assert.Zero(t, due)
			} else {
				assert.Equal(t, start.Add(tc.due), due.UTC())
			}
		})
	}
}
