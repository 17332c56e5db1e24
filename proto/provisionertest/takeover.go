package provisionertest

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// TakeOverMachine makes a machine the owner's that was deployed and of which nothing is stored.
func (f *Fake) TakeOverMachine(
	_ context.Context, request *lxdprovisionerv1.TakeOverMachineRequest,
) (*lxdprovisionerv1.TakeOverMachineResponse, error) {
	return answer(f, "TakeOverMachine", request, func(request *lxdprovisionerv1.TakeOverMachineRequest) (*lxdprovisionerv1.TakeOverMachineResponse, error) {
		m := f.find(request.GetSystemId())
		if m == nil {
			return nil, Fault(errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_MACHINE_NOT_FOUND, "MAAS has no machine %s", request.GetSystemId())
		}
		if m.metal != nil && m.state == stateReady {
			return nil, Fault(errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_MACHINE_NOT_FOUND, "nobody holds machine %s", m.systemID)
		}
		free := m.state == stateReady && m.vm != nil && len(request.GetNames()) > 0
		held := m.state != stateReady && m.state != stateAllocated && m.state != stateNew && m.state != stateReleasing
		if !m.isTheOne(request) || m.agent == "somebody-else" || !free && !held {
			return nil, Fault(errorinfo.Conflict, lxdprovisionerv1.Reason_REASON_NAME_TAKEN, "%s is not what was deployed", m.systemID)
		}
		if !free {
			m.owner, m.agent = proto.CloneOf(request.GetOwner()), request.GetAgentName()
		}
		if m.metal != nil {
			return &lxdprovisionerv1.TakeOverMachineResponse{Machine: m.toMachine()}, nil
		}
		if !free {
			m.agent = "capmaas/" + m.hostname
		}
		return &lxdprovisionerv1.TakeOverMachineResponse{Vm: m.toVM(new(!free))}, nil
	})
}

// isTheOne says whether the machine is the owner's by mark and name: a VM that was made here is by its mark alone.
func (m *machine) isTheOne(request *lxdprovisionerv1.TakeOverMachineRequest) bool {
	marked := m.markedFor(request.GetOwner())
	if m.owner != nil && !marked {
		return false
	}
	named := func(n string) bool {
		label, _, _ := strings.Cut(n, ".")
		return strings.EqualFold(label, m.hostname)
	}
	return len(request.GetNames()) == 0 || slices.ContainsFunc(request.GetNames(), named) || m.vm != nil && !m.foreign && marked
}

// AddForeign lets another provider have deployed something with our user: a VM of the name on the host, or a physical
// machine where no host is named, which takes the name of its row. It gives the system id; empty where that can't be.
func (f *Fake) AddForeign(name, hostName string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.freeMachine(nil)
	if i := slices.IndexFunc(f.hosts, func(h *host) bool { return h.Name == hostName }); i >= 0 {
		m = f.newVM(name, f.hosts[i], &lxdprovisionerv1.VMResources{Cores: 2, MemoryMib: 4096, Disks: []*lxdprovisionerv1.Disk{{SizeGb: 60}}})
	} else if m == nil {
		return ""
	}
	m.hostname = cmp.Or(name, m.hostname)
	m.state, m.foreign = stateDeployed, true
	f.address(m, nil)
	f.settle()
	return m.systemID
}
