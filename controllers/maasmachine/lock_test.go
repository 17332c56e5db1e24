package maasmachine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/controllers/maasmachine"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

func TestAttempt_X1_3_of_two_leaders_only_one_stores_an_attempt(t *testing.T) {
	t.Parallel()
	bed := managertest.NewWithoutManager(t, provisionertest.Config{})
	bed.CreateCluster(t)
	bed.CreateMachine(t, "vm-0", managertest.LXD(), func(_ *clusterv1.Machine, m *infrav1.MaasMachine) {
		m.Finalizers = []string{infrav1.MachineFinalizer}
	})
	r := &maasmachine.Reconciler{Client: bed.Client, APIReader: bed.Client, Clock: time.Now}
	read := func() *maasmachine.Record {
		rec, err := maasmachine.Read(t.Context(), r, bed.Key("vm-0"))
		require.NoError(t, err)
		return rec
	}
	one, other, third := read(), read(), read()
	require.NoError(t, maasmachine.StoreAttempt(t.Context(), r, one, "vm-0-aaaaa", "vmhost/1"))
	err := maasmachine.StoreAttempt(t.Context(), r, other, "vm-0-aaaaa", "vmhost/2")
	require.True(t, apierrors.IsConflict(err), "a host was chosen meanwhile: %v", err)
	require.True(t, apierrors.IsConflict(maasmachine.RemoveFinalizer(t.Context(), r, third)), "an attempt was stored meanwhile")

	m := bed.Machine(t, "vm-0")
	all := attemptsOf(t, m)
	require.Len(t, all, 1)
	assert.Equal(t, "vmhost/1", all[0].HostID)
	assert.Contains(t, m.Finalizers, infrav1.MachineFinalizer)
	require.NoError(t, maasmachine.RemoveFinalizer(t.Context(), r, read()))
}

func TestAttempt_X6_2_a_machine_that_is_being_deleted_is_a_peer_until_it_is_gone(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "cp-0", managertest.LXD(), managertest.ControlPlane)
	leaving := bed.WaitProvisioned(t, "cp-0").Status.VMName
	require.True(t, bed.Fake.SetLocked(leaving, true))
	bed.DeleteMachine(t, "cp-0")
	peers := func(name string) []string {
		bed.Fake.ForgetRequests()
		bed.CreateMachine(t, name, managertest.LXD(), managertest.ControlPlane)
		bed.WaitProvisioned(t, name)
		asked := provisionertest.Requests[*lxdprovisionerv1.SelectHostRequest](bed.Fake)
		require.NotEmpty(t, asked)
		var names []string
		for _, p := range asked[0].GetGroup().GetPeers() {
			names = append(names, p.GetName())
		}
		return names
	}
	assert.Contains(t, peers("cp-1"), leaving, "its VM is on its host still")
	require.True(t, bed.Fake.SetLocked(leaving, false))
	bed.WaitGone(t, "cp-0")
	assert.NotContains(t, peers("cp-2"), leaving)
}
