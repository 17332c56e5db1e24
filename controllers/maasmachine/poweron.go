package maasmachine

import (
	"cmp"
	"context"
	"fmt"
	"time"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// poweredOff is how every message about a machine that is off begins.
const poweredOff = "the machine is deployed and powered off; "

// foundOff says whether MAAS shows a machine that was deployed as off.
func (s *scope) foundOff() bool {
	return s.found.state() == lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYED &&
		s.found.status.GetPower() == lxdprovisionerv1.PowerState_POWER_STATE_OFF
}

// staysOff says why a machine is not switched on; empty where it is.
func (s *scope) staysOff() string {
	switch {
	case s.found.status.GetInMemory():
		return "it runs from memory and is not switched on, since it would come back as another machine"
	case s.owner != nil && (!s.owner.DeletionTimestamp.IsZero() || toBeRemediated(s.owner)):
		return "it is not switched on, since its Machine is being replaced"
	default:
		return ""
	}
}

// toBeRemediated says whether a MachineHealthCheck, or a person, has asked for the Machine to be replaced.
func toBeRemediated(machine *clusterv1.Machine) bool {
	_, asked := machine.Annotations[clusterv1.RemediateMachineAnnotation]
	return asked || conditions.IsFalse(machine, clusterv1.MachineOwnerRemediatedCondition)
}

// powerOn asks for a machine that is off to be switched on, no more often than Delays.PoweringOn: somebody may have
// switched it off on purpose. When it is asked is stored before, so that neither a new leader nor a move asks sooner.
func (r *Reconciler) powerOn(ctx context.Context, s *scope) (step, error) {
	if why := s.staysOff(); why != "" {
		s.waiting = poweredOff + why
		return stopFor(r.Delays.Idle), nil
	}
	if s.record == nil {
		rec, err := r.readRecord(ctx, client.ObjectKeyFromObject(s.machine))
		if err != nil {
			return step{}, err
		}
		s.record = rec
	}
	if !s.record.object.DeletionTimestamp.IsZero() {
		return r.waitForCache(s), nil
	}
	if left := r.powerOnDue(s); left > 0 {
		s.waiting = s.stillOff()
		return stopFor(left), nil
	}
	err := r.annotate(ctx, s.record, func(annotations map[string]string) {
		annotations[infrav1.PowerOnAskedAtAnnotation] = r.Clock().UTC().Format(time.RFC3339)
	})
	if err != nil {
		return step{}, err
	}
	answer, err := r.Provisioner.Region.PowerOnMachine(ctx, &lxdprovisionerv1.PowerOnMachineRequest{SystemId: s.found.systemID, Owner: ownerOf(s)})
	switch out := r.Delays.Of(err); {
	case out.Action != provisioner.Done:
		s.waiting = fmt.Sprintf("%sit was not switched on: %s", poweredOff, cmp.Or(out.Reason, "no reason")+": "+out.Message)
		ctrl.LoggerFrom(ctx).Info("Switching the machine on failed", "systemID", s.found.systemID, "reason", out.Reason, "answer", out.Message)
	case !answer.GetSent():
		s.found.status = answer.GetStatus()
	default:
		s.waiting = poweredOff + "MAAS was told to switch it on"
		ctrl.LoggerFrom(ctx).Info("Switched the machine on", "systemID", s.found.systemID)
		r.event(s, eventNormal, "PoweredOn", "machine %s was deployed and found off; MAAS was told to switch it on", s.found.systemID)
	}
	return stopFor(r.Delays.PoweringOn), nil
}

// powerOnDue is how long the machine is not to be switched on again. A time that cannot be read, or is yet to come,
// counts as long ago.
func (r *Reconciler) powerOnDue(s *scope) time.Duration {
	asked, err := time.Parse(time.RFC3339, s.record.object.Annotations[infrav1.PowerOnAskedAtAnnotation])
	if err != nil || asked.After(r.Clock()) {
		return 0
	}
	return r.Delays.PoweringOn - r.Clock().Sub(asked)
}

// stillOff is what the condition has said since MAAS was asked.
func (s *scope) stillOff() string {
	if c := conditions.Get(s.machine, infrav1.MachineDeployedCondition); c != nil && c.Reason == infrav1.MachinePoweredOffReason {
		return c.Message
	}
	return poweredOff + "MAAS was asked to switch it on a moment ago"
}
