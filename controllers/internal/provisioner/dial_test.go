package provisioner_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

// deadlines notes how long each call may take.
type deadlines struct{ left []time.Duration }

func (d *deadlines) note(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if deadline, ok := ctx.Deadline(); ok {
		d.left = append(d.left, time.Until(deadline))
	}
	return handle(ctx, request)
}

func TestDial_gives_every_call_a_deadline_and_keeps_an_earlier_one(t *testing.T) {
	t.Parallel()
	noted := &deadlines{}
	server := grpc.NewServer(grpc.UnaryInterceptor(noted.note))
	provisionertest.New(provisionertest.Config{}).Register(server)
	listener := bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
	})
	client, err := provisioner.Dial(provisioner.DialOptions{
		Address: "passthrough:///memory", Insecure: true,
		Dialer: func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) },
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })

	_, err = client.VMs.ListHosts(t.Context(), &lxdprovisionerv1.ListHostsRequest{})
	require.NoError(t, err)
	short, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err = client.Region.GetRegion(short, &lxdprovisionerv1.GetRegionRequest{})
	require.NoError(t, err)
	_, err = client.VMs.ListVMs(t.Context(), &lxdprovisionerv1.ListVMsRequest{})
	require.NoError(t, err)
	require.Len(t, noted.left, 3)
	assert.LessOrEqual(t, noted.left[0], 10*time.Second)
	assert.LessOrEqual(t, noted.left[1], 3*time.Second)
	assert.Greater(t, noted.left[2], 60*time.Second, "a list of thousands of VMs takes MAAS long")
}

func TestDial_demands_certificates_or_the_clear_and_not_both(t *testing.T) {
	t.Parallel()
	_, err := provisioner.Dial(provisioner.DialOptions{})
	require.ErrorContains(t, err, "no address")
	_, err = provisioner.Dial(provisioner.DialOptions{Address: "p:1"})
	require.ErrorContains(t, err, "no certificates")
	_, err = provisioner.Dial(provisioner.DialOptions{Address: "p:1", Insecure: true, TLSDir: "tls"})
	require.ErrorContains(t, err, "leave out one")
	_, err = provisioner.Dial(provisioner.DialOptions{Address: "p:1", TLSDir: filepath.Join(t.TempDir(), "absent")})
	require.ErrorContains(t, err, "tls.crt")
}

func TestTarget_sends_names_through_DNS(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"provisioner.capmaas-system:8443": "dns:///provisioner.capmaas-system:8443",
		"127.0.0.1:8443":                  "passthrough:///127.0.0.1:8443",
		"[::1]:8443":                      "passthrough:///[::1]:8443",
		"unix:/run/p.sock":                "unix:/run/p.sock",
		"dns:///p:1":                      "dns:///p:1",
	} {
		assert.Equal(t, want, provisioner.Target(address))
	}
}
