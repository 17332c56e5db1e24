package maascluster

import (
	"context"
	"fmt"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/patch"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/capmaas/capmaas/api/records"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/endpoint"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// reconcileDelete waits until the cluster's machines are gone, removes the DNS record and lets the object go.
func (r *Reconciler) reconcileDelete(ctx context.Context, s *scope) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(s.infra, infrav1.ClusterFinalizer) {
		return ctrl.Result{}, nil
	}
	helper, err := patch.NewHelper(s.infra, r.Client)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("prepare the patch: %w", err)
	}
	left, err := r.machinesLeft(ctx, s)
	if err != nil {
		return ctrl.Result{}, err
	}
	if left > 0 {
		s.waiting = fmt.Sprintf("waiting for %d MaasMachines to be gone", left)
		return ctrl.Result{RequeueAfter: r.Delays.Working}, r.patchStatus(ctx, helper, s)
	}
	if deletions, err := records.Deletions(s.infra); err != nil {
		return ctrl.Result{}, err
	} else if len(deletions) > 0 {
		s.waiting = waitingForHosts(deletions)
		return ctrl.Result{RequeueAfter: r.Delays.Slow}, r.patchStatus(ctx, helper, s)
	}
	if ref, ours := recordOf(s.infra); ours && !endpoint.IsCustom(s.infra) {
		_, err := r.Provisioner.Region.DeleteEndpoint(ctx, &lxdprovisionerv1.DeleteEndpointRequest{Ref: ref})
		if r.Delays.Of(err).Absent {
			err = nil
		}
		if found, after := r.outcome(ctx, s, err); !found.isZero() {
			s.endpoint, s.waiting = found, "waiting for the DNS record to be removed: "+found.reason+": "+found.message
			return ctrl.Result{RequeueAfter: after}, r.patchStatus(ctx, helper, s)
		}
		ctrl.LoggerFrom(ctx).Info("Removed the DNS record", "name", ref.GetName(), "domain", ref.GetDomain())
	}
	return ctrl.Result{}, r.removeFinalizer(ctx, s)
}

// machinesLeft counts the cluster's MaasMachines, uncached: a machine that the cache has not seen yet must not be left.
func (r *Reconciler) machinesLeft(ctx context.Context, s *scope) (int, error) {
	name := s.infra.Labels[clusterv1.ClusterNameLabel]
	if s.cluster != nil {
		name = s.cluster.Name
	}
	for _, owner := range s.infra.OwnerReferences {
		if name == "" && owner.Kind == "Cluster" {
			name = owner.Name
		}
	}
	list := &infrav1.MaasMachineList{}
	selector := client.MatchingLabels{clusterv1.ClusterNameLabel: name}
	if err := r.APIReader.List(ctx, list, client.InNamespace(s.infra.Namespace), selector); err != nil {
		return 0, fmt.Errorf("list MaasMachines uncached: %w", err)
	}
	return len(list.Items), nil
}

func (r *Reconciler) removeFinalizer(ctx context.Context, s *scope) error {
	before := s.infra.DeepCopy()
	controllerutil.RemoveFinalizer(s.infra, infrav1.ClusterFinalizer)
	change := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, s.infra, change); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("remove the finalizer: %w", err)
	}
	r.written.forget(s.infra.UID)
	r.Backoff.Succeed(s.infra.UID)
	ctrl.LoggerFrom(ctx).Info("Removed the finalizer, nothing of the cluster is left")
	return nil
}
