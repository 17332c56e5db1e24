package orphans_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/api/records"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/controllers/orphans"
	"github.com/capmaas/capmaas/proto/correlation"
)

// listed gives the VMs on the cluster's list of pending deletions.
func (y *yard) listed(t require.TestingT) []string {
	list, err := records.Deletions(y.Cluster(t))
	require.NoError(t, err)
	var vms []string
	for _, d := range list {
		vms = append(vms, d.VMs...)
	}
	return vms
}

func TestRemoval_X5_1_deletes_the_orphans_that_somebody_names(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	all := names(11)
	for _, name := range all {
		y.compose(t, name, y.id, strings.TrimSuffix(name, "-aaaaa"))
	}
	y.annotate(t, infrav1.RemoveOrphansAnnotation, all[3])
	y.lookLong(t)
	assert.Equal(t, []string{all[3] + " on " + y.host}, y.listed(t))
	assert.NotContains(t, y.Cluster(t).Annotations, infrav1.RemoveOrphansAnnotation, "a request is granted once")
	assert.NotContains(t, y.look(t), all[3], "what is on the list is no orphan any more")
	list, err := records.Deletions(y.Cluster(t))
	require.NoError(t, err)
	id := string(list[0].UID)
	assert.Equal(t, id, correlation.FromContext(correlation.NewContext(t.Context(), id)), "the entry's id can be sent with its calls")

	options := y.Options()
	options.OrphanInterval = 0
	y.StartManagerWith(t, options)
	managertest.Eventually(t, func(c *managertest.Check) { assert.Len(c, y.Fake.VMs(), 10) }, "the list is worked off")
	managertest.Eventually(t, func(c *managertest.Check) { assert.Empty(c, y.listed(c)) }, "with proof")
	for _, vm := range y.Fake.VMs() {
		assert.NotEqual(t, all[3], vm.GetName())
	}
}

func TestRemoval_X5_1_waits_until_the_VM_is_called_an_orphan(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	for _, name := range names(10) {
		y.compose(t, name, y.id, strings.TrimSuffix(name, "-aaaaa"))
	}
	y.annotate(t, infrav1.RemoveOrphansAnnotation, names(1)[0])
	y.look(t)
	assert.Empty(t, y.listed(t))
	assert.Contains(t, y.Cluster(t).Annotations, infrav1.RemoveOrphansAnnotation, "the request stands")
	y.now = y.now.Add(orphans.Longest)
	y.look(t)
	assert.Len(t, y.listed(t), 1)
}

func TestRemoval_X5_1_of_more_than_a_tenth_must_be_confirmed(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	all := names(19)
	for _, name := range all {
		y.compose(t, name, y.id, strings.TrimSuffix(name, "-aaaaa"))
	}
	y.annotate(t, infrav1.RemoveOrphansAnnotation, all[0]+", "+all[1])
	y.lookLong(t)
	assert.Empty(t, y.listed(t))
	refusal := strings.Join(y.told(), "\n")
	assert.Contains(t, refusal, "OrphanRemovalRefused")
	assert.Contains(t, refusal, infrav1.ConfirmRemoveOrphansAnnotation+"=2")

	y.annotate(t, infrav1.RemoveOrphansAnnotation, all[0]+","+all[1], infrav1.ConfirmRemoveOrphansAnnotation, "3")
	y.look(t)
	assert.Empty(t, y.listed(t), "three were confirmed, two are asked for")
	y.annotate(t, infrav1.RemoveOrphansAnnotation, all[0]+","+all[1], infrav1.ConfirmRemoveOrphansAnnotation, "2")
	y.look(t)
	assert.Len(t, y.listed(t), 2)
	assert.NotContains(t, y.Cluster(t).Annotations, infrav1.ConfirmRemoveOrphansAnnotation)
}

func TestRemoval_X5_1_takes_nothing_that_is_no_orphan_of_the_cluster(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.compose(t, "theirs-aaaaa", "another management cluster's", "theirs")
	y.compose(t, "worker-0-aaaaa", y.id, "worker-0")
	y.compose(t, "orphan-0-aaaaa", y.id, "orphan-0")
	y.CreateMachine(t, "worker-0", managertest.LXD())
	require.True(t, y.Fake.AddStranger("stranger-aaaaa", y.Fake.HostID(y.host)))
	for _, name := range []string{"theirs-aaaaa", "worker-0-aaaaa", "stranger-aaaaa", "unheard-of"} {
		y.annotate(t, infrav1.RemoveOrphansAnnotation, "orphan-0-aaaaa,"+name, infrav1.ConfirmRemoveOrphansAnnotation, "2")
		y.lookLong(t)
		assert.Empty(t, y.listed(t), name)
		assert.Contains(t, strings.Join(y.told(), "\n"), "no orphans of this cluster: "+name)
		assert.NotContains(t, y.Cluster(t).Annotations, infrav1.RemoveOrphansAnnotation)
	}
	assert.Len(t, y.Fake.VMs(), 4)
}
