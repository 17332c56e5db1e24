package maasmachine

import (
	"context"

	"sigs.k8s.io/cluster-api/util/conditions"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// reconcileRunning looks after a machine that was deployed. From here on nothing is made, deployed or
// replaced, whatever became of the machine, because Cluster API decides that; one that is off is switched on.
func (r *Reconciler) reconcileRunning(ctx context.Context, s *scope) (step, error) {
	s.stage = stageRunning
	all, err := attemptsOf(s.machine)
	if err != nil {
		return step{}, err
	}
	s.current = all.current()
	if s.untracked() {
		if next, err := r.takeOverRunning(ctx, s); err != nil || next.stop {
			return next, err
		}
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
	if s.foundOff() {
		return r.powerOn(ctx, s)
	}
	if next, err := r.reconcileNode(ctx, s); err != nil || next.stop {
		return next, err
	}
	return stopFor(r.Delays.Idle), nil
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
