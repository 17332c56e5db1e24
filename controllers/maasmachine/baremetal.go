package maasmachine

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// agentNamePrefix marks a machine in MAAS as held by this provider.
const agentNamePrefix = "capmaas/"

// ensureAgentName stores the name under which the machine will be held before anything is held under it. It comes from
// the UID, which changes when the object is moved: so it is stored rather than computed again.
func (r *Reconciler) ensureAgentName(ctx context.Context, s *scope) (step, error) {
	rec, err := r.readRecord(ctx, client.ObjectKeyFromObject(s.machine))
	if err != nil {
		return step{}, err
	}
	s.record = rec
	if wasDeployed(rec.object) {
		return r.waitForCache(s), nil
	}
	if rec.object.Annotations[infrav1.BareMetalAgentNameAnnotation] != "" {
		return proceed, nil
	}
	clusterID := clusterIDOf(s)
	err = r.annotate(ctx, rec, func(annotations map[string]string) {
		annotations[infrav1.BareMetalAgentNameAnnotation] = agentNamePrefix + dnsLabel(s.machine.Name) + "-" + shortHash(string(s.machine.UID))
		annotations[infrav1.ClusterIDAnnotation] = clusterID
	})
	s.justSent = err == nil
	return proceed, err
}

func (s *scope) machineRef() *lxdprovisionerv1.MachineRef {
	from := s.machine
	if s.record != nil {
		from = s.record.object
	}
	ref := &lxdprovisionerv1.MachineRef{AgentName: from.Annotations[infrav1.BareMetalAgentNameAnnotation]}
	if s.found != nil {
		ref.SystemId = s.found.systemID
	}
	return ref
}

// allocateMachine finds the machine that is held under the agent name, or takes one. Only the very first call, which
// follows the store of the name, may assume that nothing is held yet.
func (r *Reconciler) allocateMachine(ctx context.Context, s *scope) (step, error) {
	if !s.justSent {
		answer, err := r.Provisioner.Metal.GetMachine(ctx, &lxdprovisionerv1.GetMachineRequest{Machine: s.machineRef()})
		if out := r.Delays.Of(err); out.Action == provisioner.Done {
			s.found = foundMachine(answer.GetMachine())
			return proceed, nil
		} else if !out.Absent {
			return r.stopped(ctx, s, stageCompose, out), nil
		}
	}
	answer, err := r.Provisioner.Metal.AllocateMachine(ctx, &lxdprovisionerv1.AllocateMachineRequest{
		Machine: s.machineRef(), Owner: ownerOf(s), SentBefore: !s.justSent,
		Constraints: constraintsOf(&s.machine.Spec, zoneOf(s.owner, &s.machine.Spec)),
	})
	if out := r.Delays.Of(err); out.Action != provisioner.Done {
		return r.stopped(ctx, s, stageCompose, r.nothingElse(out)), nil
	}
	s.found = foundMachine(answer.GetMachine())
	ctrl.LoggerFrom(ctx).Info("Allocated a machine", "systemID", s.found.systemID, "zone", s.found.zone)
	r.event(s, eventNormal, "Allocated", "machine %s is allocated", s.found.systemID)
	return proceed, nil
}

// deployMachine follows the machine until it is deployed, and says deploy once.
func (r *Reconciler) deployMachine(ctx context.Context, s *scope) (step, error) {
	switch s.found.state() {
	case lxdprovisionerv1.MachineState_MACHINE_STATE_READY, lxdprovisionerv1.MachineState_MACHINE_STATE_ALLOCATED:
	case lxdprovisionerv1.MachineState_MACHINE_STATE_FAILED, lxdprovisionerv1.MachineState_MACHINE_STATE_BROKEN:
		return r.stopped(ctx, s, stageDeploy, r.refusal(lxdprovisionerv1.Reason_REASON_DEPLOYMENT_REFUSED,
			maasSays(s.found.status)+"; delete the Machine to have another one taken")), nil
	default:
		return r.follow(s, stageDeploy), nil
	}
	answer, err := r.Provisioner.Metal.DeployMachine(ctx, &lxdprovisionerv1.DeployMachineRequest{
		Machine: s.machineRef(), Owner: ownerOf(s), Image: imageOf(&s.machine.Spec), UserData: s.userData,
		InMemory: s.machine.Spec.DeployInMemory,
	})
	if out := r.Delays.Of(err); out.Action != provisioner.Done {
		return r.stopped(ctx, s, stageDeploy, r.nothingElse(out)), nil
	}
	s.found = foundMachine(answer.GetMachine())
	ctrl.LoggerFrom(ctx).Info("Deploying a machine", "systemID", s.found.systemID)
	return r.follow(s, stageDeploy), nil
}

// nothingElse turns NextAttempt into a growing wait: bare metal has one name, and MAAS chooses the machine.
func (r *Reconciler) nothingElse(out provisioner.Outcome) provisioner.Outcome {
	if out.Action == provisioner.NextAttempt {
		out.Action, out.Delay = provisioner.Retry, 0
	}
	return out
}
