package maasmachine_test

import (
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
