package interceptor_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/interceptor"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/server"
)

// handler answers DeployVM and WatchVMs as a test says.
type handler struct {
	lxdprovisionerv1.UnimplementedLXDProvisionerServer

	deploy func(ctx context.Context) error
	watch  func(ctx context.Context) error
}

func (h *handler) DeployVM(ctx context.Context, _ *lxdprovisionerv1.DeployVMRequest) (*lxdprovisionerv1.DeployVMResponse, error) {
	return &lxdprovisionerv1.DeployVMResponse{}, h.deploy(ctx)
}

func (h *handler) WatchVMs(_ *lxdprovisionerv1.WatchVMsRequest, stream grpc.ServerStreamingServer[lxdprovisionerv1.WatchVMsResponse]) error {
	return h.watch(stream.Context())
}

// world is a server behind the whole chain.
type world struct {
	client   lxdprovisionerv1.LXDProvisionerClient
	registry *prometheus.Registry
	streams  *interceptor.Streams

	logs, audits book
}

// book is a log that can be read while it is written.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (w *world) log() string { return w.logs.String() }

func newWorld(t *testing.T, h *handler) *world {
	t.Helper()
	w := &world{registry: prometheus.NewRegistry(), streams: interceptor.NewStreams()}
	metrics := grpcprom.NewServerMetrics()
	w.registry.MustRegister(metrics)
	options, err := interceptor.ServerOptions(interceptor.Config{
		Logger:  slog.New(slog.NewJSONHandler(&w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Audit:   slog.New(slog.NewJSONHandler(&w.audits, nil)),
		Metrics: metrics, Clock: time.Now, Streams: w.streams,
	})
	require.NoError(t, err)
	s := grpc.NewServer(options...)
	lxdprovisionerv1.RegisterLXDProvisionerServer(s, h)
	w.client = lxdprovisionerv1.NewLXDProvisionerClient(provisionertest.Serve(t, s))
	return w
}

// handled gives how many calls of the method ended with the code.
func (w *world) handled(t *testing.T, method string, code codes.Code) float64 {
	t.Helper()
	families, err := w.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if family.GetName() == "grpc_server_handled_total" && labels["grpc_method"] == method && labels["grpc_code"] == code.String() {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

const secret = "join-token-that-nobody-may-see"

func deploy() *lxdprovisionerv1.DeployVMRequest {
	return &lxdprovisionerv1.DeployVMRequest{
		Attempt:  &lxdprovisionerv1.Attempt{Number: 2, Name: "cp-0", HostId: "vmhost/1", HostName: "lxd-1", SystemId: "abc123"},
		Owner:    &lxdprovisionerv1.Owner{ClusterId: "c", Namespace: "default", Cluster: "prod", Machine: "m-0", MachineUid: "u"},
		Image:    &lxdprovisionerv1.Image{Os: "ubuntu", Series: "jammy"},
		UserData: []byte(secret),
	}
}

func watch() *lxdprovisionerv1.WatchVMsRequest {
	return &lxdprovisionerv1.WatchVMsRequest{Vms: []*lxdprovisionerv1.WatchedVM{{
		Attempt: &lxdprovisionerv1.Attempt{Number: 1, Name: "cp-0", HostId: "vmhost/1", HostName: "lxd-1"},
	}}}
}

func TestChain_a_panic_is_INTERNAL_for_caller_log_and_metrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t, &handler{
		deploy: func(context.Context) error { panic(secret) },
		watch:  func(context.Context) error { panic(secret) },
	})
	_, err := w.client.DeployVM(t.Context(), deploy())
	info, ours := errorinfo.From(err)
	require.True(t, ours, "%v", err)
	assert.Equal(t, codes.Internal, status.Code(err))
	assert.Equal(t, errorinfo.Internal, info.Kind)
	stream, err := w.client.WatchVMs(t.Context(), watch())
	require.NoError(t, err)
	_, err = stream.Recv()
	assert.Equal(t, codes.Internal, status.Code(err))

	assert.InDelta(t, 1, w.handled(t, "DeployVM", codes.Internal), 0)
	assert.InDelta(t, 1, w.handled(t, "WatchVMs", codes.Internal), 0)
	assert.Contains(t, w.log(), "chain_test.go", "the log has the stack")
	assert.Contains(t, w.log(), `"level":"ERROR","msg":"Answered call","method":"DeployVM"`)
	assert.NotContains(t, w.log(), secret)
	assert.NotContains(t, err.Error(), secret)
}

func TestLogging_names_the_machine_and_never_the_request(t *testing.T) {
	t.Parallel()
	refused := fault.New(fault.Refused, fault.ReasonVMDeploymentFailed, "curtin failed")
	w := newWorld(t, &handler{deploy: func(context.Context) error { return server.StatusOf(refused) }})
	_, err := w.client.DeployVM(t.Context(), deploy())
	require.Error(t, err)
	line := w.log()
	for _, want := range []string{
		`"msg":"Answered call"`, `"method":"DeployVM"`, `"vm":"cp-0"`, `"host":"lxd-1"`, `"systemID":"abc123"`, `"attempt":2`,
		`"maasMachine":"default/m-0"`, `"code":"Aborted"`, `"took":`, `"reason":"VM_DEPLOYMENT_FAILED"`, `"kind":"Refused"`, `"error":"curtin failed"`,
	} {
		assert.Contains(t, line, want)
	}
	assert.NotContains(t, line, secret)
	assert.NotContains(t, line, "ubuntu")
	assert.Equal(t, 1, strings.Count(line, "\n"), "one line a call")
}

func TestLogging_says_louder_what_needs_a_person(t *testing.T) {
	t.Parallel()
	for kind, level := range map[fault.Kind]string{
		fault.Busy: "DEBUG", fault.NotFound: "DEBUG", fault.Invalid: "INFO", fault.NoRoom: "INFO", fault.Conflict: "INFO",
		fault.Unavailable: "WARN", fault.Denied: "WARN", fault.Unsupported: "WARN", fault.Internal: "ERROR",
	} {
		w := newWorld(t, &handler{deploy: func(context.Context) error { return server.StatusOf(fault.New(kind, fault.ReasonInternal, "x")) }})
		_, err := w.client.DeployVM(t.Context(), deploy())
		require.Error(t, err)
		assert.Contains(t, w.log(), `"level":"`+level+`"`, "kind %s", kind)
	}
}

func TestDeadline_a_call_without_one_gets_the_methods_own(t *testing.T) {
	t.Parallel()
	left := make(chan time.Duration, 1)
	w := newWorld(t, &handler{deploy: func(ctx context.Context) error {
		deadline, ok := ctx.Deadline()
		if !ok {
			return status.Error(codes.Internal, "no deadline")
		}
		left <- time.Until(deadline)
		return nil
	}})
	_, err := w.client.DeployVM(t.Context(), deploy())
	require.NoError(t, err)
	assert.InDelta(t, 60, (<-left).Seconds(), 10, "the contract gives DeployVM 60 s")
}

func TestDeadline_leaves_a_reserve_to_answer_a_fault(t *testing.T) {
	t.Parallel()
	w := newWorld(t, &handler{deploy: func(ctx context.Context) error {
		<-ctx.Done()
		return server.StatusOf(fault.New(fault.Busy, fault.ReasonNotReady, "not in this time"))
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := w.client.DeployVM(ctx, deploy())
	info, ours := errorinfo.From(err)
	require.True(t, ours, "the fault came before the caller's deadline: %v", err)
	assert.Equal(t, lxdprovisionerv1.Reason_REASON_NOT_READY, info.Reason)
}

func TestValidation_keeps_a_bad_request_from_the_handler(t *testing.T) {
	t.Parallel()
	w := newWorld(t, &handler{
		deploy: func(context.Context) error { panic("the handler was called") },
		watch:  func(context.Context) error { panic("the handler was called") },
	})
	bad := deploy()
	bad.Attempt.Name, bad.Owner, bad.UserData = "Not A Name", nil, []byte(secret)
	_, err := w.client.DeployVM(t.Context(), bad)
	info, ours := errorinfo.From(err)
	require.True(t, ours, "%v", err)
	assert.Equal(t, codes.InvalidArgument, status.Code(err))
	assert.Equal(t, errorinfo.Invalid, info.Kind)
	assert.Equal(t, lxdprovisionerv1.Reason_REASON_BAD_REQUEST, info.Reason)
	assert.Contains(t, info.Fields, "attempt.name")
	assert.Contains(t, info.Fields, "owner")
	assert.Contains(t, info.Message, "attempt.name: ")
	assert.NotContains(t, err.Error(), secret)

	stream, err := w.client.WatchVMs(t.Context(), &lxdprovisionerv1.WatchVMsRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	info, ours = errorinfo.From(err)
	require.True(t, ours, "%v", err)
	assert.Contains(t, info.Fields, "vms")
}

func TestLimits_a_request_above_4_MiB_does_not_reach_the_handler(t *testing.T) {
	t.Parallel()
	w := newWorld(t, &handler{deploy: func(context.Context) error { return nil }})
	request := deploy()
	request.UserData = make([]byte, 3<<20)
	_, err := w.client.DeployVM(t.Context(), request)
	require.NoError(t, err, "the use case refuses user data above 2 MiB with the figure, so it must see it")
	request.UserData = make([]byte, 4<<20)
	_, err = w.client.DeployVM(t.Context(), request)
	assert.Equal(t, codes.ResourceExhausted, status.Code(err))
	_, ours := errorinfo.From(err)
	assert.False(t, ours)
}

func TestStreams_end_with_UNAVAILABLE_when_the_service_stops(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 2)
	w := newWorld(t, &handler{watch: func(ctx context.Context) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}})
	stream, err := w.client.WatchVMs(t.Context(), watch())
	require.NoError(t, err)
	<-begun
	w.streams.Stop()
	w.streams.Stop()
	_, err = stream.Recv()
	assert.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	late, err := w.client.WatchVMs(t.Context(), watch())
	require.NoError(t, err)
	_, err = late.Recv()
	assert.Equal(t, codes.Unavailable, status.Code(err), "a stream that comes late ends too")
}

func TestStreams_end_quietly_when_their_caller_goes(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan struct{}), make(chan error, 1)
	w := newWorld(t, &handler{watch: func(ctx context.Context) error {
		close(begun)
		<-ctx.Done()
		ended <- ctx.Err()
		return server.StatusOf(ctx.Err())
	}})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := w.client.WatchVMs(ctx, watch())
	require.NoError(t, err)
	<-begun
	cancel()
	assert.ErrorIs(t, <-ended, context.Canceled)
}
