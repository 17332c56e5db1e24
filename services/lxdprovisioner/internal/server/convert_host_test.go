package server_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

func TestAnswers_a_host_is_told_with_what_is_left_of_it(t *testing.T) {
	t.Parallel()
	answer, err := lxdprovisionerv1.NewLXDProvisionerClient(dial(t, newDesk())).ListHosts(t.Context(), &lxdprovisionerv1.ListHostsRequest{})
	require.NoError(t, err)
	project := "k8s"
	want := &lxdprovisionerv1.Host{
		Id: "vmhost/12", Name: "lxd-1", SystemId: "host01", Zone: "az1", ResourcePool: "cp", Tags: []string{"fast"},
		Total:              &lxdprovisionerv1.Capacity{Cores: 32, MemoryMib: 65536, DiskGb: 1000},
		Used:               &lxdprovisionerv1.Capacity{Cores: 4, MemoryMib: 8192, DiskGb: 100},
		Available:          &lxdprovisionerv1.Capacity{Cores: 60, MemoryMib: 90000, DiskGb: 880},
		CpuOverCommitRatio: 2, MemoryOverCommitRatio: 1.5,
		StoragePools:  []*lxdprovisionerv1.StoragePool{{Name: "default", Driver: "zfs", TotalGb: 1000, AvailableGb: 880, Default: true}},
		Architectures: []string{"amd64/generic"}, LxdVersion: "5.21.3", Project: &project, Bridges: []string{"br0"},
		Unusable: &lxdprovisionerv1.Rejection{
			HostId: "vmhost/13", HostName: "lxd-2", Zone: "az1", Message: "needs 2 cores, has 1",
			Reason: lxdprovisionerv1.RejectionReason_REJECTION_REASON_INSUFFICIENT_CORES,
		},
	}
	assert.True(t, proto.Equal(want, answer.GetHosts()[0]), "want %v\ngot  %v", want, answer.GetHosts()[0])
}

func TestAnswers_every_rejection_reason_is_one_of_the_contract(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.plan.Rejections = nil
	for _, reason := range placement.Reasons() {
		d.plan.Rejections = append(d.plan.Rejections, placement.Rejection{Reason: reason})
	}
	answer, err := lxdprovisionerv1.NewLXDProvisionerClient(dial(t, d)).DistributeAcrossZones(t.Context(), &lxdprovisionerv1.DistributeAcrossZonesRequest{})
	require.NoError(t, err)
	told := map[string]bool{}
	for i, r := range answer.GetRejections() {
		assert.Equal(t, "REJECTION_REASON_"+string(placement.Reasons()[i]), r.GetReason().String())
		told[r.GetReason().String()] = true
	}
	for number, name := range lxdprovisionerv1.RejectionReason_name {
		assert.True(t, number == 0 || told[name], "%s is in the contract and package placement never says it", name)
	}
}

func TestAnswers_a_region_lists_only_what_it_can(t *testing.T) {
	t.Parallel()
	answer, err := lxdprovisionerv1.NewRegionProvisionerClient(dial(t, &desk{region: provision.Region{DNS: true}})).GetRegion(t.Context(), &lxdprovisionerv1.GetRegionRequest{})
	require.NoError(t, err)
	assert.Equal(t, []lxdprovisionerv1.Capability{lxdprovisionerv1.Capability_CAPABILITY_DNS}, answer.GetCapabilities())
	assert.Empty(t, answer.GetProblem())
	assert.Empty(t, answer.GetProblemReason())
	assert.Equal(t, "v1.2.3", answer.GetServiceVersion())
}
