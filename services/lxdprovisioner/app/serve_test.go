package app_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/app"
	"github.com/capmaas/capmaas/services/maassim"
)

func health(t *testing.T, s *service, name string) string {
	t.Helper()
	answer, err := healthpb.NewHealthClient(s.conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: name})
	require.NoError(t, err)
	return answer.GetStatus().String()
}

// logged says whether one line of the log holds all of the words.
func logged(s *service, words ...string) bool {
	for line := range strings.Lines(s.logs.String()) {
		found := true
		for _, word := range words {
			found = found && strings.Contains(line, word)
		}
		if found {
			return true
		}
	}
	return false
}

func TestService_health_tells_of_MAAS_apart_from_the_process(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	s := r.start(t, nil)
	assert.Equal(t, "SERVING", health(t, s, ""))
	assert.Equal(t, "SERVING", health(t, s, "lxdprovisioner.v1.LXDProvisioner"))
	require.Eventually(t, func() bool { return health(t, s, "maas") == "SERVING" }, 10*time.Second, 10*time.Millisecond)
}

func TestService_starts_while_MAAS_is_silent(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	require.NoError(t, r.server.Listener.Close())
	s := r.start(t, nil)
	assert.Equal(t, "SERVING", health(t, s, ""))
	assert.Equal(t, "NOT_SERVING", health(t, s, "maas"))
	_, err := lxdprovisionerv1.NewLXDProvisionerClient(s.conn).ListHosts(t.Context(), &lxdprovisionerv1.ListHostsRequest{})
	info, ours := errorinfo.From(err)
	require.True(t, ours, "%v", err)
	assert.Equal(t, errorinfo.Unavailable, info.Kind)
	assert.Equal(t, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, info.Reason)
}

func TestService_describes_itself_by_reflection(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	s := r.start(t, nil)
	stream, err := reflectionpb.NewServerReflectionClient(s.conn).ServerReflectionInfo(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}))
	answer, err := stream.Recv()
	require.NoError(t, err)
	var names []string
	for _, service := range answer.GetListServicesResponse().GetService() {
		names = append(names, service.GetName())
	}
	assert.Subset(t, names, []string{
		"lxdprovisioner.v1.LXDProvisioner", "lxdprovisioner.v1.BareMetalProvisioner", "lxdprovisioner.v1.RegionProvisioner", "grpc.health.v1.Health",
	})
}

func TestService_counts_calls_and_requests_to_MAAS(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	s := r.start(t, nil)
	_, err := lxdprovisionerv1.NewRegionProvisionerClient(s.conn).ListZones(t.Context(), &lxdprovisionerv1.ListZonesRequest{})
	require.NoError(t, err)
	text := s.scrape(t)
	assert.Contains(t, text, `grpc_server_handled_total{grpc_code="OK",grpc_method="ListZones",grpc_service="lxdprovisioner.v1.RegionProvisioner",grpc_type="unary"} 1`)
	assert.Regexp(t, `lxdprovisioner_maas_requests_total\{code="200",operation="[^"]*zones[^"]*",outcome="OK"\} [1-9]`, text)
	assert.Contains(t, text, `lxdprovisioner_maas_requests_limit{class="long"} 6`)
	assert.Regexp(t, `lxdprovisioner_maas_requests_in_flight\{class="short"\} [0-4]`, text)
	assert.Contains(t, text, `lxdprovisioner_maas_requests_waiting{class="list"} 0`)
	assert.Contains(t, text, `lxdprovisioner_maas_request_seconds_count{operation=`)
	assert.Contains(t, text, `lxdprovisioner_build_info{version="dev"} 1`)
	assert.Contains(t, text, `grpc_server_started_total{grpc_method="ComposeVM"`, "calls that were never made are there as zero")
}

func attempt(name string) *lxdprovisionerv1.Attempt {
	return &lxdprovisionerv1.Attempt{Number: 1, Name: name, HostId: "vmhost/1", HostName: "lxd-1"}
}

func owner() *lxdprovisionerv1.Owner {
	return &lxdprovisionerv1.Owner{ClusterId: "c1", Namespace: "default", Cluster: "prod", Machine: "cp-0", MachineUid: "u1"}
}

func compose(name string) *lxdprovisionerv1.ComposeVMRequest {
	return &lxdprovisionerv1.ComposeVMRequest{Attempt: attempt(name), Owner: owner(), Resources: &lxdprovisionerv1.VMResources{
		Cores: 2, MemoryMib: 4096, Disks: []*lxdprovisionerv1.Disk{{SizeGb: 20}},
	}}
}

func TestService_X2_5_finishes_on_stopping_what_MAAS_was_told(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	// The answer is due a second after the call, and has five more to arrive on a machine that is busy.
	s := r.start(t, func(c *app.Config) {
		c.Timing = app.DefaultTiming()
		c.Timing.ReplyMargin = 5 * time.Second
	})
	require.NoError(t, r.AddFaults(maassim.Fault{Operation: "vm-hosts.compose", Latency: 2 * time.Second}))
	lxd := lxdprovisionerv1.NewLXDProvisionerClient(s.conn)

	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	_, err := lxd.ComposeVM(ctx, compose("cp-0"))
	info, ours := errorinfo.From(err)
	require.True(t, ours, "the answer comes before the caller's deadline: %v", err)
	require.Equal(t, lxdprovisionerv1.Reason_REASON_COMPOSITION_IN_PROGRESS, info.Reason)

	s.stop()
	require.NoError(t, s.wait(t))
	machine, made := r.Machine("cp-0")
	require.True(t, made, "the composition was finished before the service ended")
	assert.Equal(t, "allocated", machine.Status, "and claimed")
	assert.True(t, logged(s, `"msg":"Stopped"`), s.logs.String())
}

func TestService_ends_watches_with_UNAVAILABLE_when_it_stops(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	s := r.start(t, nil)
	stream, err := lxdprovisionerv1.NewLXDProvisionerClient(s.conn).WatchVMs(t.Context(), &lxdprovisionerv1.WatchVMsRequest{
		Vms: []*lxdprovisionerv1.WatchedVM{{Attempt: attempt("absent"), Known: lxdprovisionerv1.MachineState_MACHINE_STATE_COMMISSIONING}},
	})
	require.NoError(t, err)
	for synced := false; !synced; {
		event, err := stream.Recv()
		require.NoError(t, err)
		synced = event.GetSynced() != nil
	}
	s.stop()
	_, err = stream.Recv()
	require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	require.NoError(t, s.wait(t))
}
