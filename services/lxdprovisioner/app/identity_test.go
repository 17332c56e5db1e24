package app_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/mtls"
	"github.com/capmaas/capmaas/proto/mtls/mtlstest"
	"github.com/capmaas/capmaas/services/lxdprovisioner/app"
)

func newAuthority(t *testing.T) *mtlstest.Authority {
	t.Helper()
	authority, err := mtlstest.NewAuthority("authority of "+t.Name(), time.Now)
	require.NoError(t, err)
	return authority
}

// mountTLS lays out a certificate of the authority and gives the directory.
func mountTLS(t *testing.T, by *mtlstest.Authority, s mtlstest.Subject) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, by.Mount(dir, s))
	return dir
}

// secured serves with a certificate of the authority.
func secured(t *testing.T, by *mtlstest.Authority) func(*app.Config) {
	t.Helper()
	dir := mountTLS(t, by, mtlstest.Subject{DNSNames: []string{mtls.ServerName}})
	return func(c *app.Config) { c.Insecure, c.TLSDir = false, dir }
}

// dial connects to the service with the credentials.
func dial(t *testing.T, s *service, with credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(s.addresses.GRPC.String(), grpc.WithTransportCredentials(with))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close()) })
	return conn
}

// dialAs connects with the certificate in the directory.
func dialAs(t *testing.T, s *service, dir string) *grpc.ClientConn {
	t.Helper()
	with, err := mtls.Client(mtls.Config{Dir: dir, ServerName: mtls.ServerName})
	require.NoError(t, err)
	return dial(t, s, with)
}

func listZones(t *testing.T, conn *grpc.ClientConn) error {
	t.Helper()
	_, err := lxdprovisionerv1.NewRegionProvisionerClient(conn).ListZones(t.Context(), &lxdprovisionerv1.ListZonesRequest{})
	return err
}

func TestRun_demands_certificates_or_the_clear_said_aloud(t *testing.T) {
	t.Parallel()
	good := mountTLS(t, newAuthority(t), mtlstest.Subject{DNSNames: []string{mtls.ServerName}})
	torn := t.TempDir()
	one, err := newAuthority(t).Issue(mtlstest.Subject{})
	require.NoError(t, err)
	other, err := newAuthority(t).Issue(mtlstest.Subject{})
	require.NoError(t, err)
	require.NoError(t, mtlstest.Mount(torn, mtlstest.Pair{Certificate: one.Certificate, Key: other.Key}))
	for name, c := range map[string]struct {
		change func(*app.Config)
		want   []string
	}{
		"neither":         {func(c *app.Config) { c.Insecure = false }, []string{"--tls-dir", "tls.crt, tls.key and ca.crt", "--insecure"}},
		"both":            {func(c *app.Config) { c.TLSDir = good }, []string{"--insecure: contradicts --tls-dir"}},
		"no_files":        {func(c *app.Config) { c.Insecure, c.TLSDir = false, t.TempDir() }, []string{"--tls-dir", "tls.crt", "tls.key", "ca.crt"}},
		"files_that_tear": {func(c *app.Config) { c.Insecure, c.TLSDir = false, torn }, []string{"private key does not match", "ca.crt"}},
		"one_name_two_ways": {
			func(c *app.Config) { c.Insecure, c.TLSDir, c.OperatorIdentities = false, good, c.ManagerIdentities },
			[]string{"--operator-identity", "capmaas-manager"},
		},
		"health_nowhere": {func(c *app.Config) { c.HealthAddr = "nowhere" }, []string{"--health-addr"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t, map[string]string{"MAAS_ENDPOINT": "http://127.0.0.1/MAAS", "MAAS_API_KEY": goodKey})
			c.change(&cfg)
			err := app.Run(t.Context(), cfg)
			require.Error(t, err)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			assert.NotContains(t, err.Error(), "PRIVATE KEY")
		})
	}
}

func TestService_takes_only_callers_that_prove_who_they_are(t *testing.T) {
	t.Parallel()
	r, ours, theirs := newRegion(t, nil), newAuthority(t), newAuthority(t)
	s := r.start(t, secured(t, ours))
	manager := mtlstest.Subject{CommonName: "capmaas-manager"}
	require.NoError(t, listZones(t, dialAs(t, s, mountTLS(t, ours, manager))))

	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(ours.PEM))
	pair, err := ours.Issue(manager)
	require.NoError(t, err)
	own, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	require.NoError(t, err)
	foreign, err := theirs.Issue(manager)
	require.NoError(t, err)
	strangers, err := tls.X509KeyPair(foreign.Certificate, foreign.Key)
	require.NoError(t, err)
	old, err := ours.Issue(mtlstest.Subject{CommonName: "capmaas-manager", Expired: true})
	require.NoError(t, err)
	expired, err := tls.X509KeyPair(old.Certificate, old.Key)
	require.NoError(t, err)
	with := func(certificates []tls.Certificate, most uint16) credentials.TransportCredentials {
		return credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: mtls.ServerName, Certificates: certificates, MinVersion: tls.VersionTLS12, MaxVersion: most})
	}
	for name, c := range map[string]struct {
		transport credentials.TransportCredentials
		reason    string
	}{
		"no_certificate":                     {with(nil, tls.VersionTLS13), "no_certificate"},
		"a_certificate_of_another_authority": {with([]tls.Certificate{strangers}, tls.VersionTLS13), "unknown_authority"},
		"an_expired_certificate":             {with([]tls.Certificate{expired}, tls.VersionTLS13), "expired"},
		"another_name_of_the_service":        {credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: "another", MinVersion: tls.VersionTLS13}), "refused_by_caller"},
		"TLS_1.2":                            {with([]tls.Certificate{own}, tls.VersionTLS12), "other"},
		"no_TLS":                             {insecure.NewCredentials(), "not_tls"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, codes.Unavailable, status.Code(listZones(t, dial(t, s, c.transport))))
			counted := regexp.MustCompile(`lxdprovisioner_refused_connections_total\{reason="` + c.reason + `"\} [1-9]`)
			assert.Eventually(t, func() bool { return counted.MatchString(s.scrape(t)) }, 30*time.Second, 50*time.Millisecond, c.reason)
		})
	}
	assert.True(t, logged(s, "Refused a connection", "peer"), s.logs.String())
	err = listZones(t, dialAs(t, s, mountTLS(t, ours, mtlstest.Subject{CommonName: "somebody"})))
	assert.Equal(t, codes.PermissionDenied, status.Code(err), "%v", err)
}

func TestService_an_operator_reads_and_deletes_nothing(t *testing.T) {
	t.Parallel()
	r, authority := newRegion(t, nil), newAuthority(t)
	serve := secured(t, authority)
	s := r.start(t, func(c *app.Config) {
		serve(c)
		c.LogLevel = "error"
	})
	managers := lxdprovisionerv1.NewLXDProvisionerClient(dialAs(t, s, mountTLS(t, authority, mtlstest.Subject{DNSNames: []string{"capmaas-manager"}})))
	_, err := managers.ComposeVM(t.Context(), compose("cp-0"))
	require.NoError(t, err)
	operators := dialAs(t, s, mountTLS(t, authority, mtlstest.Subject{CommonName: "capmaas-operator"}))
	require.NoError(t, listZones(t, operators))

	remove := &lxdprovisionerv1.DeleteVMRequest{Attempts: []*lxdprovisionerv1.Attempt{attempt("cp-0")}, Owner: owner()}
	_, err = lxdprovisionerv1.NewLXDProvisionerClient(operators).DeleteVM(t.Context(), remove)
	require.Equal(t, codes.PermissionDenied, status.Code(err), "%v", err)
	_, there := r.Machine("cp-0")
	assert.True(t, there, "the VM is left alone")
	assert.True(t, logged(s, `"logger":"audit"`, `"caller":"capmaas-operator"`, `"method":"lxdprovisioner.v1.LXDProvisioner/DeleteVM"`, `"vm":"cp-0"`,
		`"host":"lxd-1"`, `"maasMachine":"default/cp-0"`, `"code":"PermissionDenied"`, `"reason":"CALLER_NOT_ALLOWED"`), "the record does not depend on the log level: %s", s.logs.String())
	assert.True(t, logged(s, `"logger":"audit"`, `"caller":"capmaas-manager"`, `ComposeVM`, `"code":"OK"`, `"systemID"`), s.logs.String())
}

func TestService_tells_until_when_its_certificates_serve(t *testing.T) {
	t.Parallel()
	r, authority := newRegion(t, nil), newAuthority(t)
	dir := mountTLS(t, authority, mtlstest.Subject{DNSNames: []string{mtls.ServerName}, Lifetime: time.Hour})
	s := r.start(t, func(c *app.Config) { c.Insecure, c.TLSDir = false, dir })
	ends := func(file string) time.Time {
		const name = "lxdprovisioner_certificate_end_timestamp_seconds"
		for line := range strings.Lines(s.scrape(t)) {
			if value, told := strings.CutPrefix(line, name+`{file="`+file+`"} `); told {
				seconds, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
				require.NoError(t, err)
				return time.Unix(int64(seconds), 0)
			}
		}
		require.Fail(t, "nothing is told of "+file)
		return time.Time{}
	}
	assert.WithinDuration(t, time.Now().Add(time.Hour), ends(mtls.CertificateFile), time.Minute)
	assert.WithinDuration(t, time.Now().Add(24*time.Hour), ends(mtls.AuthorityFile), time.Minute)
	require.NoError(t, authority.Mount(dir, mtlstest.Subject{DNSNames: []string{mtls.ServerName}, Lifetime: 2 * time.Hour}))
	assert.WithinDuration(t, time.Now().Add(2*time.Hour), ends(mtls.CertificateFile), time.Minute, "a renewed one counts before anybody connects")
}

func TestService_serves_health_and_nothing_else_to_probes(t *testing.T) {
	t.Parallel()
	r, authority := newRegion(t, nil), newAuthority(t)
	serve := secured(t, authority)
	s := r.start(t, func(c *app.Config) {
		serve(c)
		c.HealthAddr = "127.0.0.1:0"
	})
	probe, err := grpc.NewClient(s.addresses.Health.String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, probe.Close()) })
	answer, err := healthpb.NewHealthClient(probe).Check(t.Context(), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	assert.Equal(t, healthpb.HealthCheckResponse_SERVING, answer.GetStatus())
	assert.Equal(t, codes.Unimplemented, status.Code(listZones(t, probe)))
	stream, err := probe.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
	require.NoError(t, err)
	assert.Equal(t, codes.Unimplemented, status.Code(stream.RecvMsg(&healthpb.HealthCheckResponse{})))

	taken := config(t, map[string]string{"MAAS_ENDPOINT": r.server.URL, "MAAS_API_KEY": r.APIKey()})
	taken.HealthAddr = s.addresses.Health.String()
	require.ErrorContains(t, app.Run(t.Context(), taken), "--health-addr")
}

func TestService_has_no_address_for_health_alone_unless_it_is_told(t *testing.T) {
	t.Parallel()
	s := newRegion(t, nil).start(t, nil)
	assert.Nil(t, s.addresses.Health)
	var none net.Addr
	assert.Equal(t, none, s.addresses.Health)
	assert.Equal(t, "SERVING", health(t, s, ""))
	assert.True(t, logged(s, `"level":"WARN"`, "--insecure"), "speaking in the clear is said aloud")
}

func TestService_keeps_its_certificate_while_a_rotation_is_half_done(t *testing.T) {
	t.Parallel()
	r, authority := newRegion(t, nil), newAuthority(t)
	dir := mountTLS(t, authority, mtlstest.Subject{DNSNames: []string{mtls.ServerName}})
	s := r.start(t, func(c *app.Config) { c.Insecure, c.TLSDir = false, dir })
	manager := mountTLS(t, authority, mtlstest.Subject{CommonName: "capmaas-manager"})
	require.NoError(t, listZones(t, dialAs(t, s, manager)))

	one, err := authority.Issue(mtlstest.Subject{DNSNames: []string{mtls.ServerName}})
	require.NoError(t, err)
	other, err := authority.Issue(mtlstest.Subject{DNSNames: []string{mtls.ServerName}})
	require.NoError(t, err)
	require.NoError(t, mtlstest.Mount(dir, mtlstest.Pair{Certificate: one.Certificate, Key: other.Key}, authority))
	require.NoError(t, listZones(t, dialAs(t, s, manager)))
	assert.True(t, logged(s, `"level":"WARN"`, "Keeping the certificates", filepath.Base(mtls.KeyFile)), s.logs.String())
	assert.NotContains(t, s.logs.String(), "PRIVATE KEY")
}
