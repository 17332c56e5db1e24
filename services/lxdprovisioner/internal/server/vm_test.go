package server_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

func TestLXDProvisioner_answers_faults(t *testing.T) {
	t.Parallel()
	answersFaults(t, "LXDProvisioner")
}

func TestWatchVMs_passes_events_on_in_their_order(t *testing.T) {
	t.Parallel()
	stream, err := lxdprovisionerv1.NewLXDProvisionerClient(dial(t, newDesk())).WatchVMs(t.Context(), &lxdprovisionerv1.WatchVMsRequest{})
	require.NoError(t, err)
	first, err := stream.Recv()
	require.NoError(t, err)
	assert.Equal(t, "abc123", first.GetVm().GetSystemId())
	second, err := stream.Recv()
	require.NoError(t, err)
	assert.Equal(t, "cp-9", second.GetGone())
	third, err := stream.Recv()
	require.NoError(t, err)
	assert.Equal(t, readAt, third.GetSynced().AsTime())
}

func TestDeleteVM_tells_each_proof(t *testing.T) {
	t.Parallel()
	d := &desk{absences: []provision.Absence{{Name: "a", Proof: provision.NeverSent}, {Name: "b", Proof: provision.Refreshed}, {Name: "c", Proof: provision.Unverified}}}
	answer, err := lxdprovisionerv1.NewLXDProvisionerClient(dial(t, d)).DeleteVM(t.Context(), &lxdprovisionerv1.DeleteVMRequest{})
	require.NoError(t, err)
	require.Len(t, answer.GetAbsences(), 3)
	for i, want := range []lxdprovisionerv1.AbsenceProof{
		lxdprovisionerv1.AbsenceProof_ABSENCE_PROOF_NEVER_SENT, lxdprovisionerv1.AbsenceProof_ABSENCE_PROOF_REFRESHED, lxdprovisionerv1.AbsenceProof_ABSENCE_PROOF_UNVERIFIED,
	} {
		assert.Equal(t, want, answer.GetAbsences()[i].GetProof())
	}
}
