package maasmachine

import corev1 "k8s.io/api/core/v1"

const (
	eventNormal  = corev1.EventTypeNormal
	eventWarning = corev1.EventTypeWarning
)

// event records an event on the MaasMachine. What it says is the same word for word when it happens again, so that the
// API server counts it instead of keeping many.
func (r *Reconciler) event(s *scope, kind, reason, note string, args ...any) {
	if r.Recorder != nil {
		r.Recorder.Eventf(s.machine, nil, kind, reason, reason, note, args...)
	}
}
