package provisionertest

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// AllocateMachine takes one Ready machine that matches, one more each time, as MAAS does. With
// sent_at it finds what the agent name holds.
func (f *Fake) AllocateMachine(
	_ context.Context, request *lxdprovisionerv1.AllocateMachineRequest,
) (*lxdprovisionerv1.AllocateMachineResponse, error) {
	return answer(f, "AllocateMachine", request, func(request *lxdprovisionerv1.AllocateMachineRequest) (*lxdprovisionerv1.AllocateMachineResponse, error) {
		allocate := f.allocate
		if request.GetSentAt() != nil {
			allocate = f.findAllocated
		}
		m, err := allocate(request)
		if err != nil {
			return nil, err
		}
		m.owner = proto.CloneOf(request.GetOwner())
		f.settle()
		return &lxdprovisionerv1.AllocateMachineResponse{Machine: m.toMachine()}, nil
	})
}

func (f *Fake) allocate(request *lxdprovisionerv1.AllocateMachineRequest) (*machine, error) {
	constraints, where := request.GetConstraints(), &lxdprovisionerv1.Placement{}
	if constraints.GetZone() != "" {
		where.Zones = []string{constraints.GetZone()}
	}
	if pool := constraints.GetResourcePool(); pool != "" {
		where.ResourcePools = []string{pool}
	}
	if err := f.known(where); err != nil {
		return nil, err
	}
	m := f.freeMachine(constraints)
	if m == nil {
		return nil, Fault(errorinfo.NoRoom, lxdprovisionerv1.Reason_REASON_NO_MACHINE_AVAILABLE, "no Ready machine matches the constraints")
	}
	m.state, m.agent = stateAllocated, request.GetMachine().GetAgentName()
	return m, nil
}

// findAllocated gives the one machine that the agent name holds and releases the others.
func (f *Fake) findAllocated(request *lxdprovisionerv1.AllocateMachineRequest) (*machine, error) {
	agent := request.GetMachine().GetAgentName()
	held := f.held(agent)
	if len(held) == 0 && f.mayAppear(request.GetSentAt()) {
		return nil, Fault(errorinfo.Busy, lxdprovisionerv1.Reason_REASON_ALLOCATION_IN_PROGRESS, "a machine may still be allocated as %s", agent)
	}
	if len(held) == 0 {
		return nil, noMachine(agent)
	}
	for _, surplus := range held[1:] {
		f.release(surplus)
	}
	return held[0], nil
}

// mayAppear says whether what was sent at that time may still take effect.
func (f *Fake) mayAppear(sentAt *timestamppb.Timestamp) bool {
	return sentAt != nil && f.now().Sub(sentAt.AsTime()) <= unknownFor
}

func noMachine(agent string) error {
	return Fault(errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_MACHINE_NOT_FOUND, "MAAS holds no machine under %s", agent)
}

// held gives the machines that are held under the agent name, the lowest system id first.
func (f *Fake) held(agent string) []*machine {
	var held []*machine
	for _, m := range f.machines {
		if m.metal != nil && m.agent == agent && m.state != stateReleasing {
			held = append(held, m)
		}
	}
	slices.SortFunc(held, func(a, b *machine) int { return strings.Compare(a.systemID, b.systemID) })
	return held
}

func (f *Fake) freeMachine(c *lxdprovisionerv1.MachineConstraints) *machine {
	for _, m := range f.machines {
		fits := m.metal != nil && m.state == stateReady && m.agent == "" &&
			m.metal.Cores >= c.GetMinCores() && m.metal.MemoryMiB >= c.GetMinMemoryMib() && m.metal.DiskGB >= c.GetMinDiskGb() &&
			(c.GetZone() == "" || c.GetZone() == m.zone) && (c.GetResourcePool() == "" || c.GetResourcePool() == m.pool) &&
			strings.HasPrefix(architecture, c.GetArchitecture()) &&
			!slices.ContainsFunc(c.GetTags(), func(t string) bool { return !slices.Contains(m.metal.Tags, t) })
		if fits {
			return m
		}
	}
	return nil
}

// AddAllocation lets the agent name hold one more Ready machine, as a call does whose answer was
// lost. It says which; empty where none was free.
func (f *Fake) AddAllocation(agent string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.freeMachine(nil)
	if m == nil {
		return ""
	}
	m.state, m.agent = stateAllocated, agent
	f.settle()
	return m.systemID
}

// allocated gives the machine that the reference names.
func (f *Fake) allocated(ref *lxdprovisionerv1.MachineRef) (*machine, error) {
	held := f.held(ref.GetAgentName())
	for _, m := range held {
		if ref.GetSystemId() == "" || m.systemID == ref.GetSystemId() {
			return m, nil
		}
	}
	return nil, noMachine(ref.GetAgentName())
}

// DeployMachine deploys an allocated machine.
func (f *Fake) DeployMachine(
	_ context.Context, request *lxdprovisionerv1.DeployMachineRequest,
) (*lxdprovisionerv1.DeployMachineResponse, error) {
	return answer(f, "DeployMachine", request, func(request *lxdprovisionerv1.DeployMachineRequest) (*lxdprovisionerv1.DeployMachineResponse, error) {
		m, err := f.allocated(request.GetMachine())
		if err != nil {
			if other := f.find(request.GetMachine().GetSystemId()); other != nil {
				return nil, Fault(errorinfo.Conflict, lxdprovisionerv1.Reason_REASON_NAME_TAKEN, "%s is not held under %s", other.systemID, request.GetMachine().GetAgentName())
			}
			return nil, err
		}
		switch m.state {
		case stateAllocated:
			if err := f.mayDeploy(request.GetImage(), request.GetUserData()); err != nil {
				return nil, err
			}
			m.userData, m.inMemory = slices.Clone(request.GetUserData()), request.GetInMemory()
			f.address(m, nil)
			f.move(m, stateDeploying, stateDeployed, f.config.DeployFor)
		case stateDeploying, stateDeployed:
		default:
			return nil, Fault(errorinfo.Busy, lxdprovisionerv1.Reason_REASON_NOT_READY, "%s is %s", m.systemID, maasStatus[m.state])
		}
		return &lxdprovisionerv1.DeployMachineResponse{Machine: m.toMachine()}, nil
	})
}

// GetMachine reads one machine by agent name.
func (f *Fake) GetMachine(_ context.Context, request *lxdprovisionerv1.GetMachineRequest) (*lxdprovisionerv1.GetMachineResponse, error) {
	return answer(f, "GetMachine", request, func(request *lxdprovisionerv1.GetMachineRequest) (*lxdprovisionerv1.GetMachineResponse, error) {
		m, err := f.allocated(request.GetMachine())
		if err != nil {
			return nil, err
		}
		return &lxdprovisionerv1.GetMachineResponse{Machine: m.toMachine()}, nil
	})
}

// ReleaseMachine releases every machine that is held under the agent name.
func (f *Fake) ReleaseMachine(
	_ context.Context, request *lxdprovisionerv1.ReleaseMachineRequest,
) (*lxdprovisionerv1.ReleaseMachineResponse, error) {
	return answer(f, "ReleaseMachine", request, func(request *lxdprovisionerv1.ReleaseMachineRequest) (*lxdprovisionerv1.ReleaseMachineResponse, error) {
		held := f.held(request.GetMachine().GetAgentName())
		if len(held) == 0 && f.mayAppear(request.GetSentAt()) {
			return nil, Fault(errorinfo.Busy, lxdprovisionerv1.Reason_REASON_DELETION_IN_PROGRESS, "a machine may still be allocated as %s", request.GetMachine().GetAgentName())
		}
		for _, m := range held {
			if m.locked {
				return nil, Fault(errorinfo.Busy, lxdprovisionerv1.Reason_REASON_MACHINE_LOCKED, "%s is locked", m.systemID)
			}
			f.release(m)
		}
		return &lxdprovisionerv1.ReleaseMachineResponse{}, nil
	})
}

func (f *Fake) release(m *machine) {
	f.move(m, stateReleasing, stateReady, f.config.ReleaseFor)
}
