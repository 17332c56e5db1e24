package service_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/service"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

// busy is the answer of a service that is at it and wants to be asked again soon.
func busy(t *testing.T) error {
	t.Helper()
	st, err := status.New(codes.Aborted, "the list is being made").WithDetails(
		&errdetails.ErrorInfo{Domain: errorinfo.Domain, Reason: "MAAS_BUSY", Metadata: map[string]string{errorinfo.KindKey: string(errorinfo.Busy)}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(5 * time.Millisecond)})
	require.NoError(t, err)
	return st.Err()
}

// connect serves a region and reaches it.
func connect(t *testing.T, timeout time.Duration) (*provisionertest.Fake, *service.Client) {
	t.Helper()
	fake, server := provisionertest.New(provisionertest.Config{}), grpc.NewServer()
	fake.Register(server)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
	})
	c, err := service.Connect(t.Context(), &service.Options{Address: listener.Addr().String(), Insecure: true, Timeout: timeout}, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return fake, c
}

func TestClient_asks_again_while_MAAS_is_busy_with_a_list(t *testing.T) {
	t.Parallel()
	fake, c := connect(t, time.Minute)
	for range 3 {
		fake.FailNext("ListVMs", busy(t))
	}
	_, err := c.ListVMs(t.Context(), "")
	require.NoError(t, err)
	fake.FailNext("ListHosts", busy(t))
	hosts, snapshot, err := c.Hosts(t.Context(), "az1", "")
	require.NoError(t, err)
	assert.Len(t, hosts, 2)
	assert.NotNil(t, snapshot.GetReadAt())
}

func TestClient_gives_up_when_its_time_is_over(t *testing.T) {
	t.Parallel()
	fake, c := connect(t, 300*time.Millisecond)
	fake.FailEvery("ListVMs", busy(t))
	_, err := c.ListVMs(t.Context(), "")
	require.ErrorContains(t, err, "list the VMs: ")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.ListVMs(ctx, "")
	require.Error(t, err)
}

func TestClient_repeats_no_other_error(t *testing.T) {
	t.Parallel()
	fake, c := connect(t, time.Minute)
	fake.FailNext("ListVMs", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "no answer"))
	_, err := c.ListVMs(t.Context(), "")
	info, ours := errorinfo.From(err)
	require.True(t, ours)
	assert.Equal(t, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, info.Reason)
}

func TestConnect_says_what_is_wrong_with_certificates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	garbage := write("garbage", "no PEM")
	for want, options := range map[string]service.Options{
		"no certificate of an authority in " + garbage: {CA: garbage},
		"client certificate of " + garbage + ": tls: ": {Cert: garbage, Key: garbage},
		"--cert and --key go together":                 {Key: garbage},
		"open " + filepath.Join(dir, "tls.crt"):        {TLSDir: dir},
		"no certificates: give --tls-dir":              {},
	} {
		options.Address = "127.0.0.1:1"
		_, err := service.Connect(t.Context(), &options, nil)
		require.ErrorContains(t, err, want)
	}
}
