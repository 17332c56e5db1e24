package provisioner_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

// older connects to a provisioner that knows the contract of the last tag, without what is named.
func older(t *testing.T, fake *provisionertest.Fake, without ...string) grpc.ClientConnInterface {
	t.Helper()
	contract, err := provisionertest.ReadContract(filepath.Join("..", "..", "..", "proto", "image.binpb"), without...)
	require.NoError(t, err)
	return provisionertest.Skewed(fake.Dial(t), contract)
}

func TestSkew_a_call_that_an_older_provisioner_lacks_is_an_unknown_outcome(t *testing.T) {
	t.Parallel()
	fake := provisionertest.New(provisionertest.Config{})
	conn := older(t, fake, "lxdprovisioner.v1.RegionProvisioner.PowerOnMachine", "lxdprovisioner.v1.LXDProvisioner.WatchVMs")
	_, err := lxdprovisionerv1.NewRegionProvisionerClient(conn).PowerOnMachine(t.Context(), &lxdprovisionerv1.PowerOnMachineRequest{SystemId: "abc123"})
	out := provisioner.DefaultDelays().Of(err)
	assert.Equal(t, provisioner.Retry, out.Action, "nothing is concluded from it")
	assert.Equal(t, provisioner.OutcomeUnknownReason, out.Reason)
	assert.False(t, out.Absent)
	assert.Contains(t, out.Message, "Unimplemented")
	_, err = lxdprovisionerv1.NewLXDProvisionerClient(conn).WatchVMs(t.Context(), &lxdprovisionerv1.WatchVMsRequest{})
	assert.Equal(t, provisioner.Retry, provisioner.DefaultDelays().Of(err).Action)

	_, err = lxdprovisionerv1.NewLXDProvisionerClient(conn).ListHosts(t.Context(), &lxdprovisionerv1.ListHostsRequest{})
	require.NoError(t, err, "what both know goes on")
}

func TestSkew_a_field_that_an_older_provisioner_lacks_is_done_without(t *testing.T) {
	t.Parallel()
	fake := provisionertest.New(provisionertest.Config{Version: "v1.4.2"})
	conn := older(t, fake, "lxdprovisioner.v1.GetRegionResponse.service_version", "lxdprovisioner.v1.ListHostsResponse.next_page_token")
	region := &provisioner.Region{Client: lxdprovisionerv1.NewRegionProvisionerClient(conn), Version: "v1.5.0", Scale: 1, Clock: time.Now}
	reason, message := region.Problem(t.Context())
	assert.Empty(t, reason, "a version that is not told can't be compared: %s", message)
	answer, err := lxdprovisionerv1.NewLXDProvisionerClient(conn).ListHosts(t.Context(), &lxdprovisionerv1.ListHostsRequest{PageSize: new(int32(1))})
	require.NoError(t, err)
	assert.Len(t, answer.GetHosts(), 1)
	assert.Empty(t, answer.GetNextPageToken(), "the older one does not say that there are more")
}

func TestSkew_an_older_provisioner_of_another_minor_version_is_told(t *testing.T) {
	t.Parallel()
	fake := provisionertest.New(provisionertest.Config{Version: "v1.4.2"})
	region := &provisioner.Region{Client: lxdprovisionerv1.NewRegionProvisionerClient(older(t, fake)), Version: "v1.5.0", Scale: 1, Clock: time.Now}
	reason, message := region.Problem(t.Context())
	assert.Equal(t, infrav1.ProvisionerVersionMismatchReason, reason)
	assert.Contains(t, message, "v1.4.2")
}

func TestSkew_a_fault_of_the_last_tag_is_understood(t *testing.T) {
	t.Parallel()
	fake := provisionertest.New(provisionertest.Config{})
	lxd := lxdprovisionerv1.NewLXDProvisionerClient(older(t, fake))
	fake.FailNext("GetVM", provisionertest.Fault(errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_VM_NOT_FOUND, "gone"))
	_, err := lxd.GetVM(t.Context(), &lxdprovisionerv1.GetVMRequest{
		Attempt: &lxdprovisionerv1.Attempt{Number: 1, Name: "cp-0", HostId: "vmhost/1", HostName: "lxd-01"},
	})
	out := provisioner.DefaultDelays().Of(err)
	assert.True(t, out.Absent)
	assert.Equal(t, "VM_NOT_FOUND", out.Reason)
}
