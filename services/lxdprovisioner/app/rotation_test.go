package app_test

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/mtls"
	"github.com/capmaas/capmaas/proto/mtls/mtlstest"
	"github.com/capmaas/capmaas/services/lxdprovisioner/app"
)

// load calls the service without a pause over several connections, and notes what went wrong.
type load struct {
	calls  atomic.Int64
	failed sync.Map
	// met is, for each caller, the last connection that it called over.
	met []atomic.Pointer[peer.Peer]

	stop context.CancelFunc
	done sync.WaitGroup
}

func startLoad(t *testing.T, conns ...*grpc.ClientConn) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop, met: make([]atomic.Pointer[peer.Peer], len(conns))}
	for n, conn := range conns {
		l.done.Go(func() { l.run(ctx, conn, &l.met[n]) })
	}
	t.Cleanup(l.end)
	return l
}

func (l *load) run(ctx context.Context, conn *grpc.ClientConn, met *atomic.Pointer[peer.Peer]) {
	region := lxdprovisionerv1.NewRegionProvisionerClient(conn)
	for ctx.Err() == nil {
		who := &peer.Peer{}
		_, err := region.ListZones(ctx, &lxdprovisionerv1.ListZonesRequest{}, grpc.Peer(who))
		if ctx.Err() != nil {
			return
		}
		l.calls.Add(1)
		if err != nil {
			l.failed.Store(err.Error(), true)
			continue
		}
		met.Store(who)
	}
}

func (l *load) end() {
	l.stop()
	l.done.Wait()
}

// lost gives what went wrong.
func (l *load) lost() []string {
	var all []string
	l.failed.Range(func(key, _ any) bool {
		all = append(all, key.(string)) //nolint:forcetypeassert // run puts strings there
		return true
	})
	return all
}

// await waits until calls have been made since, and connections for them.
func (l *load) await(t *testing.T, what string, since func() bool) {
	t.Helper()
	before := l.calls.Load()
	require.Eventually(t, func() bool { return l.calls.Load() > before+20 && since() }, 30*time.Second, 10*time.Millisecond, what)
}

// all says whether something holds of the connections of all callers.
func (l *load) all(holds func(n int, connection *peer.Peer) bool) bool {
	for n := range l.met {
		if connection := l.met[n].Load(); connection == nil || !holds(n, connection) {
			return false
		}
	}
	return true
}

// renewed says whether all callers have other connections than when it was made.
func (l *load) renewed() func() bool {
	before := make([]string, len(l.met))
	for n := range l.met {
		before[n] = l.met[n].Load().LocalAddr.String()
	}
	return func() bool {
		return l.all(func(n int, connection *peer.Peer) bool { return connection.LocalAddr.String() != before[n] })
	}
}

// shows says whether the service shows all callers a certificate of the authority.
func (l *load) shows(a *mtlstest.Authority) func() bool {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.PEM)
	return func() bool {
		return l.all(func(_ int, connection *peer.Peer) bool {
			info, ok := connection.AuthInfo.(credentials.TLSInfo)
			if !ok {
				return false
			}
			_, err := info.State.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots})
			return err == nil
		})
	}
}

func remount(t *testing.T, dir string, by *mtlstest.Authority, s mtlstest.Subject, trusted ...*mtlstest.Authority) {
	t.Helper()
	pair, err := by.Issue(s)
	require.NoError(t, err)
	require.NoError(t, mtlstest.Mount(dir, pair, trusted...))
}

// TestService_rotation goes through a change of the authority as an operator does it: both sides trust
// both, both get new certificates, the old authority goes.
func TestService_rotation_of_certificates_and_authority_under_load_loses_no_call(t *testing.T) {
	t.Parallel()
	r, old, next := newRegion(t, nil), newAuthority(t), newAuthority(t)
	server, caller := mtlstest.Subject{DNSNames: []string{mtls.ServerName}}, mtlstest.Subject{CommonName: "capmaas-manager"}
	serverDir, callerDir := mountTLS(t, old, server), mountTLS(t, old, caller)
	const age = 200 * time.Millisecond
	s := r.start(t, func(c *app.Config) { c.Insecure, c.TLSDir, c.ConnectionAge = false, serverDir, age })
	left := mountTLS(t, old, caller)
	l := startLoad(t, dialAs(t, s, callerDir), dialAs(t, s, callerDir), dialAs(t, s, callerDir))
	watch, err := lxdprovisionerv1.NewLXDProvisionerClient(dialAs(t, s, callerDir)).WatchVMs(t.Context(), &lxdprovisionerv1.WatchVMsRequest{
		Vms: []*lxdprovisionerv1.WatchedVM{{Attempt: attempt("absent"), Known: lxdprovisionerv1.MachineState_MACHINE_STATE_COMMISSIONING}},
	})
	require.NoError(t, err)
	_, err = watch.Recv()
	require.NoError(t, err)
	l.await(t, "calls with certificates of the old authority", l.shows(old))

	remount(t, serverDir, old, server, old, next)
	remount(t, callerDir, old, caller, old, next)
	require.NoError(t, listZones(t, dialAs(t, s, callerDir)), "both trust both")
	l.await(t, "connections that trust both", l.renewed())

	remount(t, callerDir, next, caller, old, next)
	remount(t, serverDir, next, server, old, next)
	l.await(t, "calls with certificates of the new authority", l.shows(next))
	l.await(t, "connections with certificates of the new authority", l.renewed())

	remount(t, callerDir, next, caller, next)
	remount(t, serverDir, next, server, next)
	l.await(t, "connections that trust the new authority alone", l.renewed())
	l.end()
	assert.Empty(t, l.lost(), "of %d calls", l.calls.Load())
	require.NoError(t, watch.Context().Err(), "a stream outlives it all")
	require.Error(t, listZones(t, dialAs(t, s, left)), "who was left behind is refused")
	require.NoError(t, listZones(t, dialAs(t, s, callerDir)))
}

// keys is a MAAS that is reached with the keys that are good at the moment.
type keys struct {
	region *region
	good   atomic.Pointer[[]string]
	// used counts the requests by key.
	mu   sync.Mutex
	used map[string]int
}

// ServeHTTP lets MAAS answer who has a good key; for MAAS it is always the same.
func (k *keys) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	auth := request.Header.Get("Authorization")
	for _, key := range *k.good.Load() {
		parts := strings.Split(key, ":")
		if !strings.Contains(auth, `oauth_token="`+parts[1]+`"`) {
			continue
		}
		k.mu.Lock()
		k.used[key]++
		k.mu.Unlock()
		its := strings.Split(k.region.APIKey(), ":")
		request.Header.Set("Authorization", strings.NewReplacer(parts[0], its[0], parts[1], its[1], parts[2], its[2]).Replace(auth))
		break
	}
	k.region.ServeHTTP(w, request)
}

func (k *keys) requests(key string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.used[key]
}

// TestService_rotation_of_the_key goes through a change of MAAS's key as an operator does it: another
// key is made, the Secret is changed, the old key is deleted. The kubelet exchanges the link ..data.
func TestService_rotation_of_the_MAAS_key_under_load_loses_no_call(t *testing.T) {
	t.Parallel()
	const first, second = "firstconsumer:firsttoken:firstsecret", "secondconsumer:secondtoken:secondsecret"
	r := newRegion(t, nil)
	gate := &keys{region: r, used: map[string]int{}}
	gate.good.Store(&[]string{first})
	maas := httptest.NewServer(gate)
	t.Cleanup(maas.Close)
	dir := t.TempDir()
	mount := func(key string) {
		require.NoError(t, mtlstest.MountFiles(dir, map[string][]byte{"MAAS_ENDPOINT": []byte(maas.URL + "/MAAS\n"), "MAAS_API_KEY": []byte(key + "\n")}))
	}
	mount(first)
	s := r.start(t, func(c *app.Config) { c.CredentialsDir = dir })
	l := startLoad(t, s.conn, s.conn, s.conn)
	l.await(t, "calls with the first key", func() bool { return gate.requests(first) > 20 })

	gate.good.Store(&[]string{first, second})
	mount(second)
	l.await(t, "calls with the second key", func() bool { return gate.requests(second) > 20 })
	gate.good.Store(&[]string{second})
	before := gate.requests(second)
	l.await(t, "calls after the first key is gone", func() bool { return gate.requests(second) > before+20 })
	l.end()
	assert.Empty(t, l.lost(), "of %d calls", l.calls.Load())
	assert.False(t, logged(s, second[strings.LastIndex(second, ":")+1:]), "no key is logged")
	assert.Equal(t, codes.OK, status.Code(listZones(t, s.conn)))
}
