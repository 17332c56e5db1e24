package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// DeployVM deploys the image on a VM whose claim is proved; it claims, marks and links first where
// that is not done. A VM that failed before it was ever deployed is deleted, and the answer is
// Refused with VM_DEPLOYMENT_FAILED.
func (l *LXD) DeployVM(ctx context.Context, req DeployRequest) (VM, error) {
	if err := checkUserData(req.UserData, l.cfg.Limits.UserDataBytes); err != nil {
		return VM{}, err
	}
	name := req.Attempt.Name
	vm, err := l.deploying.do(ctx, name, func(ctx context.Context) (VM, error) { return l.deploy(ctx, req) })
	if errors.Is(err, errRunsOn) {
		l.owed.note(name, l.cfg.Clock())
		return VM{}, fault.New(fault.Busy, fault.ReasonNotReady, "the deployment of %s is being sent", name).WithRetryAfter(retrySoon)
	}
	return vm, unproved(err)
}

// checkUserData refuses what MAAS would take unseen and the machine would fail on.
func checkUserData(data []byte, limit int) error {
	switch {
	case len(data) == 0:
		return fault.New(fault.Invalid, fault.ReasonBadUserData, "the user data is empty").WithField("user_data")
	case len(data) > limit:
		return fault.New(fault.Invalid, fault.ReasonBadUserData, "the user data has %d bytes, at most %d are taken", len(data), limit).WithField("user_data")
	default:
		return nil
	}
}

func (l *LXD) deploy(ctx context.Context, req DeployRequest) (VM, error) {
	a := req.Attempt
	if m, ok := l.proofs.lately(a.Name, req.Owner); ok {
		if m.Status == inventory.StatusAllocated {
			return l.sendDeploy(ctx, req, m.SystemID)
		}
		if l.owed.take(a.Name) {
			claimed := true
			return l.view(m, &claimed), nil
		}
	}
	m, found, err := l.names.byName(ctx, a.Name)
	if err != nil {
		return VM{}, err
	}
	if !found {
		return VM{}, l.notFound(ctx, a)
	}
	vm, err := l.settle(ctx, ComposeRequest{Attempt: a, Owner: req.Owner, Network: req.Network}, m)
	if err != nil {
		return VM{}, err
	}
	switch vm.Status {
	case inventory.StatusAllocated:
		return l.sendDeploy(ctx, req, vm.SystemID)
	case inventory.StatusDeploying, inventory.StatusDeployed:
		return vm, nil
	default:
		return VM{}, fault.New(fault.Busy, fault.ReasonNotReady, "%s is %s", a.Name, vm.StatusName).WithRetryAfter(retrySoon)
	}
}

// sendDeploy deploys a VM whose claim is proved and whose network is as it should be.
func (l *LXD) sendDeploy(ctx context.Context, req DeployRequest, systemID string) (VM, error) {
	a := req.Attempt
	m, err := l.cfg.MAAS.Deploy(ctx, systemID, Deployment{Image: req.Image, UserData: req.UserData})
	l.proofs.add(a.Name, systemID)
	if err != nil {
		l.watcher.forget(systemID)
		if m, err = afterFailedDeploy(ctx, l.cfg.MAAS, systemID, agentName(a.Name), err); err != nil {
			return VM{}, fmt.Errorf("deploy %s: %w", a.Name, err)
		}
	}
	l.watcher.learn(m)
	l.cfg.Logger.InfoContext(ctx, "Deploying VM", "vm", a.Name, "host", m.HostName, "zone", m.Zone.Name, "systemID", systemID,
		"attempt", a.Number, "image", req.Image.name(), "cores", m.Cores, "memoryMiB", m.MemoryMiB, "maasMachine", req.Owner.maasMachine())
	l.proofs.has(m, req.Owner)
	claimed := true
	return l.view(m, &claimed), nil
}

// afterFailedDeploy reads a machine after a 409, which an earlier call may have caused, or after an
// unknown outcome: a 500 comes also where MAAS deploys. It passes the cause on where nothing deploys.
func afterFailedDeploy(ctx context.Context, claims Claims, systemID, agent string, cause error) (inventory.Machine, error) {
	switch fault.KindOf(cause) {
	case fault.Busy, fault.Unavailable, fault.Internal:
	default:
		return inventory.Machine{}, cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookAfter)
	defer cancel()
	m, err := claims.Claimed(ctx, systemID, agent)
	if err == nil && (m.Status == inventory.StatusDeploying || m.Status == inventory.StatusDeployed) {
		return m, nil
	}
	return inventory.Machine{}, cause
}

// name is the image as MAAS names it.
func (i Image) name() string { return i.OS + "/" + i.Series }
