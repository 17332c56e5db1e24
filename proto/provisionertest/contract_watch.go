package provisionertest

import (
	"context"

	"google.golang.org/grpc"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// next gives the next event of a stream.
func next[E any](s *suite, stream grpc.ServerStreamingClient[E]) *E {
	s.t.Helper()
	event, err := stream.Recv()
	if err != nil {
		s.t.Fatalf("the stream ended: %v", err)
	}
	return event
}

// patient gives a context that ends with the harness's patience.
func (s *suite) patient() context.Context {
	ctx, cancel := context.WithTimeout(s.t.Context(), s.Patience)
	s.t.Cleanup(cancel)
	return ctx
}

func (s *suite) watchVMs() {
	attempt, vm := s.composed("cp-0")
	absent := s.sent(attemptOn(s.host(attempt.GetHostId()), "absent"))
	stream, err := s.lxd.WatchVMs(s.patient(), &lxdprovisionerv1.WatchVMsRequest{Vms: []*lxdprovisionerv1.WatchedVM{
		{Attempt: attempt, Known: stateAllocated}, {Attempt: absent, Known: commissioning},
	}})
	ok(s, stream, err)
	var seen, gone bool
	for event := next(s, stream); event.GetSynced() == nil; event = next(s, stream) {
		seen = seen || event.GetVm().GetSystemId() == vm.GetSystemId() && event.GetVm().GetStatus().GetState() == stateAllocated
		gone = gone || event.GetGone() == "absent"
	}
	s.checkf(seen && gone, "before synced each VM is reported once: seen %t, gone %t", seen, gone)

	_, err = s.lxd.DeployVM(s.ctx(), s.deployRequest(attempt))
	ok(s, stream, err)
	for state := stateAllocated; state != stateDeployed; {
		if event := next(s, stream).GetVm(); event.GetName() == "cp-0" {
			state = event.GetStatus().GetState()
		}
	}
	s.deleted(attempt)
	for next(s, stream).GetGone() != "cp-0" {
		continue
	}
}

func (s *suite) watchMachines() {
	ref := s.allocated("capmaas/w-0")
	absent := &lxdprovisionerv1.MachineRef{AgentName: "capmaas/w-9", SystemId: "nosuch"}
	stream, err := s.metal.WatchMachines(s.patient(), &lxdprovisionerv1.WatchMachinesRequest{Machines: []*lxdprovisionerv1.WatchedMachine{
		{Machine: ref, Known: stateAllocated}, {Machine: absent, Known: stateDeployed},
	}})
	ok(s, stream, err)
	var seen, gone bool
	for event := next(s, stream); event.GetSynced() == nil; event = next(s, stream) {
		seen = seen || event.GetMachine().GetSystemId() == ref.GetSystemId() && event.GetMachine().GetStatus().GetState() == stateAllocated
		gone = gone || event.GetGone() == "nosuch"
	}
	s.checkf(seen && gone, "before synced each machine is reported once: seen %t, gone %t", seen, gone)

	_, err = s.metal.DeployMachine(s.ctx(), s.deployMachineRequest(ref))
	ok(s, stream, err)
	for state := stateAllocated; state != stateDeployed; {
		if event := next(s, stream).GetMachine(); event.GetSystemId() == ref.GetSystemId() {
			state = event.GetStatus().GetState()
		}
	}
}
