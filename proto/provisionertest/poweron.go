package provisionertest

import (
	"context"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// PowerOnMachine switches on a machine that was deployed.
func (f *Fake) PowerOnMachine(
	_ context.Context, request *lxdprovisionerv1.PowerOnMachineRequest,
) (*lxdprovisionerv1.PowerOnMachineResponse, error) {
	return answer(f, "PowerOnMachine", request, func(request *lxdprovisionerv1.PowerOnMachineRequest) (*lxdprovisionerv1.PowerOnMachineResponse, error) {
		m, owner := f.find(request.GetSystemId()), request.GetOwner()
		if m == nil {
			return nil, Fault(errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_MACHINE_NOT_FOUND, "MAAS has no machine %s", request.GetSystemId())
		}
		if !m.markedFor(owner) {
			return nil, Fault(errorinfo.Conflict, lxdprovisionerv1.Reason_REASON_NAME_TAKEN, "%s is not marked for %s", m.systemID, owner.GetMachine())
		}
		off := m.status(nil).GetPower() == lxdprovisionerv1.PowerState_POWER_STATE_OFF
		switch {
		case m.state != stateDeployed:
			return nil, Fault(errorinfo.Busy, lxdprovisionerv1.Reason_REASON_NOT_READY, "%s is %s", m.systemID, maasStatus[m.state])
		case off && m.inMemory:
			return nil, Fault(errorinfo.Unsupported, lxdprovisionerv1.Reason_REASON_NOT_SUPPORTED, "%s runs from memory", m.systemID)
		case off && m.locked:
			return nil, Fault(errorinfo.Busy, lxdprovisionerv1.Reason_REASON_MACHINE_LOCKED, "%s is locked", m.systemID)
		case off:
			m.power, m.userData = lxdprovisionerv1.PowerState_POWER_STATE_UNSPECIFIED, nil
		}
		return &lxdprovisionerv1.PowerOnMachineResponse{Sent: off, Status: m.status(new(true))}, nil
	})
}
