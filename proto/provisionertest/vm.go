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

const (
	stateReady     = lxdprovisionerv1.MachineState_MACHINE_STATE_READY
	stateAllocated = lxdprovisionerv1.MachineState_MACHINE_STATE_ALLOCATED
	stateDeploying = lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYING
	stateDeployed  = lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYED
	stateReleasing = lxdprovisionerv1.MachineState_MACHINE_STATE_RELEASING
	stateFailed    = lxdprovisionerv1.MachineState_MACHINE_STATE_FAILED
	stateNew       = lxdprovisionerv1.MachineState_MACHINE_STATE_NEW
	commissioning  = lxdprovisionerv1.MachineState_MACHINE_STATE_COMMISSIONING
)

// ComposeVM makes the VM of an attempt, or finds it, and claims it once it is Ready.
func (f *Fake) ComposeVM(_ context.Context, request *lxdprovisionerv1.ComposeVMRequest) (*lxdprovisionerv1.ComposeVMResponse, error) {
	return answer(f, "ComposeVM", request, func(request *lxdprovisionerv1.ComposeVMRequest) (*lxdprovisionerv1.ComposeVMResponse, error) {
		m, err := f.composed(request)
		if err != nil {
			return nil, err
		}
		claimed := f.claim(m, request.GetOwner(), request.GetNetwork())
		return &lxdprovisionerv1.ComposeVMResponse{Vm: m.toVM(&claimed)}, nil
	})
}

// composed gives the attempt's VM, which it makes where the attempt was not sent before.
func (f *Fake) composed(request *lxdprovisionerv1.ComposeVMRequest) (*machine, error) {
	attempt := request.GetAttempt()
	m, err := f.ours(attempt, request.GetOwner())
	if m != nil || err != nil {
		return m, err
	}
	h, err := f.attemptsHost(attempt)
	if err != nil {
		return nil, err
	}
	if attempt.GetSentAt() != nil {
		return nil, f.notSeen(attempt)
	}
	if h.offline {
		return nil, Fault(errorinfo.Refused, lxdprovisionerv1.Reason_REASON_LXD_HOST_UNAVAILABLE, "host %s does not answer", h.Name)
	}
	if err := f.mayCompose(request, h); err != nil {
		return nil, err
	}
	m = f.newVM(attempt.GetName(), h, request.GetResources())
	if ip := request.GetNetwork().GetStaticIp(); ip != nil {
		m.addresses = []*lxdprovisionerv1.Address{{Ip: ip.GetAddress(), Subnet: f.cidrOf(ip.GetAddress()), Interface: cmp.Or(ip.GetInterface(), "eth0")}}
	}
	f.move(m, commissioning, stateReady, f.config.CommissionFor)
	if f.delay > 0 {
		m.hiddenUntil, f.delay = f.now().Add(f.delay), 0
		f.wakeAfter(m.hiddenUntil.Sub(f.now()))
		return nil, f.notSeen(attempt)
	}
	return m, nil
}

// mayCompose says what MAAS and LXD would say before they make anything.
func (f *Fake) mayCompose(request *lxdprovisionerv1.ComposeVMRequest, h *host) error {
	size, left := request.GetResources(), f.available(h, request.GetAttempt().GetName())
	if err := f.checkSize(size); err != nil {
		return err
	}
	if err := f.checkNetwork(request.GetNetwork()); err != nil {
		return err
	}
	w := wanted{name: request.GetAttempt().GetName(), size: size, network: request.GetNetwork()}
	switch r := f.filter(h, w); r.GetReason() {
	case lxdprovisionerv1.RejectionReason_REJECTION_REASON_UNSPECIFIED:
		return nil
	case lxdprovisionerv1.RejectionReason_REJECTION_REASON_STORAGE_POOL_MISSING, lxdprovisionerv1.RejectionReason_REJECTION_REASON_INSUFFICIENT_STORAGE:
		return Fault(errorinfo.Refused, lxdprovisionerv1.Reason_REASON_STORAGE_EXHAUSTED, "host %s: %s", h.Name, r.GetMessage())
	case lxdprovisionerv1.RejectionReason_REJECTION_REASON_NETWORK_MISSING:
		return Fault(errorinfo.Refused, lxdprovisionerv1.Reason_REASON_NETWORK_REFUSED, "host %s: %s", h.Name, r.GetMessage())
	case lxdprovisionerv1.RejectionReason_REJECTION_REASON_INSUFFICIENT_CORES, lxdprovisionerv1.RejectionReason_REJECTION_REASON_INSUFFICIENT_MEMORY:
		return Fault(errorinfo.Refused, lxdprovisionerv1.Reason_REASON_HOST_OVERCOMMITTED, "host %s has %d cores and %d MiB left", h.Name, left.GetCores(), left.GetMemoryMib())
	default:
		return Fault(errorinfo.Refused, lxdprovisionerv1.Reason_REASON_VM_COMPOSITION_FAILED, "host %s: %s", h.Name, r.GetMessage())
	}
}

// ours finds the attempt's VM: nil where MAAS shows none, a fault where the name is a stranger's.
func (f *Fake) ours(attempt *lxdprovisionerv1.Attempt, owner *lxdprovisionerv1.Owner) (*machine, error) {
	m := f.find(attempt.GetName())
	if m == nil || f.now().Before(m.hiddenUntil) {
		return nil, nil
	}
	foreign := m.vm == nil || m.vm.host.id != attempt.GetHostId() ||
		m.agent != "" && m.agent != agentName(attempt) ||
		m.owner != nil && owner != nil && !m.markedFor(owner)
	if foreign {
		return nil, Fault(errorinfo.Conflict, lxdprovisionerv1.Reason_REASON_NAME_TAKEN, "%s belongs to somebody else", attempt.GetName())
	}
	return m, nil
}

// attemptsHost gives the host by id and name; absence of anything is believed only together with it.
func (f *Fake) attemptsHost(attempt *lxdprovisionerv1.Attempt) (*host, error) {
	h := f.host(attempt.GetHostId())
	if h != nil && h.Name == attempt.GetHostName() {
		return h, nil
	}
	if attempt.GetSentAt() == nil {
		return nil, Fault(errorinfo.Refused, lxdprovisionerv1.Reason_REASON_LXD_HOST_UNAVAILABLE, "MAAS has no host %s with id %s", attempt.GetHostName(), attempt.GetHostId())
	}
	return nil, Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_HOST_UNREACHABLE, "MAAS has no host %s with id %s", attempt.GetHostName(), attempt.GetHostId())
}

// notSeen is the answer for a VM that MAAS does not show.
func (f *Fake) notSeen(attempt *lxdprovisionerv1.Attempt) error {
	if attempt.GetSentAt() == nil || f.now().Sub(attempt.GetSentAt().AsTime()) <= unknownFor {
		return Fault(errorinfo.Busy, lxdprovisionerv1.Reason_REASON_COMPOSITION_IN_PROGRESS, "%s is being composed on host %s", attempt.GetName(), attempt.GetHostName())
	}
	return f.noVM(attempt)
}

func (f *Fake) noVM(attempt *lxdprovisionerv1.Attempt) error {
	return Fault(errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_VM_NOT_FOUND, "host %s has no VM %s", attempt.GetHostName(), attempt.GetName())
}

func agentName(attempt *lxdprovisionerv1.Attempt) string { return "capmaas/" + attempt.GetName() }

// claim allocates a Ready VM for the owner, and says whether the VM is claimed.
func (f *Fake) claim(m *machine, owner *lxdprovisionerv1.Owner, _ *lxdprovisionerv1.VMNetwork) bool {
	if m.state == stateReady {
		m.state, m.agent, m.owner = stateAllocated, "capmaas/"+m.hostname, proto.CloneOf(owner)
	}
	return m.agent != ""
}

// DeployVM claims the VM where that is not done and deploys it.
func (f *Fake) DeployVM(_ context.Context, request *lxdprovisionerv1.DeployVMRequest) (*lxdprovisionerv1.DeployVMResponse, error) {
	return answer(f, "DeployVM", request, func(request *lxdprovisionerv1.DeployVMRequest) (*lxdprovisionerv1.DeployVMResponse, error) {
		m, err := f.present(request.GetAttempt(), request.GetOwner())
		if err != nil {
			return nil, err
		}
		claimed := f.claim(m, request.GetOwner(), request.GetNetwork())
		switch m.state {
		case stateFailed:
			m.goneAt = f.now()
			return nil, Fault(errorinfo.Refused, lxdprovisionerv1.Reason_REASON_VM_DEPLOYMENT_FAILED, "%s failed and is deleted: %s", m.hostname, m.message)
		case stateAllocated:
			if err := f.mayDeploy(request.GetImage(), request.GetUserData()); err != nil {
				return nil, err
			}
			m.userData = slices.Clone(request.GetUserData())
			f.address(m, request.GetNetwork())
			f.move(m, stateDeploying, stateDeployed, f.config.DeployFor)
		case stateDeploying, stateDeployed:
		default:
			return nil, Fault(errorinfo.Busy, lxdprovisionerv1.Reason_REASON_NOT_READY, "%s is %s", m.hostname, maasStatus[m.state])
		}
		return &lxdprovisionerv1.DeployVMResponse{Vm: m.toVM(&claimed)}, nil
	})
}

func (f *Fake) mayDeploy(image *lxdprovisionerv1.Image, userData []byte) error {
	if len(userData) > maxUserData {
		return invalid(lxdprovisionerv1.Reason_REASON_BAD_USER_DATA, "user_data", "the user data has %d bytes, at most %d are taken", len(userData), maxUserData)
	}
	name := image.GetOs() + "/" + image.GetSeries()
	if !slices.ContainsFunc(f.config.Images, func(i *lxdprovisionerv1.AvailableImage) bool { return i.GetName() == name }) {
		return invalid(lxdprovisionerv1.Reason_REASON_IMAGE_NOT_FOUND, "image", "MAAS has no image %s for amd64", name)
	}
	return nil
}

// present gives the attempt's VM, or the fault that says why there is none.
func (f *Fake) present(attempt *lxdprovisionerv1.Attempt, owner *lxdprovisionerv1.Owner) (*machine, error) {
	m, err := f.ours(attempt, owner)
	if m != nil || err != nil {
		return m, err
	}
	if h := f.host(attempt.GetHostId()); h == nil || h.Name != attempt.GetHostName() {
		return nil, Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_HOST_UNREACHABLE, "MAAS has no host %s with id %s", attempt.GetHostName(), attempt.GetHostId())
	}
	return nil, f.noVM(attempt)
}

// GetVM reads one VM.
func (f *Fake) GetVM(_ context.Context, request *lxdprovisionerv1.GetVMRequest) (*lxdprovisionerv1.GetVMResponse, error) {
	return answer(f, "GetVM", request, func(request *lxdprovisionerv1.GetVMRequest) (*lxdprovisionerv1.GetVMResponse, error) {
		m, err := f.present(request.GetAttempt(), request.GetOwner())
		if err != nil {
			return nil, err
		}
		if request.GetOwner() == nil {
			return &lxdprovisionerv1.GetVMResponse{Vm: m.toVM(nil)}, nil
		}
		claimed := m.agent != ""
		return &lxdprovisionerv1.GetVMResponse{Vm: m.toVM(&claimed)}, nil
	})
}

// ListVMs lists VMs by system id; the page token is the last system id of the page before.
func (f *Fake) ListVMs(_ context.Context, request *lxdprovisionerv1.ListVMsRequest) (*lxdprovisionerv1.ListVMsResponse, error) {
	return answer(f, "ListVMs", request, func(request *lxdprovisionerv1.ListVMsRequest) (*lxdprovisionerv1.ListVMsResponse, error) {
		const defaultPage = 500
		size, response := int(orInt(request.GetPageSize(), defaultPage)), &lxdprovisionerv1.ListVMsResponse{}
		slices.SortFunc(f.machines, func(a, b *machine) int { return strings.Compare(a.systemID, b.systemID) })
		for _, m := range f.machines {
			out := m.vm == nil || f.now().Before(m.hiddenUntil) || m.systemID <= request.GetPageToken() || m.agent == "somebody-else" ||
				request.ClusterId != nil && m.owner.GetClusterId() != request.GetClusterId() || request.Zone != nil && m.zone != request.GetZone()
			if out {
				continue
			}
			if len(response.GetVms()) == size {
				response.NextPageToken = response.GetVms()[size-1].GetSystemId()
				break
			}
			response.Vms = append(response.Vms, m.toVM(nil))
		}
		return response, nil
	})
}

// DeleteVM deletes what the attempts made.
func (f *Fake) DeleteVM(_ context.Context, request *lxdprovisionerv1.DeleteVMRequest) (*lxdprovisionerv1.DeleteVMResponse, error) {
	return answer(f, "DeleteVM", request, func(request *lxdprovisionerv1.DeleteVMRequest) (*lxdprovisionerv1.DeleteVMResponse, error) {
		if err := provable(request); err != nil {
			return nil, err
		}
		response := &lxdprovisionerv1.DeleteVMResponse{}
		var waits error
		for _, attempt := range request.GetAttempts() {
			absence, err := f.remove(attempt, request.GetOwner())
			if err != nil {
				waits = cmp.Or(waits, err)
				continue
			}
			response.Absences = append(response.Absences, absence)
		}
		return response, waits
	})
}

// provable refuses a deletion that does not say what is known of the host of an attempt that was sent.
func provable(request *lxdprovisionerv1.DeleteVMRequest) error {
	for _, attempt := range request.GetAttempts() {
		known := slices.ContainsFunc(request.GetHosts(), func(h *lxdprovisionerv1.HostExpectation) bool { return h.GetHostId() == attempt.GetHostId() })
		if attempt.GetSentAt() != nil && !known {
			return invalid(lxdprovisionerv1.Reason_REASON_BAD_REQUEST, "hosts", "the request does not say what is known of host %s", attempt.GetHostId())
		}
	}
	return nil
}

// remove deletes the attempt's VM and proves its absence, or says what it waits for.
func (f *Fake) remove(attempt *lxdprovisionerv1.Attempt, owner *lxdprovisionerv1.Owner) (*lxdprovisionerv1.Absence, error) {
	delete(f.choices, attempt.GetName())
	m := f.find(attempt.GetName())
	mine, strangers := f.ours(attempt, owner)
	if strangers != nil {
		m = nil
	}
	if m == nil && attempt.GetSentAt() == nil && attempt.GetSystemId() == "" {
		return &lxdprovisionerv1.Absence{Name: attempt.GetName(), Proof: lxdprovisionerv1.AbsenceProof_ABSENCE_PROOF_NEVER_SENT}, nil
	}
	h := f.host(attempt.GetHostId())
	if h == nil || h.Name != attempt.GetHostName() || h.offline {
		return nil, Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_HOST_UNREACHABLE, "host %s does not answer", attempt.GetHostName())
	}
	if mine == nil {
		age := f.now().Sub(attempt.GetSentAt().AsTime())
		if m != nil || strangers == nil && !attempt.GetSettled() && attempt.GetSentAt() != nil && age < f.config.SettleAfter {
			return nil, Fault(errorinfo.Busy, lxdprovisionerv1.Reason_REASON_DELETION_IN_PROGRESS, "%s may still appear on host %s", attempt.GetName(), attempt.GetHostName())
		}
		return &lxdprovisionerv1.Absence{Name: attempt.GetName(), Proof: lxdprovisionerv1.AbsenceProof_ABSENCE_PROOF_REFRESHED}, nil
	}
	if mine.locked {
		return nil, Fault(errorinfo.Busy, lxdprovisionerv1.Reason_REASON_MACHINE_LOCKED, "%s is locked", mine.hostname)
	}
	if mine.goneAt.IsZero() {
		mine.goneAt = f.now().Add(f.config.DeleteFor)
		f.wakeAfter(f.config.DeleteFor)
		f.settle()
	}
	if f.now().Before(mine.goneAt) {
		return nil, Fault(errorinfo.Busy, lxdprovisionerv1.Reason_REASON_DELETION_IN_PROGRESS, "%s is being deleted", mine.hostname)
	}
	return &lxdprovisionerv1.Absence{Name: attempt.GetName(), Proof: lxdprovisionerv1.AbsenceProof_ABSENCE_PROOF_REFRESHED}, nil
}
