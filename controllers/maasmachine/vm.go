package maasmachine

import (
	"context"
	"fmt"
	"slices"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// composeVM makes the VM of the current attempt, or finds it. An attempt that is settled has been seen: nothing is sent
// for it any more.
func (r *Reconciler) composeVM(ctx context.Context, s *scope) (step, error) {
	if s.current.Settled {
		return proceed, nil
	}
	network, next := r.networkFor(ctx, s, stageCompose)
	if next.stop {
		return next, nil
	}
	vm, err := r.sendCompose(ctx, s, network)
	out := r.Delays.Of(err)
	if out.Absent && !s.justSent {
		if s.current.Resent >= mostResent {
			return r.giveUp(ctx, s, stageCompose, r.Delays.NextAttempt(lxdprovisionerv1.Reason_REASON_VM_COMPOSITION_FAILED,
				fmt.Sprintf("sent %d times, and MAAS shows no VM", mostResent+1)))
		}
		// MAAS has no such VM, and what was sent is over: the time of sending is stored anew and it is sent again.
		if err := r.resend(ctx, s); err != nil {
			return step{}, err
		}
		vm, err = r.sendCompose(ctx, s, network)
		out = r.Delays.Of(err)
	}
	switch out.Action {
	case provisioner.Done:
		s.found = foundVM(vm)
		return proceed, r.settle(ctx, s, vm.GetSystemId())
	case provisioner.NextAttempt:
		return r.giveUp(ctx, s, stageCompose, out)
	case provisioner.Wait, provisioner.Retry, provisioner.Blocked:
	}
	return r.stopped(ctx, s, stageCompose, out), nil
}

// sendCompose calls ComposeVM: without sentAt on the very call that follows its store, so that it is sent, and with it on
// every other, so that the VM is only looked for.
func (r *Reconciler) sendCompose(ctx context.Context, s *scope, network *lxdprovisionerv1.VMNetwork) (*lxdprovisionerv1.VM, error) {
	sent := s.current.proto()
	if s.justSent {
		sent.SentAt = nil
	}
	answer, err := r.Provisioner.VMs.ComposeVM(ctx, &lxdprovisionerv1.ComposeVMRequest{
		Attempt: sent, Owner: ownerOf(s), Resources: resourcesOf(&s.machine.Spec), Network: network,
		GroupKey: groupOf(clusterIDOf(s), s.machine.Labels, s.owner.Labels),
	})
	return answer.GetVm(), err
}

// resend lets the attempt be sent once more. The service says early that MAAS shows nothing only where it knows that nothing was
// sent: that is no sending which may have left something, and uses up none of the attempt. Early is well before it would say so of
// any attempt, after 150 s, since its clock may be another one.
func (r *Reconciler) resend(ctx context.Context, s *scope) error {
	err := r.change(ctx, s, func(a *attempt) {
		if r.Clock().Sub(a.SentAt.Time) >= r.Delays.InFlight/2 {
			a.Resent++
		}
		a.SentAt = now(r.Clock)
	})
	s.justSent = err == nil
	return err
}

// settle notes that the VM was seen.
func (r *Reconciler) settle(ctx context.Context, s *scope, systemID string) error {
	if err := r.change(ctx, s, func(a *attempt) { a.SystemID, a.Settled = systemID, true }); err != nil {
		return err
	}
	resources := s.found.resources
	ctrl.LoggerFrom(ctx).Info("Composed a VM", "vm", s.current.Name, "host", s.current.HostName, "systemID", systemID,
		"zone", s.found.zone, "cores", resources.GetCores(), "memoryMiB", resources.GetMemoryMib(), "attempt", s.current.Number)
	r.event(s, eventNormal, "Composed", "VM %s is made on host %s", s.current.Name, s.current.HostName)
	return nil
}

// change stores the attempts with the current one changed.
func (r *Reconciler) change(ctx context.Context, s *scope, edit func(*attempt)) error {
	all := slices.Clone(s.record.attempts)
	edit(all.current())
	if err := r.store(ctx, s.record, all, clusterIDOf(s)); err != nil {
		return err
	}
	s.current = s.record.attempts.current()
	return nil
}

// giveUp ends the current attempt; the next reconcile opens another on another host. A VM that was seen, be it by the service
// alone, counts as unsettled again until it is proved to be gone.
func (r *Reconciler) giveUp(ctx context.Context, s *scope, at stage, out provisioner.Outcome) (step, error) {
	err := r.change(ctx, s, func(a *attempt) {
		a.GivenUp, a.Settled = true, false
		if a.SystemID == "" {
			a.SystemID = out.Left
		}
		a.Yielded = out.Is(lxdprovisionerv1.Reason_REASON_HOST_OVERCOMMITTED)
	})
	if err != nil {
		return step{}, err
	}
	givenUp.WithLabelValues(out.Reason).Inc()
	r.event(s, eventWarning, "AttemptGivenUp", "attempt %d on host %s: %s: %s", s.current.Number, s.current.HostName, out.Reason, out.Message)
	return r.stopped(ctx, s, at, out), nil
}

// removeGivenUp removes, with proof, what attempts that were given up have left behind. Only VMs that were seen or may be
// there unseen are waited for; a machine with a fixed address waits for all, because two VMs cannot hold it, and so does one with very many
// attempts, which are forgotten then.
func (r *Reconciler) removeGivenUp(ctx context.Context, s *scope) (step, error) {
	every := s.machine.Spec.StaticIPConfig() != nil || len(s.record.attempts) >= mostAttempts
	var left attempts
	for _, a := range s.record.attempts {
		if !a.Settled && (a.leftBehind() || a.GivenUp && every) {
			left = append(left, a)
		}
	}
	if len(left) == 0 {
		return proceed, nil
	}
	if out, err := r.deleteVMs(ctx, s, left); err != nil {
		return step{}, err
	} else if out.Action != provisioner.Done {
		return r.stopped(ctx, s, stageCompose, s.waitingForDeletion(out, left, r.Delays.HostLost)), nil
	}
	all := slices.Clone(s.record.attempts)
	for i := range all {
		if all[i].leftBehind() || all[i].GivenUp && every {
			all[i].Settled = true
		}
	}
	if len(all) >= mostAttempts {
		all = all.forgetful()
	}
	if err := r.store(ctx, s.record, all, clusterIDOf(s)); err != nil {
		return step{}, err
	}
	s.current = s.record.attempts.current()
	return proceed, nil
}

// deployVM follows the VM until it is deployed, and says deploy once it may be.
func (r *Reconciler) deployVM(ctx context.Context, s *scope) (step, error) {
	if s.found == nil {
		answer, err := r.Provisioner.VMs.GetVM(ctx, &lxdprovisionerv1.GetVMRequest{Attempt: s.current.proto(), Owner: ownerOf(s)})
		if out := r.Delays.Of(err); out.Absent {
			return r.giveUp(ctx, s, stageDeploy, neverDeployed(out.Reason, "the VM is gone before it was deployed", r.Delays))
		} else if out.Action != provisioner.Done {
			return r.stopped(ctx, s, stageDeploy, out), nil
		}
		s.found = foundVM(answer.GetVm())
	}
	switch s.found.state() {
	case lxdprovisionerv1.MachineState_MACHINE_STATE_READY, lxdprovisionerv1.MachineState_MACHINE_STATE_ALLOCATED:
		return r.sendDeployVM(ctx, s)
	case lxdprovisionerv1.MachineState_MACHINE_STATE_FAILED, lxdprovisionerv1.MachineState_MACHINE_STATE_BROKEN,
		lxdprovisionerv1.MachineState_MACHINE_STATE_RELEASING:
		return r.giveUp(ctx, s, stageDeploy, neverDeployed("", maasSays(s.found.status), r.Delays))
	default:
		return r.follow(s, stageCompose), nil
	}
}

func (r *Reconciler) sendDeployVM(ctx context.Context, s *scope) (step, error) {
	network, next := r.networkFor(ctx, s, stageDeploy)
	if next.stop {
		return next, nil
	}
	answer, err := r.Provisioner.VMs.DeployVM(ctx, &lxdprovisionerv1.DeployVMRequest{
		Attempt: s.current.proto(), Owner: ownerOf(s), Image: imageOf(&s.machine.Spec), UserData: s.userData, Network: network,
	})
	out := r.Delays.Of(err)
	switch {
	case out.Action == provisioner.Done:
		s.found = foundVM(answer.GetVm())
		ctrl.LoggerFrom(ctx).Info("Deploying a VM", "vm", s.current.Name, "host", s.current.HostName, "systemID", s.found.systemID)
		return r.follow(s, stageDeploy), nil
	case out.Absent || out.Action == provisioner.NextAttempt:
		return r.giveUp(ctx, s, stageDeploy, neverDeployed(out.Reason, out.Message, r.Delays))
	default:
		return r.stopped(ctx, s, stageDeploy, out), nil
	}
}

// follow waits while MAAS is at work, and goes on where it is done. before is the stage of a machine that MAAS has not
// begun to deploy.
func (r *Reconciler) follow(s *scope, before stage) step {
	r.Backoff.Succeed(s.machine.UID)
	switch s.found.state() {
	case lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYED:
		s.stage = stageRunning
		return proceed
	case lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYING:
		s.stage = stageDeploy
	default:
		s.stage = before
	}
	s.waiting = maasSays(s.found.status)
	return stopFor(r.nextLook(s))
}

// neverDeployed is the outcome of a VM that failed before it was ever deployed: it is removed and made anew elsewhere.
func neverDeployed(reason, message string, delays provisioner.Delays) provisioner.Outcome {
	out := delays.NextAttempt(lxdprovisionerv1.Reason_REASON_VM_DEPLOYMENT_FAILED, message)
	if reason != "" {
		out.Reason = reason
	}
	return out
}

// maasSays is MAAS's own word for the state, with its message where it has one.
func maasSays(status *lxdprovisionerv1.MachineStatus) string {
	if status.GetMessage() == "" {
		return "MAAS says " + status.GetMaasStatus()
	}
	return "MAAS says " + status.GetMaasStatus() + ": " + status.GetMessage()
}
