package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

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
		// MAAS deploys a Ready machine for whoever asks (protocol.md 3.1), and another replica may have
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

// ReleaseMachine aborts what runs and releases every machine that is held under the agent name. Success
// means that MAAS holds none any more; while MAAS releases the machine of the system id it is Busy.
func (b *BareMetal) ReleaseMachine(ctx context.Context, req ReleaseRequest) error {
	_, err := b.releasing.do(ctx, req.Machine.AgentName, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.release(ctx, req)
	})
	if errors.Is(err, errRunsOn) {
		return fault.New(fault.Busy, fault.ReasonDeletionInProgress, "%s is being released", req.Machine.AgentName).WithRetryAfter(retrySoon)
	}
	return err
}

func (b *BareMetal) release(ctx context.Context, req ReleaseRequest) error {
	// An allocation that runs would be left behind, and a deployment that runs would deploy the freed
	// machine. One that comes later sees that the release runs.
	_, _, _ = b.allocating.join(ctx, req.Machine.AgentName)
	_, _, _ = b.deploying.join(ctx, req.Machine.AgentName)
	found, err := b.held(ctx, req.Machine.AgentName)
	if err != nil {
		return err
	}
	if len(found) == 0 && !req.SentAt.IsZero() {
		if age, young := b.mayAppear(req.SentAt); young {
			return fault.New(fault.Busy, fault.ReasonDeletionInProgress, "an allocation as %s was sent %s ago and may still appear", req.Machine.AgentName, age).
				WithRetryAfter(retrySoon)
		}
	}
	var failures []error
	for _, m := range found {
		if err := b.releaseOne(ctx, req, m); err != nil {
			failures = append(failures, err)
		}
	}
	if len(failures) > 0 {
		return failures[0]
	}
	return b.verifyReleased(ctx, req)
}

// verifyReleased reads the machine that is being given back, where its system id is known: MAAS forgets the agent name when
// a release begins and the owner only when it has ended, and a release that fails keeps the machine.
func (b *BareMetal) verifyReleased(ctx context.Context, req ReleaseRequest) error {
	if req.Machine.SystemID == "" {
		return nil
	}
	m, err := b.cfg.MAAS.Machine(ctx, req.Machine.SystemID)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("see whether %s is released: %w", req.Machine.SystemID, err)
	}
	if mark := ownerOf(m); m.Owner == "" || mark == nil || !mark.same(req.Owner) {
		return nil
	}
	switch m.Status {
	case inventory.StatusFailedReleasing, inventory.StatusFailedDiskErasing:
		if err := b.releaseOne(ctx, req, m); err != nil {
			return err
		}
		return fault.New(fault.Busy, fault.ReasonDeletionInProgress, "%s failed to be released (%s) and is released once more", m.SystemID, m.StatusName).
			WithRetryAfter(releaseLook)
	case inventory.StatusReleasing, inventory.StatusDiskErasing:
		return fault.New(fault.Busy, fault.ReasonDeletionInProgress, "%s is %s", m.SystemID, m.StatusName).WithRetryAfter(retrySoon)
	default:
		return nil
	}
}

// releaseLook is the wait after a release that failed: MAAS gives one five minutes, and the cause is seldom gone at once.
const releaseLook = time.Minute

func (b *BareMetal) releaseOne(ctx context.Context, req ReleaseRequest, m inventory.Machine) error {
	if m.Locked {
		return fault.New(fault.Busy, fault.ReasonMachineLocked, "%s is locked in MAAS; unlock it to let it be released", m.SystemID)
	}
	comment := "released for " + req.Owner.maasMachine()
	switch m.Status {
	case inventory.StatusReleasing, inventory.StatusDiskErasing:
		return nil
	case inventory.StatusCommissioning, inventory.StatusTesting:
		if err := b.cfg.MAAS.Abort(ctx, m.SystemID, comment); err != nil {
			return fmt.Errorf("abort %s: %w", m.SystemID, err)
		}
		return fault.New(fault.Busy, fault.ReasonDeletionInProgress, "%s was %s, which was aborted", m.SystemID, m.StatusName).WithRetryAfter(retrySoon)
	default:
	}
	if _, err := b.cfg.MAAS.Release(ctx, m.SystemID, comment); err != nil {
		return fmt.Errorf("release %s: %w", m.SystemID, err)
	}
	b.watcher.forget(m.SystemID)
	b.cfg.Logger.InfoContext(ctx, "Released machine", "systemID", m.SystemID, "zone", m.Zone.Name, "maasMachine", req.Owner.maasMachine())
	return nil
}
