package provisionertest

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// WatchVMs streams the state of the VMs: each once, synced, then every change.
func (f *Fake) WatchVMs(request *lxdprovisionerv1.WatchVMsRequest, stream grpc.ServerStreamingServer[lxdprovisionerv1.WatchVMsResponse]) error {
	after, err := f.begin("WatchVMs", request)
	if err != nil {
		return err
	}
	look := func() []*lxdprovisionerv1.WatchVMsResponse {
		events := make([]*lxdprovisionerv1.WatchVMsResponse, 0, len(request.GetVms()))
		for _, w := range request.GetVms() {
			m, err := f.present(w.GetAttempt(), nil)
			if err != nil {
				events = append(events, &lxdprovisionerv1.WatchVMsResponse{Event: &lxdprovisionerv1.WatchVMsResponse_Gone{Gone: w.GetAttempt().GetName()}})
				continue
			}
			events = append(events, &lxdprovisionerv1.WatchVMsResponse{Event: &lxdprovisionerv1.WatchVMsResponse_Vm{Vm: proto.CloneOf(m.toVM(nil))}})
		}
		return events
	}
	synced := func(at time.Time) *lxdprovisionerv1.WatchVMsResponse {
		return &lxdprovisionerv1.WatchVMsResponse{Event: &lxdprovisionerv1.WatchVMsResponse_Synced{Synced: timestamppb.New(at)}}
	}
	same := func(a, b *lxdprovisionerv1.WatchVMsResponse) bool {
		return sameStatus(a.GetVm().GetStatus(), b.GetVm().GetStatus()) && a.GetGone() == b.GetGone()
	}
	if err := watch(stream.Context(), f, look, synced, same, stream.Send); err != nil {
		return err
	}
	return after()
}

// WatchMachines streams the state of bare-metal machines as WatchVMs does.
func (f *Fake) WatchMachines(
	request *lxdprovisionerv1.WatchMachinesRequest, stream grpc.ServerStreamingServer[lxdprovisionerv1.WatchMachinesResponse],
) error {
	after, err := f.begin("WatchMachines", request)
	if err != nil {
		return err
	}
	look := func() []*lxdprovisionerv1.WatchMachinesResponse {
		events := make([]*lxdprovisionerv1.WatchMachinesResponse, 0, len(request.GetMachines()))
		for _, w := range request.GetMachines() {
			m, err := f.allocated(w.GetMachine())
			if err != nil {
				events = append(events, &lxdprovisionerv1.WatchMachinesResponse{Event: &lxdprovisionerv1.WatchMachinesResponse_Gone{Gone: w.GetMachine().GetSystemId()}})
				continue
			}
			events = append(events, &lxdprovisionerv1.WatchMachinesResponse{Event: &lxdprovisionerv1.WatchMachinesResponse_Machine{Machine: proto.CloneOf(m.toMachine())}})
		}
		return events
	}
	synced := func(at time.Time) *lxdprovisionerv1.WatchMachinesResponse {
		return &lxdprovisionerv1.WatchMachinesResponse{Event: &lxdprovisionerv1.WatchMachinesResponse_Synced{Synced: timestamppb.New(at)}}
	}
	same := func(a, b *lxdprovisionerv1.WatchMachinesResponse) bool {
		return sameStatus(a.GetMachine().GetStatus(), b.GetMachine().GetStatus()) && a.GetGone() == b.GetGone()
	}
	if err := watch(stream.Context(), f, look, synced, same, stream.Send); err != nil {
		return err
	}
	return after()
}

// sameStatus compares two states, but for the time at which they were read.
func sameStatus(a, b *lxdprovisionerv1.MachineStatus) bool {
	a, b = proto.CloneOf(a), proto.CloneOf(b)
	if a != nil && b != nil {
		a.ObservedAt, b.ObservedAt = nil, nil
	}
	return proto.Equal(a, b)
}

// watch sends what look gives, then synced, then what differs from the last look, until the caller
// goes or BreakStreams ends it.
func watch[E proto.Message](
	ctx context.Context, f *Fake, look func() []E, synced func(time.Time) E, same func(a, b E) bool, send func(E) error,
) error {
	var last []E
	for {
		f.mu.Lock()
		now, moved, broken, events := f.now(), f.moved, f.broken, look()
		f.mu.Unlock()
		for i, e := range events {
			if last != nil && same(last[i], e) {
				continue
			}
			if err := send(e); err != nil {
				return err
			}
		}
		if last == nil {
			if err := send(synced(now)); err != nil {
				return err
			}
		}
		last = events
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-broken:
			return Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "the service stops")
		case <-moved:
		}
	}
}
