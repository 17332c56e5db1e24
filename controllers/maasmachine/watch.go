package maasmachine

import (
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/machinewatch"
)

// watch follows the machine from what this reconcile saw of it, so that the next change wakes the object. Where nothing
// was seen the last machine stays followed; the machine of an object that goes, or of an attempt that was given up, is
// looked after by the calls that remove it.
func (r *Reconciler) watch(s *scope) {
	key := client.ObjectKeyFromObject(s.machine)
	switch {
	case s.stage >= stageDeleting || s.current != nil && s.current.GivenUp:
		r.Watch.Forget(key)
	case s.found == nil || s.found.systemID == "":
	case s.isVM() && s.current != nil:
		attempt := s.current.proto()
		attempt.SystemId = s.found.systemID
		r.Watch.Follow(machinewatch.Subject{Object: key, VM: attempt, Status: s.found.status})
	case !s.isVM():
		r.Watch.Follow(machinewatch.Subject{Object: key, Machine: s.machineRef(), Status: s.found.status})
	}
}

// heldBack is how long the object waits after a failure. News of a running machine ends the wait, which has grown to minutes
// in an outage: the service, which knows how the machine is, is asked then, and MAAS is not.
func (r *Reconciler) heldBack(m *infrav1.MaasMachine) time.Duration {
	news := r.Watch.News(client.ObjectKeyFromObject(m))
	if isAbandoned(m) || news && wasDeployed(m) && m.DeletionTimestamp.IsZero() {
		return 0
	}
	return r.Backoff.Remaining(m.UID, m.Generation)
}

// nextLook is how long to wait for MAAS before it is asked again: where a stream tells of every change, the look is no
// more than a precaution.
func (r *Reconciler) nextLook(s *scope) time.Duration {
	if r.Watch.Covers(client.ObjectKeyFromObject(s.machine)) {
		return r.Delays.Idle
	}
	return r.Delays.Working
}
