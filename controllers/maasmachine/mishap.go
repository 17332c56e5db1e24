package maasmachine

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// troubled are the reasons of MachineDeployed that somebody should hear of.
var troubled = []string{
	infrav1.MachineDeployFailedReason, infrav1.OverdueReason, infrav1.VMMissingReason, infrav1.MachineTerminatedReason,
	infrav1.MachinePoweredOffReason, infrav1.MachineStateUndefinedReason, infrav1.HostLostReason, infrav1.NodeProviderIDMismatchReason,
}

// inProvisioning is all that comes before phaseRunning, where a mishap is counted.
const inProvisioning = "provisioning"

// tellMishap records an event and counts where the machine has come into trouble since the last reconcile. before is the
// reason of MachineDeployed that stood until now.
func (r *Reconciler) tellMishap(s *scope, before string, deployed metav1.Condition) {
	if deployed.Reason == before || !slices.Contains(troubled, deployed.Reason) {
		return
	}
	phase := inProvisioning
	if s.stage == stageRunning {
		phase = phaseRunning
	}
	mishaps.WithLabelValues(deployed.Reason, phase).Inc()
	r.event(s, eventWarning, deployed.Reason, "%s", deployed.Message)
}
