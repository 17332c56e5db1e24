package maasmachine

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/cluster-api/util/conditions"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// checkOverdue notes where MAAS takes longer over a phase than it should, and else looks again when it does. Nothing is done
// about it: MAAS has time-outs of its own, after which the machine fails, and Cluster API those of a MachineHealthCheck.
func (r *Reconciler) checkOverdue(s *scope, next step) step {
	since, limit, doing := r.phase(s)
	if since.IsZero() {
		return next
	}
	if left := limit - r.Clock().Sub(since); left > 0 {
		if next.after == 0 || left < next.after {
			next.after = left
		}
		return next
	}
	s.overdue = fmt.Sprintf("; %s since %s, longer than %s: look at the events and the console of %s in MAAS",
		doing, since.UTC().Format(time.RFC3339), limit, s.calledInMAAS())
	return next
}

// phase is since when MAAS has been at what it is doing, and how long that should take; zero where it is doing nothing.
func (r *Reconciler) phase(s *scope) (since time.Time, limit time.Duration, doing string) {
	switch {
	case s.isVM() && s.stage == stageCompose && s.current != nil && !s.current.GivenUp && s.current.SentAt != nil:
		return s.current.SentAt.Time, r.Delays.Composing, "the VM is being made"
	case s.isVM() && s.stage == stageDeploy && s.current != nil && !s.current.GivenUp:
		// The VM is there from the moment at which the condition became True; a deployment follows at once.
		created := conditions.Get(s.machine, infrav1.LXDVMCreatedCondition)
		if created == nil || created.Status != metav1.ConditionTrue {
			return time.Time{}, 0, ""
		}
		return created.LastTransitionTime.Time, r.Delays.Deploying, "the VM is being deployed"
	case !s.isVM() && s.stage == stageDeploy && s.record != nil:
		allocated, err := time.Parse(time.RFC3339, s.record.object.Annotations[infrav1.BareMetalAllocatedAtAnnotation])
		if err != nil {
			return time.Time{}, 0, ""
		}
		return allocated, r.Delays.Deploying, "the machine is being deployed"
	default:
		return time.Time{}, 0, ""
	}
}

// calledInMAAS is the name under which the machine is found in MAAS.
func (s *scope) calledInMAAS() string {
	switch {
	case s.found != nil && s.found.systemID != "":
		return fmt.Sprintf("%s (system id %s)", s.found.status.GetHostname(), s.found.systemID)
	case s.current != nil:
		return fmt.Sprintf("%s on host %s", s.current.Name, s.current.HostName)
	default:
		return "the machine"
	}
}
