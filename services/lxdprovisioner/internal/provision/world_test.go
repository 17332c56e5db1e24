package provision_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/backend/maasregion"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/backend/maasvmhost"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

const userData = "#cloud-config\n# join-token-8f3a\n"

// world is the use cases over a simulated MAAS, through the real client and HTTP.
type world struct {
	t      *testing.T
	sim    *maassim.Sim
	web    *httptest.Server
	url    string
	dial   maas.Dial
	clock  *clock
	log    *journal
	cfg    provision.Config
	lxd    *provision.LXD
	metal  *provision.BareMetal
	region *provision.MAASRegion
}

// clock is the time, which a test may move on.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// journal is what was logged.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// timing are the default durations where only the clock decides, and milliseconds where real time
// passes.
func timing() provision.Timing {
	t := provision.DefaultTiming()
	t.LookupWindow = time.Millisecond
	t.CheckGather, t.YieldLook = 2*time.Millisecond, 2*time.Millisecond
	t.AliveFresh, t.ReplyMargin = 5*time.Second, time.Millisecond
	t.WatchInterval = 5 * time.Millisecond
	t.IdleInterval = 5 * time.Millisecond
	t.WatchFullRead = 5 * time.Millisecond
	t.DetachedLimit = 150 * time.Second
	return t
}

// start begins a world of some hosts in three zones; change adapts it.
func start(t *testing.T, hosts, metal int, change ...func(*maassim.Config)) *world {
	t.Helper()
	cfg := maassim.DefaultConfig(hosts, 3, metal)
	for _, c := range change {
		c(&cfg)
	}
	sim, err := maassim.New(cfg)
	require.NoError(t, err)
	web := httptest.NewServer(sim)
	t.Cleanup(func() {
		sim.Close()
		web.Close()
	})
	w := &world{t: t, sim: sim, web: web, url: web.URL + "/MAAS", clock: &clock{}, log: &journal{}}
	w.connect()
	return w
}

// connect gives the world a client of MAAS and use cases over it.
func (w *world) connect() {
	w.t.Helper()
	logger := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	client, err := maas.New(maas.Config{URL: w.url, Credentials: maas.StaticKey(w.sim.APIKey()), Clock: w.clock.now, Logger: logger, Dial: w.dial})
	require.NoError(w.t, err)
	w.cfg = provision.Config{
		Backend: maasvmhost.New(client, w.clock.now, logger), MAAS: maasregion.New(client, w.clock.now), Clock: w.clock.now, Logger: logger, Timing: timing(),
	}
	w.restart()
	w.t.Cleanup(func() {
		client.Close()
		require.NotContains(w.t, w.log.String(), "join-token", "user data must never be logged")
	})
}

// inBubble plays f with another client of the same MAAS, in a bubble of package synctest. Time moves on
// there only when nobody has anything left to do, so that a window in which calls are collected ends when all have
// come who could, however slow the machine is. MAAS itself stays outside, with time as it is. Connections end with
// each answer: one that is kept open would keep time from moving.
func (w *world) inBubble(f func(w *world)) {
	w.web.Config.SetKeepAlivesEnabled(false)
	began := time.Now().Round(0)
	synctest.Test(w.t, func(t *testing.T) {
		<-time.After(time.Until(began)) // a bubble begins in the year 2000, and MAAS looks at the time of a request
		inside := &world{t: t, sim: w.sim, web: w.web, url: w.url, clock: &clock{}, log: &journal{}}
		inside.connect()
		f(inside)
		require.NoError(t, inside.lxd.Drain(inside.ctx()))
	})
}

// restart makes new use cases, as another replica or a restarted process would.
func (w *world) restart() {
	w.lxd, w.metal, w.region = provision.NewLXD(w.cfg), provision.NewBareMetal(w.cfg), provision.NewMAASRegion(w.cfg)
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	w.t.Cleanup(cancel)
	return ctx
}

func owner(machine string) provision.Owner {
	return provision.Owner{ClusterID: "c-1", Namespace: "prod", Cluster: "prod", Machine: machine, MachineUID: "uid-" + machine, SpecDigest: "d1"}
}

func small() inventory.VMSize {
	return inventory.VMSize{Cores: 4, MemoryMiB: 8192, Disks: []inventory.Disk{{SizeGB: 60}}}
}

// host gives the host of the name.
func (w *world) host(name string) provision.HostView {
	w.t.Helper()
	list, err := w.lxd.ListHosts(w.ctx(), provision.HostFilter{})
	require.NoError(w.t, err)
	for _, h := range list.Hosts {
		if h.Name == name {
			return h
		}
	}
	w.t.Fatalf("no host %s", name)
	return provision.HostView{}
}

// attempt gives a first attempt on a host, not sent yet.
func (w *world) attempt(machine, host string) provision.Attempt {
	w.t.Helper()
	h := w.host(host)
	return provision.Attempt{Number: 1, Name: machine + "-a1b2c", HostID: h.ID, HostName: h.Name}
}

func (w *world) composeRequest(machine, host string) provision.ComposeRequest {
	w.t.Helper()
	return provision.ComposeRequest{Attempt: w.attempt(machine, host), Owner: owner(machine), Size: small()}
}

// sent gives the attempt as it is stored once it is sent.
func (w *world) sent(a provision.Attempt) provision.Attempt {
	a.SentAt = w.clock.now()
	return a
}

func deployRequest(c provision.ComposeRequest) provision.DeployRequest {
	return provision.DeployRequest{
		Attempt: c.Attempt, Owner: c.Owner, Network: c.Network,
		Image: provision.Image{OS: "ubuntu", Series: "jammy"}, UserData: []byte(userData),
	}
}

// deleteRequest says that nothing else is known of the hosts.
func deleteRequest(o provision.Owner, attempts ...provision.Attempt) provision.DeleteRequest {
	req := provision.DeleteRequest{Attempts: attempts, Owner: o}
	for _, a := range attempts {
		req.Hosts = append(req.Hosts, provision.HostExpectation{HostID: a.HostID})
	}
	return req
}

// inLXD says whether LXD has a VM of the name, whatever MAAS believes.
func (w *world) inLXD(name string) bool {
	for _, i := range w.sim.LXD() {
		if i.Name == name {
			return true
		}
	}
	return false
}

// vms are MAAS's rows of composed machines.
func (w *world) vms() []string {
	var names []string
	for _, m := range w.sim.Machines() {
		if m.Host != "" {
			names = append(names, m.Hostname)
		}
	}
	return names
}

func requireFault(t *testing.T, err error, kind fault.Kind, reason fault.Reason) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, fmt.Sprintf("%s/%s", kind, reason), fmt.Sprintf("%s/%s", fault.KindOf(err), fault.ReasonOf(err)), err.Error())
}

func (w *world) logged(parts ...string) bool {
	for line := range strings.Lines(w.log.String()) {
		all := true
		for _, p := range parts {
			all = all && strings.Contains(line, p)
		}
		if all {
			return true
		}
	}
	return false
}

func selectRequest(vm string) provision.SelectRequest {
	return provision.SelectRequest{Request: placement.Request{VM: vm, Size: small()}}
}

// as gives a client of MAAS that signs as somebody else.
func (w *world) as(key string) *maas.Client {
	w.t.Helper()
	client, err := maas.New(maas.Config{URL: w.url, Credentials: maas.StaticKey(key), Clock: w.clock.now})
	require.NoError(w.t, err)
	w.t.Cleanup(client.Close)
	return client
}

// post sends a form to MAAS as the administrator: what an operator does there.
func (w *world) post(path string, form url.Values) {
	w.t.Helper()
	w.send(http.MethodPost, path, form)
}

func (w *world) send(method, path string, form url.Values) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+"/api/2.0/"+path, strings.NewReader(form.Encode()))
	require.NoError(w.t, err)
	key := strings.Split(w.sim.APIKey(), ":")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", fmt.Sprintf(`OAuth oauth_version="1.0", oauth_signature_method="PLAINTEXT", oauth_consumer_key="%s", oauth_token="%s", oauth_signature="%%26%s", oauth_timestamp="%d", oauth_nonce="%s"`,
		key[0], key[1], key[2], time.Now().Unix(), rand.Text()))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(w.t, http.StatusOK, resp.StatusCode, path)
}

// made makes a VM for an attempt as a compose would whose answer was lost, and gives its system id.
func (w *world) made(a provision.Attempt) string {
	w.t.Helper()
	id, err := w.cfg.Backend.Make(w.ctx(), provision.VMSpec{
		Name: a.Name, Host: w.hostOf(a), Size: small(), Architecture: "amd64/generic", SkipCommissioning: true,
	})
	require.NoError(w.t, err)
	return id
}

func (w *world) hostOf(a provision.Attempt) inventory.Host {
	w.t.Helper()
	return w.host(a.HostName).Host
}

func (w *world) fault(f maassim.Fault) {
	w.t.Helper()
	require.NoError(w.t, w.sim.AddFaults(f))
}
