package maascluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/cluster-api/util/patch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/api/records"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/pending"
)

const eventWarning = corev1.EventTypeWarning

// deletingReason stands on what is being deleted.
const deletingReason = "Deleting"

// ownedConditions are the conditions that only this controller writes.
var ownedConditions = []string{
	clusterv1.ReadyCondition, clusterv1.PausedCondition, infrav1.LoadBalancerReadyCondition,
	infrav1.APIServerAvailableCondition, infrav1.ProvisionerAvailableCondition, infrav1.LXDReadyCondition,
	infrav1.DeletionsCompleteCondition, infrav1.FailureDomainsCompleteCondition,
}

// checkRegion asks the provisioner for itself and its MAAS.
func (r *Reconciler) checkRegion(ctx context.Context, s *scope) (time.Duration, error) {
	reason, message := r.Region.Problem(ctx)
	s.region = problem{reason: reason, message: message}
	if !s.region.isZero() {
		return r.Delays.Slow, nil
	}
	return 0, nil
}

// checkAPIServer asks whether the workload cluster is connected. It blocks nothing: the machines come up without it.
func (r *Reconciler) checkAPIServer(ctx context.Context, s *scope) (time.Duration, error) {
	key := client.ObjectKeyFromObject(s.cluster)
	switch _, err := r.ClusterCache.GetReader(ctx, key); {
	case err == nil:
		s.connected = new(true)
	case !errors.Is(err, clustercache.ErrClusterNotConnected):
		return 0, fmt.Errorf("reach the workload cluster: %w", err)
	case !r.ClusterCache.GetHealthCheckingState(ctx, key).LastProbeSuccessTime.IsZero():
		s.connected = new(false)
	}
	return 0, nil
}

// patchStatus computes the status from the scope and writes it in one patch.
func (r *Reconciler) patchStatus(ctx context.Context, helper *patch.Helper, s *scope) error {
	status := &s.infra.Status
	if s.recorded && s.failureDomainsKnown && s.infra.Spec.ControlPlaneEndpoint.IsValid() {
		status.Ready, status.Initialization.Provisioned = true, new(true)
	}
	deletions, err := records.Deletions(s.infra)
	if err != nil {
		return err
	}
	if pending.HandedOver(s.infra) {
		status.PendingDeletions = new(int32(len(deletions))) //nolint:gosec // an annotation of 256 KiB holds some hundreds
		conditions.Set(s.infra, deletionsComplete(deletions))
	}
	deleting := !s.infra.DeletionTimestamp.IsZero()
	for _, c := range s.conditions(deleting) {
		conditions.Set(s.infra, c)
	}
	conditions.Set(s.infra, s.ready(deleting))
	if err := helper.Patch(ctx, s.infra, patch.WithOwnedConditions{Conditions: ownedConditions}); err != nil {
		return fmt.Errorf("patch the status: %w", err)
	}
	return nil
}

func (s *scope) conditions(deleting bool) []metav1.Condition {
	if deleting {
		return []metav1.Condition{condition(infrav1.LoadBalancerReadyCondition, metav1.ConditionFalse, deletingReason, s.waiting)}
	}
	all := []metav1.Condition{s.provisionerAvailable(), s.loadBalancerReady(), s.apiServerAvailable()}
	if c, tell := s.failureDomainsComplete(); tell {
		all = append(all, c)
	}
	if hosts := s.infra.Spec.LXDConfig; hosts != nil && ptr.Deref(hosts.Enabled, false) {
		all = append(all, condition(infrav1.LXDReadyCondition, metav1.ConditionFalse, infrav1.LXDSetupPendingReason,
			"this provider does not set machines up as LXD hosts: register them with MAAS as VM hosts"))
	}
	return all
}

func (s *scope) provisionerAvailable() metav1.Condition {
	if s.region.isZero() {
		return condition(infrav1.ProvisionerAvailableCondition, metav1.ConditionTrue, infrav1.ProvisionerAvailableReason, "")
	}
	return condition(infrav1.ProvisionerAvailableCondition, metav1.ConditionFalse, s.region.reason, s.region.message)
}

// failureDomainsComplete says whether zones were left out; false where that is not known, or was never so.
func (s *scope) failureDomainsComplete() (metav1.Condition, bool) {
	name := infrav1.FailureDomainsCompleteCondition
	if s.zones > mostFailureDomains {
		return condition(name, metav1.ConditionFalse, infrav1.TooManyZonesReason, fmt.Sprintf(
			"MAAS has %d zones, and a cluster has at most %d failure domains: those with LXD hosts come first; name the ones to use in spec.failureDomains",
			s.zones, mostFailureDomains)), true
	}
	return condition(name, metav1.ConditionTrue, infrav1.FailureDomainsCompleteReason, ""), s.failureDomainsKnown && s.zones >= 0 && conditions.Has(s.infra, name)
}

func (s *scope) loadBalancerReady() metav1.Condition {
	name := infrav1.LoadBalancerReadyCondition
	switch {
	case s.endpoint.reason == infrav1.WaitForDNSNameReason || s.endpoint.reason == infrav1.LoadBalancerFailedReason:
		return condition(name, metav1.ConditionFalse, s.endpoint.reason, s.endpoint.message)
	case !s.endpoint.isZero():
		return condition(name, metav1.ConditionFalse, infrav1.LoadBalancerFailedReason, s.endpoint.reason+": "+s.endpoint.message)
	case s.custom:
		return condition(name, metav1.ConditionTrue, infrav1.CustomEndpointReason, "somebody else keeps the DNS record")
	default:
		return condition(name, metav1.ConditionTrue, infrav1.LoadBalancerReadyReason, "")
	}
}

func (s *scope) apiServerAvailable() metav1.Condition {
	name := infrav1.APIServerAvailableCondition
	switch {
	case s.connected == nil:
		return condition(name, metav1.ConditionUnknown, infrav1.APIServerNotReadyReason, "the workload cluster has not been reached yet")
	case *s.connected:
		return condition(name, metav1.ConditionTrue, infrav1.APIServerAvailableReason, "")
	default:
		return condition(name, metav1.ConditionFalse, infrav1.APIServerNotReadyReason, "the connection to the workload cluster is down")
	}
}

// deletionsComplete says whether VMs are left on hosts that did not answer. They keep nothing but the cluster's own
// deletion from going on.
func deletionsComplete(all []records.Deletion) metav1.Condition {
	name := infrav1.DeletionsCompleteCondition
	if len(all) == 0 {
		return condition(name, metav1.ConditionTrue, infrav1.DeletionsCompleteReason, "")
	}
	return condition(name, metav1.ConditionFalse, infrav1.DeletionsPendingReason, waitingForHosts(all))
}

func waitingForHosts(all []records.Deletion) string {
	return fmt.Sprintf("waiting for hosts that do not answer, to delete %s; bring them back, or remove entries of VMs that are given up from the annotation %s",
		pending.Describe(all), infrav1.PendingDeletionsAnnotation)
}

// ready is the summary: the first of provisioner and DNS record that is not well speaks for the cluster. The API server
// is the control plane's business, not the infrastructure's.
func (s *scope) ready(deleting bool) metav1.Condition {
	if deleting {
		return condition(clusterv1.ReadyCondition, metav1.ConditionFalse, deletingReason, s.waiting)
	}
	for _, name := range []string{infrav1.LoadBalancerReadyCondition, infrav1.ProvisionerAvailableCondition} {
		if c := conditions.Get(s.infra, name); c != nil && c.Status != metav1.ConditionTrue {
			return condition(clusterv1.ReadyCondition, c.Status, c.Reason, c.Message)
		}
	}
	return condition(clusterv1.ReadyCondition, metav1.ConditionTrue, clusterv1.ReadyReason, "")
}

func condition(name string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: name, Status: status, Reason: reason, Message: message}
}

func (r *Reconciler) event(s *scope, kind, reason, note string, args ...any) {
	if r.Recorder != nil {
		r.Recorder.Eventf(s.infra, nil, kind, reason, reason, note, args...)
	}
}
