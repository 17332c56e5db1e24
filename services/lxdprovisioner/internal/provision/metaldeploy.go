package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// DeployMachine deploys a machine that is allocated under the agent name. Where MAAS deploys already,
// or has deployed, that is success.
func (b *BareMetal) DeployMachine(ctx context.Context, req DeployMachineRequest) (BareMetalMachine, error) {
	if err := checkUserData(req.UserData, b.cfg.Limits.UserDataBytes); err != nil {
		return BareMetalMachine{}, err
	}
	agent := req.Machine.AgentName
	m, err := b.deploying.do(ctx, agent, func(ctx context.Context) (BareMetalMachine, error) { return b.deploy(ctx, req) })
	if errors.Is(err, errRunsOn) {
		return m, fault.New(fault.Busy, fault.ReasonNotReady, "the deployment of %s is being sent", req.Machine.SystemID).WithRetryAfter(retrySoon)
	}
	return m, err
}

func (b *BareMetal) deploy(ctx context.Context, req DeployMachineRequest) (BareMetalMachine, error) {
	if b.releasing.runs(req.Machine.AgentName) {
		return BareMetalMachine{}, fault.New(fault.Busy, fault.ReasonNotReady, "%s is being released", req.Machine.SystemID).WithRetryAfter(retrySoon)
	}
	m, err := b.claimed(ctx, req.Machine)
	if err != nil {
		return BareMetalMachine{}, err
	}
	switch m.Status {
	case inventory.StatusAllocated:
	case inventory.StatusDeploying, inventory.StatusDeployed:
		return b.mark(ctx, req.Owner, m)
	case inventory.StatusFailedDeployment:
		return BareMetalMachine{}, fault.New(fault.Refused, fault.ReasonVMDeploymentFailed, "%s failed to deploy: %s", m.SystemID, m.Message)
	default:
		return BareMetalMachine{}, fault.New(fault.Busy, fault.ReasonNotReady, "%s is %s", m.SystemID, m.StatusName).WithRetryAfter(retrySoon)
	}
	if _, err := b.mark(ctx, req.Owner, m); err != nil {
		return BareMetalMachine{}, err
	}
	if !req.KeepSwap {
		if err := b.cfg.MAAS.DisableSwap(ctx, m.SystemID); err != nil {
			return BareMetalMachine{}, fmt.Errorf("set the swap of %s to none: %w", m.SystemID, err)
		}
		// MAAS deploys a Ready machine for whoever asks (docs/protocol-coverage.md 3.1), and another replica may have
		// released this one meanwhile.
		if m, err = b.claimed(ctx, req.Machine); err != nil {
			return BareMetalMachine{}, err
		}
		if m.Status != inventory.StatusAllocated {
			return BareMetalMachine{}, fault.New(fault.Busy, fault.ReasonNotReady, "%s has become %s", m.SystemID, m.StatusName).WithRetryAfter(retrySoon)
		}
	}
	return b.sendDeploy(ctx, req, m.SystemID)
}

func (b *BareMetal) sendDeploy(ctx context.Context, req DeployMachineRequest, systemID string) (BareMetalMachine, error) {
	m, err := b.cfg.MAAS.Deploy(ctx, systemID, Deployment{Image: req.Image, UserData: req.UserData, InMemory: req.InMemory})
	if err != nil {
		if m, err = afterFailedDeploy(ctx, b.cfg.MAAS, systemID, req.Machine.AgentName, err); err != nil {
			return BareMetalMachine{}, fmt.Errorf("deploy %s: %w", systemID, err)
		}
	}
	b.watcher.forget(systemID)
	b.cfg.Logger.InfoContext(ctx, "Deploying machine", "systemID", systemID, "zone", m.Zone.Name, "image", req.Image.name(),
		"inMemory", req.InMemory, "maasMachine", req.Owner.maasMachine())
	return metal(m), nil
}

// claimed proves that the machine is allocated under the agent name. NotFound where MAAS has no such
// machine, Conflict where it is somebody else's.
func (b *BareMetal) claimed(ctx context.Context, ref MachineRef) (inventory.Machine, error) {
	if ref.SystemID == "" {
		return inventory.Machine{}, fault.New(fault.Invalid, fault.ReasonBadRequest, "the machine has no system id").WithField("machine.system_id")
	}
	m, err := b.cfg.MAAS.Claimed(ctx, ref.SystemID, ref.AgentName)
	if err == nil || !fault.Is(err, fault.NotFound) {
		return m, err
	}
	if m, err = b.cfg.MAAS.Machine(ctx, ref.SystemID); err != nil {
		return m, err
	}
	return m, fault.New(fault.Conflict, fault.ReasonNameTaken, "%s is %s and not allocated as %s; owner %q", m.SystemID, m.StatusName, ref.AgentName, m.Owner)
}
