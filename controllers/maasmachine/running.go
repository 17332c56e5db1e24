package maasmachine

import (
	"context"
	"fmt"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/cluster-api/util/conditions"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// reconcileRunning looks after a machine that was deployed. It only reads: from here on nothing is made, deployed or
// replaced, whatever became of the machine, because Cluster API decides that.
func (r *Reconciler) reconcileRunning(ctx context.Context, s *scope) (step, error) {
	s.stage = stageRunning
	all, err := attemptsOf(s.machine)
	if err != nil {
		return step{}, err
	}
	s.current = all.current()
	if unknown := s.untracked(); unknown != "" {
		return r.stopped(ctx, s, stageRunning, r.refusal(lxdprovisionerv1.Reason_REASON_NOT_SUPPORTED, unknown)), nil
	}
	s.found, err = r.read(ctx, s)
	out := r.Delays.Of(err)
	switch {
	case out.Action == provisioner.Done:
		r.Backoff.Succeed(s.machine.UID)
	case out.Absent:
		s.absent = true
		return r.stopped(ctx, s, stageRunning, out), nil
	default:
		next := r.stopped(ctx, s, stageRunning, out)
		// A MAAS that does not answer says nothing about the machine: what is known of it stands, and the MaasCluster's
		// condition tells of the outage. A host that is not there is one machine's own affair.
		s.keepStatus = !s.hostLost() && conditions.Has(s.machine, infrav1.MachineDeployedCondition)
		return next, nil
	}
	if next, err := r.reconcileNode(ctx, s); err != nil || next.stop {
		return next, err
	}
	return stopFor(r.Delays.Idle), nil
}

// untracked says why nothing can be asked about the machine: it was made by a provider that stored no attempt.
func (s *scope) untracked() string {
	var missing string
	switch {
	case s.isVM() && s.current == nil:
		missing = infrav1.ComposeAttemptsAnnotation
	case !s.isVM() && s.machineRef().GetAgentName() == "":
		missing = infrav1.BareMetalAgentNameAnnotation
	default:
		return ""
	}
	return fmt.Sprintf("machine %s was not made by this provider: the annotation %s is missing",
		ptr.Deref(s.machine.Spec.SystemID, s.machine.Annotations[infrav1.VMNameAnnotation]), missing)
}

// mayBeTheirs says whether the existing provider may have made something for the object: it stores a VM's name before it
// composes, and the system id when it has.
func mayBeTheirs(m *infrav1.MaasMachine) bool {
	return wasDeployed(m) || m.Spec.SystemID != nil || m.Spec.Mode() == infrav1.ModeLXD && m.Annotations[infrav1.VMNameAnnotation] != ""
}

// read asks for the machine as it is.
func (r *Reconciler) read(ctx context.Context, s *scope) (*found, error) {
	if !s.isVM() {
		answer, err := r.Provisioner.Metal.GetMachine(ctx, &lxdprovisionerv1.GetMachineRequest{Machine: s.machineRef()})
		if err != nil {
			return nil, err
		}
		return foundMachine(answer.GetMachine()), nil
	}
	answer, err := r.Provisioner.VMs.GetVM(ctx, &lxdprovisionerv1.GetVMRequest{Attempt: s.current.proto(), Owner: ownerOf(s)})
	if err != nil {
		return nil, err
	}
	return foundVM(answer.GetVm()), nil
}
