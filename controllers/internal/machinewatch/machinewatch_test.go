package machinewatch_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/capmaas/capmaas/controllers/internal/machinewatch"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

const patience = 30 * time.Second

// bench is a watch over a fake service, and the queue that it wakes objects through.
type bench struct {
	*testing.T

	fake    *provisionertest.Fake
	service *provisioner.Client
	watch   *machinewatch.Watch
	queue   workqueue.TypedRateLimitingInterface[reconcile.Request]
}

func start(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t, fake: provisionertest.New(provisionertest.Config{})}
	server, listener := grpc.NewServer(), bufconn.Listen(1<<20)
	b.fake.Register(server)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	var err error
	b.service, err = provisioner.Dial(provisioner.DialOptions{
		Address: "passthrough:///memory", Insecure: true,
		Dialer: func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) },
	})
	require.NoError(t, err)
	b.watch = machinewatch.New(b.service, machinewatch.DefaultTiming(0.01))
	b.queue = workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	require.NoError(t, b.watch.Source().Start(ctx, b.queue))
	t.Cleanup(func() {
		cancel()
		b.queue.ShutDown()
		require.NoError(t, b.service.Close())
		server.Stop()
		require.NoError(t, <-served)
	})
	return b
}

func object(name string) client.ObjectKey { return client.ObjectKey{Namespace: "default", Name: name} }

// compose makes a VM for the object and gives what its reconcile would follow.
func (b *bench) compose(name string) machinewatch.Subject {
	b.Helper()
	hosts, err := b.service.VMs.ListHosts(b.Context(), &lxdprovisionerv1.ListHostsRequest{})
	require.NoError(b, err)
	host := hosts.GetHosts()[0]
	attempt := &lxdprovisionerv1.Attempt{Number: 1, Name: name, HostId: host.GetId(), HostName: host.GetName()}
	answer, err := b.service.VMs.ComposeVM(b.Context(), &lxdprovisionerv1.ComposeVMRequest{
		Attempt: attempt, Owner: owner(name), GroupKey: "group",
		Resources: &lxdprovisionerv1.VMResources{Cores: 1, MemoryMib: 2048, Disks: []*lxdprovisionerv1.Disk{{SizeGb: 10}}},
	})
	require.NoError(b, err)
	attempt.SystemId = answer.GetVm().GetSystemId()
	return machinewatch.Subject{Object: object(name), VM: attempt, Status: answer.GetVm().GetStatus()}
}

func (b *bench) allocate(name string) machinewatch.Subject {
	b.Helper()
	ref := &lxdprovisionerv1.MachineRef{AgentName: "capmaas/" + name}
	answer, err := b.service.Metal.AllocateMachine(b.Context(), &lxdprovisionerv1.AllocateMachineRequest{Machine: ref, Owner: owner(name)})
	require.NoError(b, err)
	ref.SystemId = answer.GetMachine().GetSystemId()
	return machinewatch.Subject{Object: object(name), Machine: ref, Status: answer.GetMachine().GetStatus()}
}

func owner(name string) *lxdprovisionerv1.Owner {
	return &lxdprovisionerv1.Owner{ClusterId: "c", Namespace: "default", Cluster: "demo", Machine: name, MachineUid: name}
}

func (b *bench) covered(name string) {
	b.Helper()
	require.Eventually(b, func() bool { return b.watch.Covers(object(name)) }, patience, time.Millisecond)
}

// woken waits for the next object that is woken.
func (b *bench) woken() string {
	b.Helper()
	require.Eventually(b, func() bool { return b.queue.Len() > 0 }, patience, time.Millisecond)
	request, _ := b.queue.Get()
	b.queue.Done(request)
	return request.Name
}

func (b *bench) fail(name string) {
	b.Helper()
	require.True(b, b.fake.SetState(name, lxdprovisionerv1.MachineState_MACHINE_STATE_FAILED, "no boot"))
}

func TestWatch_wakes_only_the_object_whose_machine_moved(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]func(*bench, string) machinewatch.Subject{
		"X7.3_a_VM": (*bench).compose, "X7.3_a_physical_machine": (*bench).allocate,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			still, moving := hold(b, "still"), hold(b, "moving")
			b.watch.Follow(still)
			b.watch.Follow(moving)
			b.covered("still")
			b.covered("moving")
			assert.Zero(t, b.queue.Len(), "what the reconcile has seen is no news")
			id := moving.VM.GetSystemId() + moving.Machine.GetSystemId()
			b.fail(id)
			assert.Equal(t, "moving", b.woken())
			b.fail(still.VM.GetSystemId() + still.Machine.GetSystemId())
			assert.Equal(t, "still", b.woken())
			assert.Zero(t, b.queue.Len())
		})
	}
}

func TestWatch_tells_what_moved_before_the_stream_was_open(t *testing.T) {
	t.Parallel()
	b := start(t)
	vm := b.compose("cp-0")
	b.fail("cp-0")
	b.watch.Follow(vm)
	assert.Equal(t, "cp-0", b.woken())
}

func TestWatch_takes_in_machines_that_come_later_and_lets_go_of_others(t *testing.T) {
	t.Parallel()
	b := start(t)
	first, second := b.compose("cp-0"), b.compose("cp-1")
	b.watch.Follow(first)
	b.covered("cp-0")
	b.watch.Follow(second)
	assert.True(t, b.watch.Covers(object("cp-0")), "the open stream stays open until the next one is")
	b.covered("cp-1")
	b.watch.Forget(object("cp-0"))
	assert.False(t, b.watch.Covers(object("cp-0")))
	b.fail("cp-0")
	b.fail("cp-1")
	assert.Equal(t, "cp-1", b.woken())
	assert.Zero(t, b.queue.Len())
}

func TestWatch_follows_the_next_attempt_in_place_of_the_last(t *testing.T) {
	t.Parallel()
	b := start(t)
	first, second := b.compose("cp-0-a"), b.compose("cp-0-b")
	first.Object, second.Object = object("cp-0"), object("cp-0")
	b.watch.Follow(first)
	b.covered("cp-0")
	b.watch.Follow(second)
	assert.False(t, b.watch.Covers(object("cp-0")), "the stream does not know the new VM yet")
	b.covered("cp-0")
	b.fail("cp-0-b")
	assert.Equal(t, "cp-0", b.woken())
}

func TestWatch_covers_nothing_while_the_service_is_away(t *testing.T) {
	t.Parallel()
	b := start(t)
	vm := b.compose("cp-0")
	b.watch.Follow(vm)
	b.covered("cp-0")
	b.fake.FailEvery("WatchVMs", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "away"))
	b.fake.BreakStreams()
	require.Eventually(t, func() bool { return !b.watch.Covers(object("cp-0")) }, patience, time.Millisecond,
		"the controller asks by itself meanwhile")
	b.fail("cp-0")
	b.fake.Heal()
	assert.Equal(t, "cp-0", b.woken(), "the next stream tells what moved meanwhile")
	b.covered("cp-0")
}

func TestWatch_tells_once_that_a_machine_is_gone(t *testing.T) {
	t.Parallel()
	b := start(t)
	vm, other := b.compose("cp-0"), b.compose("cp-1")
	b.watch.Follow(vm)
	b.covered("cp-0")
	_, err := b.service.VMs.DeleteVM(t.Context(), &lxdprovisionerv1.DeleteVMRequest{
		Attempts: []*lxdprovisionerv1.Attempt{vm.VM}, Owner: owner("cp-0"),
		Hosts: []*lxdprovisionerv1.HostExpectation{{HostId: vm.VM.GetHostId()}},
	})
	require.NoError(t, err)
	assert.Equal(t, "cp-0", b.woken())
	b.watch.Follow(other)
	b.covered("cp-1")
	assert.Zero(t, b.queue.Len(), "a new stream says it again, and that is no news")
	assert.False(t, b.watch.Covers(object("cp-0")))
}
