package machinewatch

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"
	"sigs.k8s.io/controller-runtime/pkg/client"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// stream is one open stream. A nil stream is one that was never opened.
type stream struct {
	subjects []*followed
	cancel   context.CancelFunc
	// synced is closed when each machine was told of, ended when no event comes any more; err says why.
	synced, ended chan struct{}
	err           error
}

// start opens a stream and passes its events on until it ends.
func (f *follower) start(ctx context.Context, subjects []*followed, wake func(client.ObjectKey)) *stream {
	ctx, cancel := context.WithCancel(ctx)
	s := &stream{subjects: subjects, cancel: cancel, synced: make(chan struct{}), ended: make(chan struct{})}
	named := make([]Subject, 0, len(subjects))
	f.mu.Lock()
	for _, one := range subjects {
		named = append(named, one.Subject)
	}
	f.mu.Unlock()
	go func() {
		defer close(s.ended)
		s.err = f.read(ctx, named, s.synced, wake)
	}()
	return s
}

func (f *follower) read(ctx context.Context, subjects []Subject, synced chan<- struct{}, wake func(client.ObjectKey)) error {
	next, err := f.open(ctx, subjects)
	if err != nil {
		return fmt.Errorf("open the stream: %w", err)
	}
	for {
		e, err := next()
		switch {
		case err != nil:
			return fmt.Errorf("read the stream: %w", err)
		case e.synced && synced != nil:
			close(synced)
			synced = nil
		case e.name != "":
			if object, ok := f.apply(e); ok {
				wake(object)
			}
		}
	}
}

// close ends the stream and waits for its end.
func (s *stream) close() {
	if s != nil {
		s.cancel()
		<-s.ended
	}
}

// end is closed when the stream has ended; it never is where there is none.
func (s *stream) end() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.ended
}

// openVMs opens streams of VMs.
func openVMs(service lxdprovisionerv1.LXDProvisionerClient) open {
	return func(ctx context.Context, subjects []Subject) (func() (told, error), error) {
		request := &lxdprovisionerv1.WatchVMsRequest{}
		for _, s := range subjects {
			request.Vms = append(request.Vms, &lxdprovisionerv1.WatchedVM{Attempt: s.VM, Known: s.Status.GetState()})
		}
		events, err := service.WatchVMs(ctx, request)
		return receive(events, err, func(e *lxdprovisionerv1.WatchVMsResponse) (string, *lxdprovisionerv1.MachineStatus) {
			status := e.GetVm().GetStatus()
			return status.GetHostname(), status
		})
	}
}

// openMachines opens streams of physical machines.
func openMachines(service lxdprovisionerv1.BareMetalProvisionerClient) open {
	return func(ctx context.Context, subjects []Subject) (func() (told, error), error) {
		request := &lxdprovisionerv1.WatchMachinesRequest{}
		for _, s := range subjects {
			request.Machines = append(request.Machines, &lxdprovisionerv1.WatchedMachine{Machine: s.Machine, Known: s.Status.GetState()})
		}
		events, err := service.WatchMachines(ctx, request)
		return receive(events, err, func(e *lxdprovisionerv1.WatchMachinesResponse) (string, *lxdprovisionerv1.MachineStatus) {
			return e.GetMachine().GetSystemId(), e.GetMachine().GetStatus()
		})
	}
}

// event is what the events of both kinds of streams have in common.
type event[T any] interface {
	*T
	GetGone() string
	GetSynced() *timestamppb.Timestamp
}

// receive gives the function that waits for the next event of an open stream. of tells a machine's name and state.
func receive[T any, E event[T]](
	events grpc.ServerStreamingClient[T], opened error, of func(E) (string, *lxdprovisionerv1.MachineStatus),
) (func() (told, error), error) {
	if opened != nil {
		return nil, opened
	}
	return func() (told, error) {
		received, err := events.Recv()
		if err != nil {
			return told{}, err
		}
		e := E(received)
		if gone := e.GetGone(); gone != "" {
			return told{name: gone}, nil
		}
		name, status := of(e)
		return told{name: name, status: status, synced: e.GetSynced() != nil}, nil
	}, nil
}
