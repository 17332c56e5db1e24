package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/maassim"
)

// alice is somebody else who uses the same MAAS. She takes whatever MAAS gives her, VMs that nobody has claimed included.
type alice struct {
	world *world
	rng   *rand.Rand

	mu     sync.Mutex
	next   atomic.Int64
	held   map[string]bool // system ids
	ever   []string        // hostnames of VMs that she ever held
	stolen []string
}

const (
	aliceAgent = "alice-agent"
	// opTest is what an operator asks of MAAS and the service never does.
	opTest = "test"
	// aliceHolds is how many machines she holds at most.
	aliceHolds = 3
)

// work takes, deploys and gives back machines until ctx ends, and then gives all back.
func (a *alice) work(ctx context.Context) {
	for ctx.Err() == nil {
		if a.count() < aliceHolds && a.rng.IntN(2) == 0 {
			a.take()
		} else {
			a.giveBackOne()
		}
		pause(ctx, time.Duration(a.rng.Int64N(int64(600*time.Millisecond))))
	}
	for a.count() > 0 {
		a.giveBackOne()
	}
}

func (a *alice) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.held)
}

// take allocates any machine, and mostly deploys it.
func (a *alice) take() {
	status, body := a.ask("machines/?op=allocate", url.Values{"agent_name": {aliceAgent}})
	var machine struct {
		SystemID string `json:"system_id"` //nolint:tagliatelle // MAAS's
		Hostname string `json:"hostname"`
	}
	if status != http.StatusOK || json.Unmarshal(body, &machine) != nil {
		return
	}
	a.mu.Lock()
	a.held[machine.SystemID] = true
	if m, ok := a.world.sim.Machine(machine.SystemID); ok && m.Instance != "" {
		a.ever = append(a.ever, m.Instance, m.Hostname)
		a.world.storyf("alice takes %s (%s)", m.Hostname, m.SystemID)
	}
	a.mu.Unlock()
	if a.rng.IntN(4) > 0 {
		a.ask("machines/"+machine.SystemID+"/?op=deploy", url.Values{"distro_series": {"jammy"}})
	}
}

// giveBackOne releases a machine, after a look whether it is still hers.
func (a *alice) giveBackOne() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id := range a.held {
		m, ok := a.world.sim.Machine(id)
		if !ok || m.Owner != "alice" || m.AgentName != aliceAgent || len(m.Annotations) > 0 {
			a.stolen = append(a.stolen, fmt.Sprintf("machine %s that alice holds: in MAAS: %v, %+v", id, ok, m))
			delete(a.held, id)
			return
		}
		if status, _ := a.ask("machines/"+id+"/?op=release", nil); status == http.StatusOK {
			delete(a.held, id)
		}
		return
	}
}

// ask calls MAAS with alice's key.
func (a *alice) ask(path string, form url.Values) (status int, body []byte) {
	return a.askAs(a.world.sim.UserAPIKey(), http.MethodPost, path, form)
}

func (a *alice) askAs(apiKey, method, path string, form url.Values) (status int, body []byte) {
	key := strings.Split(apiKey, ":")
	r := httptest.NewRequestWithContext(context.Background(), method, "/MAAS/api/2.0/"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", fmt.Sprintf(
		`OAuth oauth_version="1.0", oauth_signature_method="PLAINTEXT", oauth_consumer_key="%s", oauth_token="%s", oauth_signature="%%26%s", oauth_nonce="alice-%d", oauth_timestamp="%d"`,
		key[0], key[1], key[2], a.next.Add(1), now().Unix()))
	w := httptest.NewRecorder()
	defer func() { _ = recover() }() // a reset by the plan of faults has no connection to break
	a.world.sim.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

// tookVM says whether alice ever held a VM of this name.
func (a *alice) tookVM(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.ever, name)
}

// operate asks what an operator asks with grpcurl and the manager does not, until ctx ends.
func (w *world) operate(ctx context.Context) {
	conn, err := grpc.NewClient("passthrough:///"+w.replicas[0].gate.address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		w.campaign.fail(err)
		return
	}
	defer func() { _ = conn.Close() }()
	vms, region := lxdprovisionerv1.NewLXDProvisionerClient(conn), lxdprovisionerv1.NewRegionProvisionerClient(conn)
	size := &lxdprovisionerv1.VMResources{Cores: 2, MemoryMib: 2048, Disks: []*lxdprovisionerv1.Disk{{SizeGb: 10}}}
	questions := []func(context.Context) error{
		func(ctx context.Context) error {
			return second(vms.ListHosts(ctx, &lxdprovisionerv1.ListHostsRequest{}))
		},
		func(ctx context.Context) error { return second(vms.ListVMs(ctx, &lxdprovisionerv1.ListVMsRequest{})) },
		func(ctx context.Context) error {
			return second(vms.DistributeAcrossZones(ctx, &lxdprovisionerv1.DistributeAcrossZonesRequest{Count: 3, Resources: size}))
		},
		func(ctx context.Context) error {
			return second(region.ListZones(ctx, &lxdprovisionerv1.ListZonesRequest{}))
		},
		func(ctx context.Context) error {
			return second(region.ListResourcePools(ctx, &lxdprovisionerv1.ListResourcePoolsRequest{}))
		},
		func(ctx context.Context) error {
			return second(region.ListSubnets(ctx, &lxdprovisionerv1.ListSubnetsRequest{}))
		},
		func(ctx context.Context) error {
			return second(region.ListImages(ctx, &lxdprovisionerv1.ListImagesRequest{}))
		},
		func(ctx context.Context) error {
			name := fmt.Sprintf("%s-c%d", w.name, w.rng2(clustersPerWorld))
			return second(region.GetEndpoint(ctx, &lxdprovisionerv1.GetEndpointRequest{Ref: &lxdprovisionerv1.EndpointRef{Name: name, Domain: dnsDomain}}))
		},
		func(ctx context.Context) error {
			return second(region.GetRegion(ctx, &lxdprovisionerv1.GetRegionRequest{}))
		},
	}
	for n := 0; ctx.Err() == nil; n++ {
		bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
		_ = questions[n%len(questions)](bounded) // an operator asks again
		cancel()
		switch n % len(questions) {
		case 0:
			w.meddle()
		case 4:
			w.testMetal()
		}
		pause(ctx, w.upTo(400*time.Millisecond))
	}
}

// betweenWrites is longer than the service takes from reading a record to writing it, slow answers included.
const betweenWrites = 2 * time.Second

// meddle adds an address that no machine holds to a record of ours, as an operator may by mistake: MAAS reserves it. MAAS
// knows no write under a condition, so that one that comes between a reading and the write after it leaves the record
// unseen and stays reserved (docs/reliability.md).
func (w *world) meddle() {
	w.mu.Lock()
	asked := w.recordsAsked
	w.mu.Unlock()
	records := w.sim.DNSRecords()
	if len(records) == 0 || time.Since(asked) < betweenWrites {
		return
	}
	record := records[w.rng2(len(records))]
	address := fmt.Sprintf("10.10.250.%d", 1+w.rng2(200))
	w.storyf("somebody adds %s to the record %s", address, record.FQDN)
	form := url.Values{"ip_addresses": {strings.Join(append(record.IPs, address), " ")}}
	w.alice.askAs(w.sim.APIKey(), http.MethodPut, fmt.Sprintf("dnsresources/%d/", record.ID), form)
}

// testMetal has MAAS test a physical machine of ours that is deployed: for a while it is in a state from which MAAS releases
// no machine.
func (w *world) testMetal() {
	var ours []string
	for _, row := range w.sim.Machines() {
		if row.Instance == "" && !row.VMHost && row.Owner == "admin" && row.Status == "deployed" {
			ours = append(ours, row.SystemID)
		}
	}
	if len(ours) == 0 {
		return
	}
	id := ours[w.rng2(len(ours))]
	w.storyf("somebody tests %s", id)
	w.alice.askAs(w.sim.APIKey(), http.MethodPost, "machines/"+id+"/?op="+opTest, nil)
}

func second[T any](_ T, err error) error { return err }

// trouble adds faults to MAAS's plan until ctx ends, and then clears them.
func (w *world) trouble(ctx context.Context) {
	for ctx.Err() == nil {
		f := troubles[w.rng2(len(troubles))]
		f.Count = 1 + w.rng2(2)
		if f.Latency > 0 {
			f.Latency = w.upTo(f.Latency) + time.Millisecond
		}
		f.User = "admin"
		if err := w.sim.AddFaults(f); err != nil {
			w.campaign.fail(err)
			return
		}
		w.storyf("MAAS: %s", describe(f))
		if w.rng2(25) == 0 {
			w.flap(ctx)
		}
		pause(ctx, w.upTo(400*time.Millisecond))
	}
	w.sim.ClearFaults()
	w.sim.ReleaseWindows()
}

// flap takes a host away for a while, sometimes for long enough that deletions are handed over.
func (w *world) flap(ctx context.Context) {
	host := fmt.Sprintf("lxd-%d", 1+w.rng2(6))
	if err := w.sim.SetHostOffline(host, true); err != nil {
		w.campaign.fail(err)
		return
	}
	w.storyf("host %s is off", host)
	w.revival.Go(func() {
		pause(ctx, w.upTo(8*time.Second))
		if err := w.sim.SetHostOffline(host, false); err != nil {
			w.campaign.fail(err)
		}
		w.storyf("host %s is on", host)
	})
}

// rng2 gives a number below n; for decisions that depend on when they are made.
func (w *world) rng2(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.chance.IntN(n)
}

// changing are the operations that change something.
const changing = "vm-hosts.compose,machines.allocate,machines.deploy,machines.release,machines.delete,machines.power_on," +
	"interfaces.link_subnet,machines.set_workload_annotations,dnsresources.*,vm-hosts.refresh"

// troubles are the faults that a MAAS and the network before it can honestly have: none says that nothing was done where
// something was.
var troubles = []maassim.Fault{
	{Latency: 400 * time.Millisecond},
	{Operation: changing, Latency: 800 * time.Millisecond},
	{Operation: changing, Reset: true},
	{Operation: changing, Reset: true, After: true},
	{Operation: changing, Preset: "bad-gateway"},
	{Operation: changing, Preset: "bad-gateway", After: true},
	{Operation: changing, Preset: "gateway-timeout", After: true},
	{Operation: changing, Preset: "db-conflict"},
	{Operation: "vm-hosts.compose", Reset: true, After: true},
	{Operation: "vm-hosts.compose", Preset: "no-rack"},
	{Operation: "vm-hosts.compose", Preset: "host-down"},
	{Operation: "vm-hosts.compose", Effect: maassim.EffectComposeLost},
	{Operation: "vm-hosts.compose", Effect: maassim.EffectComposeAgain},
	{Operation: "vm-hosts.compose", Effect: maassim.EffectWindow, Latency: 700 * time.Millisecond},
	{Operation: "vm-hosts.compose", Effect: maassim.EffectPostCommit},
	{Operation: "vm-hosts.compose", Effect: maassim.EffectFail},
	{Operation: "machines.delete", Effect: maassim.EffectVMLeft},
	{Operation: "machines.delete", Effect: maassim.EffectHostOffline},
	{Operation: "machines.deploy", Effect: maassim.EffectFail},
	{Operation: "machines.deploy", Effect: maassim.EffectPostCommit},
	{Operation: "machines.deploy", Effect: maassim.EffectSlow, Latency: time.Second},
	{Operation: "machines.release", Effect: maassim.EffectSlow, Latency: time.Second},
	{Operation: "machines.power_on", Effect: maassim.EffectPostCommit},
	{Operation: "machines.power_on", Effect: maassim.EffectHostOffline},
	{Operation: "machines.*", Reset: true},
	{Operation: "machines.list", Mangle: maassim.MangleTruncated},
	{Operation: "machines.list,vm-hosts.list", Mangle: maassim.MangleGarbage},
	{Operation: "machines.list,vm-hosts.list", Mangle: maassim.MangleHTMLPage},
	{Operation: "vm-hosts.*", Effect: maassim.EffectHostOffline},
}

func describe(f maassim.Fault) string {
	text, _ := json.Marshal(f) // a fault is texts and numbers
	return string(text)
}

// takeStolen gives what was taken from alice since it was last asked.
func (a *alice) takeStolen() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.stolen
	a.stolen = nil
	return all
}
