package provisioner_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	"github.com/capmaas/capmaas/proto/mtls"
	"github.com/capmaas/capmaas/proto/mtls/mtlstest"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

// authority makes one that signs for a test.
func authority(t *testing.T) *mtlstest.Authority {
	t.Helper()
	a, err := mtlstest.NewAuthority("authority of "+t.Name(), time.Now)
	require.NoError(t, err)
	return a
}

// mount lays out a certificate beside the authorities that are trusted, and gives the directory.
func mount(t *testing.T, by *mtlstest.Authority, s mtlstest.Subject, trusted ...*mtlstest.Authority) string {
	t.Helper()
	dir := t.TempDir()
	pair, err := by.Issue(s)
	require.NoError(t, err)
	require.NoError(t, mtlstest.Mount(dir, pair, trusted...))
	return dir
}

// listen serves the fake provisioner at a real address.
func listen(t *testing.T, transport credentials.TransportCredentials) string {
	t.Helper()
	server := grpc.NewServer(grpc.Creds(transport))
	provisionertest.New(provisionertest.Config{}).Register(server)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		assert.NoError(t, <-served)
	})
	return listener.Addr().String()
}

// problem is what the condition ProvisionerAvailable says of a provisioner that is reached in this way.
func problem(t *testing.T, options provisioner.DialOptions) (reason, message string) {
	t.Helper()
	client, err := provisioner.Dial(options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	region := &provisioner.Region{Client: client.Region, Scale: 1, Clock: time.Now}
	return region.Problem(t.Context())
}

func TestDial_tells_why_the_two_sides_do_not_accept_each_other(t *testing.T) {
	t.Parallel()
	ours, theirs := authority(t), authority(t)
	server, manager := mtlstest.Subject{DNSNames: []string{mtls.ServerName}}, mtlstest.Subject{CommonName: "capmaas-manager"}
	expired := func(s mtlstest.Subject) mtlstest.Subject {
		s.Expired = true
		return s
	}
	good := mount(t, ours, server, ours)
	for name, c := range map[string]struct {
		// server and client are directories of certificates; empty speaks in the clear.
		server, client, serverName string
		want                       []string
	}{
		"nothing_is_wrong":                       {good, mount(t, ours, manager, ours), "", nil},
		"the_server_has_another_authority":       {good, mount(t, ours, manager, theirs), "", []string{"authority", "ca.crt in --provisioner-tls-dir"}},
		"the_server_has_another_name":            {mount(t, ours, mtlstest.Subject{DNSNames: []string{"elsewhere"}}, ours), mount(t, ours, manager, ours), "", []string{`"capmaas-lxdprovisioner"`, "--provisioner-server-name"}},
		"another_name_is_wanted":                 {good, mount(t, ours, manager, ours), "other", []string{`"other"`, "--provisioner-server-name"}},
		"the_server_has_an_expired_certificate":  {mount(t, ours, expired(server), ours), mount(t, ours, manager, ours), "", []string{"expired", "renew"}},
		"the_manager_has_another_authority":      {good, mount(t, theirs, manager, ours), "", []string{"refuses the manager's certificate", "the provisioner's --tls-dir"}},
		"the_manager_has_an_expired_certificate": {good, mount(t, ours, expired(manager), ours), "", []string{"refuses the manager's certificate", "expired", "hold at this time"}},
		"the_server_speaks_in_the_clear":         {"", mount(t, ours, manager, ours), "", []string{"does not speak TLS", "--tls-dir", "--provisioner-insecure"}},
		"the_manager_speaks_in_the_clear_to_TLS": {good, "", "", []string{"--provisioner-tls-dir in place of --provisioner-insecure"}},
		"both_speak_in_the_clear":                {"", "", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transport := insecure.NewCredentials()
			if c.server != "" {
				var err error
				transport, err = mtls.Server(mtls.Config{Dir: c.server})
				require.NoError(t, err)
			}
			reason, message := problem(t, provisioner.DialOptions{
				Address: listen(t, transport), TLSDir: c.client, Insecure: c.client == "", ServerName: c.serverName,
			})
			if c.want == nil {
				assert.Empty(t, reason, message)
				return
			}
			assert.Equal(t, infrav1.ProvisionerUnreachableReason, reason)
			for _, words := range c.want {
				assert.Contains(t, message, words)
			}
		})
	}
}
