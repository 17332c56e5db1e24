package provisionertest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// Fake is an in-memory server of the contract. Its methods may be called from several goroutines.
type Fake struct {
	lxdprovisionerv1.UnimplementedLXDProvisionerServer
	lxdprovisionerv1.UnimplementedBareMetalProvisionerServer
	lxdprovisionerv1.UnimplementedRegionProvisionerServer

	config    Config
	validator protovalidate.Validator

	mu       sync.Mutex
	offset   time.Duration
	hosts    []*host
	machines []*machine
	nextID   int
	nextIP   int
	records  map[string]*lxdprovisionerv1.Endpoint
	leftover []string
	choices  map[string]choice
	faults   []*injected
	delay    time.Duration
	requests []proto.Message
	problem  *lxdprovisionerv1.GetRegionResponse

	// moved is closed, and replaced, whenever a machine may have moved.
	moved chan struct{}
	// broken is closed, and replaced, to end every stream.
	broken chan struct{}
}

// choice is the host that SelectHost gave out for a name and MAAS does not show yet.
type choice struct {
	hostID string
	size   *lxdprovisionerv1.VMResources
	until  time.Time
}

// New makes a fake of the region that config describes.
func New(config Config) *Fake {
	config = config.withDefaults()
	validator, err := protovalidate.New()
	if err != nil {
		panic("the contract's validation rules don't compile: " + err.Error())
	}
	f := &Fake{
		config: config, validator: validator, nextIP: 10,
		records: map[string]*lxdprovisionerv1.Endpoint{}, choices: map[string]choice{},
		moved: make(chan struct{}), broken: make(chan struct{}),
	}
	for i, h := range config.Hosts {
		f.hosts = append(f.hosts, newHost(i+1, h))
	}
	for _, m := range config.Metal {
		f.machines = append(f.machines, f.newMetal(m))
	}
	return f
}

// Register adds the three services to s.
func (f *Fake) Register(s grpc.ServiceRegistrar) {
	lxdprovisionerv1.RegisterLXDProvisionerServer(s, f)
	lxdprovisionerv1.RegisterBareMetalProvisionerServer(s, f)
	lxdprovisionerv1.RegisterRegionProvisionerServer(s, f)
}

// Dial serves the fake in memory and connects to it. Both end with the test.
func (f *Fake) Dial(tb testing.TB) *grpc.ClientConn {
	tb.Helper()
	server := grpc.NewServer()
	f.Register(server)
	return Serve(tb, server)
}

// Serve runs server on an in-memory listener and connects to it. Both end with the test.
func Serve(tb testing.TB, server *grpc.Server) *grpc.ClientConn {
	tb.Helper()
	const buffer = 1 << 20
	listener := bufconn.Listen(buffer)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///memory",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		tb.Fatalf("connect to the server in memory: %v", err)
	}
	tb.Cleanup(func() {
		if err := conn.Close(); err != nil {
			tb.Errorf("close the connection: %v", err)
		}
		server.Stop()
		if err := <-served; err != nil {
			tb.Errorf("serve in memory: %v", err)
		}
	})
	return conn
}

// Now is the fake's time: the clock's, moved on by what Advance added.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now()
}

func (f *Fake) now() time.Time { return f.config.Clock().Add(f.offset) }

// Advance moves the fake's time on; machines whose time has come change their state and watches
// report it.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offset += d
	f.settle()
}

// BreakStreams ends every watch with UNAVAILABLE, as a service that stops does.
func (f *Fake) BreakStreams() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.broken)
	f.broken = make(chan struct{})
}

// begin records the request, validates it and gives the error that a test wants before the effect.
// The caller holds no lock; after runs, under the lock, once the effect is there.
func (f *Fake) begin(method string, request proto.Message) (after func() error, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, proto.Clone(request))
	if err := f.validate(request); err != nil {
		return nil, err
	}
	fault := f.takeFault(method)
	if fault == nil {
		return func() error { return nil }, nil
	}
	if !fault.afterEffect {
		return nil, fault.err
	}
	return func() error { return fault.err }, nil
}

// answer runs one unary call: what begin does, then do under the lock, then the error that a test
// wants after the effect.
func answer[Q, A proto.Message](f *Fake, method string, request Q, do func(Q) (A, error)) (A, error) {
	var none A
	after, err := f.begin(method, request)
	if err != nil {
		return none, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	response, err := do(request)
	f.settle()
	if err != nil {
		return none, err
	}
	if err := after(); err != nil {
		return none, err
	}
	return proto.CloneOf(response), nil
}

// Requests gives every request of type T that was received, in the order of arrival:
//
//	provisionertest.Requests[*lxdprovisionerv1.ComposeVMRequest](fake)
func Requests[T proto.Message](f *Fake) []T {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []T
	for _, r := range f.requests {
		if r, ok := r.(T); ok {
			found = append(found, proto.CloneOf(r))
		}
	}
	return found
}

// ForgetRequests empties what Requests gives.
func (f *Fake) ForgetRequests() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = nil
}

// VMs gives every VM, strangers' too, by name.
func (f *Fake) VMs() []*lxdprovisionerv1.VM {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	var vms []*lxdprovisionerv1.VM
	for _, m := range f.machines {
		if m.vm != nil {
			vms = append(vms, proto.CloneOf(m.toVM(nil)))
		}
	}
	slices.SortFunc(vms, func(a, b *lxdprovisionerv1.VM) int { return strings.Compare(a.GetName(), b.GetName()) })
	return vms
}

// Machines gives every bare-metal machine, by system id.
func (f *Fake) Machines() []*lxdprovisionerv1.Machine {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	var machines []*lxdprovisionerv1.Machine
	for _, m := range f.machines {
		if m.metal != nil {
			machines = append(machines, proto.CloneOf(m.toMachine()))
		}
	}
	return machines
}

// UserData gives what was deployed on the machine or VM of the host name or system id.
func (f *Fake) UserData(nameOrSystemID string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.find(nameOrSystemID); m != nil {
		return slices.Clone(m.userData)
	}
	return nil
}

// Record gives the DNS record of the full name; nil where there is none.
func (f *Fake) Record(fqdn string) *lxdprovisionerv1.Endpoint {
	f.mu.Lock()
	defer f.mu.Unlock()
	return proto.CloneOf(f.records[fqdn])
}

// Leftovers gives the addresses that were written into a record while no machine held them. MAAS
// would have made reservations of them that outlive the record.
func (f *Fake) Leftovers() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.leftover)
}

// find gives the machine of the host name or system id; nil where there is none.
func (f *Fake) find(nameOrSystemID string) *machine {
	for _, m := range f.machines {
		if m.hostname == nameOrSystemID || m.systemID == nameOrSystemID {
			return m
		}
	}
	return nil
}

// newSystemID gives a system id that sorts by age.
func (f *Fake) newSystemID() string {
	f.nextID++
	return fmt.Sprintf("sys%04d", f.nextID)
}
