package records_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/capmaas/capmaas/api/records"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

var at = metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Local())

func cluster() *infrav1.MaasCluster {
	return &infrav1.MaasCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c"}}
}

func machine() *infrav1.MaasMachine {
	return &infrav1.MaasMachine{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "m"}}
}

// store puts attempts into the machine's annotation.
func store(t *testing.T, m *infrav1.MaasMachine, all []records.Attempt) {
	t.Helper()
	text, err := records.EncodeAttempts(all)
	require.NoError(t, err)
	metav1.SetMetaDataAnnotation(&m.ObjectMeta, infrav1.ComposeAttemptsAnnotation, text)
}

func TestRecords_are_read_as_they_were_written(t *testing.T) {
	t.Parallel()
	m, c := machine(), cluster()
	attempts := []records.Attempt{
		{Number: 1, Name: "m-a", HostID: "vmhost/1", HostName: "lxd-1", SystemID: "abc", SentAt: &at, Settled: true, GivenUp: true, LastHost: true, Yielded: true, Resent: 2},
		{Number: 2, Name: "m-b", HostID: "vmhost/2", HostName: "lxd-2"},
	}
	store(t, m, attempts)
	gotAttempts, err := records.Attempts(m)
	require.NoError(t, err)
	assert.Equal(t, attempts, gotAttempts)

	deletions := []records.Deletion{{Machine: "m", UID: "u", VMs: []string{records.Placed("m-a", "lxd-1")}, Since: at, Request: []byte(`{"attempts":[{"name":"m-a"}]}`)}}
	abandoned := []records.Abandoned{{Machine: "m", VMs: []string{"m-a on lxd-1"}, Reason: "fire", At: at}}
	require.NoError(t, records.SetDeletions(c, deletions))
	require.NoError(t, records.SetAbandonedVMs(c, abandoned))
	gotDeletions, err := records.Deletions(c)
	require.NoError(t, err)
	assert.Equal(t, deletions, gotDeletions)
	gotAbandoned, err := records.AbandonedVMs(c)
	require.NoError(t, err)
	assert.Equal(t, abandoned, gotAbandoned)
}

// The form is part of what moves between versions and clusters.
func TestRecords_keep_their_form(t *testing.T) {
	t.Parallel()
	m, c := machine(), cluster()
	store(t, m, []records.Attempt{{Number: 1, Name: "m-a", HostID: "vmhost/1", HostName: "lxd-1", SentAt: &at}})
	assert.JSONEq(t, `[{"attempt":1,"name":"m-a","hostID":"vmhost/1","hostName":"lxd-1","sentAt":"2026-03-01T12:00:00Z"}]`, m.Annotations[infrav1.ComposeAttemptsAnnotation])
	require.NoError(t, records.SetDeletions(c, []records.Deletion{{Machine: "m", UID: "u", VMs: []string{"m-a on lxd-1"}, Since: at, Request: []byte(`{}`)}}))
	assert.JSONEq(t, `[{"machine":"m","uid":"u","vms":["m-a on lxd-1"],"since":"2026-03-01T12:00:00Z","request":{}}]`, c.Annotations[infrav1.PendingDeletionsAnnotation])
	require.NoError(t, records.SetAbandonedVMs(c, []records.Abandoned{{Machine: "m", Reason: "fire", At: at}}))
	assert.JSONEq(t, `[{"machine":"m","vms":null,"reason":"fire","at":"2026-03-01T12:00:00Z"}]`, c.Annotations[infrav1.AbandonedVMsAnnotation])
	require.NoError(t, records.SetDeletions(c, nil))
	assert.Equal(t, "[]", c.Annotations[infrav1.PendingDeletionsAnnotation], "the list is empty, and was there")
}

func TestRecords_that_are_not_there_are_none(t *testing.T) {
	t.Parallel()
	attempts, err := records.Attempts(machine())
	require.NoError(t, err)
	assert.Empty(t, attempts)
	names, err := records.VMNames(machine())
	require.NoError(t, err)
	assert.Empty(t, names)
	assert.Empty(t, records.Unwanted(cluster()))
}

func TestRecords_that_can_not_be_read_are_an_error_that_names_them(t *testing.T) {
	t.Parallel()
	m, c := machine(), cluster()
	m.Annotations = map[string]string{infrav1.ComposeAttemptsAnnotation: "{"}
	_, err := records.VMNames(m)
	require.ErrorContains(t, err, "decode annotation "+infrav1.ComposeAttemptsAnnotation+" of ns/m")
	c.Annotations = map[string]string{infrav1.PendingDeletionsAnnotation: `[{"machine":"m","request":7}]`}
	deletions, err := records.Deletions(c)
	require.NoError(t, err)
	_, err = deletions[0].Names()
	require.ErrorContains(t, err, "decode the pending deletion of m")
}

func TestVMNames_are_those_of_all_attempts_and_of_the_existing_provider(t *testing.T) {
	t.Parallel()
	m := machine()
	m.Annotations = map[string]string{infrav1.VMNameAnnotation: "old"}
	store(t, m, []records.Attempt{{Name: "m-a", GivenUp: true}, {Name: "m-b"}})
	names, err := records.VMNames(m)
	require.NoError(t, err)
	assert.Equal(t, []string{"m-a", "m-b", "old"}, names)
}

func TestDeletion_is_named_by_its_machine_or_one_of_its_VMs(t *testing.T) {
	t.Parallel()
	d := records.Deletion{Machine: "m", VMs: []string{"m-a on lxd-1", "m-b on lxd-2"}, Request: []byte(`{"attempts":[{"name":"m-a","hostName":"lxd-1"},{"name":"m-b"}],"owner":{}}`)}
	for name, is := range map[string]bool{"m": true, "m-b": true, "lxd-2": false, "m-c": false} {
		assert.Equal(t, is, d.Is(name), name)
	}
	names, err := d.Names()
	require.NoError(t, err)
	assert.Equal(t, []string{"m-a", "m-b"}, names)
}

func TestUnwanted_names_are_parted_by_commas_and_blanks(t *testing.T) {
	t.Parallel()
	c := cluster()
	c.Annotations = map[string]string{infrav1.RemoveOrphansAnnotation: "b, a\r\nc,b\u00a0d,"}
	assert.Equal(t, []string{"a", "b", "c", "d"}, records.Unwanted(c))
}
