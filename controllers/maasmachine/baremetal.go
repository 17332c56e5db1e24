package maasmachine

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// agentNamePrefix marks a machine in MAAS as held by this provider.
const agentNamePrefix = "capmaas/"

// agentNameOf is the name under which the object's physical machine is held.
func agentNameOf(m *infrav1.MaasMachine) string {
	return agentNamePrefix + dnsLabel(m.Name) + "-" + shortHash(string(m.UID))
}

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
	begun := rec.object.Annotations[infrav1.BareMetalAgentNameAnnotation] != ""
	if next, err := r.takeTurn(ctx, s, begun); err != nil || next.stop || begun {
		return next, err
	}
	return proceed, r.storeSending(ctx, s)
}

// storeSending stores the agent name and that an allocation is sent under it, before it is.
func (r *Reconciler) storeSending(ctx context.Context, s *scope) error {
	clusterID := clusterIDOf(s)
	err := r.annotate(ctx, s.record, func(annotations map[string]string) {
		if annotations[infrav1.BareMetalAgentNameAnnotation] == "" {
			annotations[infrav1.BareMetalAgentNameAnnotation] = agentNameOf(s.machine)
		}
		annotations[infrav1.BareMetalSentAtAnnotation] = r.Clock().UTC().Format(time.RFC3339)
		annotations[infrav1.ClusterIDAnnotation] = clusterID
	})
	s.justSent = err == nil
	return err
}

// storeSettled stores that the outcome of the allocation is known, and since when a machine is held.
func (r *Reconciler) storeSettled(ctx context.Context, s *scope, held bool) error {
	if s.record.object.Annotations[infrav1.BareMetalSentAtAnnotation] == "" {
		return nil
	}
	return r.annotate(ctx, s.record, func(annotations map[string]string) {
		delete(annotations, infrav1.BareMetalSentAtAnnotation)
		if held {
			annotations[infrav1.BareMetalAllocatedAtAnnotation] = r.Clock().UTC().Format(time.RFC3339)
		}
	})
}

// allocationSentAt is when an allocation was sent whose outcome is not known; nil where there is none. A time that cannot
// be read counts as this moment, which only makes us wait.
func (r *Reconciler) allocationSentAt(s *scope) *timestamppb.Timestamp {
	text := s.record.object.Annotations[infrav1.BareMetalSentAtAnnotation]
	if text == "" {
		return nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		at = r.Clock()
	}
	return timestamppb.New(at)
}

func (s *scope) machineRef() *lxdprovisionerv1.MachineRef {
	from := s.machine
	if s.record != nil {
		from = s.record.object
	}
	ref := &lxdprovisionerv1.MachineRef{AgentName: from.Annotations[infrav1.BareMetalAgentNameAnnotation]}
	switch {
	case s.found != nil:
		ref.SystemId = s.found.systemID
	case from.Spec.SystemID != nil:
		ref.SystemId = *from.Spec.SystemID
	}
	return ref
}

// allocateMachine finds the machine that is held under the agent name, or takes one. An allocation is sent only on the
// call that follows the store of its time; on every other call it is looked for, because MAAS takes a second machine for
// the same request (docs/protocol-coverage.md 3.9).
func (r *Reconciler) allocateMachine(ctx context.Context, s *scope) (step, error) {
	if !s.justSent {
		if next, err := r.findHeld(ctx, s); err != nil || next.stop || s.found != nil {
			return next, err
		}
	}
	machine, out := r.callAllocate(ctx, s)
	if out.Absent && !s.justSent {
		if err := r.storeSending(ctx, s); err != nil {
			return step{}, err
		}
		machine, out = r.callAllocate(ctx, s)
	}
	if out.Action == provisioner.Done || nothingHeld(out) {
		if err := r.storeSettled(ctx, s, out.Action == provisioner.Done); err != nil {
			return step{}, err
		}
	}
	if out.Action != provisioner.Done {
		return r.stopped(ctx, s, stageCompose, r.nothingElse(out)), nil
	}
	s.found = foundMachine(machine)
	ctrl.LoggerFrom(ctx).Info("Allocated a machine", "systemID", s.found.systemID, "zone", s.found.zone)
	r.event(s, eventNormal, "Allocated", "machine %s is allocated", s.found.systemID)
	return proceed, nil
}

// findHeld looks for the machine that is held under the agent name. Where there is none and no allocation is on its way, the
// next one's time is stored.
func (r *Reconciler) findHeld(ctx context.Context, s *scope) (step, error) {
	answer, err := r.Provisioner.Metal.GetMachine(ctx, &lxdprovisionerv1.GetMachineRequest{Machine: s.machineRef()})
	switch out := r.Delays.Of(err); {
	case out.Action == provisioner.Done:
		s.found = foundMachine(answer.GetMachine())
		return proceed, r.storeSettled(ctx, s, true)
	case !out.Absent:
		return r.stopped(ctx, s, stageCompose, out), nil
	case r.allocationSentAt(s) == nil:
		return proceed, r.storeSending(ctx, s)
	default:
		return proceed, nil
	}
}

// callAllocate calls AllocateMachine: without sent_at on the very call that follows its store, so that it is sent, and with
// it on every other.
func (r *Reconciler) callAllocate(ctx context.Context, s *scope) (*lxdprovisionerv1.Machine, provisioner.Outcome) {
	sentAt := r.allocationSentAt(s)
	if s.justSent {
		sentAt = nil
	}
	answer, err := r.Provisioner.Metal.AllocateMachine(ctx, &lxdprovisionerv1.AllocateMachineRequest{
		Machine: s.machineRef(), Owner: ownerOf(s), SentAt: sentAt,
		Constraints: constraintsOf(&s.machine.Spec, zoneOf(s.owner, &s.machine.Spec)),
	})
	return answer.GetMachine(), r.Delays.Of(err)
}

// nothingHeld says whether the service's answer means that no machine was taken, so that another allocation may be sent.
// A refused key doesn't: it may have been refused when the machine that was taken was to be marked.
func nothingHeld(out provisioner.Outcome) bool {
	switch errorinfo.ReasonOf(out.Reason) {
	case lxdprovisionerv1.Reason_REASON_MAAS_KEY_REFUSED, lxdprovisionerv1.Reason_REASON_MAAS_RIGHTS_MISSING:
		return false
	case lxdprovisionerv1.Reason_REASON_NO_MACHINE_AVAILABLE, lxdprovisionerv1.Reason_REASON_MAAS_BUSY,
		lxdprovisionerv1.Reason_REASON_TOO_MANY_IN_FLIGHT:
		return true
	default:
		return out.Action == provisioner.Blocked && !out.Absent
	}
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
	request := metalDeploymentOf(&s.machine.Spec)
	request.Machine, request.Owner, request.UserData = s.machineRef(), ownerOf(s), s.userData
	answer, err := r.Provisioner.Metal.DeployMachine(ctx, request)
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
